"""Route B in numbers: the errors of the two iterations on any spectrum, and how much of a bound an error uses.

A is diagonal with eigenvalues in [1, kappa]: neither iteration sees the eigenvectors. The bounds are
those of `numerics.bounds`, as functions of a system of `any_system`.
"""

import torch
from torch import Tensor

from metarep_lib.numerics import RidgeSystem, solvers
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    gradient_descent_bound,
    prediction_factor,
)

__all__ = [
    "any_system",
    "cg_bound",
    "cg_error",
    "cg_most",
    "gap_bound",
    "gd_bound",
    "gd_error",
    "prediction_gap",
    "share_used",
]

FLOOR = 100  # in units of u: where the bounds, which exact arithmetic obeys, end in floats


def any_system(flat: Tensor, kappa: float, t: int) -> RidgeSystem:
    """t + 1 eigenvalues from 1 to kappa, both among them, positive targets and one query, from 3 t + 1 numbers.

    >>> any_system(torch.zeros(4), 9.0, 1).A.diagonal().tolist()
    [1.0, 9.0]
    """
    ends = torch.tensor([1.0, kappa], dtype=flat.dtype)
    inner = 1 + (kappa - 1) * flat[: t - 1].sigmoid()
    y, query = flat[t - 1 : 2 * t].exp(), flat[None, 2 * t :]
    return RidgeSystem(torch.cat([ends, inner]).diag(), y, query)


def solution(system: RidgeSystem) -> Tensor:
    """alpha* of a diagonal system."""
    return system.y / system.A.diagonal()


def error(system: RidgeSystem, alpha: Tensor) -> Tensor:
    star = solution(system)
    return system.norm(alpha - star) / system.norm(star)


def cg_error(system: RidgeSystem, t: int) -> Tensor:
    """The value of `thm-cg-rate`: ||alpha_t - alpha*||_A / ||alpha*||_A of conjugate gradient.

    >>> cg_error(any_system(torch.zeros(4), 9.0, 1), 1).item().__round__(3)  # one step of 1 / 5, on (1, 1)
    0.8
    """
    return error(system, solvers.conjugate_gradient(system, t).alpha)


def gd_error(system: RidgeSystem, t: int) -> Tensor:
    """The value of `prop-gd-rate`: the same of gradient descent with the best step size.

    >>> gd_error(any_system(torch.zeros(4), 9.0, 1), 1).item().__round__(3)  # (9 - 1) / (9 + 1)
    0.8
    """
    ends = system.A.diagonal()[:2].sum()
    return error(system, solvers.gradient_descent(system, t, float(2 / ends.detach())).alpha)


def prediction_gap(system: RidgeSystem, t: int) -> Tensor:
    """The value of `cor-prediction`: |f_t(x) - f*(x)| of conjugate gradient at the query."""
    alpha = solvers.conjugate_gradient(system, t).alpha
    return system.predict(alpha - solution(system)).abs().squeeze()


def condition(system: RidgeSystem) -> Tensor:
    """kappa, from the two ends that `any_system` puts first."""
    low, high = system.A.diagonal()[:2]
    return high / low


def cg_bound(system: RidgeSystem, t: int) -> Tensor:
    """The bound of `thm-cg-rate`.

    >>> cg_bound(any_system(torch.zeros(4), 9.0, 1), 1).item()  # 2 (3 - 1) / (3 + 1)
    1.0
    """
    return conjugate_gradient_bound(condition(system), torch.tensor(t))


def cg_most(kappa: float, t: int) -> float:
    """How much of it can be used at all: 1 / (1 + c^2t), since 2 c^t stands for 1 / T_t = 2 c^t / (1 + c^2t).

    >>> cg_most(9.0, 1)  # c = 1 / 2
    0.8
    """
    root = kappa**0.5
    return 1 / (1 + ((root - 1) / (root + 1)) ** (2 * t))


def gd_bound(system: RidgeSystem, t: int) -> Tensor:
    """The bound of `prop-gd-rate`.

    >>> gd_bound(any_system(torch.zeros(4), 9.0, 1), 2).item().__round__(3)  # ((9 - 1) / (9 + 1))^2
    0.64
    """
    return gradient_descent_bound(condition(system), torch.tensor(t))


def gap_bound(system: RidgeSystem, t: int) -> Tensor:
    """The bound of `cor-prediction` with the error that alpha has: what the step from alpha to a prediction allows."""
    return prediction_factor(system, solution(system)).squeeze() * cg_error(system, t)


def share_used(value: Tensor, bound: Tensor, rounding: Tensor | float) -> Tensor:
    """The largest (value - 100 u rounding) / bound.

    Args:
        value: [...] what a network in floats has, in the dtype that rounds.
        bound: [...] what exact arithmetic allows.
        rounding: how much larger than u its rounding may be, kappa for an error relative to the solution.

    >>> share_used(torch.tensor([0.5, 0.3]), torch.tensor([1.0, 0.5]), 0.0).item().__round__(3)
    0.6
    """
    floor = FLOOR * torch.finfo(value.dtype).eps * rounding
    return ((value - floor) / bound).max()
