"""A network asked, and its answer with what is to be known about it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from metarep_lib.arrays import Units
from metarep_lib.asked import asked, positive
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.construct.digits import half_the_digits
from metarep_lib.contents import Contents
from metarep_lib.estimators.convergence import Way
from metarep_lib.estimators.defaults import kernel_of
from metarep_lib.numerics import RidgeSystem, ridge_system
from metarep_lib.prompt import Prompt, a_prompt
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

    >>> import torch
    >>> from metarep_lib.construct import assemble
    >>> from metarep_lib.construct.algorithms import conjugate_gradient
    >>> prompt = Prompt(torch.eye(2).double(), torch.ones(2).double(), torch.ones(1, 2).double(), ridge=1.0)
    >>> answer = ask(assemble(conjugate_gradient(n_features=2, steps=1)), prompt)
    >>> answer.prediction, answer.has_converged
    (tensor([1.], dtype=torch.float64), True)
    """
    answer, halfway = asked_once(network, prompt, units, tolerance, seen)
    if not answer.has_converged:
        warnings.warn(NotConverged(on_its_way(answer, halfway)), stacklevel=3)
    return answer


def asked_once(
    network: ConstructedTransformer,
    prompt: Prompt,
    units: Units | None,
    tolerance: float | None,
    seen: Callable[[], object] | None,
) -> tuple[Answer, float]:
    """An answer without a word about it, and the residual after half of the steps."""
    one_by_one = prompt.n_outputs > 1 and network.traits.n_outputs == 1
    steps = len(network.step_ends) - 1
    read = by_output(prompt) if one_by_one else prompt
    trace = network.at(read, sorted({steps // 2, steps}), seen)
    halfway, residual = (float(r) for r in worst(trace.relative_residual)[[0, -1]])
    said = trace.prediction[-1].mT if one_by_one else trace.prediction[-1]
    units = units or Units(prompt.y.new_tensor(0.0), prompt.y.new_tensor(1.0))
    answer = Answer(
        prediction=units.back(said),
        labels=None if units.labels is None else units.label(said),
        residual=residual,
        tolerance=tolerance or half_the_digits(prompt.phi.dtype),
        network=network,
        prompt=prompt,
        units=units,
    )
    return answer, halfway


def on_its_way(answer: Answer, halfway: float) -> str:
    """What is to be said of an answer that has not arrived."""
    way = Way(answer.network.name, answer.steps, answer.residual, halfway, answer.tolerance)
    return way.words(answer.prompt, answer.system)


def by_output(prompt: Prompt) -> Prompt:
    """A prompt of m outputs as a batch of m prompts of one."""
    m = prompt.n_outputs
    phi, phi_query = (x.expand(m, *x.shape) for x in (prompt.phi, prompt.phi_query))
    return replace(prompt, phi=phi, y=prompt.y.mT, phi_query=phi_query, y_query=None)


def temperature(network: ConstructedTransformer) -> float | None:
    call = network.program.call
    return None if call is None else call.arguments.get("tau")


def worst(relative: Tensor) -> Tensor:
    """[steps] the largest over outputs."""
    return relative.reshape(len(relative), -1).amax(-1)
