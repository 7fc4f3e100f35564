"""Exercises of the chapter "Route A: softmax attention and the exponential kernel"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.numerics.solvers import cholesky
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_sum(kernel_sum) -> None:
    phi, v = normal(6, 3, seed=0), normal(6, seed=1)
    for ridge in (1.0, 0.25):
        K = ExponentialKernel()(phi, phi)
        total = ridge + K.sum(1)
        hint = f"with ridge {ridge:g} this is not sum_j K_ij v_j; both numbers of the head carry the same unknown total"
        same(kernel_sum(K @ v / total, ridge / total, ridge), K @ v, hint)


def check_richardson(step) -> None:
    prompt = Prompt(normal(6, 3, seed=2), normal(6, seed=3), normal(2, 3, seed=4), ridge=0.5)
    system = ridge_system(prompt, ExponentialKernel())
    K = system.A - 0.5 * torch.eye(6, dtype=torch.float64)
    total = 0.5 + K.sum(1)
    P, s = K / total[:, None], 0.5 / total
    exact = cholesky(system).alpha
    alpha = exact.clone()
    same(
        step(alpha.clone(), prompt.y, P, s, 0.5),
        exact,
        "the solution of (K + lambda I) alpha = y is not where the iteration stays",
    )
    alpha, start = (
        torch.zeros(6, dtype=torch.float64),
        torch.linalg.vector_norm(total.sqrt() * exact),
    )
    for t in range(50):
        alpha = numbers(step(alpha.clone(), prompt.y, P, s, 0.5), (6,))
        left = torch.linalg.vector_norm(total.sqrt() * (alpha - exact))  # the D-norm never grows
        need(
            left <= start * (1 + 1e-9),
            f"the error grows in step {t + 1}; the step size one, in units of the total, is right",
        )
        start = left
    need(
        left <= 0.9 * torch.linalg.vector_norm(total.sqrt() * exact),
        "after fifty steps the error is as large as at the start",
    )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_sum,
        solution="""
def kernel_sum(average, mass, ridge):
    return ridge * average / mass
""",
        wrong={
            "the ridge forgotten": "def kernel_sum(average, mass, ridge):\n    return average / mass",
            "another average": "def kernel_sum(average, mass, ridge):\n    return average / (1 - mass)",
            "upside down": "def kernel_sum(average, mass, ridge):\n    return average * mass / ridge",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_richardson,
        solution="""
def step(alpha, y, P, s, ridge):
    return alpha + s * y / ridge - P @ alpha - s * alpha
""",
        wrong={
            "the token forgets itself": "def step(alpha, y, P, s, ridge):\n    return alpha + s * y / ridge - P @ alpha",
            "the targets not scaled": "def step(alpha, y, P, s, ridge):\n    return alpha + s * y - P @ alpha - s * alpha",
            "a smoother": "def step(alpha, y, P, s, ridge):\n    return P @ y",
            "too far": "def step(alpha, y, P, s, ridge):\n    return alpha + 3 * (s * y / ridge - P @ alpha - s * alpha)",
            "too timid": "def step(alpha, y, P, s, ridge):\n    return alpha + 1e-4 * (s * y / ridge - P @ alpha - s * alpha)",
        },
    ),
)
