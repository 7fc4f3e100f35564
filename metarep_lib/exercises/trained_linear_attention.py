"""Exercises of the chapter "Trained linear attention"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.spectrum.filters import krylov_degree


def check_fair(fair_steps) -> None:
    for layers in range(1, 6):
        found = float(numbers(fair_steps(layers), ()))
        wanted = krylov_degree("GD++", layers)
        need(
            found == wanted,
            f"for {layers} layers it is not {found:g} steps; each layer triples the degree in the size of the prompt, and a filter of Krylov degree m has 2 m + 1 there",
        )


def check_moving(predict) -> None:
    X, y, x_query = normal(7, 3, seed=0) / 3, normal(7, seed=1), normal(4, 3, seed=2)
    etas, gammas = (0.4, 0.7, 0.9), (0.3, 0.2, 0.1)
    s, V = torch.linalg.eigh(X.T @ X)
    c, Q = torch.zeros_like(s), torch.ones_like(s)
    for t, (eta, gamma) in enumerate(zip(etas, gammas), start=1):
        c, Q = c + eta * Q**2 * (1 - s * c), Q * (1 - gamma * s * Q**2)
        wanted = x_query @ V @ (c * (V.T @ X.T @ y))
        hint = f"after {t} layers it says something else than the filter of the proof; all tokens move, queries too, by the S of the inputs as they are then"
        same(predict(X.clone(), y.clone(), x_query.clone(), etas[:t], gammas[:t]), wanted, hint)


MOVING = """
def predict(X, y, x_query, etas, gammas):
    said, r = torch.zeros(len(x_query), dtype=X.dtype), y
    for eta, gamma in zip(etas, gammas):
        moment, S = X.T @ r, X.T @ X
        said = said + eta * x_query @ moment
        r = r - eta * X @ moment
        X, x_query = X - gamma * X @ S, x_query - gamma * x_query @ S
    return said
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_fair,
        solution="""
def fair_steps(layers):
    return (3**layers - 1) // 2
""",
        wrong={
            "a step a layer": "def fair_steps(layers):\n    return layers",
            "doubling": "def fair_steps(layers):\n    return 2 ** (layers - 1)",
            "the degree in the prompt itself": "def fair_steps(layers):\n    return 3**layers",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=20,
        check=check_moving,
        solution=MOVING,
        wrong={
            "gradient descent": MOVING.replace(
                "        X, x_query = X - gamma * X @ S, x_query - gamma * x_query @ S\n", ""
            ),
            "queries do not move": MOVING.replace("x_query - gamma * x_query @ S", "x_query"),
            "always the first S": MOVING.replace(
                "moment, S = X.T @ r, X.T @ X", "moment = X.T @ r"
            ).replace("dtype=X.dtype), y\n", "dtype=X.dtype), y\n    S = X.T @ X\n"),
        },
    ),
)
