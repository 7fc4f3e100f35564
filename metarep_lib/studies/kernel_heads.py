"""Softmax heads in floats: features with a kernel of chosen size, systems of chosen conditioning, and another library's answers."""

import math
from collections.abc import Callable

import numpy as np
import torch
from scipy.optimize import brentq
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

from metarep_lib.construct import ConstructedTransformer
from metarep_lib.numerics import relative_error
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt

__all__ = ["climbed", "draw", "of_norm", "off_in_floors", "posed"]

N_SUPPORT, N_QUERY = 20, 4


def draw(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers, float64."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def of_norm(phi: Tensor, norm: float) -> Tensor:
    """The features scaled such that their exponential kernel has this operator norm.

    >>> phi = of_norm(draw(5, 2, seed=0), 100.0)
    >>> round(torch.linalg.eigvalsh((phi @ phi.T).exp())[-1].item(), 6)
    100.0
    """

    def excess(size: float) -> float:
        K = (size**2 * phi @ phi.T).clamp(max=300).exp()
        return math.log(torch.linalg.eigvalsh(K)[-1] / norm)

    return brentq(excess, 1e-3, 20.0) * phi


def climbed(used: Callable[[Tensor], float], start: Tensor, steps: int, largest: float) -> float:
    """The largest value that a random walk uphill finds: rounding has no gradient.

    Args:
        used: What grows, a function of the features.
        start: Features, [k, p].
        steps: How often a step is tried; it is kept where it pays.
        largest: The largest entry of the features is held at this.

    >>> climbed(lambda phi: 1 / (1 + phi.abs().min().item()), torch.ones(2, 1), steps=60, largest=3.0) > 0.3
    True
    """
    phi, best = start, 0.0
    for step in range(steps):
        tried = phi + 0.1 * draw(*phi.shape, seed=100 + step).to(phi)
        tried = tried * largest / tried.abs().max()
        if (value := used(tried)) > best:
            phi, best = tried, value
    return best


def posed(kappa: float, spread: bool, seed: int, batch: tuple[int, ...] = ()) -> Prompt:
    """Twenty supports of three features; kappa(K + lambda I) is `kappa` up to K's smallest eigenvalue.

    Args:
        kappa: The condition number aimed at; in a batch the ridge is one, that of the median.
        spread: Whether the features differ in length; else they lie on the sphere.
        seed: Of the draws.
        batch: Leading axes.

    >>> prompt = posed(100.0, spread=False, seed=0)
    >>> prompt.phi.shape, round(prompt.phi.norm(dim=-1).max().item(), 6)
    (torch.Size([20, 3]), 1.0)
    """
    phi = draw(*batch, N_SUPPORT + N_QUERY, 3, seed=seed)
    phi = phi if spread else phi / phi.norm(dim=-1, keepdim=True)
    supports = phi[..., :N_SUPPORT, :]
    K = ExponentialKernel()(supports, supports)
    ridge = float(torch.linalg.eigvalsh(K)[..., -1].median() / (kappa - 1))
    y = draw(*batch, N_SUPPORT, seed=seed + 50)
    return Prompt(supports, y, phi[..., N_SUPPORT:, :], ridge)


def off_in_floors(network: ConstructedTransformer, prompts: Prompt) -> Tensor:
    """Error of the network's alpha against scikit-learn's `KernelRidge`, in units of u kappa.

    Args:
        network: One that holds lambda alpha; in which precision decides u.
        prompts: [n] of them, which scikit-learn gets as rounded as the network.

    Returns:
        [n].
    """
    at = network.transformer.W_E
    asked = prompts.to(at.device, at.dtype)
    phi, y = (x.to("cpu", torch.float64).numpy() for x in (asked.phi, asked.y))
    K = np.exp(phi @ phi.swapaxes(1, 2))
    model = KernelRidge(alpha=prompts.ridge, kernel="precomputed")
    alpha = torch.from_numpy(np.stack([model.fit(*one).dual_coef_ for one in zip(K, y)]))
    held = network.run(asked)["lambda_alpha", "support"][-1].to("cpu", torch.float64)
    kappa = torch.from_numpy(np.linalg.cond(K + prompts.ridge * np.eye(K.shape[1])))
    return relative_error(held / prompts.ridge, alpha) / (torch.finfo(at.dtype).eps / 2 * kappa)
