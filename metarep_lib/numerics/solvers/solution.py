"""What a solver gives back: every iterate, and how it ended."""

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
    BREAKDOWN = 2
    NON_FINITE = 3

    @property
    def advice(self) -> str:
        return {
            Outcome.CONVERGED: "the residual is below the tolerance",
            Outcome.NOT_CONVERGED: "take more steps, a larger ridge, or (gradient descent) a step size below 2 / lambda_max",
            Outcome.BREAKDOWN: "the matrix is not positive definite in this dtype: use a larger ridge or float64",
            Outcome.NON_FINITE: "the iteration overflowed: use a smaller step size, standardised targets or float64",
        }[self]


@dataclass(frozen=True, eq=False, repr=False)
class Solution(Contents):
    """What a solver found and how it got there.

    Args:
        alpha: [*batch, k] the last iterate.
        history: name -> [steps + 1, *batch, k] for vectors, [steps, *batch] for scalars.
        outcomes: [*batch] integers, the `Outcome` of every system.
    """

    alpha: Tensor
    history: dict[str, Tensor]
    outcomes: Tensor

    @property
    def outcome(self) -> Outcome:
        """The worst outcome of the batch."""
        return Outcome(int(self.outcomes.max()))


def judge(system: RidgeSystem, alpha: Tensor, broke_down: Tensor, tolerance: float) -> Tensor:
    """The outcome of every system, from its recomputed residual."""
    converged = system.residual(alpha).norm(dim=-1) <= tolerance * system.y.norm(dim=-1)
    outcomes = torch.where(converged, int(Outcome.CONVERGED), int(Outcome.NOT_CONVERGED))
    outcomes = torch.where(broke_down, int(Outcome.BREAKDOWN), outcomes)
    finite = torch.isfinite(alpha).all(-1)
    return torch.where(finite | broke_down, outcomes, int(Outcome.NON_FINITE))
