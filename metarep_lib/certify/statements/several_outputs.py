"""Several outputs in numbers: the error of a shared search, and its rate without the smallest eigenvalues.

A is diagonal, its eigenvalues ascend, the targets Y stand in columns; all is differentiable.
"""

import torch
from torch import Tensor

__all__ = ["outlier_problem", "outlier_rate", "shared_search_error"]


def shared_search_error(eigenvalues: Tensor, Y: Tensor, t: int) -> Tensor:
    """The value of `thm-block-rate`: the A-norm distance of every column of A^-1 Y from K_t(A, Y).

    Args:
        eigenvalues: [k] of A.
        Y: [k, m].
        t: steps.

    Returns:
        [m].

    >>> shared_search_error(torch.tensor([1.0, 4.0]), torch.tensor([[1.0], [2.0]]), 0)
    tensor([1.4142])
    """
    root = eigenvalues.sqrt()[:, None]
    span, new = Y[:, :0], root * Y  # the norm of A is the euclidean one here
    for _ in range(t):
        for _ in range(2):  # once loses digits
            new = new - span @ (span.T @ new)
        found = torch.linalg.qr(new)[0]
        span, new = torch.cat([span, found], dim=1), eigenvalues[:, None] * found
    error = Y / root
    for _ in range(2):
        error = error - span @ (span.T @ error)
    return error.square().sum(0).add(1e-300).sqrt()  # a root has no slope at zero


def outlier_rate(eigenvalues: Tensor, Y: Tensor, t: int, removed: int | None = None) -> Tensor:
    """Its bound: 2 c^(t - 1) ||v||_A, v = (I - Y (U^T Y)^-1 U^T) A^-1 y, U of the m smallest eigenvalues.

    Args:
        eigenvalues: [k] of A.
        Y: [k, m].
        t: steps, one or more.
        removed: how many eigenvalues kappa is without; None: m, as the theorem says.

    Returns:
        [m].

    >>> outlier_rate(torch.tensor([0.1, 1.0, 9.0]), torch.ones(3, 1), 2).round()  # v = (0, -9, -89/9)
    tensor([31.])
    """
    m, star = Y.shape[1], Y / eigenvalues[:, None]
    v = star - Y @ torch.linalg.solve(Y[:m], star[:m])
    root = (eigenvalues[-1] / eigenvalues[m if removed is None else removed]).sqrt()
    size = (eigenvalues[:, None] * v.square()).sum(0).sqrt()
    return 2 * ((root - 1) / (root + 1)) ** (t - 1) * size


def outlier_problem(flat: Tensor, m: int, t: int, kappa: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues and targets from a vector: m small ones, the others in [1, kappa], one more than t steps can find.

    >>> size = lambda m, t: m * t - 1 + (m * t + 1) * m
    >>> [part.shape for part in outlier_problem(torch.zeros(size(2, 3)), 2, 3, kappa=25.0)]
    [torch.Size([7]), torch.Size([7, 2])]
    """
    bulk = m * (t - 1) + 1
    small = 0.5 * 10 ** (-3 * flat[:m].sigmoid())
    inner = 1 + (kappa - 1) * flat[m : m + bulk - 2].sigmoid()
    ends = torch.tensor([1.0, kappa], dtype=flat.dtype)
    eigenvalues = torch.cat([small, ends, inner]).sort()[0]
    return eigenvalues, flat[m + bulk - 2 :].reshape(m + bulk, m)
