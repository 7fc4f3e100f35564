"""The search for the worst case: a bound is held against inputs that an optimiser looked for, not only against random ones."""

import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, positive


@asked(reach=positive, iterations=at_least(1))
def climb(
    log_ratio: Callable[[Tensor], Tensor],
    start: np.ndarray,
    reach: float = 12.0,
    iterations: int = 1000,
) -> tuple[float, Tensor]:
    """The largest exp(log_ratio(z)) that L-BFGS meets from the start, with every entry of z in [-reach, reach].

    Args:
        log_ratio: the logarithm of value over bound, a scalar, differentiable in z, [size] float64. Where it is not finite the search turns back.
        start: [size] where to begin.
        reach: how far z may go; inputs that are to be positive or bounded are functions of z (exp, sigmoid).
        iterations: of L-BFGS, at most.

    Returns:
        The ratio and the z that has it; 0 and the start where the ratio was finite nowhere.

    >>> ratio, z = climb(lambda z: -(z - 1).square().sum(), np.zeros(2))
    >>> round(ratio, 6), [round(x, 3) for x in z.tolist()]
    (1.0, [1.0, 1.0])
    """
    start = np.asarray(start, dtype=float)
    if start.ndim != 1 or not start.size:
        raise ValueError(
            f"climb(start of shape {list(start.shape)}): expected a vector, e.g. np.zeros(2)"
        )
    best, best_z = -math.inf, torch.from_numpy(start)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best, best_z
        z = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
        value = log_ratio(z)
        if not torch.isfinite(value):
            return 1e3, np.zeros_like(flat)
        if value.item() > best:
            best, best_z = value.item(), z.detach().clone()
        (-value).backward()
        return -value.item(), np.nan_to_num(z.grad.numpy())

    scipy.optimize.minimize(
        loss,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=[(-reach, reach)] * len(start),
        options={"maxiter": iterations},
    )
    return math.exp(best), best_z


@asked(size=at_least(1), seed=at_least(0), starts=at_least(1), reach=positive)
def worst_case(
    ratio: Callable[[Tensor], Tensor], size: int, *, seed: int, starts: int = 3, reach: float = 8.0
) -> float:
    """The largest value / bound that `climb` finds from several random starts.

    Args:
        ratio: what to maximise, from a vector of `size` numbers to a positive number; differentiable by torch.
        size: numbers it takes.
        seed: of the starts, which are standard normal.
        starts: how many.
        reach: half the side of the box that is searched.

    Raises:
        ValueError: the ratio is zero or not finite at every start: nothing to ascend.

    >>> round(worst_case(lambda z: 1 / (1 + (z - 1).square().sum()), 2, seed=0), 6)
    1.0
    """
    rng = np.random.default_rng(seed)
    best = max(
        climb(lambda z: ratio(z).log(), rng.standard_normal(size), reach)[0] for _ in range(starts)
    )
    if best == 0:
        raise ValueError(
            f"worst_case(size={size}, seed={seed}): the ratio is zero or not finite at all {starts} starts; expected a positive ratio"
        )
    return best
