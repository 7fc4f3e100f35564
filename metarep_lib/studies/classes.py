"""Classes of digits, wines and irises: how many blocks four networks need, and how large they are.

Predictions are to be within one in a million. Depths of conjugate gradient are the steps of the
solvers times the blocks of a step; Newton's network is run. It is told the largest eigenvalue.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    conjugate_gradient,
    newton_schulz,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import RidgeSystem, ridge_system
from metarep_lib.prompt import Prompt
from metarep_lib.studies.several_outputs import ROUNDING, search, separate, settled
from metarep_lib.tasks import class_prompt

__all__ = ["METHODS", "depths", "sizes", "steps_of"]

ACCURACY = 1e-6
METHODS = ("products, textbook", "products", "search", "Newton")


def truth(system: RidgeSystem) -> Tensor:
    """f* at the queries, [q, m]."""
    return system.K_query @ torch.linalg.solve(system.A, system.y)


def steps_of(system: RidgeSystem, alpha: Tensor) -> float:
    """The step from which on predictions stay within one in a million of f*, by iterates [steps + 1, k, m]; inf where they do not."""
    f = truth(system)
    gap = system.K_query @ alpha - f
    return settled(gap.norm(dim=(-2, -1)) / f.norm(), ACCURACY)


def newton_depth(prompt: Prompt, system: RidgeSystem) -> int:
    """Blocks that bring the predictions of Newton's network within one in a million.

    Raises:
        RuntimeError: 38 steps do not.
    """
    f, asked = truth(system), prompt.with_ridge_as_supports()
    scale = 1 / float(system.eigenvalues[-1])
    for steps in range(6, 40, 2):
        program = newton_schulz(prompt.n_features, steps, scale, prompt.n_outputs)
        said = assemble(program).predict(asked)
        if (said - f).norm() < ACCURACY * f.norm():
            return program.n_blocks
    raise RuntimeError(
        f"newton_depth(a prompt of condition number {system.condition_number:.0e}): 38 steps are not enough"
    )


def depths(data: str, n_support: int, ridge: float, seeds: Iterable[int]) -> dict[str, list[float]]:
    """Method -> blocks, a number for every prompt; 40 queries each."""
    found: dict[str, list[float]] = {name: [] for name in METHODS}
    for seed in seeds:
        prompt = class_prompt(data, n_support, 40, ridge=ridge, seed=seed)
        system = ridge_system(prompt)
        alone = steps_of(system, separate(system, 150))
        together = steps_of(system, search(system, 40))
        blocks = 5 * alone, 2 * alone, (prompt.n_outputs + 1) * together
        for name, depth in zip(METHODS, (*blocks, newton_depth(prompt, system))):
            found[name].append(depth)
    return found


def sizes(p: int, m: int) -> Mapping[str, tuple[int, int]]:
    """Method -> (channels, parameters), for p features and m classes."""
    programs: tuple[Program, ...] = (
        conjugate_gradient(p, 2, m),
        two_block_conjugate_gradient(p, 2, m),
        block_conjugate_gradient(p, 2, m, ROUNDING),
        newton_schulz(p, 2, 1.0, m),
    )
    return {name: (one.width, one.n_parameters) for name, one in zip(METHODS, programs)}
