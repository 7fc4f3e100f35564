"""Depth against width: how many blocks ten networks need until their predictions are those of ridge regression."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
    newton_schulz,
    one_block_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import relative_error, ridge_system
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers, errors_of

__all__ = ["Place", "blocks_needed", "blocks_of_each", "errors", "plane", "scale_of", "settled"]

ACCURACY = 1e-6
TRIED = range(8, 20)  # steps of a network that is read at its end


def errors(
    program: Program, prompts: Prompt, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """[T] blocks, and [T, B] the relative error after them, read after every step; the prompts in float64, whatever the network is in."""
    network = assemble(program, dtype=dtype, device=prompts.phi.device)
    trace = network.run(prompts.to(dtype))
    return torch.tensor(trace.step_ends, dtype=torch.float64), errors_of(trace, prompts).cpu()


def settled(blocks: Sequence[int] | Tensor, error: Tensor) -> Tensor:
    """Blocks from which on the error is at most a millionth: [T] and [T, *B] to [*B].

    >>> settled([0, 2, 4], torch.tensor([1.0, 1e-7, 1e-8])).item()
    2.0
    """
    return torch.as_tensor(blocks, dtype=torch.float64)[spectral.settling_step(error, ACCURACY)]


def blocks_needed(program: Program, prompts: Prompt) -> int:
    """Blocks from which on the median error over the prompts is at most a millionth."""
    blocks, error = errors(program, prompts)
    return int(settled(blocks, error.median(1).values))


def blocks_of_each(program: Program, prompts: Prompt) -> Tensor:
    """[B] the same for every prompt."""
    return settled(*errors(program, prompts))


def blocks_at_the_end(make: Callable[[int], Program], prompts: Prompt, truth: Tensor) -> int:
    """The same of networks that are read at their end, one for each number of steps.

    Args:
        make: steps to a program.
        prompts: a batch.
        truth: [B, q] what it should say.

    Raises:
        ArithmeticError: no number of steps tried is enough.
    """
    for steps in TRIED:
        network = assemble(make(steps), device=prompts.phi.device)
        if relative_error(network.predict(prompts), truth).median() <= ACCURACY:
            return network.program.n_blocks
    raise ArithmeticError(
        f"blocks_at_the_end(make={make}): {TRIED[-1]} steps are not enough for {ACCURACY};"
        " expected steps -> program, e.g. lambda t: gram_squaring(p, t, step_size)"
    )


def scale_of(prompts: Prompt) -> float:
    """The power of two next to 4 / lambda_max, which keeps the vectors of the one-block network near one."""
    return 2.0 ** round(np.log2(4 / float(ridge_system(prompts).eigenvalues.max())))


@dataclass(frozen=True)
class Place:
    """Where a network stands in the plane.

    Args:
        width: channels of its stream.
        blocks: it needs.
        told: whether it is told the spectrum, or its upper end.
    """

    width: int
    blocks: int
    told: bool


def plane(prompts: Prompt) -> dict[str, Place]:
    """Ten networks, by name; told the ends of the spectrum of all prompts together."""
    p, eigenvalues = prompts.n_features, ridge_system(prompts).eigenvalues
    a, b = float(eigenvalues.min()), float(eigenvalues.max())
    read_after_every_step = {
        "gradient descent": (gradient_descent(p, 1500, 2 / (a + b)), True),
        "Chebyshev": (chebyshev(p, 130, a, b), True),
        "CG, textbook": (conjugate_gradient(p, 20), False),
        "CG, two blocks": (two_block_conjugate_gradient(p, 20), False),
        "CG, one block": (one_block_conjugate_gradient(p, 20, scale_of(prompts)), False),
        "CG, causal": (causal_conjugate_gradient(p, 18), False),
        "carried: Chebyshev": (gram_chebyshev(p, 130, a, b), True),
        "carried: CG": (gram_conjugate_gradient(p, 18), False),
    }
    places = {
        name: Place(program.width, blocks_needed(program, prompts), told)
        for name, (program, told) in read_after_every_step.items()
    }
    for name, make, asked in (
        ("Newton", lambda t: newton_schulz(p, t, 1 / b), prompts.with_ridge_as_supports()),
        ("carried: squaring", lambda t: gram_squaring(p, t, 1 / b), prompts),
    ):
        blocks = blocks_at_the_end(make, asked, truth=answers(prompts))
        places[name] = Place(make(1).width, blocks, told=True)
    return places
