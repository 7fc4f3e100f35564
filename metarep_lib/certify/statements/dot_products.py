"""Dot products from softmax in numbers: the stencil, its kernel, and what a solution makes of its error."""

import torch
from torch import Tensor

from metarep_lib.numerics.kernels.stencil import StencilKernel, stencil_constant

__all__ = [
    "operator_bound",
    "operator_error",
    "six_supports",
    "solution_bound",
    "solution_error",
    "stencil_bound",
    "stencil_deviation",
]


def stencil_deviation(x: Tensor, pairs: int) -> Tensor:
    """The value of `thm-stencil`: |psi_J(x) - x|, by the definition of psi_J.

    >>> x = torch.tensor([1.0], dtype=torch.float64)
    >>> torch.allclose(stencil_deviation(x, 1), x.sinh() - x)
    True
    """
    psi = StencilKernel(pairs, 1.0)(x.unsqueeze(-1), torch.ones_like(x[:1, None])).squeeze(-1)
    return (psi - x).abs()


def stencil_bound(x: Tensor, pairs: int) -> Tensor:
    """Its upper bound: C_J |x|^(2J+1) e^(J x^2 / 12).

    >>> round(6 * stencil_bound(torch.tensor(2.0), 1).item() / 8, 4)  # e^(1/3)
    1.3956
    """
    J = pairs
    return float(stencil_constant(J)) * x.abs() ** (2 * J + 1) * (J * x.square() / 12).exp()


def six_supports(flat: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """K of six supports with S = 1, targets, a ridge and a spacing, from 20 numbers."""
    phi = flat[:12].reshape(6, 2)
    phi = phi / phi.norm(dim=-1).max()
    return phi @ phi.T, flat[12:18], (flat[18] - 4).exp(), 1.5 * torch.sigmoid(flat[19])


def operator_error(K: Tensor, x: Tensor) -> Tensor:
    """The value of `thm-stencil-kernel`, 1, for two heads: ||sinh(x K) / x - K||_2.

    >>> operator_error(torch.zeros(2, 2), torch.tensor(0.5)).item()
    0.0
    """
    return torch.linalg.matrix_norm(torch.sinh(x * K) / x - K, 2)


def operator_bound(K: Tensor, x: Tensor) -> Tensor:
    """Its bound: E ||K||_2 with E = sinh(x) / x - 1, S = 1."""
    return (torch.sinh(x) / x - 1) * torch.linalg.matrix_norm(K, 2)


def solution_error(K: Tensor, y: Tensor, ridge: Tensor, x: Tensor) -> Tensor:
    """The value of `thm-stencil-predictor`, 1: ||alpha_hat - alpha*|| / ||alpha_hat||."""
    identity = torch.eye(len(K)).to(K)
    exact, made = (torch.linalg.solve(M + ridge * identity, y) for M in (K, torch.sinh(x * K) / x))
    return (exact - made).norm() / made.norm()


def solution_bound(K: Tensor, ridge: Tensor, x: Tensor) -> Tensor:
    """Its bound: E ||K||_2 / lambda."""
    return operator_bound(K, x) / ridge
