"""A softmax smoother in numbers: how far it is from a mean, a step and a copy, and what one step leaves of the order.

A smoother has logits [n] and targets [n]; where nothing else is said, logits lie in [0, delta] and
targets in [0, 1].
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import softmax

from metarep_lib.numerics.bounds import one_step_order_bound
from metarep_lib.numerics.kernels import (
    first_order_bound,
    flat_logits_bound,
    leading_logit_bound,
)

__all__ = ["SMOOTHERS", "one_step_used", "searched", "searched_step", "used"]

Array = np.ndarray
SMOOTHERS = {  # statement -> supports, and the delta of its search
    "thm-flat-logits": (4, 2 * np.log(3)),
    "prop-first-order": (5, 0.5),
    "prop-leading-logit": (4, 1.0),
    "prop-effective-supports": (4, 2.0),
}
GAP = 2.0  # of the leading logit to all others


def average(logits: Array, y: Array) -> float:
    """What the smoother says.

    >>> float(average(np.zeros(2), np.array([0.0, 1.0])))
    0.5
    """
    return softmax(logits) @ y


def first_order(logits: Array, y: Array) -> float:
    """mean(y) + cov(logits, y)."""
    return y.mean() + ((logits - logits.mean()) * y).mean()


def excess(logits: Array, y: Array) -> float:
    """sqrt(n / n_eff - 1) standard deviations of y."""
    spare = len(y) * (softmax(logits) ** 2).sum() - 1
    return np.sqrt(max(spare, 0)) * y.std() + 1e-300


def value(name: str, logits: Array, y: Array) -> float:
    """The left-hand side of a statement: the smoother's distance from the mean, the step or the leader's target."""
    if name == "prop-first-order":
        return abs(average(logits, y) - first_order(logits, y))
    return abs(average(logits, y) - (y[0] if name == "prop-leading-logit" else y.mean()))


def bound(name: str, logits: Array, y: Array, delta: float) -> float:
    """Its right-hand side, with targets in [0, 1]."""
    bounds = {
        "thm-flat-logits": lambda: flat_logits_bound(delta),
        "prop-first-order": lambda: first_order_bound(delta),
        "prop-leading-logit": lambda: leading_logit_bound(GAP, len(y)),
        "prop-effective-supports": lambda: excess(logits, y),
    }
    return bounds[name]()


def used(name: str, logits: Array, y: Array, delta: float) -> float:
    """Value / bound; the first logit is made the leading one where the statement wants one."""
    if name == "prop-leading-logit":
        logits = np.r_[delta + GAP, logits[1:]]
    return value(name, logits, y) / bound(name, logits, y, delta)


def searched(name: str, n: int, delta: float, seed: int) -> float:
    """The most of a bound that L-BFGS uses, from one random start."""
    box = [(0, delta)] * n + [(0, 1)] * n
    start = np.random.default_rng([seed, n]).uniform(size=2 * n) * [end for _, end in box]
    found = minimize(
        lambda flat: -used(name, flat[:n], flat[n:], delta),
        start,
        bounds=box,
        options={"maxiter": 60},
    )
    return -found.fun


def one_step_order(w: Array, spectrum: Array) -> float:
    """The value of `prop-one-step-order`: corr(<Sigma w, x>, <w, x>), Sigma diagonal.

    >>> round(float(one_step_order(np.array([9.0, 1.0]), np.array([1.0, 9.0]))), 12)  # the worst w
    0.6
    """
    w2 = w**2
    return w2 @ spectrum**2 / np.sqrt((w2 @ spectrum) * (w2 @ spectrum**3))


def one_step_used(log_w: Array, spectrum: Array) -> float:
    """Bound over value: at most one."""
    kappa = spectrum[-1] / spectrum[0]
    return one_step_order_bound(kappa) / one_step_order(np.exp(log_w), spectrum)


def searched_step(spectrum: Array, seed: int) -> float:
    """The most of the bound that L-BFGS uses, from one random start."""
    start = np.random.default_rng(seed).normal(size=len(spectrum))
    box = [(-9, 9)] * len(spectrum)
    return -minimize(lambda w: -one_step_used(w, spectrum), start, bounds=box).fun
