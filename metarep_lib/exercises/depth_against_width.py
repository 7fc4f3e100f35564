"""Exercises of the chapter "Depth against width: carry the Gram matrix, or look ahead"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.solvers import cholesky, conjugate_gradient
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_from_sums(predict) -> None:
    for k, p, ridge in ((9, 3, 0.5), (3, 6, 2.0)):
        prompt = Prompt(normal(k, p, seed=k), normal(k, seed=p), normal(4, p, seed=8), ridge=ridge)
        system = ridge_system(prompt)
        wanted = system.predict(cholesky(system).alpha)
        hint = "these are not the predictions of ridge regression; which linear system in R^p do S and b belong to?"
        same(
            predict(prompt.phi.T @ prompt.phi, prompt.phi.T @ prompt.y, prompt.phi_query, ridge),
            wanted,
            hint,
        )


def check_next_rho(next_rho) -> None:
    system = ridge_system(
        Prompt(normal(8, 5, seed=0), normal(8, seed=1), normal(1, 5, seed=2), ridge=0.3)
    )
    history = conjugate_gradient(system, steps=4).history
    for t in range(4):
        w = system.matvec(history["p"][t])
        hint = "this is not the next r . r; expand |r - gamma w|^2 and use r . w = p . w = sigma"
        same(
            next_rho(history["rho"][t], history["sigma"][t], w @ w),
            history["r"][t + 1] @ history["r"][t + 1],
            hint,
        )


def powers_condition(s: int) -> float:
    """Condition number of [y, A y, ..., A^(s-1) y], columns of length one, for a spectrum from 1 to 100."""
    A = torch.diag(torch.logspace(0, 2, 40, dtype=torch.float64))
    columns = [normal(40, seed=6)]
    for _ in range(s - 1):
        columns.append(A @ columns[-1])
    return float(torch.linalg.cond(torch.stack([c / c.norm() for c in columns], dim=1)))


def check_powers(s) -> None:
    found = float(numbers(s, ()))
    need(
        found == int(found) and 2 <= found <= 40, "expected a whole number of vectors, from 2 to 40"
    )
    said = powers_condition(int(found))
    need(said >= 1e8, f"it was measured: with that many the condition number is {said:.0e} only")
    need(
        powers_condition(int(found) - 1) < 1e8,
        f"it happens earlier: with that many it is {said:.0e} already",
    )


FROM_SUMS = """
def predict(S, b, phi_query, ridge):
    w = torch.linalg.solve(S + ridge * torch.eye(len(b)), b)
    return phi_query @ w
"""
NEXT = """
def next_rho(rho, sigma, omega):
    gamma = rho / sigma
    return gamma**2 * omega - rho
"""
MEASURE = """
def condition(s):
    A = torch.diag(torch.logspace(0, 2, 40, dtype=torch.float64))
    v = torch.randn(40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    columns = []
    for _ in range(s):
        columns.append(v / v.norm())
        v = A @ v
    return torch.linalg.cond(torch.stack(columns, dim=1))


s = next(s for s in range(2, 40) if condition(s) >= 1e8)
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_from_sums,
        solution=FROM_SUMS,
        wrong={
            "one step of gradient descent": "def predict(S, b, phi_query, ridge):\n    return phi_query @ b / ridge",
            "no ridge": FROM_SUMS.replace(
                "S + ridge * torch.eye(len(b))", "S + 1e-3 * torch.eye(len(b))"
            ),
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_next_rho,
        solution=NEXT,
        wrong={
            "Pythagoras the wrong way": NEXT.replace(
                "gamma**2 * omega - rho", "rho - gamma**2 * omega"
            ),
            "a square forgotten": NEXT.replace("gamma**2", "gamma"),
            "the mixed term forgotten": NEXT.replace("- rho", "+ rho"),
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_powers,
        solution=MEASURE,
        wrong={
            "all of them": "s = 40",
            "two are too many": "s = 2",
            "sixteen digits, sixteen vectors": "s = 16",
        },
    ),
)
