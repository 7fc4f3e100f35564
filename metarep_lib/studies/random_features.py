"""Random features in the place of the exponential kernel: what they leave of its matrix and of its predictions."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics import relative_error, ridge_system, solvers
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.numerics.kernels.random_features import (
    positive_features,
    positive_variance,
    random_directions,
    trigonometric_features,
    trigonometric_variance,
)
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers
from metarep_lib.tasks import sphere_task

__all__ = ["MAPS", "Map", "errors", "exact", "kernel_error", "mapped", "posed", "theory"]

DIM = 4


@dataclass(frozen=True)
class Map:
    """A kind of random features.

    Args:
        feature: of points, directions and the temperature.
        variance: of a product of features of two points, for one direction.
        per_direction: how many features a direction makes.
        orthogonal: whether directions stand at right angles.
    """

    feature: Callable[[Tensor, Tensor, float], Tensor]
    variance: Callable[[Tensor, Tensor, float], Tensor]
    per_direction: int
    orthogonal: bool = False

    def directions(self, m: int, seed: int) -> Tensor:
        """As many as m features need."""
        generator = torch.Generator().manual_seed(seed)
        count = m // self.per_direction
        return random_directions(count, DIM, generator, orthogonal=self.orthogonal)


POSITIVE = Map(positive_features, positive_variance, 1)
TRIGONOMETRIC = Map(trigonometric_features, trigonometric_variance, 2)
MAPS = {
    "positive": POSITIVE,
    "positive, orthogonal": replace(POSITIVE, orthogonal=True),
    "trigonometric": TRIGONOMETRIC,
    "trigonometric, orthogonal": replace(TRIGONOMETRIC, orthogonal=True),
}


def posed(tau: float) -> Prompt:
    """50 supports and 60 queries on the sphere, from the exponential kernel's own Gaussian process; the ridge is a tenth of K's diagonal."""
    prompt = sphere_task(50, 60, DIM, noise=0.3, law_tau=tau, seed=0).prompt
    return replace(prompt, ridge=0.1 * float(np.exp(1 / tau)))


def exact(prompt: Prompt, tau: float) -> Tensor:
    """[q] what ridge regression with the kernel itself predicts."""
    system = ridge_system(prompt, ExponentialKernel(tau))
    return system.predict(solvers.cholesky(system).alpha)


def mapped(prompt: Prompt, tau: float, name: str, m: int, seed: int) -> Prompt:
    """The prompt with m random features in the place of its inputs."""
    kind = MAPS[name]
    w = kind.directions(m, seed)
    phi, phi_query = (kind.feature(x, w, tau) for x in (prompt.phi, prompt.phi_query))
    return replace(prompt, phi=phi, phi_query=phi_query)


def kernel_error(prompt: Prompt, tau: float, name: str, m: int, seed: int) -> float:
    """||K^ - K|| / ||K||, Frobenius."""
    K = ExponentialKernel(tau)(prompt.phi, prompt.phi)
    phi = mapped(prompt, tau, name, m, seed).phi
    return float((phi @ phi.T - K).norm() / K.norm())


def errors(prompt: Prompt, tau: float, name: str, m: int, seed: int) -> tuple[float, float]:
    """Of the kernel's matrix and of the predictions, relative."""
    said = answers(mapped(prompt, tau, name, m, seed))
    off = float(relative_error(said, exact(prompt, tau)))
    return kernel_error(prompt, tau, name, m, seed), off


def theory(prompt: Prompt, tau: float, name: str, m: int) -> float:
    """The root mean square of `kernel_error`, by `thm-random-features`; of independent directions."""
    kind, K = MAPS[name], ExponentialKernel(tau)(prompt.phi, prompt.phi)
    total = kind.variance(prompt.phi, prompt.phi, tau).sum() * kind.per_direction
    return float((total / m).sqrt() / K.norm())
