"""The search for the worst case: a bound is held against inputs that an optimiser looked for, not only against random ones."""

import math
from collections.abc import Callable

import numpy as np
import scipy.optimize
import torch
from torch import Tensor


def climb(log_ratio: Callable[[Tensor], Tensor], start: np.ndarray, reach: float = 12.0) -> tuple[float, Tensor]:
    """The largest exp(log_ratio(z)) that L-BFGS reaches from the start, with every entry of z in [-reach, reach].

    Args:
        log_ratio: the logarithm of value over bound, a scalar, differentiable in z, [size] float64.
        start: [size] where to begin.
        reach: how far z may go; inputs that are to be positive or bounded are functions of z (exp, sigmoid).

    Returns:
        The ratio and the z that has it.

    >>> ratio, z = climb(lambda z: -(z - 1).square().sum(), np.zeros(2))
    >>> round(ratio, 6), [round(x, 3) for x in z.tolist()]
    (1.0, [1.0, 1.0])
    """

    def loss(z: np.ndarray) -> tuple[float, np.ndarray]:
        z = torch.from_numpy(z).requires_grad_()
        value = -log_ratio(z)
        value.backward()
        return value.item(), z.grad.numpy()

    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-reach, reach)] * len(start))
    return math.exp(-found.fun), torch.from_numpy(found.x)
