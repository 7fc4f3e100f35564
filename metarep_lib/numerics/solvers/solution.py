"""What a solver gives back: every iterate, and how it ended."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.numerics.system import RidgeSystem


class Outcome(IntEnum):
    """What came of a solve, from best to worst; `advice` says what to do about it."""

    CONVERGED = 0
    NOT_CONVERGED = 1
    OUT_OF_RANGE = 2
    BREAKDOWN = 3
    NON_FINITE = 4

    @property
    def advice(self) -> str:
        return {
            Outcome.CONVERGED: "the residual is below the tolerance",
            Outcome.NOT_CONVERGED: "take more steps, a larger ridge, or (gradient descent) a step size below 2 / lambda_max",
            Outcome.OUT_OF_RANGE: "alpha has entries that this dtype cannot hold: rescale the targets, alpha is linear in them, or use float64",
            Outcome.BREAKDOWN: "the matrix is not positive definite in this dtype: use a larger ridge or float64",
            Outcome.NON_FINITE: "the iteration overflowed: use a smaller step size, standardised targets or float64",
        }[self]


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Contents):
    """What a solver found and how it got there.

    With m outputs [*batch, k, m] stands for [*batch, k], and [*batch, m] for [*batch]: every output is a solve of its own.

    Args:
        alpha: [*batch, k] the last iterate.
        history: name -> [steps + 1, *batch, k] for vectors, [steps, *batch] for scalars; `rho` and `sigma`, squares of the
            targets, may be out of range where alpha is not.
        outcomes: [*batch] integers, the `Outcome` of every system.
    """

    alpha: Tensor
    history: dict[str, Tensor]
    outcomes: Tensor

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the batch.

        Raises:
            ValueError: an empty batch, which has none.
        """
        if not self.outcomes.numel():
            raise ValueError(
                f"outcome of {list(self.outcomes.shape)} systems: there is none;"
                " this would work: solution.outcomes, or a batch of at least one prompt"
            )
        return Outcome(int(self.outcomes.max()))


Run = Callable[[RidgeSystem], tuple[dict[str, Tensor], Tensor]]
"""[*batch] systems of one output to (the history, whether each broke down)."""

DEGREES = {"rho": 2, "rho_next": 2, "sigma": 2, "gamma": 0, "beta": 0}
"""How the scalars of a history follow the targets: c y makes them c^degree of what y makes them. Vectors follow with degree one."""


def solved(system: RidgeSystem, run: Run, tolerance: float) -> Solution:
    """A solution by a solver that is homogeneous in y, for any number of outputs and targets of any size.

    Every output is a system of its own, whose targets are divided by the power of two that brings the largest to
    [1, 2). So no square over- or underflows because of the units of y, and as a power of two changes no digit, alpha
    follows an exact scaling of the targets exactly. Where the dtype cannot hold it any more, the outcome says so.

    Args:
        system: what to solve.
        run: the solver, handed systems of one output and of ordinary size.
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y||, recomputed at the end.
    """
    each = side_by_side(system) if system.has_outputs else system
    unit = power_of_two(each.y)
    scaled = RidgeSystem(each.A, each.y / unit, each.K_query)
    history, broke_down = run(scaled)
    outcomes = judge(scaled, history["alpha"][-1], broke_down, tolerance)
    outcomes = with_range(outcomes, history["alpha"][-1], unit)
    history = {name: in_units(values, unit, name) for name, values in history.items()}
    if system.has_outputs:
        history = {name: x if name in DEGREES else x.mT for name, x in history.items()}
    return Solution(history["alpha"][-1], history, outcomes)


def in_units(values: Tensor, unit: Tensor, name: str) -> Tensor:
    """What a history holds under a name, for the targets as they came."""
    if name not in DEGREES:
        return values * unit
    for _ in range(DEGREES[name]):  # one factor at a time: the square of a unit may be out of range
        values = values * unit.squeeze(-1)
    return values


def side_by_side(system: RidgeSystem) -> RidgeSystem:
    """[*batch, m] systems of one output for [*batch] systems of m."""
    m = system.y.shape[-1]
    A, K_query = (
        M.unsqueeze(-3).expand(*M.shape[:-2], m, *M.shape[-2:]) for M in (system.A, system.K_query)
    )
    return RidgeSystem(A, system.y.mT, K_query)


def power_of_two(y: Tensor) -> Tensor:
    """[*batch, 1] the largest power of two that is at most the largest |y| of [*batch, k]; 1 where that is zero or not finite.

    >>> power_of_two(torch.tensor([[3.0, -5.0], [0.0, 0.25], [0.0, 0.0]])).flatten().tolist()
    [4.0, 0.25, 1.0]
    """
    largest = y.detach().abs().amax(-1, keepdim=True)
    ordinary = torch.isfinite(largest) & (largest > 0)
    largest = torch.where(ordinary, largest, torch.ones_like(largest))
    return largest / (2 * torch.frexp(largest).mantissa)


def with_range(outcomes: Tensor, alpha: Tensor, unit: Tensor) -> Tensor:
    """The outcomes, OUT_OF_RANGE where nothing worse happened and the dtype holds alpha but not alpha times the unit."""
    lost = (alpha * unit / unit != alpha).any(-1) & (outcomes < Outcome.OUT_OF_RANGE)
    return torch.where(lost, int(Outcome.OUT_OF_RANGE), outcomes)


def judge(system: RidgeSystem, alpha: Tensor, broke_down: Tensor, tolerance: float) -> Tensor:
    """The outcome of every system, from its recomputed residual. Targets are of ordinary size."""
    converged = system.residual(alpha).norm(dim=-1) <= tolerance * system.y.norm(dim=-1)
    outcomes = torch.where(converged, int(Outcome.CONVERGED), int(Outcome.NOT_CONVERGED))
    outcomes = torch.where(broke_down, int(Outcome.BREAKDOWN), outcomes)
    finite = torch.isfinite(alpha).all(-1)
    return torch.where(finite | broke_down, outcomes, int(Outcome.NON_FINITE))
