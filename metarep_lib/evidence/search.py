"""The worst case an optimiser finds: how much of a bound can be used."""

from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from torch import Tensor


def worst_case(ratio: Callable[[Tensor], Tensor], size: int, *, seed: int, starts: int = 3, reach: float = 8.0) -> float:
    """The largest value / bound that L-BFGS finds from several random starts.

    Ascends log(ratio) over vectors in the box [-reach, reach]^size, in float64.

    Args:
        ratio: what to maximise, from a vector of `size` numbers to a positive number; differentiable by torch.
        size: numbers it takes.
        seed: of the starts, which are standard normal.
        starts: how many.
        reach: half the side of the box.

    Raises:
        ValueError: the ratio is zero or not finite at every start: nothing to ascend.

    >>> round(worst_case(lambda z: 1 / (1 + (z - 1).square().sum()), 2, seed=0), 6)
    1.0
    """
    rng = np.random.default_rng(seed)
    found = [ascend(ratio, rng.standard_normal(size), reach) for _ in range(starts)]
    best = max(found)
    if best == -np.inf:
        raise ValueError(f"worst_case(size={size}, seed={seed}): the ratio is zero or not finite at all {starts} starts; expected a positive ratio")
    return float(np.exp(best))


def ascend(ratio: Callable[[Tensor], Tensor], start: np.ndarray, reach: float) -> float:
    """The largest log(ratio) met on the way; -inf where there was none."""
    best = -np.inf

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        z = torch.tensor(flat, dtype=torch.float64, requires_grad=True)
        value = ratio(z).log()
        if not torch.isfinite(value):
            return 1e3, np.zeros_like(flat)
        best = max(best, value.item())
        (-value).backward()
        return -value.item(), np.nan_to_num(z.grad.numpy())

    scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-reach, reach)] * len(start), options={"maxiter": 300})
    return best
