"""Exercises of the chapter "Route A: softmax attention and the exponential kernel"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.exercises.one_decoder import run
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.numerics.kernels.smoothers import nadaraya_watson
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


def check_fixed(vector) -> None:
    phi = normal(5, 2, seed=5)
    K = ExponentialKernel()(phi, phi)
    D = torch.diag(0.3 + K.sum(1))
    v = numbers(vector, (5,))
    need(v.norm() > 1e-9, "the vector is zero")
    left = torch.linalg.solve(D, (K + 0.3 * torch.eye(5, dtype=K.dtype)) @ v)
    need(
        (left - v).norm() <= 1e-6 * v.norm(),
        "D^-1 (K + lambda I) changes it; what are the sums of its rows?",
    )


def check_smoother(program) -> None:
    for seed in range(2):
        prompt = Prompt(
            normal(5, 2, seed=seed),
            normal(5, seed=seed + 7),
            normal(3, 2, seed=seed + 9),
            ridge=1.0,
        )
        hint = "it says something else than sum_i exp(<phi(x), phi_i>) y_i / sum_i exp(<phi(x), phi_i>); which tokens does the softmax count that are no supports?"
        same(run(program, prompt), nadaraya_watson(prompt, ExponentialKernel()), hint)


SMOOTHER = """
from metarep_lib.construct import Form, Head, Layer, Program, Write
from metarep_lib.network import Basis
from metarep_lib.network.tokens import input_basis

head = Head("softmax", ((Form("phi"), Form("phi")),), Form("y"), hides=(0, 1))
program = Program(
    name="smoother",
    inputs=input_basis(n_features=2),
    stream=Basis.of(phi=2, y=1, f=1),
    embedding=(("phi", Form("phi")), ("y", Form("y"))),
    layers=(Layer(step=1, phase="average", attention=(Write("f", (head,)),)),),
    readout=Form("f"),
)
"""

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
        difficulty=1,
        minutes=5,
        check=check_fixed,
        solution="""
vector = torch.ones(5)
""",
        wrong={
            "a unit vector": "vector = torch.eye(5)[0]",
            "zero": "vector = torch.zeros(5)",
            "alternating": "vector = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0])",
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
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_smoother,
        solution=SMOOTHER,
        wrong={
            "the registers are averaged, too": SMOOTHER.replace(", hides=(0, 1)", ""),
            "linear attention": SMOOTHER.replace('"softmax"', '"linear"'),
            "another temperature": SMOOTHER.replace(
                'Form("phi")),), Form("y")', 'Form({"phi": 0.5})),), Form("y")'
            ),
        },
    ),
)
