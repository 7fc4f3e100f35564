"""One knob at a time: ridge, condition of the inputs, temperature, depth, width; the linear and the exponential network on one law each.

The answer is ridge regression with the network's own kernel and ridge on all features; errors are
norms over the held-out queries, relative to the answer's. `error` and `bound` (of `capacity_bound`)
are those at the depth and width of the point, `needed` and `promised` the first step with error or
bound at most TOLERANCE (STEPS + 1 where none is), `risk` the distance from noisy targets in standard
deviations. `shift` is how far the change of the network's prediction, when the ridge it is told
grows by a tenth, is from the change that ridge regression foretells, relative, after all STEPS
steps; `shift_at_depth` at the depth.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    softmax_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import (
    RidgeSystem,
    best_projection,
    projected,
    ridge_system,
    solvers,
    spanned_features,
)
from metarep_lib.numerics.bounds import capacity_bound
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Sweep, Swept
from metarep_lib.tasks import geometric_spectrum, sphere_task, synthetic_prompt

__all__ = [
    "BASE",
    "STEPS",
    "SWEEP",
    "TOLERANCE",
    "VALUES",
    "foretold",
    "levels",
    "median",
    "posed",
    "run",
    "turned",
]

STEPS, TOLERANCE = 80, 1e-3
# ridge and temperature in units of the kernel's scale
BASE = {"ridge": 0.01, "condition": 100.0, "temperature": 1.0, "depth": 8, "width": 32}
VALUES = {
    "ridge": [10.0 ** (e / 2) for e in range(-8, 1)],
    "condition": [10.0 ** (e / 2) for e in range(9)],
    "temperature": [2.0**e for e in range(-4, 5)],
    "depth": [1, 2, 3, 4, 6, 8, 12, 18, 26],
    "width": [1, 2, 4, 6, 8, 10, 12, 14, 16],
}


def linear_prompt(now: Mapping[str, float], seed: int) -> tuple[Prompt, Tensor]:
    """A prompt whose kernel is <phi, phi'> / temperature, and the noisy targets [32] at its queries."""
    spectrum = geometric_spectrum(16, now["condition"])
    drawn = synthetic_prompt(spectrum, 32, 32, 1.0, seed=seed, noise=0.3)
    scale = now["temperature"] ** -0.5
    phi, phi_query = drawn.phi * scale, drawn.phi_query * scale
    return Prompt(phi, drawn.y, phi_query, now["ridge"]), drawn.y_query


def sphere_prompt(now: Mapping[str, float], seed: int) -> tuple[Prompt, Tensor, float]:
    """The same for exp(<x, x'> / tau) on the sphere and a law of temperature one half, and tau; the ridge in units of K's diagonal."""
    drawn = sphere_task(32, 32, 4, noise=0.3, seed=seed, condition=now["condition"], law_tau=0.5)
    prompt, tau = drawn.prompt, 0.5 * now["temperature"]
    diagonal = float(torch.tensor(1 / tau, dtype=torch.float64).exp())
    asked = Prompt(prompt.phi, prompt.y, prompt.phi_query, now["ridge"] * diagonal)
    return asked, prompt.y_query, tau


def posed(kernel: str, knob: str, level: int, seed: int) -> tuple[Prompt, Tensor, float | None]:
    """The prompt of a point, the noisy targets at its queries, and the temperature of softmax heads (None: the linear kernel).

    >>> prompt, y_query, tau = posed("exponential", "temperature", 5, seed=0)
    >>> tuple(prompt.phi.shape), len(y_query), tau
    ((32, 4), 32, 1.0)
    """
    now = BASE | {knob: VALUES[knob][level]}
    if kernel == "exponential":
        return sphere_prompt(now, seed)
    return *linear_prompt(now, seed), None


