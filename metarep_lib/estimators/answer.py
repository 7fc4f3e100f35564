"""A network asked, and its answer with what is to be known about it."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metarep_lib.arrays import Units
from metarep_lib.asked import asked, positive
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.construct.digits import half_the_digits
from metarep_lib.contents import Contents
from metarep_lib.estimators.defaults import FAMILIES, kernel_of, steps_by_law
from metarep_lib.numerics import RidgeSystem, ridge_system
from metarep_lib.prompt import Prompt, a_prompt, centre, deviation
from metarep_lib.warned import NotConverged

__all__ = ["Answer", "ask"]


@dataclass(frozen=True, eq=False, repr=False)
class Answer(Contents):
    """What a network said, how far it is from solving, and the network.

    Args:
        prediction: [q] or [q, m] in the units of y; of classes their scores.
        labels: [q] the classes with the largest score; None for numbers.
        residual: ||y - (K + lambda I) alpha|| / ||y|| of the slowest output. At the supports predictions are off by at most this part of
            the length of the targets.
        tolerance: what was asked of it.
        network: what ran.
        prompt: what it read, standardised.
        units: the way back.
    """

    prediction: Tensor
    labels: list | None
    residual: float
    tolerance: float
    network: ConstructedTransformer
    prompt: Prompt
    units: Units

    @property
    def has_converged(self) -> bool:
        return self.residual <= self.tolerance

    @property
    def steps(self) -> int:
        return len(self.network.step_ends) - 1

    @property
    def blocks(self) -> int:
        return self.network.n_layers

    @property
    def channels(self) -> int:
        """The width of the residual stream."""
        return self.network.d_model

    @property
    def ridge(self) -> float:
        """lambda, as it was added to the kernel matrix of the features that the network read."""
        return self.prompt.ridge

    @property
    def tau(self) -> float | None:
        """The temperature of the exponential kernel; None for the linear one."""
        return temperature(self.network)

    @property
    def system(self) -> RidgeSystem:
        """What was to be solved, for a solver that knows no network."""
        return ridge_system(self.prompt, kernel_of(self.tau))

    def __str__(self) -> str:
        q, p = self.prompt.n_query, self.prompt.n_features
        kernel = "linear kernel" if self.tau is None else f"exponential kernel, tau {self.tau:.3g}"
        state = "solved" if self.has_converged else "NOT solved"
        return (
            f"{q} answers from {self.prompt.n_support} supports with {p} features ({kernel}, ridge {self.ridge:.3g})\n"
            f"{state}: relative residual {self.residual:.0e} after {self.steps} steps (asked for {self.tolerance:.0e})\n"
            f"the network: {self.network.name}, {self.blocks} blocks, {self.channels} channels,"
            f" {str(self.prompt.phi.dtype).removeprefix('torch.')}"
        )


@asked(prompt=a_prompt(axes="", single=False, half=True), tolerance=positive)
def ask(
    network: ConstructedTransformer,
    prompt: Prompt,
    *,
    units: Units | None = None,
    tolerance: float | None = None,
    seen: Callable[[], object] | None = None,
) -> Answer:
    """What a constructed network says to a prompt, with a warning where it has not arrived.

    Args:
        network: that solves; one made for one output is asked for several one after the other.
        prompt: one prompt.
        units: the way back, of `Prompt.from_arrays`; None: the prompt's own.
        tolerance: of the relative residual; None: the root of the unit roundoff, 1e-8 in float64 and 2e-4 in float32.
        seen: called after every block.

    Raises:
        AskedWrongly: a prompt that the network cannot read.
        AttributeError: a network that does not say how far it is, as one layer of softmax that smooths.

    Warns:
        NotConverged: the residual is above the tolerance.
        DigitsLost, SinkUnderflow: as for `network.predict`.

    >>> from metarep_lib.construct import assemble
    >>> from metarep_lib.construct.algorithms import conjugate_gradient
    >>> prompt = Prompt(torch.eye(2).double(), torch.ones(2).double(), torch.ones(1, 2).double(), ridge=1.0)
    >>> answer = ask(assemble(conjugate_gradient(n_features=2, steps=1)), prompt)
    >>> answer.prediction, answer.has_converged
    (tensor([1.], dtype=torch.float64), True)
    """
    tolerance = tolerance or half_the_digits(prompt.phi.dtype)
    one_by_one = prompt.n_outputs > 1 and network.traits.n_outputs == 1
    read = by_output(prompt) if one_by_one else prompt
    steps = len(network.step_ends) - 1
    trace = network.at(read, sorted({steps // 2, steps}), seen)
    halfway, residual = (float(r) for r in worst(trace.relative_residual)[[0, -1]])
    said = trace.prediction[-1].mT if one_by_one else trace.prediction[-1]
    none = prompt.y.new_tensor(0.0), prompt.y.new_tensor(1.0)
    units = units or Units(*none)
    answer = Answer(
        prediction=units.back(said),
        labels=None if units.labels is None else units.label(said),
        residual=residual,
        tolerance=tolerance,
        network=network,
        prompt=prompt,
        units=units,
    )
    if not answer.has_converged:
        warnings.warn(NotConverged(what_would_do(answer, halfway)), stacklevel=3)
    return answer


def by_output(prompt: Prompt) -> Prompt:
    """A prompt of m outputs as a batch of m prompts of one."""
    m = prompt.n_outputs
    phi, phi_query = (x.expand(m, *x.shape) for x in (prompt.phi, prompt.phi_query))
    return replace(prompt, phi=phi, y=prompt.y.mT, phi_query=phi_query, y_query=None)


def temperature(network: ConstructedTransformer) -> float | None:
    call = network.program.call
    return None if call is None else call.arguments.get("tau")


def what_would_do(answer: Answer, halfway: float) -> str:
    """A residual that is too large, in words: how many steps more by the bound and by the rate of the last half, or what stands in the way."""
    name, steps, residual = answer.network.name, answer.steps, answer.residual
    said = f"{name}: relative residual {residual:.1e} after {steps} steps, asked for {answer.tolerance:.0e}"
    if residual > 1:
        said += ", which is farther from solving than no answer at all"
    system = answer.system
    kappa = (
        float(system.condition_number)
        if system.A.dtype in (torch.float64, torch.float32)
        else math.inf
    )
    family = next((family for family, names in FAMILIES.items() if name in names), "Krylov")
    cures = []
    if by_rate := steps_at_rate(residual, halfway, steps, answer.tolerance):
        cures.append(f"steps={by_rate} at the rate of the last {steps - steps // 2} steps")
    if math.isfinite(kappa) and family in ("Krylov", "Chebyshev", "descent", "squaring"):
        by_law = steps_by_law(family, kappa, answer.tolerance)
        if (
            family == "Krylov" and answer.tau is None
        ):  # no more eigenvalues than features, and the ridge
            ends = min(answer.prompt.n_support, answer.prompt.n_features + 1)
            by_law = min(by_law, ends + ends // 8 + 2)
        cures.append(f"steps={by_law} by the bound, for any targets")
    if cause := scales(answer.prompt, kappa):
        cures.insert(0, cause)
    cures.append("a larger ridge")
    if answer.prompt.phi.dtype != torch.float64:
        cures.append("float64")
    number = f"{kappa:.0e}" if math.isfinite(kappa) else "larger than its dtype resolves"
    return f"{said}; the condition number is {number}; this would work: {', or '.join(cures)}"


def steps_at_rate(residual: float, halfway: float, steps: int, tolerance: float) -> int | None:
    """The steps after which the tolerance is reached at the rate from half of the steps to all; None where nothing was gained."""
    gained = math.log(halfway / residual) if 0 < residual < halfway < math.inf else 0.0
    if gained <= 0:
        return None
    per_step = gained / (steps - steps // 2)
    return steps + math.ceil(math.log(residual / tolerance) / per_step)


def scales(prompt: Prompt, kappa: float) -> str | None:
    """The advice to standardise, where that would make the condition number ten times smaller."""
    spread = deviation(prompt.phi, True)
    if float(spread.max()) < 10 * float(spread.min()):
        return None
    phi = (prompt.phi - centre(prompt.phi, True)) / spread
    if prompt.phi.dtype not in (torch.float64, torch.float32) or not torch.isfinite(phi).all():
        return None
    better = float(ridge_system(replace(prompt, phi=phi)).condition_number)
    if not better * 10 < kappa:
        return None
    return (
        f"features in one unit, standardise=True, for which the condition number would be {better:.0e} (their standard deviations go from"
        f" {float(spread.min()):.1g} to {float(spread.max()):.1g})"
    )


def worst(relative: Tensor) -> Tensor:
    """[steps] the largest over outputs."""
    return relative.reshape(len(relative), -1).amax(-1)
