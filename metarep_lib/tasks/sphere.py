"""Tasks on the unit sphere that are easy or hard for a reason that is a knob, each with its Bayes predictor.

Inputs are Gaussian with a geometric spectrum, then scaled to length one, as RMSNorm would. The function is
linear, or a draw of a Gaussian process with an exponential kernel. `lean` says where it lives: at 0 in the
directions the inputs spread in most, at 1 in all alike, at 2 in those they spread in least.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metarep_lib.asked import asked_to_draw, not_negative, positive
from metarep_lib.contents import Contents
from metarep_lib.prompt import Prompt
from metarep_lib.tasks.spectra import geometric_spectrum


@dataclass(frozen=True, eq=False, repr=False)
class SphereTask(Contents):
    """A prompt, the truth at its queries, and the best anybody can say.

    Args:
        prompt: its `y_query` are noisy, as a benchmark's targets are; its ridge is the noise's variance.
        f_query: [q] the function there, without noise.
        oracle: [q] its posterior mean given the supports: kernel ridge regression with the law's own kernel and ridge.
    """

    prompt: Prompt
    f_query: Tensor
    oracle: Tensor


@asked_to_draw(noise=not_negative, condition=positive, law_tau=positive)
def sphere_task(
    n_support: int,
    n_query: int,
    n_features: int,
    *,
    noise: float,
    seed: int,
    condition: float = 1.0,
    lean: float = 0.0,
    law_tau: float | None = None,
) -> SphereTask:
    """Supports and queries on the sphere, a function of variance about one, and noise, float64.

    Args:
        n_support: n.
        n_query: q.
        n_features: p.
        noise: standard deviation of the noise, positive.
        seed: inputs, function and noise draw from three independent streams made of it.
        condition: largest over smallest variance of the inputs before they are scaled.
        lean: s; a linear function has weights of variance spectrum^-s, a Gaussian process sees inputs times spectrum^(-s/2).
        law_tau: temperature of the process's kernel exp(<x, x'> / tau); None for a linear function.

    Raises:
        ValueError: a noise that is not positive.

    >>> task = sphere_task(20, 5, 3, noise=0.1, seed=0)
    >>> task.prompt.phi.shape, task.oracle.shape
    (torch.Size([20, 3]), torch.Size([5]))
    """
    if not noise > 0:
        raise ValueError(
            f"sphere_task(noise={noise}): expected a positive number, the variance of the noise is the oracle's ridge; e.g. noise=0.1"
        )
    inputs, function, errors = (
        np.random.default_rng(stream) for stream in np.random.SeedSequence(seed).spawn(3)
    )
    spectrum = geometric_spectrum(n_features, condition)
    x = on_sphere(inputs.standard_normal((n_support + n_query, n_features)) * np.sqrt(spectrum))
    if law_tau is None:
        root = x * spectrum ** (-lean / 2)
        covariance = root @ root.T
    else:
        z = on_sphere(x * spectrum ** (-lean / 2))
        covariance = np.exp((z @ z.T - 1) / law_tau)
        # singular to rounding, so no Cholesky factor
        eigenvalues, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(eigenvalues.clip(min=0))
    # of the function over the inputs, on average over functions
    variance = covariance.diagonal().mean() - covariance.mean()
    f = root @ function.standard_normal(root.shape[1]) / np.sqrt(variance)
    y = f + noise * errors.standard_normal(f.shape)
    own, across = (
        covariance[:n_support, :n_support] / variance,
        covariance[n_support:, :n_support] / variance,
    )
    oracle = across @ np.linalg.solve(own + noise**2 * np.eye(n_support), y[:n_support])
    parts = x[:n_support], y[:n_support], x[n_support:]
    prompt = Prompt(
        *map(torch.from_numpy, parts), ridge=noise**2, y_query=torch.from_numpy(y[n_support:])
    ).rounded()
    return SphereTask(prompt, torch.from_numpy(f[n_support:]), torch.from_numpy(oracle))


@asked_to_draw()
def random_sphere_task(seed: int, n_query: int = 200) -> tuple[SphereTask, float]:
    """A task with every knob drawn at random, and a temperature for the smoother that is to be judged on it.

    Log-uniform: 32 to 256 supports, 2 to 64 features, condition 1 to 1000, noise 0.1 to 4, temperature 0.01 to 3; lean uniform in [0, 2];
    the law linear or, as often, a Gaussian process whose temperature is log-uniform in 0.1 to 1.

    >>> task, tau = random_sphere_task(seed=0)
    >>> task.prompt.n_query, 0.01 <= tau <= 3
    (200, True)
    """
    knobs, inside = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(knobs)

    def between(low: float, high: float) -> float:
        return float(np.exp(rng.uniform(np.log(low), np.log(high))))

    n_support, n_features, condition, noise, tau = (
        int(between(32, 257)),
        int(between(2, 65)),
        between(1, 1000),
        between(0.1, 4),
        between(0.01, 3),
    )
    lean, law_tau = float(rng.uniform(0, 2)), between(0.1, 1)
    law = law_tau if rng.integers(2) else None
    own_seed = int(inside.generate_state(1)[0])
    return sphere_task(
        n_support,
        n_query,
        n_features,
        noise=noise,
        seed=own_seed,
        condition=condition,
        lean=lean,
        law_tau=law,
    ), tau


def on_sphere(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=-1, keepdims=True)
