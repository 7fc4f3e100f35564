"""Which values of a parameter fit as well as the best: the misfit profiled along it, the others tuned again at every value.

A parameter that is not pinned down has a range and no value: "any ridge below 0.1".
"""

from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch

from metarep_lib.evidence.identify import compared
from metarep_lib.evidence.identify.tuning import SAME, Fit, boxes_of, fit_at, loss_of
from metarep_lib.examine.readings import Reading, Readings


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
        if self.low == 0 and self.high == np.inf:
            return f"any {self.name} at all"
        if self.low == 0:
            return f"any {self.name} below {self.high:.2g}"
        if self.high == np.inf:
            return f"any {self.name} above {self.low:.2g}"
        return f"{self.name} {self.best:.3g}" if self.high <= 1.02 * self.low else f"{self.name} from {self.low:.2g} to {self.high:.2g}"


def ranges(fit: Fit, readings: Readings, reading: Reading, values: int, same: float = SAME) -> list[Range]:
    """The range of every free scalar that is one number for all steps; none for a method with scalars of its own in each step."""
    steps = min(len(reading[0]), 16)
    free = fit.candidate.free(steps)
    return [] if fit.candidate.scheduled else [along(i, fit, readings, reading, values, same) for i in range(len(free))]


def along(i: int, fit: Fit, readings: Readings, reading: Reading, values: int, same: float) -> Range:
    """The range of one: outwards from the best value, until a value fits worse by the paired interval, then halved between the two."""
    steps, candidate = min(len(reading[0]), 16), fit.candidate
    box = boxes_of(candidate, steps)[i]
    best = float(fit.logs[i])

    def as_good(log: float, start: np.ndarray) -> tuple[bool, np.ndarray]:
        held = again(i, log, start, fit, readings, reading)
        mean, low, _ = compared(held, fit, readings.judging, reading[1])
        return low <= 0 or mean <= same, held.logs.numpy()

    ends = []
    for end in box:
        good, bad, start = best, None, fit.logs.numpy()
        for log in outwards(best, float(end), values):
            fine, logs = as_good(log, start)
            if not fine:
                bad = log
                break
            good, start = log, logs
        for _ in range(4 if bad is not None else 0):
            fine, logs = as_good((good + bad) / 2, start)
            good, bad = ((good + bad) / 2, bad) if fine else (good, (good + bad) / 2)
        ends.append(10**good * unit_of(fit, steps, i) if bad is not None else None)
    low, high = ends
    name, value = candidate.free(steps)[i], 10**best * unit_of(fit, steps, i)
    return Range(candidate.name, name, value, 0.0 if low is None else low, np.inf if high is None else high)


def outwards(best: float, end: float, values: int) -> np.ndarray:
    """Places from the best towards an end of the box, closer together near the best.

    >>> outwards(0.0, 4.0, 2).tolist()
    [1.0, 4.0]
    """
    return best + (end - best) * (np.arange(1, values + 1) / values) ** 2


def again(i: int, log: float, start: np.ndarray, fit: Fit, readings: Readings, reading: Reading) -> Fit:
    """The candidate with one scalar held and the others tuned on from where they were."""
    steps = min(len(reading[0]), 16)
    loss = loss_of(fit.candidate, readings.tuning, reading[0])
    others = [j for j in range(len(start)) if j != i]
    held = np.insert(start[others], i, log)
    if others:
        def of_others(z: np.ndarray) -> float:
            return loss(np.insert(z, i, log))

        bounds = boxes_of(fit.candidate, steps)[others]
        end = scipy.optimize.minimize(
            of_others, start[others], method="L-BFGS-B", bounds=bounds, options={"maxiter": 8, "ftol": 1e-6}
        )
        held = np.insert(end.x, i, log)
    return fit_at(fit.candidate, torch.from_numpy(held), readings.tuning, reading[0])


def unit_of(fit: Fit, steps: int, i: int) -> float:
    """What one stands for in a scalar of the fit."""
    name = fit.candidate.free(steps)[i]
    return float(fit.candidate.units(fit.logs, steps, fit.reference)[name])
