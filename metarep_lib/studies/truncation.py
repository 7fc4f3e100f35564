"""The risk of a narrow network where signal lies in few directions and noise in all, measured and foretold."""

import torch
from torch import Tensor

__all__ = ["risks"]

DRAWS, N_QUERY, SEEDS = 400, 64, range(5)


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def risks_of_one(
    mu: Tensor, ridge: float, signal: int, noise: float, k: int, seed: int
) -> tuple[Tensor, Tensor]:
    """One prompt of k supports, 400 draws of its noise: mean squared error against the truth at widths 1 ... p, and what `prop-truncation` foretells of the one at full width."""
    generator, errors = (torch.Generator().manual_seed(s + seed) for s in (100, 200))
    root, p = mu.sqrt(), len(mu)
    U = torch.linalg.qr(normal(k, p, generator=generator)).Q
    drawn = normal(signal, generator=generator)
    w = torch.cat([drawn, torch.zeros(p - signal, dtype=mu.dtype)]) / root
    a = normal(N_QUERY, p, generator=generator) * root  # queries, in the basis of Phi
    u_y = (root * w)[:, None] + U.mT @ (noise * normal(k, DRAWS, generator=errors))
    said = a.unsqueeze(-1) * (root / (mu + ridge))[:, None] * u_y  # [q, p, draws], to be summed
    gap = said.cumsum(1) - (a @ w)[:, None, None]
    measured = gap.square().mean((0, 2))
    lost = noise**2 * (mu / (mu + ridge) ** 2 * a**2).mean(0)
    return measured, measured[-1] - lost.sum() + lost.cumsum(0)


def risks(
    mu: Tensor, ridge: float, signal: int, noise: float, n_support: int
) -> tuple[Tensor, Tensor]:
    """[p] measured and foretold at widths 1 ... p, mean over five prompts; the second holds from the width of the signal on.

    Args:
        mu: [p] eigenvalues of K, float64.
        ridge: lambda.
        signal: how many leading directions the truth has.
        noise: standard deviation of the targets' noise.
        n_support: k >= p.

    >>> measured, foretold = risks(torch.tensor([1.0, 0.5]).double(), 0.1, signal=2, noise=0.0, n_support=4)
    >>> bool(measured[-1] == foretold[-1])
    True
    """
    rows = [risks_of_one(mu, ridge, signal, noise, n_support, seed) for seed in SEEDS]
    measured, foretold = (torch.stack(each).mean(0) for each in zip(*rows))
    return measured, foretold
