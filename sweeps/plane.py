"""The constructed network on m features after t steps against ridge regression on all features, for every m and t; and what theory promises.

Features by the best map. `error` and `bound` are lists over widths, then over steps: norms over the held-out queries, relative to the answer's.
The bound is `capacity_bound`, of theorems alone. It speaks of exact arithmetic; `delay` is by how many steps rounding makes the network late: the
least s for which the error after t + s steps is within the bound after t, for all t (STEPS[-1] where there is none), per width.
"""

from functools import cache

import torch

from metarep_lib import (
    ConstructedTransformer,
    Prompt,
    assemble,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import best_projection, projected
from metarep_lib.numerics.bounds import capacity_bound
from metarep_lib.studies import Sweep
from metarep_lib.studies.capacity import LAWS

STEPS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 33, 38]
SHARES = [0.04, 0.1, 0.17, 0.25, 0.35, 0.47, 0.6, 0.75, 0.9, 1.0]  # widths, as shares of all there is


@cache
def network(m: int) -> ConstructedTransformer:
    return assemble(two_block_conjugate_gradient(m, STEPS[-1]))


def run(law: str, factor: float, seed: int) -> dict:
    drawn = LAWS[law].coordinates(LAWS[law].prompt(seed))
    prompt = Prompt(drawn.phi, drawn.y, drawn.phi_query, factor * drawn.ridge)
    system = ridge_system(prompt)
    full = system.predict(solvers.cholesky(system).alpha)
    mu = torch.linalg.svdvals(prompt.phi).square()
    widths = sorted({max(1, round(share * prompt.n_features)) for share in SHARES})
    result = {"ridge": prompt.ridge, "d_eff": float((mu / (mu + prompt.ridge)).sum()), "widths": widths, "mu": mu.tolist()}
    result |= {"error": [], "bound": [], "delay": []}
    for m in widths:
        W = best_projection(prompt, m)
        narrow = projected(prompt, W)
        said = network(m).run(narrow).prediction
        gap, bound = (said - full).abs(), capacity_bound(prompt, W, STEPS[-1]) + 1e-9 * full.abs().max()
        result["error"] += (gap.norm(dim=-1) / full.norm())[STEPS].tolist()
        result["bound"] += (bound.norm(dim=-1) / full.norm())[STEPS].tolist()
        result["delay"].append(next(s for s in range(STEPS[-1] + 1) if (gap[s:] <= bound[: len(bound) - s]).all()))
    return result


PLANES = ["power law, linear", "sphere, exponential", "diabetes, linear", "diabetes, exponential"]
SWEEP = Sweep("plane", {"law": PLANES, "factor": [0.1, 1.0, 10.0]}, [0, 1, 2, 3, 4], run)
