"""A one-layer softmax smoother on 2400 tasks whose every knob is drawn at random: how it fails, and what could have told.

A row is a batch of fifty tasks, `random_sphere_task(seed=50 * batch + i)`; every result is a list of fifty numbers.
"""

from metarep_lib import ExponentialKernel
from metarep_lib.evidence.align import diagnose, rank_correlation, reference_solver, score
from metarep_lib.numerics.kernels import nadaraya_watson
from metarep_lib.studies import Sweep
from metarep_lib.tasks import random_sphere_task

SIZE = 50


def judge(seed: int) -> dict[str, float]:
    """One task: the smoother beside the oracle and beside the tuned solver, and what the prompt alone says."""
    task, tau = random_sphere_task(seed)
    prompt, kernel = task.prompt, ExponentialKernel(tau)
    prediction, solver = nadaraya_watson(prompt, kernel), reference_solver(prompt)
    scored = score(prediction, task.oracle, prompt.y_query, task.f_query)
    diagnosis = diagnose(prompt, kernel, solver)
    return {
        "n_support": prompt.n_support,
        "error_ratio": scored.error_ratio,
        "order": scored.order,
        "oracle_order": scored.reference_order,
        "solver_order": rank_correlation(solver.prediction, task.f_query),
        "solver_error_ratio": score(solver.prediction, task.oracle, prompt.y_query, task.f_query).error_ratio,
        "r_squared": scored.r_squared,
        "correlation": scored.correlation,
        "slope": scored.slope,
        "effective_supports": diagnosis.effective_supports,
        "spread": diagnosis.spread,
        "left_out_ratio": diagnosis.error_ratio,
        "agreement": diagnosis.agreement,
        "halving": rank_correlation(prediction, nadaraya_watson(prompt, ExponentialKernel(tau / 2))),
    }


def run(seed: int, batch: int) -> dict[str, list[float]]:
    judged = [judge(seed + SIZE * batch + i) for i in range(SIZE)]
    return {name: [round(one[name], 4) for one in judged] for name in judged[0]}


SWEEP = Sweep("silent-failure", {"batch": range(48)}, [0], run)
