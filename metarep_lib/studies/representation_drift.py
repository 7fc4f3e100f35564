"""What became of a small network that was moved to another law, read off the sweep `representation-drift`."""

import numpy as np

from metarep_lib.studies.sweep import Swept
from metarep_lib.train import REMEDIES

__all__ = ["WAYS", "after"]

WAYS = ("before", *REMEDIES)  # before fine-tuning, then every way to fine-tune


def after(
    swept: Swept, result: str, way: str, other: str | None = None, *, move: str = "rougher"
) -> np.ndarray:
    """[seeds] a result after fine-tuning in one way; over the same in another way, seed by seed.

    Args:
        swept: The sweep.
        result: ``"MEASURE LAW"``, measures and laws as the sweep's file describes them.
        way: Of `WAYS`.
        other: What it is divided by; None for nothing.
        move: How the law moved.

    >>> one = Swept({"move": ["rougher"], "seed": [0]}, [{"move": "rougher", "seed": 0, "risk new": [6, 3, 2, 1, 1, 1]}], {})
    >>> after(one, "risk new", "none", "before").tolist()
    [0.5]
    """
    values = swept.values(result, move=move)
    divisor = values[:, WAYS.index(other)] if other else 1.0
    return values[:, WAYS.index(way)] / divisor
