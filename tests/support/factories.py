"""What several tests make: prompts of a chosen condition number, integer tensors, small networks."""

from collections.abc import Iterator
from contextlib import contextmanager

import jaxtyping
import numpy as np
import torch
from torch import Tensor

from metarep_lib import (
    Prompt,
    Transformer,
    geometric_spectrum,
    ridge_system,
    solvers,
    synthetic_prompt,
)
from metarep_lib.network import TransformerConfig

DTYPES = (torch.float64, torch.float32)


def prompt_of(
    kappa: float,
    n_support: int = 24,
    n_features: int = 6,
    n_query: int = 5,
    *,
    seed: int = 0,
    feature_scale: float = 1.0,
    target_scale: float = 1.0,
    dtype: torch.dtype = torch.float64,
    n_prompts: int | None = None,
) -> Prompt:
    """kappa(K + lambda I) = kappa when there are fewer features than supports, about half of it otherwise."""
    ridge = 1 / (kappa - 1)
    made = synthetic_prompt(geometric_spectrum(n_features, kappa), n_support, n_query, ridge, seed=seed, n_prompts=n_prompts)
    phi, y, phi_query = made.phi * feature_scale, made.y * target_scale, made.phi_query * feature_scale
    return Prompt(phi, y, phi_query, ridge=ridge * feature_scale**2).to(dtype)


def random_prompt(n_support: int, n_features: int, n_query: int, ridge: float, *, seed: int = 0, batch: tuple[int, ...] = ()) -> Prompt:
    """Independent normal features and targets, any shape, float64."""
    rng = np.random.default_rng(seed)
    shapes = (*batch, n_support, n_features), (*batch, n_support), (*batch, n_query, n_features)
    return Prompt(*(torch.from_numpy(rng.standard_normal(shape)) for shape in shapes), ridge=ridge).rounded()


def integers(*shape: int, seed: int, size: int = 2, dtype: torch.dtype = torch.float64) -> Tensor:
    """Whole numbers in [-size, size], stored as floats: sums and products of a few are exact."""
    return torch.from_numpy(np.random.default_rng(seed).integers(-size, size + 1, shape)).to(dtype)


def integer_network(config: TransformerConfig, seed: int, size: int = 1, dtype: torch.dtype = torch.float64) -> Transformer:
    """A transformer whose weights are small integers."""
    network = Transformer(config, torch.Generator()).to(dtype)
    with torch.no_grad():
        for i, weight in enumerate(network.parameters()):
            weight.copy_(integers(*weight.shape, seed=1000 * seed + i, size=size, dtype=dtype))
    return network


@contextmanager
def unchecked() -> Iterator[None]:
    """Run the library as its users do, without the annotation checks that pytest adds."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def answer(prompt: Prompt) -> torch.Tensor:
    system = ridge_system(prompt)
    return system.predict(solvers.cholesky(system).alpha)
