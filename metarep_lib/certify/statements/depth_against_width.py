"""Depth against width in numbers: what squaring leaves of the error, and what its bound allows."""

import numpy as np

__all__ = ["squaring_bound", "squaring_error", "squaring_used"]


def squaring_error(eigenvalues: np.ndarray, weights: np.ndarray, s: int) -> float:
    """The value of `prop-gram-squaring`: ||w* - w|| / ||w*|| after s squarings with eta = 1 / lambda_max.

    Args:
        eigenvalues: [n] of G, positive.
        weights: [n] the components of w* in its eigenvectors.
        s: how many squarings.

    >>> squaring_error(np.array([1.0, 2.0]), np.array([1.0, 0.0]), s=1)
    0.25
    """
    left = (1 - eigenvalues / eigenvalues.max()) ** 2**s * weights
    return float(np.linalg.norm(left) / np.linalg.norm(weights))


def squaring_bound(eigenvalues: np.ndarray, s: int) -> float:
    """Its bound: e^(-2^s / kappa).

    >>> round(squaring_bound(np.array([1.0, 2.0]), s=1), 4)  # 1 / e
    0.3679
    """
    return float(np.exp(-(2**s) * eigenvalues.min() / eigenvalues.max()))


def squaring_used(eigenvalues: np.ndarray, weights: np.ndarray, s: int) -> float:
    """How much of the bound the error uses.

    >>> round(squaring_used(np.array([1.0, 2.0]), np.array([1.0, 0.0]), s=1), 4)  # e / 4
    0.6796
    """
    return squaring_error(eigenvalues, weights, s) / squaring_bound(eigenvalues, s)
