"""The front door: arrays in, an answer out, by a network that was made for them."""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from metarep_lib.arrays import Units
from metarep_lib.asked import AskedWrongly, asked, positive
from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    softmax_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.estimators.answer import Answer, asked_once, on_its_way
from metarep_lib.estimators.defaults import MOST, kernel_of, program_for
from metarep_lib.estimators.ridge import ridge_by_leave_one_out
from metarep_lib.estimators.temperature import temperature_of, temperature_trouble
from metarep_lib.prompt import Prompt
from metarep_lib.warned import NotConverged

__all__ = ["solve"]

ALGORITHMS = {"linear": two_block_conjugate_gradient, "exponential": softmax_conjugate_gradient}


@asked(tau=positive, tolerance=positive)
def solve(
    X: Any,
    y: Any,
    X_query: Any,
    *,
    ridge: float | Literal["loo"] = "loo",
    kernel: Literal["linear", "exponential"] = "linear",
    tau: float | None = None,
    standardise: bool = True,
    intercept: bool = True,
    classes: bool | None = None,
    steps: int | Literal["auto"] = "auto",
    tolerance: float | None = None,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
    seen: Callable[[int], Callable[[], object]] | None = None,
) -> Answer:
    """Kernel ridge regression of your data by a transformer whose weights run conjugate gradient.

    Args:
        X: [k, p] features: numpy, a data frame, torch or lists.
        y: [k] or [k, m] targets, or [k] labels.
        X_query: [q, p] features to answer for.
        ridge: lambda of the standardised features; "loo": the one that predicts every support best from the others.
        kernel: "linear", by linear attention; "exponential", by softmax attention.
        tau: the temperature of the exponential kernel; None: the squared length of the longest support.
        standardise, intercept, classes: as for `Prompt.from_arrays`.
        steps: of conjugate gradient; "auto": as many as the textbook needs on this prompt, and half as many more as long as that helps.
        tolerance: of the relative residual; None: the root of the unit roundoff, 1e-8 in float64.
        dtype, device: of the network.
        seen: given the number of blocks, gives what is called after each.

    Raises:
        PromptError: what cannot be read, column by column.
        AskedWrongly: a ridge, a kernel or a temperature that is none.

    Warns:
        NotConverged: the residual is above the tolerance, with how many steps would do.
        TemperatureOutOfRange: a temperature far from the squared lengths of the features.
        DigitsLost, SinkUnderflow: as for `network.predict`.

    >>> answer = solve([[1.0], [2.0], [3.0]], [10.0, 20.0, 30.5], [[4.0], [0.0]], ridge=1e-6)
    >>> answer.prediction.round(decimals=2).tolist(), answer.has_converged
    ([40.67, -0.33], True)
    """
    if isinstance(ridge, str) and ridge != "loo":
        raise AskedWrongly(f"solve(ridge={ridge!r}): expected a number > 0 or 'loo'")
    if kernel == "linear" and tau is not None:
        raise AskedWrongly(
            f"solve(kernel='linear', tau={tau}): the linear kernel has no temperature; kernel='exponential' has"
        )
    known = 1.0 if ridge == "loo" else ridge
    prompt, units = Prompt.from_arrays(
        X, y, X_query, known, standardise=standardise, intercept=intercept, classes=classes
    )
    if kernel == "exponential":
        tau = temperature_of(prompt.phi) if tau is None else tau
        if trouble := temperature_trouble(prompt, tau):
            warnings.warn(trouble, stacklevel=3)
    if ridge == "loo":
        chosen = ridge_by_leave_one_out(
            prompt, kernel_of(tau), intercept=intercept and kernel == "linear"
        )
        prompt = replace(prompt, ridge=chosen)
    prompt = prompt.to(dtype).to(device)
    program = network_program(kernel, prompt, tau, steps, tolerance)
    asked_for = Asked(prompt, units, tolerance, seen)
    answer, halfway = asked_for.of(program)
    before = math.inf
    while steps == "auto" and answer.tolerance < answer.residual < 0.9 * before:
        before, more = answer.residual, min(answer.steps + answer.steps // 2, MOST)
        if more > answer.steps:
            answer, halfway = asked_for.of(network_program(kernel, prompt, tau, more, tolerance))
    if not answer.has_converged:
        warnings.warn(NotConverged(on_its_way(answer, halfway)), stacklevel=3)
    return answer


@dataclass(frozen=True)
class Asked:
    """What every network of one call is asked."""

    prompt: Prompt
    units: Units
    tolerance: float | None
    seen: Callable[[int], Callable[[], object]] | None

    def of(self, program: Program) -> tuple[Answer, float]:
        """The answer of a program, and its residual halfway."""
        network = assemble(program, dtype=self.prompt.phi.dtype, device=self.prompt.phi.device)
        watch = None if self.seen is None else self.seen(network.n_layers)
        return asked_once(network, self.prompt, self.units, self.tolerance, watch)


def network_program(
    kernel: str,
    prompt: Prompt,
    tau: float | None,
    steps: int | Literal["auto"],
    tolerance: float | None,
) -> Program:
    """The program that solves with a kernel; of several outputs and softmax heads, that of the slowest output."""
    make = ALGORITHMS[kernel]
    if kernel == "linear":
        return program_for(make, prompt, steps=steps, tolerance=tolerance)
    outputs = (
        [prompt] if prompt.n_outputs == 1 else [prompt.output(i) for i in range(prompt.n_outputs)]
    )
    programs = [
        program_for(make, one, steps=steps, tolerance=tolerance, tau=tau) for one in outputs
    ]
    return max(programs, key=lambda program: program.n_blocks)
