"""Depth laws in numbers: the bounds that the worst error on a spectrum is held against; that one is `spectrum.errors.worst_error`."""

import math

import torch
from torch import Tensor

from metarep_lib.numerics.spectrum.depth_laws import effective_dimension

__all__ = ["effective_law", "krylov_bound", "outlier_bound", "with_outliers", "within"]

THRESHOLDS = torch.logspace(-2, 4, 200, dtype=torch.float64)


def within(z: Tensor, kappa: float) -> Tensor:
    """Any eigenvalues in (1, kappa), one for each number.

    >>> within(torch.zeros(1), 3.0).item()
    2.0
    """
    return 1 + (kappa - 1) * torch.sigmoid(z)


def krylov_bound(t: int, kappa: float) -> float:
    """The bound of `thm-krylov-lower`: 1 / T_t((kappa + 1) / (kappa - 1)).

    >>> krylov_bound(1, 9.0)
    0.8
    """
    return 1 / math.cosh(t * math.acosh((kappa + 1) / (kappa - 1)))


def with_outliers(z: Tensor, n_above: int, n_below: int, b: float) -> tuple[Tensor, Tensor, Tensor]:
    """Any eigenvalues below, in and above the window [1, b]; what is neither above nor below is in it."""
    above, below, inside = z.split([n_above, n_below, len(z) - n_above - n_below])
    return torch.sigmoid(below), within(inside, b), b * (1 + above.exp())


def outlier_bound(below: Tensor, above: Tensor, b: float, steps: int) -> Tensor:
    """The bound of `thm-outliers` with the window [1, b]: F / T_(t - m), where `steps` is t - m.

    >>> bound = outlier_bound(torch.tensor([0.5]), torch.tensor([10.0]), b=9.0, steps=1)
    >>> round(bound.item(), 3)  # 17 * 0.9 * 0.8
    12.24
    """
    factors = torch.log(1 - 1 / above).sum() + torch.log(b / below - 1).sum()
    return factors.exp() * krylov_bound(steps, b)


def effective_law(mu: Tensor, accuracy: Tensor) -> Tensor:
    """The steps of `thm-effective-depth` without rounding up, ridge 1: the least of (1 + c) / c d_eff + arcosh(1 / eps) / rate over thresholds c.

    >>> few, many = (effective_law(torch.ones(n).double(), torch.tensor(1e-3).double()) for n in (1, 9))
    >>> bool(0.5 < few < many < 20)
    True
    """
    rate = torch.log1p(2 / ((1 + THRESHOLDS).sqrt() - 1))
    inside = torch.acosh((1 / accuracy).clamp(min=1 + 1e-14)) / rate
    outliers = effective_dimension(mu, 1.0) * (1 + THRESHOLDS) / THRESHOLDS
    return (outliers + inside).min()
