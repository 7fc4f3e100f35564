"""Exercises of the chapter "Which algorithm?"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, numbers
from metarep_lib.numerics.solvers import conjugate_gradient, gradient_descent
from metarep_lib.numerics.system import RidgeSystem


def check_not_additive(pair) -> None:
    need(isinstance(pair, tuple) and len(pair) == 2, "expected two vectors of targets")
    y, other = (numbers(part, (3,)) for part in pair)
    need(
        y.norm() > 1e-6 and other.norm() > 1e-6,
        "one of them is zero, and adding nothing changes nothing",
    )
    A = torch.diag(torch.tensor([1.0, 2.0, 8.0], dtype=torch.float64))
    defect = {}
    for name, solve in (
        ("conjugate gradient", conjugate_gradient),
        ("gradient descent", lambda system, steps: gradient_descent(system, steps, 0.2)),
    ):
        alone, its, both = (
            solve(RidgeSystem(A, v, torch.zeros(0, 3, dtype=A.dtype)), 1).alpha
            for v in (y, other, y + other)
        )
        defect[name] = float((both - alone - its).norm() / (alone.norm() + its.norm()))
    need(
        defect["gradient descent"] < 1e-12,
        "the targets differ in scale so much that rounding decides",
    )
    need(
        defect["conjugate gradient"] >= 0.1,
        f"one step is additive here up to {defect['conjugate gradient']:.0e}; a step size is a ratio of two sums over y, so choose targets with different ones, that are no multiples of each other",
    )


def check_unseen(other) -> None:
    P = lambda s: (1 - 0.3 * s) * (1 - 0.1 * s) * (1 - 0.05 * s) * (1 - 0.02 * s)  # noqa: E731
    for seen in ([2.0], [1.0, 4.0, 9.0]):
        eigenvalues = torch.tensor(seen, dtype=torch.float64)
        Q = other(P, eigenvalues.clone())
        need(callable(Q), "expected a function: the other polynomial")
        grid = torch.linspace(0, 12, 30, dtype=torch.float64)
        at = numbers([float(Q(s)) for s in eigenvalues])
        need(
            (at - P(eigenvalues)).abs().max() <= 1e-9,
            "it differs from P at an eigenvalue, so the prompt shows it",
        )
        need(
            abs(float(Q(torch.zeros((), dtype=torch.float64))) - 1) <= 1e-12,
            "it is not one at zero, so it is no iteration from zero",
        )
        apart = numbers([float(Q(s)) for s in grid]) - P(grid)
        need(apart.abs().max() >= 1e-3, "it is the same polynomial everywhere")
        degree = 4  # as for P
        powers = grid.unsqueeze(-1) ** torch.arange(degree + 1)
        left = apart - powers @ torch.linalg.lstsq(powers, apart.unsqueeze(-1)).solution.squeeze(-1)
        need(
            left.abs().max() <= 1e-6 * apart.abs().max(),
            f"it is no polynomial of degree {degree} or less",
        )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_not_additive,
        solution="""
y, other = torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 0.0, 1.0])
pair = (y, other)
""",
        wrong={
            "multiples": "pair = (torch.tensor([1.0, 1.0, 1.0]), torch.tensor([2.0, 2.0, 2.0]))",
            "nothing added": "pair = (torch.tensor([1.0, 1.0, 1.0]), torch.zeros(3))",
            "nearly the same": "pair = (torch.tensor([1.0, 1.0, 1.0]), torch.tensor([1.0, 1.0, 1.01]))",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_unseen,
        solution="""
def other(P, eigenvalues):
    return lambda s: P(s) + s * (1 - s / eigenvalues).prod()
""",
        wrong={
            "the same one": "def other(P, eigenvalues):\n    return P",
            "seen at zero": "def other(P, eigenvalues):\n    return lambda s: P(s) + (1 - s / eigenvalues).prod()",
            "seen at an eigenvalue": "def other(P, eigenvalues):\n    return lambda s: P(s) + s * (1 - s / eigenvalues[0]) * 0.1 + s * 0.01",
            "no polynomial": "def other(P, eigenvalues):\n    return lambda s: P(s) + torch.sin(s) * (1 - s / eigenvalues).prod()",
        },
    ),
)
