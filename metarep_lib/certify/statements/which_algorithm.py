"""What cannot be told apart, in numbers."""

import numpy as np

__all__ = ["ridge_by_polynomial"]


def ridge_by_polynomial(t: int, low: float, high: float, mu: float) -> float:
    """The bound of `prop-ridge-by-polynomial`: 1 / T_t(sigma), sigma = (high + low + 2 mu) / (high - low).

    How near t steps with fixed scalars come to the ridge path at mu, for eigenvalues in [low, high].

    >>> ridge_by_polynomial(1, 1.0, 3.0, 1.0)  # sigma = 3, T_1(3) = 3
    0.3333333333333333
    """
    return float(1 / np.cosh(t * np.arccosh((high + low + 2 * mu) / (high - low))))
