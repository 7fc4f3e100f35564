"""Exercises of the chapter "Trained transformers"."""

import math

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same


def check_ridge(ridge_of) -> None:
    for d, sigma in ((3, 0.5), (6, 0.2)):
        X, y, x = normal(8, d, seed=d), normal(8, seed=d + 1), normal(4, d, seed=d + 2)
        # of y, with w ~ N(0, I / d)
        covariance = X @ X.T / d + sigma**2 * torch.eye(8, dtype=X.dtype)
        posterior = x @ X.T / d @ torch.linalg.solve(covariance, y)
        ridge = float(numbers(ridge_of(d, sigma), ()))
        said = x @ torch.linalg.solve(X.T @ X + ridge * torch.eye(d, dtype=X.dtype), X.T @ y)
        same(
            said,
            posterior,
            f"for d = {d} ridge regression with this ridge is not the posterior mean; the prior of w has variance 1/d in each direction",
        )


def check_levels(weigh) -> None:
    levels = (0.1, 0.5, 1.0)
    for seed in range(3):
        X = normal(10, 4, seed=seed)
        y = X @ normal(4, seed=seed + 10) / 2 + (0.1, 0.5, 1.0)[seed] * normal(10, seed=seed + 20)
        found = numbers(weigh(X.clone(), y.clone(), levels), (3,))
        logs = []
        for sigma in levels:
            covariance = X @ X.T / 4 + sigma**2 * torch.eye(10, dtype=X.dtype)
            logs.append(
                torch.distributions.MultivariateNormal(
                    torch.zeros(10, dtype=X.dtype), covariance
                ).log_prob(y)
            )
        need(
            math.isclose(float(found.sum()), 1.0, rel_tol=1e-6), "the weights do not add up to one"
        )
        same(
            found,
            torch.stack(logs).softmax(0),
            "these are not the probabilities of the levels given the targets; y has covariance X X^T / d + sigma^2 I, and its determinant counts",
            1e-5,
        )


LEVELS = """
def weigh(X, y, levels):
    logs = []
    for sigma in levels:
        C = X @ X.T / X.shape[1] + sigma**2 * torch.eye(len(y), dtype=X.dtype)
        logs.append(-(y @ torch.linalg.solve(C, y) + torch.logdet(C)) / 2)
    return torch.stack(logs).softmax(0)
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_ridge,
        solution="""
def ridge_of(d, sigma):
    return d * sigma**2
""",
        wrong={
            "the noise alone": "def ridge_of(d, sigma):\n    return sigma**2",
            "not squared": "def ridge_of(d, sigma):\n    return d * sigma",
            "the wrong way": "def ridge_of(d, sigma):\n    return sigma**2 / d",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=20,
        check=check_levels,
        solution=LEVELS,
        wrong={
            "the determinant forgotten": LEVELS.replace(" + torch.logdet(C)", ""),
            "all alike": "def weigh(X, y, levels):\n    return torch.ones(3) / 3",
            "the variance of the prior forgotten": LEVELS.replace(" / X.shape[1]", ""),
            "twice as sure": LEVELS.replace(" / 2)", ")"),
        },
    ),
)
