"""Conditioning in numbers: what a preconditioner does, and what the chapter's statements allow."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics.bounds.rates import conjugate_gradient_bound, gradient_descent_bound

__all__ = ["condition", "jacobi_condition", "rate_used", "sluis_bound", "sluis_pair"]

FLOOR = 100  # in units of u kappa: where the errors of a network in floats end
STORED = 1 + 5e-4  # sweeps store four digits: an error is at least this much smaller
RATES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cg": conjugate_gradient_bound,
    "gd": gradient_descent_bound,
}


def condition(A: Tensor) -> Tensor:
    """lambda_max / lambda_min of a symmetric matrix.

    >>> condition(torch.diag(torch.tensor([1.0, 4.0]))).item()
    4.0
    """
    values = torch.linalg.eigvalsh(A)
    return values[..., -1] / values[..., 0]


def jacobi_condition(A: Tensor) -> Tensor:
    """The value of `thm-van-der-sluis`: kappa(D^-1/2 A D^-1/2), D the diagonal of A.

    >>> jacobi_condition(torch.tensor([[4.0, 2.0], [2.0, 4.0]])).item()
    3.0
    """
    d = A.diagonal(dim1=-2, dim2=-1).rsqrt()
    return condition(d.unsqueeze(-1) * A * d.unsqueeze(-2))


def sluis_bound(A: Tensor, e: Tensor) -> Tensor:
    """Its bound: k kappa(E A E), for any other scaling E = diag(e).

    >>> sluis_bound(torch.eye(2), torch.tensor([1.0, 2.0])).item()
    8.0
    """
    return A.shape[-1] * condition(e.unsqueeze(-1) * A * e.unsqueeze(-2))


def sluis_pair(flat: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Any positive definite matrix and any scaling, from k^2 + k numbers."""
    root, e = flat[: k * k].reshape(k, k), flat[k * k :].exp()
    return root @ root.T + 1e-6 * torch.eye(k, dtype=flat.dtype), e


def rate_used(
    errors: np.ndarray,
    kappa: np.ndarray,
    steps: np.ndarray,
    method: str = "cg",
    kappa_of_floor: np.ndarray | None = None,
) -> float:
    """The most that stored errors use of the bound of `thm-cg-rate` or `prop-gd-rate`, up to a floor of 100 u kappa.

    Args:
        errors: [..., n] in the norm of A, relative.
        kappa: [...] condition numbers.
        steps: [n] at which they stand.
        method: ``"cg"`` or ``"gd"``.
        kappa_of_floor: [...] condition numbers that decide the floor, where the bound is that of a preconditioned system.

    >>> rate_used(np.array([[2.0, 0.5]]), np.array([9.0]), np.array([0, 1]), "cg").__round__(3)
    1.0
    """
    kappa = np.maximum(np.asarray(kappa, dtype=float), 1.0)[..., None]
    bound = RATES[method](torch.tensor(kappa), torch.tensor(steps)).numpy()
    rounding = kappa if kappa_of_floor is None else np.asarray(kappa_of_floor)[..., None]
    floor = FLOOR * np.finfo(float).eps * rounding
    return float(((errors / STORED - floor) / np.maximum(bound, 1e-12)).max())
