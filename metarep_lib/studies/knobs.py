"""What the sweep `knobs` says while one knob turns, every other one at its base (sweeps/knobs.py makes it)."""

import numpy as np

from metarep_lib.studies.sweep import Swept

__all__ = ["levels", "median", "turned"]

NEVER = 81  # steps of `needed` and `promised` where eighty are not enough


def levels(swept: Swept, kernel: str, knob: str) -> np.ndarray:
    """[levels] the values that a knob takes."""
    return swept.values("value", kernel=kernel, knob=knob)[:, 0]


def turned(swept: Swept, name: str, kernel: str, knob: str) -> np.ndarray:
    """[seeds, levels] a result; NaN where a number of steps is never reached."""
    held = swept.values(name, kernel=kernel, knob=knob).T
    return np.where(held == NEVER, np.nan, held) if name in ("needed", "promised") else held


def median(swept: Swept, name: str, kernel: str, knob: str) -> np.ndarray:
    """[levels] its median over seeds."""
    return np.median(turned(swept, name, kernel, knob), axis=0)
