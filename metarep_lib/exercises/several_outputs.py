"""Exercises of the chapter "Several outputs: shared products or a shared search"."""

from itertools import combinations

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers
from metarep_lib.numerics.solvers import Outcome
from metarep_lib.numerics.solvers import block_conjugate_gradient as block
from metarep_lib.numerics.system import RidgeSystem


def steps_together(m: int) -> int:
    """Steps of block conjugate gradient with m outputs on six distinct eigenvalues."""
    values = torch.linspace(1, 4, 6, dtype=torch.float64)
    system = RidgeSystem(
        torch.diag(values), normal(6, m, seed=m), torch.zeros(0, 6, dtype=torch.float64)
    )
    history = block.conjugate_gradient(system, steps=6).history["r"]
    left = history.flatten(1).norm(dim=1)
    return int((left <= 1e-9 * left[0]).nonzero()[0])


def check_counts(steps) -> None:
    need(
        isinstance(steps, dict) and set(steps) == {1, 2, 3, 6},
        "expected a number of steps for each of 1, 2, 3 and 6 outputs",
    )
    for m, found in steps.items():
        found = float(numbers(found, ()))
        need(
            found == steps_together(m),
            f"it was run: with {m} outputs together it is not {found:g} steps; how large is the space after t steps, and how large must it be?",
        )


def check_breakdown(Y) -> None:
    Y = numbers(Y, (4, 3))
    pairs = (torch.linalg.matrix_rank(Y[:, list(pair)]) for pair in combinations(range(3), 2))
    need(
        min(pairs) == 2,
        "one output is zero, or a multiple of another; find three of which no two are",
    )
    system = RidgeSystem(
        torch.diag(torch.arange(1.0, 5.0, dtype=torch.float64)),
        Y,
        torch.zeros(0, 4, dtype=torch.float64),
    )
    outcome = block.textbook_conjugate_gradient(system, steps=2).outcome
    need(
        outcome >= Outcome.BREAKDOWN,
        f"it was run, and the outcome is {outcome.name}; when can the three by three matrix R^T R not be inverted?",
    )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_counts,
        solution="""
steps = {1: 6, 2: 3, 3: 2, 6: 1}
""",
        wrong={
            "nothing is shared": "steps = {1: 6, 2: 6, 3: 6, 6: 6}",
            "one less for each": "steps = {1: 6, 2: 5, 3: 4, 6: 1}",
            "all at once": "steps = {1: 1, 2: 1, 3: 1, 6: 1}",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_breakdown,
        solution="""
a, b = torch.tensor([1.0, 2.0, 0.0, 1.0]), torch.tensor([0.0, 1.0, 1.0, -1.0])
Y = torch.stack([a, b, a + b], dim=1)
""",
        wrong={
            "independent outputs": "Y = torch.eye(4)[:, :3]",
            "the same output, scaled": "Y = torch.outer(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([1.0, 2.0, -1.0]))",
            "an output of zeros": "Y = torch.eye(4)[:, :3] * torch.tensor([1.0, 1.0, 0.0])",
        },
    ),
)
