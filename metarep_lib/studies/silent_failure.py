"""A one-layer softmax smoother on tasks whose every knob is drawn at random: how it fails, and what could have told.

A row of the sweep is a batch of fifty tasks, `random_sphere_task(seed=50 * batch + i)`; every
result is a list of fifty numbers. Beside it, one knob at a time, a map of temperature and
dimension, a search for the most silent task, and marks that need no label of a query.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import roc_curve

from metarep_lib.evidence.align import diagnose, rank_correlation, reference_solver, score
from metarep_lib.evidence.align.silent_failure import Score
from metarep_lib.numerics import tuned_ridge_regression
from metarep_lib.numerics.kernels import (
    ExponentialKernel,
    effective_supports,
    linear_kernel,
    nadaraya_watson,
    smoother_weights,
)
from metarep_lib.studies.sweep import Sweep, Swept
from metarep_lib.tasks import column_prompt, load_table, random_sphere_task, sphere_task

__all__ = [
    "SWEEP",
    "Judged",
    "area",
    "area_interval",
    "by_knob",
    "four",
    "judge",
    "map_of",
    "measured",
    "of_tables",
    "roc",
]

SIZE = 50
TOLERANCE, LOSS = 0.1, 0.3  # of `def-silent`
RIDGES = [10.0**i for i in range(-6, 3)]


def judge(seed: int) -> dict[str, float]:
    """One task: the smoother beside the oracle and beside the tuned solver, and what the prompt alone says."""
    task, tau = random_sphere_task(seed)
    prompt, kernel = task.prompt, ExponentialKernel(tau)
    prediction, solver = nadaraya_watson(prompt, kernel), reference_solver(prompt)
    scored, other = (
        score(said, task.oracle, prompt.y_query, task.f_query)
        for said in (prediction, solver.prediction)
    )
    diagnosis = diagnose(prompt, kernel, solver)
    halved = nadaraya_watson(prompt, ExponentialKernel(tau / 2))
    return {
        "n_support": prompt.n_support,
        "error_ratio": scored.error_ratio,
        "order": scored.order,
        "oracle_order": scored.reference_order,
        "solver_order": rank_correlation(solver.prediction, task.f_query),
        "solver_error_ratio": other.error_ratio,
        "r_squared": scored.r_squared,
        "correlation": scored.correlation,
        "slope": scored.slope,
        "effective_supports": diagnosis.effective_supports,
        "spread": diagnosis.spread,
        "left_out_ratio": diagnosis.error_ratio,
        "agreement": diagnosis.agreement,
        "halving": rank_correlation(prediction, halved),
    }


@dataclass(frozen=True)
class Judged:
    """All tasks of the sweep: name -> [2400], and what `def-silent` says of each."""

    held: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, swept: Swept) -> "Judged":
        names = swept.rows[0].keys() - {"batch", "seed"}
        return cls({name: swept.values(name).ravel() for name in names})

    def __getitem__(self, name: str) -> np.ndarray:
        return self.held[name]

    @property
    def fine(self) -> np.ndarray:
        return self["error_ratio"] <= 1 + TOLERANCE

    @property
    def lost(self) -> np.ndarray:
        return self["order"] <= self["oracle_order"] - LOSS

    @property
    def silent(self) -> np.ndarray:
        return self.fine & self.lost

    @property
    def solved(self) -> np.ndarray:
        """Whether the tuned solver keeps the order, to a tenth."""
        return self["solver_order"] > self["oracle_order"] - TOLERANCE

    @property
    def verdict(self) -> np.ndarray:
        """Whether `diagnose` would call it silent."""
        return (self["left_out_ratio"] <= 1 + TOLERANCE) & (self["agreement"] < 1 - LOSS)


def four(law_tau: float | None, seed: int, tau: float, **settings: float) -> np.ndarray:
    """[2, 4] error ratio and order of oracle, smoother, deep softmax and linear network on one task; ridges by leave-one-out."""
    lean = 1.0 if law_tau is None else 0.0  # the process sees the features as they are
    task = sphere_task(n_query=150, seed=seed, law_tau=law_tau, lean=lean, **settings)
    prompt, kernel = task.prompt, ExponentialKernel(tau)
    solved = [
        tuned_ridge_regression(prompt, [k], RIDGES).prediction for k in (kernel, linear_kernel)
    ]
    said = [task.oracle, nadaraya_watson(prompt, kernel), *solved]
    scores = [score(f, task.oracle, prompt.y_query, task.f_query) for f in said]
    return np.array([[one.error_ratio for one in scores], [one.order for one in scores]])


def by_knob(
    law_tau: float | None, settings: Iterable[Mapping[str, float]], seeds: Sequence[int]
) -> np.ndarray:
    """[2, 4, settings] the same, medians over tasks."""
    found = [[four(law_tau, seed, **one) for seed in seeds] for one in settings]
    return np.median(found, axis=1).transpose(1, 2, 0)


def map_of(
    taus: np.ndarray, dims: np.ndarray, n: int, **settings: float
) -> tuple[np.ndarray, np.ndarray]:
    """[taus, dims] median effective supports, and where medians put the order: 0 kept, error fine; 1 kept, error large; 2 lost, loud; 3 lost, silent.

    Five tasks for every dimension, with 200 queries; every temperature on each.
    """
    found = np.zeros((len(taus), len(dims), 5, 4))
    for j, p in enumerate(dims.tolist()):
        for seed in range(5):
            task = sphere_task(n, 200, p, seed=1000 * p + seed, **settings)
            for i, tau in enumerate(taus):
                s = smoother_weights(task.prompt, ExponentialKernel(float(tau)))
                f, targets = s @ task.prompt.y, task.prompt.y_query
                one = score(f, task.oracle, targets, task.f_query)
                scored = one.error_ratio, one.order, one.reference_order
                found[i, j, seed] = effective_supports(s).mean(), *scored
    n_eff, ratio, order, oracle = np.moveaxis(np.median(found, axis=2), -1, 0)
    fine, gone = ratio <= 1 + TOLERANCE, order <= oracle - LOSS
    return n_eff, np.where(gone, 2 + fine, ~fine).astype(int)


def measured(knobs: Sequence[float] | np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Medians of error ratio, order and the oracle's order, 128 supports of four features.

    Knobs: logarithms of temperature, condition, lean and noise, kept inside a box.
    """
    tau, condition, lean, noise = np.clip(np.exp(knobs), 0.05, [8, 3000, 3, 8])
    scores = []
    for seed in seeds:
        task = sphere_task(128, 200, 4, condition=condition, lean=lean, noise=noise, seed=seed)
        f = nadaraya_watson(task.prompt, ExponentialKernel(float(tau)))
        one = score(f, task.oracle, task.prompt.y_query, task.f_query)
        scores.append((one.error_ratio, one.order, one.reference_order))
    return np.median(scores, axis=0)


