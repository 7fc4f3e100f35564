"""What edits did to trained networks, read off the sweep `interventions`: errors over the clean one, with intervals.

`rows` maps the name of a set of weights to its row of the sweep; `sweeps/interventions.py` says what the results are.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

__all__ = ["DOSES", "bands", "part_of_way", "relative", "steered", "without"]

DOSES = (-1.0, -0.5, 0.0, 0.5, 1.0)
Rows = Mapping[str, Mapping]


def without(rows: Rows, part: str, members: Sequence[str]) -> np.ndarray:
    """[2, networks, places] error without a part over the clean one: its output zero, and at its mean over prompts.

    >>> rows = {"net": {"clean": 2.0, "head_zero": [4.0, 2.0], "head_mean": [2.0, 2.0]}}
    >>> without(rows, "head", ["net"]).tolist()
    [[[2.0, 1.0]], [[1.0, 1.0]]]
    """
    return np.array(
        [
            [np.divide(rows[name][f"{part}_{how}"], rows[name]["clean"]) for name in members]
            for how in ("zero", "mean")
        ]
    )


def relative(rows: Rows, result: str, members: Sequence[str], side: float = 0.0) -> np.ndarray:
    """[networks, blocks] error after an injection over the clean one, `side` standard errors of the paired difference above it.

    >>> rows = {"net": {"inject_clean": 2.0, "query_probe": [4.0], "query_probe_se": [1.0]}}
    >>> relative(rows, "query_probe", ["net"], side=-2).tolist()
    [[1.0]]
    """
    held = [(np.array(rows[n][result]), np.array(rows[n][f"{result}_se"])) for n in members]
    clean = np.array([[rows[name]["inject_clean"]] for name in members])
    return np.array([value + side * error for value, error in held]) / clean


def bands(rows: Rows, result: str, members: Sequence[str], side: float = 2.0) -> np.ndarray:
    """[networks, 3, blocks] lower end, value, upper end; on a log axis no lower end is below a tenth of its value."""
    low, value, high = (relative(rows, result, members, at) for at in (-side, 0, side))
    return np.stack([np.maximum(low, 0.1 * value), value, high], 1)


def part_of_way(moved: Tensor, way: Tensor) -> float:
    """Which part of a way a move goes: its projection, over prompts and queries together.

    >>> import torch
    >>> part_of_way(torch.tensor([0.5, 9.0]), torch.tensor([1.0, 0.0]))
    0.5
    """
    return ((moved * way).sum() / way.square().sum()).item()


def steered(row: Mapping, how: str) -> tuple[np.ndarray, np.ndarray]:
    """The ridge that explains the predictions best, and how far they are from it over their mean square, [blocks, doses] each.

    Args:
        row: Of one network that was trained on several levels of noise.
        how: ``"steered"`` or ``"random"``.

    Returns:
        Two of [blocks, 5], at `DOSES`; without a dose nothing is edited, and all blocks agree.
    """
    clean = {"ridge": row["clean_ridge"], "gap": row["clean_ridge_gap"]}
    held = {of: np.reshape(row[f"{how}_{of}"], (-1, len(DOSES) - 1)) for of in clean}
    ridge, gap = (np.insert(held[of], 2, clean[of], axis=1) for of in clean)
    return ridge, gap / row["size"]
