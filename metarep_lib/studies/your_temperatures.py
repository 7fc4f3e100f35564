"""The exponential kernel on tables at temperatures from far below to far above the squared length of the longest support.

Nothing here needs a network: predictions are those of a Cholesky solution, with the ridge that leave-one-out chooses at each
temperature. What is asked is whether the largest exponent <phi(x), phi_i> / tau at a query says where held-out errors go wrong.
Classes count by the squared error of their scores, so that all tables are measured alike.
"""

from dataclasses import replace

import numpy as np

from metarep_lib.estimators import ridge_by_leave_one_out, temperature_of
from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Sweep
from metarep_lib.studies.your_tables import CLASSES, SEEDS, TABLES, split

__all__ = ["SWEEP", "TIMES", "run"]

TIMES = tuple(2.0**power for power in range(-5, 5))
"""Temperatures that are tried, each so many times the squared length of the longest support."""


def run(table: str, times: float, seed: int) -> dict:
    """One point: the largest exponent at a query, and the squared error over that of the supports' mean, on average over outputs."""
    X, y, X_query, truth = split(table, seed)
    prompt, units = Prompt.from_arrays(X, y, X_query, ridge=1.0, classes=table in CLASSES)
    tau = times * temperature_of(prompt.phi)
    kernel = ExponentialKernel(tau)
    system = ridge_system(
        replace(prompt, ridge=ridge_by_leave_one_out(prompt, kernel)), kernel=kernel
    )
    said = units.back(system.predict(solvers.cholesky(system).alpha)).numpy()
    if units.labels is not None:
        truth = truth[:, None] == np.array(units.labels)
    error, mean = (np.square(one - truth).mean(0) for one in (said, units.mean.numpy()))
    return {
        "exponent": float((prompt.phi_query @ prompt.phi.mT).max() / tau),
        "risk": float(np.mean(error / mean)),
    }


SWEEP = Sweep("your-temperatures", {"table": TABLES, "times": TIMES}, SEEDS, run)
