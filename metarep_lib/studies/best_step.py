"""Gradient descent given the best step size of every single prompt: what its network errs by, and how deep it would have to be."""

from collections.abc import Iterator

import torch
from torch import Tensor

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import gradient_descent
from metarep_lib.numerics import RidgeSystem, relative_error, ridge_system, solvers
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers, errors_of

__all__ = ["at_best", "best_step", "blocks_to", "errors_at_best"]


def best_step(system: RidgeSystem) -> float:
    """2 / (lambda_min + lambda_max), of one system.

    >>> A = torch.diag(torch.tensor([1.0, 3.0]))
    >>> best_step(RidgeSystem(A, torch.ones(2), A[:0]))
    0.5
    """
    return float(2 / (system.eigenvalues[0] + system.eigenvalues[-1]))


def singles(prompts: Prompt) -> Iterator[Prompt]:
    """The prompts of a batch."""
    for phi, y, phi_query in zip(prompts.phi, prompts.y, prompts.phi_query):
        yield Prompt(phi, y, phi_query, prompts.ridge)


def at_best(prompt: Prompt, blocks: int) -> Tensor:
    """[blocks + 1] relative error of the predictions of the constructed network after every block."""
    program = gradient_descent(prompt.n_features, blocks, best_step(ridge_system(prompt)))
    return errors_of(assemble(program, device=prompt.phi.device).run(prompt), prompt)


def errors_at_best(prompts: Prompt, blocks: int) -> Tensor:
    """[B, blocks + 1] the same of a batch."""
    return torch.stack([at_best(prompt, blocks) for prompt in singles(prompts)])


def blocks_to(prompts: Prompt, accuracy: float, most: int) -> Tensor:
    """[B] after how many blocks the predictions are within an accuracy; one more than `most` where these are not enough.

    By the solver, whose iterates are those of the network.
    """
    found = []
    for prompt in singles(prompts):
        system = ridge_system(prompt)
        iterates = solvers.gradient_descent(system, most, best_step(system)).history["alpha"]
        error = relative_error(system.predict(iterates), answers(prompt))
        found.append((error > accuracy).sum())
    return torch.stack(found)