def foretold(system: RidgeSystem, h: float) -> Tensor:
    """[q] how far ridge regression moves at its queries when its ridge grows by h: -h k(x)^T (A + h I)^-1 alpha*.

    >>> one = torch.ones(1, 1)
    >>> foretold(RidgeSystem(2 * one, one[0], one), 2.0).tolist()  # from 1/2 to 1/4
    [-0.25]
    """
    star = solvers.cholesky(system).alpha
    told = system.A + h * torch.eye(len(star), dtype=star.dtype)
    return -h * system.predict(torch.linalg.solve(told, star))


def chosen(raw: Prompt, W: Tensor, prompt: Prompt, tau: float | None) -> tuple[Program, Prompt]:
    """The program of a point and what it is asked: softmax heads hold all features or none, other heads any W."""
    m, p = W.shape
    if tau is not None and m == p:
        program = softmax_conjugate_gradient(raw.n_features, STEPS, tau, preconditioner="none")
        return program, raw
    return two_block_conjugate_gradient(m, STEPS), projected(prompt, W)


def first(curve: Tensor) -> int:
    """The first step within the tolerance.

    >>> first(torch.tensor([1.0, 1e-3, 1e-4])), first(torch.ones(5)) == STEPS + 1
    (1, True)
    """
    within = curve <= TOLERANCE
    return int(within.int().argmax()) if within.any() else STEPS + 1


def risk(prediction: Tensor, y_query: Tensor) -> float:
    """Root mean square distance from the targets, in their standard deviations."""
    return float((prediction - y_query).square().mean().sqrt() / y_query.std())


def run(kernel: str, knob: str, level: int, seed: int) -> dict:
    """One point, by the names in this module's first lines."""
    raw, y_query, tau = posed(kernel, knob, level, seed)
    now = BASE | {knob: VALUES[knob][level]}
    of_heads = None if tau is None else ExponentialKernel(tau)
    system = ridge_system(raw) if of_heads is None else ridge_system(raw, of_heads)
    prompt = raw if of_heads is None else spanned_features(raw, of_heads)
    W = best_projection(prompt, min(now["width"], prompt.n_features))

    program, asked = chosen(raw, W, prompt, tau)
    network, h = assemble(program), 0.1 * raw.ridge
    said, full = network.run(asked).prediction, system.predict(solvers.cholesky(system).alpha)
    moved = network.run(replace(asked, ridge=raw.ridge + h)).prediction - said
    theory = foretold(system, h)

    depth, mu = now["depth"], torch.linalg.svdvals(prompt.phi).square()
    error = (said - full).norm(dim=-1) / full.norm()
    bound = capacity_bound(prompt, W, STEPS).norm(dim=-1) / full.norm()
    shift = (moved - theory).norm(dim=-1) / theory.norm()
    return {
        "value": now[knob],
        "kappa": float(system.condition_number),
        "d_eff": float((mu / (mu + prompt.ridge)).sum()),
        "error": float(error[depth]),
        "bound": float(bound[depth]),
        "needed": first(error),
        "promised": first(bound),
        "risk": risk(said[depth], y_query),
        "risk_full": risk(full, y_query),
        "shift": float(shift[-1]),
        "shift_at_depth": float(shift[depth]),
    }


def levels(swept: Swept, kernel: str, knob: str) -> np.ndarray:
    """[levels] the values that a knob takes."""
    return swept.values("value", kernel=kernel, knob=knob)[:, 0]


def turned(swept: Swept, name: str, kernel: str, knob: str) -> np.ndarray:
    """[seeds, levels] a result; NaN where a number of steps is never reached."""
    held = swept.values(name, kernel=kernel, knob=knob).T
    is_count = name in ("needed", "promised")
    return np.where(held == STEPS + 1, np.nan, held) if is_count else held


def median(swept: Swept, name: str, kernel: str, knob: str) -> np.ndarray:
    """[levels] its median over seeds."""
    return np.median(turned(swept, name, kernel, knob), axis=0)


SWEEP = Sweep(
    "knobs",
    {"kernel": ["linear", "exponential"], "knob": list(VALUES), "level": list(range(9))},
    [0, 1, 2, 3, 4],
    run,
)
