"""Exercises of the chapter "In-context learning as kernel ridge regression"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_dual(predict) -> None:
    for k, p, ridge in ((7, 3, 0.5), (3, 7, 2.0)):
        phi, y, phi_query = normal(k, p, seed=k), normal(k, seed=p), normal(4, p, seed=9)
        # the primal answer
        w = torch.linalg.solve(phi.T @ phi + ridge * torch.eye(p, dtype=phi.dtype), phi.T @ y)
        hint = f"with {k} supports and {p} features the predictions differ from the primal ones; is it (K + ridge I) alpha = y, and k(x)^T alpha?"
        same(predict(phi.clone(), y.clone(), phi_query.clone(), ridge), phi_query @ w, hint)


def check_one_step(targets) -> None:
    for seed in range(3):
        phi = normal(6, 4, seed=seed)
        y = numbers(targets(phi.clone()), (6,))
        need(y.norm() > 1e-6, "the targets are all zero: nothing is left to solve")
        system = ridge_system(Prompt(phi, y, phi[:1], ridge=0.3))
        left = conjugate_gradient(system, steps=1).history["r"][1]
        need(
            left.norm() <= 1e-10 * y.norm(),
            "after one step of conjugate gradient the residual is not zero; for which y is (K + lambda I) y a multiple of y?",
        )


def check_ridge_for(ridge_for) -> None:
    for k, p, kappa in ((8, 3, 50.0), (3, 8, 1.5), (4, 9, 1.2)):
        phi = normal(k, p, seed=10 * k + p)
        ridge = float(numbers(ridge_for(phi.clone(), kappa), ()))
        need(ridge > 0, f"for {k} supports and {p} features the ridge is not positive")
        values = torch.linalg.eigvalsh(phi @ phi.T + ridge * torch.eye(k, dtype=phi.dtype))
        hint = f"for {k} supports and {p} features the condition number is {values[-1] / values[0]:.4g}, not {kappa}; is K singular there?"
        same(values[-1] / values[0], kappa, hint)


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_dual,
        solution="""
def predict(phi, y, phi_query, ridge):
    K = phi @ phi.T
    alpha = torch.linalg.solve(K + ridge * torch.eye(len(y)), y)
    return phi_query @ phi.T @ alpha
""",
        wrong={
            "no ridge": """
def predict(phi, y, phi_query, ridge):
    return phi_query @ phi.T @ torch.linalg.pinv(phi @ phi.T) @ y
""",
            "the ridge on every entry": """
def predict(phi, y, phi_query, ridge):
    return phi_query @ phi.T @ torch.linalg.solve(phi @ phi.T + ridge + 1e-9 * torch.eye(len(y)), y)
""",
            "a smoother": """
def predict(phi, y, phi_query, ridge):
    return phi_query @ phi.T @ y / (phi @ phi.T + ridge * torch.eye(len(y))).diagonal().sum()
""",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_one_step,
        solution="""
def targets(phi):
    _, vectors = torch.linalg.eigh(phi @ phi.T)
    return vectors[:, -1]
""",
        wrong={
            "ones": "def targets(phi):\n    return torch.ones(len(phi), dtype=phi.dtype)",
            "zero": "def targets(phi):\n    return torch.zeros(len(phi), dtype=phi.dtype)",
            "a feature": "def targets(phi):\n    return phi[:, 0]",
            "two eigenvectors": "def targets(phi):\n    return torch.linalg.eigh(phi @ phi.T).eigenvectors[:, -2:].sum(1)",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_ridge_for,
        solution="""
def ridge_for(phi, kappa):
    mu = torch.linalg.eigvalsh(phi @ phi.T)
    # (mu_1 + ridge) = kappa (mu_k + ridge)
    return (mu[-1] - kappa * mu[0]) / (kappa - 1)
""",
        wrong={
            "K is always singular": "def ridge_for(phi, kappa):\n    return torch.linalg.norm(phi, 2) ** 2 / (kappa - 1)",
            "the ratio alone": "def ridge_for(phi, kappa):\n    return torch.linalg.norm(phi, 2) ** 2 / kappa",
        },
    ),
)
