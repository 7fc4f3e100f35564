"""One knob at a time: ridge, condition of the inputs, temperature, depth, width; the linear and the exponential network on one law each.

The answer is ridge regression with the network's own kernel and ridge on all features; errors are norms over the held-out
queries, relative to the answer's. `error` and `bound` (of `capacity_bound`) are those at the depth and width of the point,
`needed` and `promised` the first step with error or bound at most TOLERANCE (STEPS + 1 where none is), `risk` the distance from
noisy targets in standard deviations. `shift` is how far the change of the network's prediction, when the ridge it is told grows by
a tenth, is from the change that ridge regression foretells, -h k(x)^T (A + h I)^-1 alpha*, relative, after all STEPS steps;
`shift_at_depth` at the depth.
"""

import torch

from metarep_lib import (
    ExponentialKernel,
    Prompt,
    assemble,
    geometric_spectrum,
    ridge_system,
    softmax_conjugate_gradient,
    solvers,
    synthetic_prompt,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import best_projection, projected, spanned_features
from metarep_lib.numerics.bounds import capacity_bound
from metarep_lib.numerics.kernels import linear_kernel
from metarep_lib.studies import Sweep
from metarep_lib.tasks import sphere_task

STEPS, TOLERANCE = 80, 1e-3
BASE = {"ridge": 0.01, "condition": 100.0, "temperature": 1.0, "depth": 8, "width": 32}  # ridge and temperature in units of the kernel's scale
VALUES = {
    "ridge": [10.0 ** (e / 2) for e in range(-8, 1)],
    "condition": [10.0 ** (e / 2) for e in range(9)],
    "temperature": [2.0**e for e in range(-4, 5)],
    "depth": [1, 2, 3, 4, 6, 8, 12, 18, 26],
    "width": [1, 2, 4, 6, 8, 10, 12, 14, 16],
}


def run(kernel: str, knob: str, level: int, seed: int) -> dict:
    value = VALUES[knob][level]
    now = BASE | {knob: value}
    if kernel == "linear":  # <phi, phi'> / tau
        drawn = synthetic_prompt(geometric_spectrum(16, now["condition"]), 32, 32, 1.0, seed=seed, noise=0.3)
        scale, tau = now["temperature"] ** -0.5, None
        raw, y_query = Prompt(drawn.phi * scale, drawn.y, drawn.phi_query * scale, now["ridge"]), drawn.y_query
    else:  # exp(<x, x'> / tau) on the sphere, a law of temperature one half; the ridge in units of K's diagonal
        task = sphere_task(32, 32, 4, noise=0.3, seed=seed, condition=now["condition"], law_tau=0.5)
        tau = 0.5 * now["temperature"]
        ridge = now["ridge"] * float(torch.tensor(1 / tau, dtype=torch.float64).exp())
        raw, y_query = Prompt(task.prompt.phi, task.prompt.y, task.prompt.phi_query, ridge), task.prompt.y_query
    prompt = raw if tau is None else spanned_features(raw, ExponentialKernel(tau))
    system = ridge_system(raw, linear_kernel if tau is None else ExponentialKernel(tau))
    star = solvers.cholesky(system).alpha
    full, m = system.predict(star), min(now["width"], prompt.n_features)
    W = best_projection(prompt, m)
    if tau and m == prompt.n_features:  # softmax heads, which hold all features or none
        made, asked = softmax_conjugate_gradient(raw.n_features, STEPS, tau, preconditioner="none"), raw
    else:
        made, asked = two_block_conjugate_gradient(m, STEPS), projected(prompt, W)
    network = assemble(made)
    said = network.run(asked).prediction
    h = 0.1 * raw.ridge
    moved = network.run(Prompt(asked.phi, asked.y, asked.phi_query, raw.ridge + h)).prediction - said
    foretold = -h * system.predict(torch.linalg.solve(system.A + h * torch.eye(len(star), dtype=star.dtype), star))
    error, bound = (gap.norm(dim=-1) / full.norm() for gap in (said - full, capacity_bound(prompt, W, STEPS)))
    shift = (moved - foretold).norm(dim=-1) / foretold.norm()
    mu = torch.linalg.svdvals(prompt.phi).square()

    def first(curve: torch.Tensor) -> int:
        return int((curve <= TOLERANCE).int().argmax()) if (curve <= TOLERANCE).any() else STEPS + 1

    def risk(prediction: torch.Tensor) -> float:
        return float((prediction - y_query).square().mean().sqrt() / y_query.std())

    depth = now["depth"]
    return {
        "value": value,
        "kappa": float(system.condition_number),
        "d_eff": float((mu / (mu + prompt.ridge)).sum()),
        "error": float(error[depth]),
        "bound": float(bound[depth]),
        "needed": first(error),
        "promised": first(bound),
        "risk": risk(said[depth]),
        "risk_full": risk(full),
        "shift": float(shift[-1]),
        "shift_at_depth": float(shift[depth]),
    }


SWEEP = Sweep("knobs", {"kernel": ["linear", "exponential"], "knob": list(VALUES), "level": list(range(9))}, [0, 1, 2, 3, 4], run)