def area(failed: np.ndarray, mark: np.ndarray) -> float:
    """Area under the ROC curve, by ranks.

    >>> area(np.array([False, True, True]), np.array([0.0, 1.0, 2.0]))
    1.0
    """
    ranks, n_failed = rankdata(mark), failed.sum()
    ordered = ranks[failed].sum() - n_failed * (n_failed + 1) / 2
    return float(ordered / (n_failed * (~failed).sum()))


def area_interval(failed: np.ndarray, mark: np.ndarray) -> tuple[float, float, float]:
    """The area, and the ends of the middle 95 per cent of 300 bootstrapped ones."""
    rng = np.random.default_rng(0)
    picks = (rng.integers(len(mark), size=len(mark)) for _ in range(300))
    low, high = np.quantile([area(failed[p], mark[p]) for p in picks], [0.025, 0.975])
    return area(failed, mark), float(low), float(high)


def roc(failed: np.ndarray, mark: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of false alarms and of failures found, by threshold."""
    alarms, hits, _ = roc_curve(failed, mark)
    return alarms, hits


def of_tables(
    names: Sequence[str], taus: Sequence[float], seeds: Sequence[int]
) -> dict[float, list[Score]]:
    """Temperature -> scores of the smoother against the tuned solver, every column of the tables the target once; 80 rows to learn from, 80 held out."""
    found: dict[float, list[Score]] = {tau: [] for tau in taus}
    for name in names:
        for column in range(load_table(name).shape[1]):
            for seed in seeds:
                prompt = column_prompt(name, column, n_support=80, n_query=80, seed=seed)
                solver, targets = reference_solver(prompt).prediction, prompt.y_query
                for tau in taus:
                    f = nadaraya_watson(prompt, ExponentialKernel(tau))
                    found[tau].append(score(f, solver, targets, targets))
    return found


def run(seed: int, batch: int) -> dict[str, list[float]]:
    judged = [judge(seed + SIZE * batch + i) for i in range(SIZE)]
    return {name: [round(one[name], 4) for one in judged] for name in judged[0]}


SWEEP = Sweep("silent-failure", {"batch": range(48)}, [0], run)
