"""An answer that is still on its way: how far it is, how many steps would do, and what stands in the way."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch

from metarep_lib.estimators.defaults import FAMILIES, steps_by_law
from metarep_lib.numerics import RidgeSystem, ridge_system
from metarep_lib.prompt import Prompt, centre, deviation

__all__ = ["Way"]

EXPONENTIAL = ("softmax_conjugate_gradient", "pipelined_conjugate_gradient")
FACTORED_IN = (torch.float64, torch.float32)


@dataclass(frozen=True)
class Way:
    """Where an iteration stands.

    Args:
        name: of the algorithm.
        steps: that were done.
        residual: relative, after them.
        halfway: relative, after half of them.
        tolerance: what was asked for.
    """

    name: str
    steps: int
    residual: float
    halfway: float
    tolerance: float

    def words(self, prompt: Prompt, system: RidgeSystem) -> str:
        """What is wrong, and every remedy there is."""
        kappa = condition_number(system)
        worse = ", which is farther from solving than no answer at all" * (self.residual > 1)
        number = f"{kappa:.0e}" if math.isfinite(kappa) else "larger than its dtype resolves"
        remedies = [standardised(prompt, kappa), *self.more_steps(prompt, kappa), "a larger ridge"]
        remedies += ["float64"] * (prompt.phi.dtype != torch.float64)
        return (
            f"{self.name}: relative residual {self.residual:.1e} after {self.steps} steps, asked for {self.tolerance:.0e}{worse};"
            f" the condition number is {number}; this would work: {', or '.join(filter(None, remedies))}"
        )

    def more_steps(self, prompt: Prompt, kappa: float) -> Iterator[str]:
        """How many steps reach the tolerance: at the rate of the last half, and by the law of the algorithm's family."""
        if (by_rate := self.steps_at_rate()) is not None:
            yield f"steps={by_rate} at the rate of the last {self.steps - self.steps // 2} steps"
        family = next((family for family, names in FAMILIES.items() if self.name in names), None)
        if family in (None, "Richardson") or not math.isfinite(kappa):
            return
        by_law = steps_by_law(family, kappa, self.tolerance)
        if (
            family == "Krylov" and self.name not in EXPONENTIAL
        ):  # an eigenvalue a feature, and the ridge
            ends = min(prompt.n_support, prompt.n_features + 1)
            by_law = min(by_law, 2 * ends + 2)  # half of it rounding: `studies/steps_needed.py`
        yield f"steps={by_law} by the bound, for any targets"

    def steps_at_rate(self) -> int | None:
        """None where the last half gained nothing.

        >>> Way("conjugate_gradient", steps=10, residual=1e-4, halfway=1e-2, tolerance=1e-8).steps_at_rate()
        20
        """
        if not 0 < self.residual < self.halfway < math.inf:
            return None
        per_step = math.log(self.halfway / self.residual) / (self.steps - self.steps // 2)
        return self.steps + math.ceil(math.log(self.residual / self.tolerance) / per_step)


def condition_number(system: RidgeSystem) -> float:
    return float(system.condition_number) if system.A.dtype in FACTORED_IN else math.inf


def standardised(prompt: Prompt, kappa: float) -> str | None:
    """The advice to standardise, where the features are of different units and a condition number ten times smaller would come of it."""
    spread = deviation(prompt.phi, True)
    smallest, largest = float(spread.min()), float(spread.max())
    if largest < 10 * smallest or prompt.phi.dtype not in FACTORED_IN:
        return None
    phi = (prompt.phi - centre(prompt.phi, True)) / spread
    better = float(ridge_system(replace(prompt, phi=phi)).condition_number)
    if not 10 * better < kappa:
        return None
    return (
        f"features in one unit, standardise=True, for which the condition number would be {better:.0e} (their standard deviations go from"
        f" {smallest:.1g} to {largest:.1g})"
    )
