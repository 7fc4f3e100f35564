"""What five maps to width m lose at held-out queries, and the width law's bound, on six laws of prompts.

The error is that of ridge regression behind the map against ridge regression on all features, in the norm over the queries, relative to the
latter; `risk` is against the queries' noisy targets, relative to their standard deviation.
"""

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics import (
    best_projection,
    landmark_projection,
    projected,
    random_projection,
    relative_error,
)
from metarep_lib.numerics.bounds import width_bound
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers
from metarep_lib.studies.capacity import LAWS, in_common_coordinates, learn_map
from metarep_lib.studies.sweep import Sweep, Swept

__all__ = [
    "KINDS",
    "SWEEP",
    "at_d_eff",
    "by_seed",
    "d_eff",
    "looseness",
    "over_tail",
    "posed",
    "run",
    "widths",
]

KINDS = ("best", "landmarks", "random", "sketch", "learned")


def posed(law: str, seed: int) -> Prompt:
    """One prompt of a law, in coordinates where its kernel is linear.

    >>> posed("power law, linear", seed=0).n_features
    24
    """
    return LAWS[law].coordinates(LAWS[law].prompt(seed))


def maps(law: str, m: int, seed: int) -> dict[str, tuple[Prompt, Tensor]]:
    """Kind -> the prompt in its coordinates, and the map W."""
    prompt, learned, kernel = posed(law, seed), learn_map(law, m, seed), LAWS[law].kernel
    generator = torch.Generator().manual_seed(10**6 + seed)
    chosen = torch.randperm(prompt.n_support, generator=generator)[:m]
    made = {
        "best": (prompt, best_projection(prompt, m)),
        "landmarks": (prompt, landmark_projection(prompt, chosen)),
        "random": (prompt, random_projection(prompt.n_features, m, generator)),
    }
    sketch = torch.randn(m, prompt.n_features, generator=generator, dtype=torch.float64) / m**0.5
    found = (prompt, learned)
    if kernel is not None:
        found = in_common_coordinates(LAWS[law].prompt(seed), kernel, learned)
    return made | {"sketch": (prompt, sketch), "learned": found}


def of_prompt(prompt: Prompt, m: int) -> dict:
    """What does not depend on the map: effective dimension, root of the weighted tail, risk of all features."""
    mu = torch.linalg.svdvals(prompt.phi).square()
    weighted = mu**2 / (mu + prompt.ridge)
    return {
        "m": m,
        "d_eff": float((mu / (mu + prompt.ridge)).sum()),
        "tail": float((weighted[m:].sum() / weighted.sum()).sqrt()),
        "risk_full": risk(answers(prompt), prompt),
    }


def risk(said: Tensor, prompt: Prompt) -> float:
    """Root mean square at the queries' targets, in their standard deviations."""
    return float((said - prompt.y_query).square().mean().sqrt() / prompt.y_query.std())


def run(law: str, level: int, seed: int) -> dict:
    """One point: error, risk, bound, and the part of it that is used, for every map."""
    m = LAWS[law].widths[level]
    made = maps(law, m, seed)
    prompt = made["best"][0]
    full, result = answers(prompt), of_prompt(prompt, m)
    for name, (held, W) in made.items():
        said = answers(projected(held, W))
        result[f"{name}_error"] = float(relative_error(said, full))
        result[f"{name}_risk"] = risk(said, prompt)
        if name != "sketch":  # no projection: the width law does not speak of it
            bound = width_bound(held, W)
            result[f"{name}_bound"] = float(bound.norm() / full.norm())
            floor = 1e-9 * full.abs().max()  # rounding of the two solves
            used = ((said - full).abs() - floor) / bound.clamp(min=floor)
            result[f"{name}_used"] = float(used.max())
    return result


SWEEP = Sweep("width", {"law": list(LAWS), "level": list(range(8))}, [0, 1, 2, 3, 4], run)


def by_seed(swept: Swept, name: str, law: str) -> np.ndarray:
    """[seeds, widths]."""
    return swept.values(name, law=law).T


def widths(swept: Swept, law: str) -> np.ndarray:
    """[widths] of a law."""
    return by_seed(swept, "m", law)[0].astype(int)


def d_eff(swept: Swept, law: str) -> float:
    """Median effective dimension of its prompts."""
    return float(np.median(by_seed(swept, "d_eff", law)[:, 0]))


def at_d_eff(swept: Swept, law: str, kind: str) -> float:
    """Median error at the smallest width shown that is at least the effective dimension."""
    level = int((widths(swept, law) >= d_eff(swept, law)).argmax())
    return float(np.median(by_seed(swept, f"{kind}_error", law)[:, level]))


def over_tail(swept: Swept, kind: str) -> np.ndarray:
    """[laws, widths] median error / median tail."""

    def median(name: str, law: str) -> np.ndarray:
        return np.median(by_seed(swept, name, law), 0)

    laws = swept.knobs["law"]
    return np.array([median(f"{kind}_error", law) / median("tail", law) for law in laws])


def looseness(swept: Swept, kind: str) -> float:
    """Bound / error: the median over laws of the median over seeds and widths."""
    ratios = [
        np.median(by_seed(swept, f"{kind}_bound", law) / by_seed(swept, f"{kind}_error", law))
        for law in swept.knobs["law"]
    ]
    return float(np.median(ratios))
