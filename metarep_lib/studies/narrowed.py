"""One prompt with the exponential kernel, read through maps of every width."""

import torch
from torch import Tensor

from metarep_lib.numerics import (
    best_projection,
    landmark_projection,
    projected,
    random_projection,
    relative_error,
    spanned_features,
)
from metarep_lib.numerics.bounds import width_bound
from metarep_lib.numerics.kernels.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers

__all__ = ["KINDS", "effective_dimension", "posed", "through"]

KINDS = ("best", "landmarks", "random", "sketch")


def posed() -> Prompt:
    """40 supports on the sphere, 16 queries, targets of a Gaussian process with noise; in coordinates where the kernel is linear."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    x, kernel = normal(56, 3), ExponentialKernel(0.5)
    x = x / x.norm(dim=-1, keepdim=True)
    mu, U = torch.linalg.eigh(kernel(x, x))
    f = U @ (mu.clamp(min=0).sqrt() * normal(56))
    y = f + 0.5 * normal(56)
    return spanned_features(Prompt(x[:40], y[:40], x[40:], ridge=0.25), kernel)


def effective_dimension(prompt: Prompt) -> float:
    """By the features, whose Gram matrix is diagonal here."""
    spectrum = prompt.phi.square().sum(0)
    return float((spectrum / (spectrum + prompt.ridge)).sum())


def map_of(prompt: Prompt, kind: str, m: int) -> Tensor:
    """W [m, p]; random ones from one seed.

    >>> list(map_of(posed(), "random", 3).shape)
    [3, 40]
    """
    generator = torch.Generator().manual_seed(1)
    if kind == "best":
        return best_projection(prompt, m)
    if kind == "landmarks":
        return landmark_projection(prompt, torch.arange(m))
    if kind == "random":
        return random_projection(prompt.n_features, m, generator)
    drawn = torch.randn(m, prompt.n_features, generator=generator, dtype=torch.float64)
    return drawn / m**0.5


def through(prompt: Prompt, kind: str, m: int) -> tuple[Tensor, float, float]:
    """What is said at the queries behind a map, its relative error, and the bound of the width law; NaN for a sketch."""
    W, truth = map_of(prompt, kind, m), answers(prompt)
    said = answers(projected(prompt, W))
    bound = torch.nan if kind == "sketch" else float(width_bound(prompt, W).norm() / truth.norm())
    return said, float(relative_error(said, truth)), bound
