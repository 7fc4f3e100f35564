"""Can depth stand in for the ridge? Held-out error of conjugate gradient at every depth and ridge, in the dual and in the primal."""

from collections.abc import Sequence

import numpy as np
import torch

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.numerics import primal_system, solvers
from metarep_lib.tasks import diabetes_prompt

__all__ = ["held_out_errors"]

N_PROMPTS, N_QUERY, SEED = 30, 60, 11


def held_out_errors(
    ridges: Sequence[float], depth: int, n_support: int, device: torch.device | str = "cpu"
) -> dict[str, np.ndarray]:
    """Held-out error on patients, in standard deviations of the outcome, [ridges, depth], median over 30 prompts.

    ``"dual, network"`` is the constructed network in two blocks a step, ``"primal"`` conjugate
    gradient for (S + lambda I) w = Phi^T y, by the solver.
    """
    errors: dict[str, list[np.ndarray]] = {"dual, network": [], "primal": []}
    for ridge in ridges:
        prompts = diabetes_prompt(n_support, N_QUERY, float(ridge), seed=SEED, n_prompts=N_PROMPTS)
        prompts = prompts.to(device)
        network = assemble(two_block_conjugate_gradient(prompts.n_features, depth), device=device)
        primal = primal_system(prompts)
        weights = solvers.conjugate_gradient(primal, depth).history["alpha"]
        for name, said in (
            ("dual, network", network.run(prompts).prediction),
            ("primal", primal.predict(weights)),
        ):
            gap = (said - prompts.y_query).square().mean(-1).sqrt() / prompts.y_query.std(-1)
            errors[name].append(gap.median(-1).values[1:].cpu().numpy())
    return {name: np.array(rows) for name, rows in errors.items()}
