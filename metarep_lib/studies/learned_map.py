"""What a map learns from the prompts of one law: a power-law spectrum in a fixed basis, twelve features."""

from functools import cache

import torch
from torch import Tensor

from metarep_lib.numerics import random_projection

__all__ = ["basis", "best_of_each", "error_of", "learn", "random"]

P, RIDGE, N_SUPPORT, N_QUERY = 12, 0.05, 24, 8
Batch = tuple[Tensor, Tensor, Tensor, Tensor]  # phi [n, k, p], y [n, k], queries [n, q, p], targets


def normal(*shape: int, generator: torch.Generator) -> Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@cache
def basis() -> Tensor:
    """[p, p] the directions of the law as columns, the leading one first.

    >>> bool((basis().mT @ basis()).round(decimals=9).equal(torch.eye(P, dtype=torch.float64)))
    True
    """
    return torch.linalg.qr(normal(P, P, generator=torch.Generator().manual_seed(77))).Q


def batch(n: int, generator: torch.Generator) -> Batch:
    """n prompts of the law."""
    scales = 1 / torch.arange(1, P + 1, dtype=torch.float64)
    phi = normal(n, N_SUPPORT + N_QUERY, P, generator=generator) * scales @ basis().mT
    y = (phi @ normal(n, P, 1, generator=generator)).squeeze(-1)
    y = y + 0.2 * normal(n, N_SUPPORT + N_QUERY, generator=generator)
    return phi[:, :N_SUPPORT], y[:, :N_SUPPORT], phi[:, N_SUPPORT:], y[:, N_SUPPORT:]


def predicted(W: Tensor, phi: Tensor, y: Tensor, queries: Tensor) -> Tensor:
    """[n, q] ridge regression on W phi; differentiable in W."""
    phi, queries = phi @ W.mT, queries @ W.mT
    H = phi.mT @ phi + RIDGE * torch.eye(len(W), dtype=W.dtype)
    return (queries @ torch.linalg.solve(H, phi.mT @ y.unsqueeze(-1))).squeeze(-1)


def learn(m: int, seed: int, steps: int = 150) -> Tensor:
    """W [m, p] with orthonormal rows, by Adam on the squared error at the queries' targets, 64 prompts a step."""
    generator = torch.Generator().manual_seed(seed)
    raw = normal(P, m, generator=generator).requires_grad_()
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(steps):
        phi, y, queries, targets = batch(64, generator)
        loss = (predicted(torch.linalg.qr(raw).Q.mT, phi, y, queries) - targets).square()
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    return torch.linalg.qr(raw.detach()).Q.mT


def random(m: int, seed: int) -> Tensor:
    """A random projection."""
    return random_projection(P, m, torch.Generator().manual_seed(seed))


@cache
def fresh() -> tuple[Batch, Tensor]:
    """200 prompts that no map has seen, and what ridge regression on all features says."""
    made = batch(200, torch.Generator().manual_seed(999))
    return made, predicted(torch.eye(P, dtype=torch.float64), *made[:3])


def error_of(W: Tensor) -> float:
    """Relative to all features, over fresh prompts.

    >>> error_of(basis().mT) < 1e-9
    True
    """
    (phi, y, queries, _), truth = fresh()
    return float((predicted(W, phi, y, queries) - truth).norm() / truth.norm())


def best_of_each(m: int) -> float:
    """The same for the best map of every single prompt."""
    (phi, y, queries, _), truth = fresh()
    W = torch.linalg.svd(phi, full_matrices=False).Vh[:, :m]
    said = [predicted(*one) for one in zip(W, phi[:, None], y[:, None], queries[:, None])]
    return float((torch.cat(said) - truth).norm() / truth.norm())
