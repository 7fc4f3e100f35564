"""Kernels that softmax's normaliser helps, and kernels that it harms, as a preconditioner."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.studies.kernel_heads import draw

__all__ = ["hub", "numbers", "spread_lengths"]

TAU, RIDGE = 0.02, 0.01  # of the hub


def spread_lengths(spreads: np.ndarray | Sequence[float]) -> Tensor:
    """A of 40 supports of random direction, ten draws, [10, spreads, 40, 40].

    The logarithm of their length, in units of 1.5, runs over [-spread, spread].

    >>> A = spread_lengths([0.0])
    >>> round((A[0, 0, 0, 0] - math.exp(1.5**2)).item(), 6)  # the ridge: all lengths are 1.5
    0.1
    """
    directions = draw(10, 40, 3, seed=60)
    directions = directions / directions.norm(dim=-1, keepdim=True)
    levels = torch.linspace(-1, 1, 40, dtype=torch.float64)[:, None]
    sizes = [(float(spread) * levels).exp() for spread in spreads]
    phi = 1.5 * torch.stack([directions * size for size in sizes], dim=1)
    K = ExponentialKernel()(phi, phi)
    return K + 0.1 * torch.eye(40).to(K)


def hub(k: int) -> Tensor:
    """A of one support near k - 1 others that are far from each other, all of length one (up to a factor), [k, k].

    The row sum of the hub is 0.8 sqrt(k - 1) above its diagonal, that of a spoke 0.8 / sqrt(k - 1)
    and what spokes give to one another.

    >>> A = hub(101)
    >>> [round(x.item(), 2) for x in (A[0, 0], A[0, 1:].sum())]
    [1.01, 8.0]
    """
    near = 1 - TAU * math.log(math.sqrt(k - 1) / 0.8)  # cosine between hub and spoke
    cosine = torch.full((k, k), near**2, dtype=torch.float64)
    cosine[0, :], cosine[:, 0] = near, near
    cosine.fill_diagonal_(1.0)
    return ((cosine - 1) / TAU).exp() + RIDGE * torch.eye(k, dtype=torch.float64)


def numbers(k: int, p: int, seed: int) -> Tensor:
    """[k p + k + 1] at random: features of size 0.7, targets, and the logarithm of a ridge around exp(-1).

    >>> numbers(5, 2, seed=0).shape
    torch.Size([16])
    """
    phi, y, log_ridge = (
        0.7 * draw(k, p, seed=seed),
        draw(k, seed=seed + 30),
        draw(1, seed=seed + 70),
    )
    return torch.cat([phi.flatten(), y, log_ridge - 1])
