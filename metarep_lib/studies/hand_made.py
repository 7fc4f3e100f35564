"""Prompts made by hand: supports whose only trouble is their scaling, targets that are quadratic in the inputs."""

import torch

from metarep_lib.prompt import Prompt

__all__ = ["badly_scaled", "quadratic"]


def badly_scaled(seed: int) -> Prompt:
    """20 generic supports in 40 dimensions, scaled over three orders of magnitude; 10 queries, float64."""
    generator = torch.Generator().manual_seed(seed)
    generic, phi_query, y = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((20, 40), (10, 40), (20,))
    )
    scales = torch.logspace(-1.5, 1.5, 20, dtype=torch.float64)[:, None]
    return Prompt(generic * scales, y, phi_query, ridge=1e-3)


def quadratic(seed: int) -> Prompt:
    """40 supports and 20 queries in three dimensions, y = x_1 x_2 - x_3^2 and some noise, float64."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(60, 3, generator=generator, dtype=torch.float64)
    noise = torch.randn(60, generator=generator, dtype=torch.float64)
    y = x[:, 0] * x[:, 1] - x[:, 2] ** 2 + 0.05 * noise
    return Prompt(x[:40], y[:40], x[40:], ridge=0.1)
