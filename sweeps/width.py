"""What five maps to width m lose at held-out queries, and the width law's bound, on six laws of prompts.

The error is that of ridge regression behind the map against ridge regression on all features, in the norm over the queries, relative to the
latter; `risk` is against the queries' noisy targets, relative to their standard deviation.
"""

import torch

from metarep_lib import Prompt, ridge_system, solvers
from metarep_lib.numerics import best_projection, landmark_projection, projected, random_projection
from metarep_lib.numerics.bounds import width_bound
from metarep_lib.studies import Sweep
from metarep_lib.studies.capacity import LAWS, in_common_coordinates, learn_map


def answer(prompt: Prompt) -> torch.Tensor:
    system = ridge_system(prompt)
    return system.predict(solvers.cholesky(system).alpha)


def run(law: str, level: int, seed: int) -> dict:
    raw, m = LAWS[law].prompt(seed), LAWS[law].widths[level]
    prompt, learned = LAWS[law].coordinates(raw), learn_map(law, m, seed)
    generator = torch.Generator().manual_seed(10**6 + seed)
    chosen = torch.randperm(prompt.n_support, generator=generator)[:m]
    maps = {
        "best": (prompt, best_projection(prompt, m)),
        "landmarks": (prompt, landmark_projection(prompt, chosen)),
        "random": (prompt, random_projection(prompt.n_features, m, generator)),
        "sketch": (prompt, torch.randn(m, prompt.n_features, generator=generator, dtype=torch.float64) / m**0.5),
        "learned": (prompt, learned) if LAWS[law].kernel is None else in_common_coordinates(raw, LAWS[law].kernel, learned),
    }
    full = answer(prompt)
    spread = prompt.y_query.std()
    mu = torch.linalg.svdvals(prompt.phi).square()
    weighted = mu**2 / (mu + prompt.ridge)
    result = {
        "m": m,
        "d_eff": float((mu / (mu + prompt.ridge)).sum()),
        "tail": float((weighted[m:].sum() / weighted.sum()).sqrt()),
        "risk_full": float((full - prompt.y_query).square().mean().sqrt() / spread),
    }
    for name, (held, W) in maps.items():
        said = answer(projected(held, W))
        result[f"{name}_error"] = float((said - full).norm() / full.norm())
        result[f"{name}_risk"] = float((said - prompt.y_query).square().mean().sqrt() / spread)
        if name != "sketch":  # no projection: the width law does not speak of it
            bound = width_bound(held, W)
            result[f"{name}_bound"] = float(bound.norm() / full.norm())
            floor = 1e-9 * full.abs().max()  # rounding of the two solves
            result[f"{name}_used"] = float((((said - full).abs() - floor) / bound.clamp(min=floor)).max())
    return result


SWEEP = Sweep("width", {"law": list(LAWS), "level": list(range(8))}, [0, 1, 2, 3, 4], run)
