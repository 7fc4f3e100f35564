"""A function on the circle with two sharp peaks: what one softmax layer says of it, and the oracle, at every temperature.

Features are (cos, sin) of an angle, so that the exponential kernel depends on the distance of two
angles. Angles are one in each of k equal parts of the circle; targets carry noise of size 0.05.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics import relative_error, ridge_system, solvers
from metarep_lib.numerics.kernels import (
    ExponentialKernel,
    nadaraya_watson,
    smoother_weights,
)
from metarep_lib.prompt import Prompt

__all__ = ["by_temperature", "distances", "posed", "ridge_weights", "truth", "weights_along"]

N_QUERY, NOISE, RELATIVE_RIDGE = 96, 0.05, 0.05  # the ridge is relative to K_ii = exp(1 / tau)


def truth(angle: Tensor) -> Tensor:
    """A sine, a peak at 2 and a trough at 4.4.

    >>> round(truth(torch.tensor(2.0)).item(), 3)
    2.409
    """
    peak, trough = ((-(((angle - at) / 0.15) ** 2)).exp() for at in (2.0, 4.4))
    return angle.sin() + 1.5 * (peak - trough)


def posed(k: int, tau: float, n_prompts: int = 5) -> tuple[Tensor, Tensor, Prompt]:
    """Angles of k supports [n_prompts, k] and of 96 queries, and the prompts, float64."""
    generator = torch.Generator().manual_seed(k)
    jitter, noise = (
        law(n_prompts, k, generator=generator, dtype=torch.float64)
        for law in (torch.rand, torch.randn)
    )
    angle = 2 * math.pi * (torch.arange(k) + jitter) / k
    asked = torch.linspace(0, 2 * math.pi, N_QUERY, dtype=torch.float64).expand(n_prompts, N_QUERY)
    phi, phi_query = (torch.stack([a.cos(), a.sin()], -1) for a in (angle, asked))
    y, ridge = truth(angle) + NOISE * noise, RELATIVE_RIDGE * math.exp(1 / tau)
    return angle, asked, Prompt(phi, y, phi_query, ridge, truth(asked))


def distances(prompt: Prompt, tau: float) -> np.ndarray:
    """Relative distances at one temperature, medians over the prompts: by the formula of the smoother.

    Returns:
        [4] of the smoother from the oracle, of the smoother from the truth, of the oracle from
        the truth; and how many supports the smoother uses.
    """
    kernel = ExponentialKernel(tau)
    system = ridge_system(prompt, kernel)
    oracle = system.predict(solvers.cholesky(system).alpha)
    smoother = nadaraya_watson(prompt, kernel)
    pairs = ((smoother, oracle), (smoother, prompt.y_query), (oracle, prompt.y_query))
    in_use = 1 / smoother_weights(prompt, kernel).square().sum(-1).median()
    return np.array([*(float(relative_error(*pair).median()) for pair in pairs), float(in_use)])


def by_temperature(k: int, temperatures: np.ndarray | Sequence[float]) -> np.ndarray:
    """[temperatures, 4] the same of five prompts of k supports, at each temperature."""
    taus = [float(tau) for tau in temperatures]
    return np.array([distances(posed(k, tau)[-1], tau) for tau in taus])


def ridge_weights(prompt: Prompt, tau: float) -> Tensor:
    """w(x) = A^-1 k(x), [*batch, q, k]: what ridge regression gives to every support, f(x) = w(x) . y.

    >>> _, _, prompt = posed(9, tau=0.3, n_prompts=1)
    >>> system = ridge_system(prompt, ExponentialKernel(0.3))
    >>> f = (ridge_weights(prompt, 0.3) * prompt.y).sum(-1)
    >>> torch.allclose(f, system.predict(solvers.cholesky(system).alpha))
    True
    """
    system = ridge_system(prompt, ExponentialKernel(tau))
    return torch.linalg.solve(system.A, system.K_query.mT).mT


def weights_along(line: Tensor, tau: float, k: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """What queries at the angles `line` [q] give to k supports of one draw.

    Returns:
        [k] angles of the supports; [q, k] weights of one softmax head; [q, k] of ridge regression.
    """
    angle, _, prompt = posed(k, tau, n_prompts=1)
    along = torch.stack([line.cos(), line.sin()], -1).unsqueeze(0)
    moved = replace(prompt, phi_query=along, y_query=None)
    softmax, ridge = smoother_weights(moved, ExponentialKernel(tau)), ridge_weights(moved, tau)
    return angle.squeeze(0), softmax.squeeze(0), ridge.squeeze(0)
