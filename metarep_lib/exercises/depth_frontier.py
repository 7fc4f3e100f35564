"""Exercises of the chapter "Who is first? The depth frontier"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.numerics.system import RidgeSystem


def check_diverges(diverges) -> None:
    for smallest, largest in ((1.0, 10.0), (2.0, 3.0), (0.1, 5.0)):
        for true in (
            0.9 * largest,
            1.001 * largest,
            largest + 0.9 * smallest,
            largest + 1.1 * smallest,
            3 * largest,
        ):
            values = torch.tensor([smallest, true], dtype=torch.float64)
            error = spectral.chebyshev_errors(
                values,
                torch.tensor([0.5, 0.5], dtype=torch.float64),
                torch.tensor([400]),
                smallest,
                largest,
            )
            said = diverges(smallest, largest, true)
            need(
                isinstance(said, bool | torch.Tensor) and said is not None, "expected True or False"
            )
            what = "it diverges" if error > 1 else "it does not diverge"
            need(
                bool(said) == bool(error > 1),
                f"told [{smallest:g}, {largest:g}] with an eigenvalue at {true:g}, {what}; where is |P_t| smaller than at 0?",
            )


def check_delay(values) -> None:
    values = numbers(values)
    need(
        values.ndim == 1 and 2 <= len(values) <= 16 and (values > 0).all(),
        "expected 2 to 16 positive eigenvalues",
    )
    need(
        len(torch.unique(values)) == len(values),
        "two eigenvalues are equal; then fewer steps are enough",
    )
    need(
        values.max() / values.min() <= 1e7,
        "a condition number up to 1e7, so that the floor u kappa is far below",
    )
    n = len(values)
    U = torch.linalg.qr(normal(n, n, seed=n)).Q
    A = U @ torch.diag(values) @ U.T
    y = normal(n, seed=2)
    system = RidgeSystem((A + A.T) / 2, y, torch.zeros(0, n, dtype=torch.float64))
    alpha = conjugate_gradient(system, steps=n).history["alpha"][-1]
    exact = torch.linalg.solve(system.A, y)
    error = float(system.norm(alpha - exact) / system.norm(exact))
    need(
        error >= 1e-3,
        f"after {n} steps, when exact arithmetic is done, the rounded iteration has an error of {error:.0e}; spread the eigenvalues evenly in the logarithm, over more decades",
    )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_diverges,
        solution="""
def diverges(smallest, largest, true_largest):
    # |T_t| at the eigenvalue exceeds |T_t| at 0 when it lies further from the middle than 0 does
    return true_largest > smallest + largest
""",
        wrong={
            "as soon as it is told wrong": "def diverges(smallest, largest, true_largest):\n    return true_largest > largest",
            "gradient descent's rule": "def diverges(smallest, largest, true_largest):\n    return true_largest > 2 * largest",
            "never": "def diverges(smallest, largest, true_largest):\n    return False",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_delay,
        solution="""
values = torch.logspace(0, 7, 16, dtype=torch.float64)
""",
        wrong={
            "mild": "values = torch.linspace(1, 10, 16, dtype=torch.float64)",
            "two clusters": "values = torch.cat([1 + 1e-3 * torch.arange(8), 1e7 - torch.arange(8)]).double()",
            "too many decades": "values = torch.logspace(0, 12, 16, dtype=torch.float64)",
        },
    ),
)
