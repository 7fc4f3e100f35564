"""What the division of two registers costs, in numbers: the bounds of `prop-division-rounding`.

u is the unit roundoff and tau the scale c times |N / D|; floats, fractions or arrays.
"""

from typing import TypeVar

import numpy as np

__all__ = ["allowed", "general_bound", "scaled_bound"]

T = TypeVar("T")


def scaled_bound(u: T) -> T:
    """Point 1, for tau <= 1: 3 u / (1 - 2 u) of N / D.

    >>> from fractions import Fraction
    >>> scaled_bound(Fraction(1, 8))
    Fraction(1, 2)
    """
    return 3 * u / (1 - 2 * u)


def general_bound(tau: T, u: T) -> T:
    """Point 3, for (3 + tau) u < 1: (3 + tau) u / (1 - (3 + tau) u) of N / D.

    >>> from fractions import Fraction
    >>> general_bound(Fraction(1), Fraction(1, 8))
    Fraction(1, 1)
    """
    return (3 + tau) * u / (1 - (3 + tau) * u)


def allowed(tau: np.ndarray, u: float) -> np.ndarray:
    """The smaller of both, one where neither keeps a digit.

    >>> allowed(np.array([0.5, 1.5, 100.0]), u=0.125).round(3).tolist()
    [0.5, 1.0, 1.0]
    """
    kept = (3 + tau) * u < 0.5
    general = np.where(kept, general_bound(np.where(kept, tau, 0), u), 1.0)
    return np.where(tau <= 1, scaled_bound(u), general)
