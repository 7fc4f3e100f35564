"""From an error of the kernel to one of the prediction: the change that `prop-random-feature-prediction` bounds, of any matrices."""

import numpy as np
import torch

from metarep_lib.numerics.kernels.random_features import random_feature_bound

__all__ = ["change_and_bound", "share_used"]

RIDGE = 0.5


def change_and_bound(
    K: np.ndarray, K_hat: np.ndarray, column: np.ndarray, change: np.ndarray, y: np.ndarray
) -> tuple[float, float]:
    """|f^ - f| with the ridge 1/2, and its bound in the sizes of all of them.

    Args:
        K: [k, k] positive semi-definite.
        K_hat: [k, k] what is taken for it.
        column: [k] kernel values of the query.
        change: [k] what is taken for them, off by this.
        y: [k] targets.

    >>> zero, one = np.zeros((1, 1)), np.ones(1)
    >>> change_and_bound(zero, zero, one, one, one)
    (2.0, 2.0)
    """
    A, A_hat = (matrix + RIDGE * np.eye(len(y)) for matrix in (K, K_hat))
    moved = (column + change) @ np.linalg.solve(A_hat, y) - column @ np.linalg.solve(A, y)
    sizes = [np.linalg.norm(K_hat - K, 2), *map(np.linalg.norm, (change, column, y))]
    return abs(float(moved)), random_feature_bound(*map(torch.tensor, sizes), RIDGE).item()


def share_used(flat: np.ndarray, k: int) -> float:
    """Change / bound of two Gram matrices and three vectors, from 2 k^2 + 3 k numbers."""
    roots, vectors = flat[: 2 * k * k].reshape(2, k, k), flat[2 * k * k :].reshape(3, k)
    change, bound = change_and_bound(*(root @ root.T for root in roots), *vectors)
    return change / bound
