"""Exercises of the chapter "Softmax's normaliser, and what one layer is"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.exercises.one_decoder import run
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.numerics.kernels.smoothers import nadaraya_watson
from metarep_lib.prompt import Prompt


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
