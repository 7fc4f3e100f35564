"""Prompts on which algorithms disagree: the eigenvalues of Phi^T Phi are chosen anew for every prompt, in rotated bases.

Letters: B prompts, k supports, p features. Eigenvalues are given over k, so that 1 is what isotropic features of variance one have
for large k.
"""

from collections.abc import Callable

import numpy as np
import torch

from metarep_lib.asked import asked, asked_to_draw, at_least, not_negative, positive
from metarep_lib.prompt import Prompt

Spectra = Callable[[np.random.Generator, int], np.ndarray]


@asked(count=at_least(1), low=positive, high=positive, blur=not_negative)
def clusters(count: int, low: float, high: float, blur: float = 0.01) -> Spectra:
    """`count` places, log-uniform in [low, high] and new for every prompt; every eigenvalue is within a part `blur` of one of them.

    Conjugate gradient is done in `count` steps. Scalars that are fixed beforehand cannot be right for places they do not know.
    """

    check_interval("clusters", low, high)

    def draw(rng: np.random.Generator, p: int) -> np.ndarray:
        places = np.exp(rng.uniform(np.log(low), np.log(high), size=count))
        return places[np.arange(p) % count] * (1 + blur * rng.uniform(-1, 1, size=p))

    return draw


def check_interval(call: str, low: float, high: float) -> None:
    if low > high:
        raise ValueError(f"{call}(low={low}, high={high}): expected low <= high, e.g. 0.5 and 2.0")


@asked(low=positive, high=positive)
def spread(low: float, high: float) -> Spectra:
    """Every eigenvalue log-uniform in [low, high] by itself."""
    check_interval("spread", low, high)
    return lambda rng, p: np.exp(rng.uniform(np.log(low), np.log(high), size=p))


@asked(n_support=at_least(1))
def isotropic(n_support: int) -> Spectra:
    """The eigenvalues that n_support independent standard normal rows happen to have: what networks are usually trained on."""
    return lambda rng, p: np.linalg.eigvalsh(
        np.cov(rng.standard_normal((p, n_support)), bias=True) if p > 1 else np.ones((1, 1))
    ).clip(1e-6)


@asked_to_draw(noise=not_negative)
def designed_prompts(
    spectra: Spectra,
    n_prompts: int,
    n_support: int,
    n_query: int,
    n_features: int,
    *,
    seed: int,
    noise: float = 0.1,
    ridge: float,
) -> Prompt:
    """Linear tasks of the chosen spectra: w ~ N(0, I / p), y = Phi w + noise, queries of the same law as the supports.

    Args:
        spectra: draws the eigenvalues of Phi^T Phi / k for one prompt.
        n_prompts: B.
        n_support: k >= p.
        n_query: queries of every prompt.
        n_features: p.
        seed: spectra, bases, weights and noise draw from streams of their own.
        noise: standard deviation.
        ridge: lambda of the prompts.

    Raises:
        ValueError: fewer supports than features.

    >>> prompt = designed_prompts(clusters(2, 0.5, 2.0, blur=0.0), 3, n_support=8, n_query=2, n_features=4, seed=0, ridge=1.0)
    >>> [len(set(torch.linalg.eigvalsh(S).numpy().round(9))) for S in prompt.phi.mT @ prompt.phi]
    [2, 2, 2]
    """
    if n_support < n_features:
        raise ValueError(
            f"designed_prompts(n_support={n_support}, n_features={n_features}): expected at least as many supports as features, e.g. n_support={n_features}"
        )
    chosen, bases, weights, errors = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(4)
    )
    roots = np.sqrt(np.stack([spectra(chosen, n_features) for _ in range(n_prompts)]))
    U = np.linalg.qr(bases.standard_normal((n_prompts, n_support, n_features)))[0]
    V = np.linalg.qr(bases.standard_normal((n_prompts, n_features, n_features)))[0]
    features = roots[:, :, None] * V.swapaxes(-1, -2)  # [B, p, p]
    phi, phi_query = (
        np.sqrt(n_support) * U @ features,
        bases.standard_normal((n_prompts, n_query, n_features)) @ features,
    )
    w = weights.standard_normal((n_prompts, n_features, 1)) / np.sqrt(n_features)
    y = (phi @ w)[..., 0] + noise * errors.standard_normal((n_prompts, n_support))
    return Prompt(
        *map(torch.from_numpy, (phi, y, phi_query)),
        ridge=ridge,
        y_query=torch.from_numpy((phi_query @ w)[..., 0]),
    ).rounded()
