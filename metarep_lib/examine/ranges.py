"""Which values of a parameter fit as well as the best: the misfit profiled along it, the others tuned again at every value.

A parameter that is not pinned down has a range and no value: "any ridge below 0.1".
"""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch

from metarep_lib.evidence.identify import compared
from metarep_lib.evidence.identify.tuning import MOST_STEPS, SAME, Fit, boxes_of, fit_at, loss_of
from metarep_lib.examine.readings import Reading, Readings

HALVINGS = 4
NAMES = {
    "ridge": "ridge",
    "tau": "temperature",
    "eta": "step size",
    "beta": "momentum",
    "gamma": "shrinking of features",
    "smallest": "smallest eigenvalue it is told",
    "largest": "largest eigenvalue it is told",
    "first": "ridge of the first layer",
    "factor": "factor from ridge to ridge",
}
"""Of parameters, in words."""


@dataclass(frozen=True)
class Range:
    """The values of one parameter that fit as well as the best.

    Args:
        candidate: whose.
        name: of the parameter.
        best: the value of the fit.
        low, high: the ends; zero and infinity where every value that was tried on that side does.
    """

    candidate: str
    name: str
    best: float
    low: float
    high: float

    def __str__(self) -> str:
        """In words.

        >>> print(Range("conjugate gradient", "ridge", 0.01, 0.0, 0.1))
        any ridge below 0.1
        """
        name = NAMES[self.name]
        if self.low == 0 and self.high == np.inf:
            return f"any {name} at all"
        if self.low == 0:
            return f"any {name} below {self.high:.2g}"
        if self.high == np.inf:
            return f"any {name} above {self.low:.2g}"
        if self.high <= 1.02 * self.low:
            return f"{name} {self.best:.3g}"
        return f"{name} from {self.low:.2g} to {self.high:.2g}"


def ranges(
    fit: Fit, readings: Readings, reading: Reading, values: int, same: float = SAME
) -> list[Range]:
    """The range of every free scalar that is one number for all steps; none for a method with scalars of its own in each step."""
    if fit.candidate.scheduled:
        return []
    return [along(i, fit, readings, reading, values, same) for i in range(len(fit.logs))]


def along(
    i: int, fit: Fit, readings: Readings, reading: Reading, values: int, same: float
) -> Range:
    """The range of one."""
    steps = min(len(reading[0]), MOST_STEPS)
    name = fit.candidate.free(steps)[i]
    unit = float(fit.candidate.units(fit.logs, steps, fit.reference)[name])
    ends = [
        end_of(i, float(end), fit, readings, reading, values, same)
        for end in boxes_of(fit.candidate, steps)[i]
    ]
    low, high = (None if end is None else 10**end * unit for end in ends)
    best = 10 ** float(fit.logs[i]) * unit
    return Range(fit.candidate.name, name, best, low or 0.0, float("inf") if high is None else high)


def end_of(
    i: int, end: float, fit: Fit, readings: Readings, reading: Reading, values: int, same: float
) -> float | None:
    """The logarithm up to which values fit, outwards from the best until one is worse by the paired interval, then halved; None if none is."""
    good, logs = float(fit.logs[i]), fit.logs.numpy()
    bad, halvings = None, HALVINGS
    outward = iter(outwards(good, end, values))
    while bad is None or halvings:
        log = next(outward, None) if bad is None else (good + bad) / 2
        if log is None:
            return None
        halvings -= bad is not None
        held = again(i, log, logs, fit, readings, reading)
        mean, low, _ = compared(held, fit, readings.judging, reading[1])
        if low <= 0 or mean <= same:
            good, logs = log, held.logs.numpy()
        else:
            bad = log
    return good


def outwards(best: float, end: float, values: int) -> list[float]:
    """Places from the best towards an end of the box, closer together near the best.

    >>> outwards(0.0, 4.0, 2)
    [1.0, 4.0]
    """
    return (best + (end - best) * (np.arange(1, values + 1) / values) ** 2).tolist()


def again(
    i: int, log: float, start: np.ndarray, fit: Fit, readings: Readings, reading: Reading
) -> Fit:
    """The candidate with one scalar held and the others tuned on from where they were."""
    candidate, (seen, _) = fit.candidate, reading
    loss = loss_of(candidate, readings.tuning, seen)
    others = [j for j in range(len(start)) if j != i]
    best = start[others]
    if others:
        best = scipy.optimize.minimize(
            lambda z: loss(np.insert(z, i, log)),
            best,
            method="L-BFGS-B",
            bounds=boxes_of(candidate, min(len(seen), MOST_STEPS))[others],
            options={"maxiter": 8, "ftol": 1e-6},
        ).x
    return fit_at(candidate, torch.from_numpy(np.insert(best, i, log)), readings.tuning, seen)
