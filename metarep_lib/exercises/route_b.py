"""Exercises of the chapter "Route B: linear attention runs conjugate gradient"."""

import torch

from metarep_lib.exercises.grading import Exercise, NotYet, need, normal, numbers, same
from metarep_lib.exercises.one_decoder import run
from metarep_lib.numerics.solvers import cholesky, conjugate_gradient
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_step(step) -> None:
    system = ridge_system(
        Prompt(normal(6, 4, seed=0), normal(6, seed=1), normal(1, 4, seed=2), ridge=0.5)
    )
    history = conjugate_gradient(system, steps=4).history
    state = (torch.zeros(6, dtype=torch.float64), system.y, system.y)
    for t in range(4):
        state = step(*(v.clone() for v in state), system.matvec)
        need(
            isinstance(state, tuple) and len(state) == 3,
            "expected three vectors: alpha, r and p after the step",
        )
        for name, found in zip(("alpha", "r", "p"), state):
            same(
                found,
                history[name][t + 1],
                f"{name} differs from the textbook's after step {t + 1}; compare with the definition, line by line",
                1e-7,
            )


def check_count(steps) -> None:
    found = numbers(steps, ())
    prompt = Prompt(normal(20, 3, seed=3), normal(20, seed=4), normal(1, 3, seed=5), ridge=0.7)
    system = ridge_system(prompt)
    left = conjugate_gradient(system, steps=20).history["r"].norm(dim=-1) / system.y.norm()
    measured = int((left <= 1e-10).nonzero()[0])
    hint = f"it was run: the residual is {float(left[int(found.clamp(0, 20))]):.0e} of the start then; how many distinct eigenvalues has K + lambda I, and which one is easily forgotten?"
    need(found == measured, hint)


def check_exact(program) -> None:
    for seed in range(2):  # K + lambda I has the eigenvalues 1 and 4
        U = torch.linalg.qr(normal(4, 4, seed=seed)).Q
        phi = U * torch.tensor([0.5, 0.5, 3.5, 3.5], dtype=torch.float64).sqrt()
        prompt = Prompt(phi, normal(4, seed=seed + 5), normal(3, 4, seed=seed + 9), ridge=0.5)
        system = ridge_system(prompt)
        wanted = system.predict(cholesky(system).alpha)
        said = run(program, prompt)
        if getattr(program, "n_blocks", 0) > 2:
            raise NotYet(f"the program has {program.n_blocks} blocks; two are enough")
        hint = "the predictions are not exact: each step multiplies the residual by 1 - eta A; which two step sizes leave nothing of either eigenvalue?"
        same(said, wanted, hint)


TWO = """
from dataclasses import replace

from metarep_lib import gradient_descent

first = gradient_descent(n_features=4, steps=1, step_size=1.0)
second = gradient_descent(n_features=4, steps=1, step_size=0.25)
program = replace(first, layers=(*first.layers, replace(second.layers[0], step=2)))
"""
STEP = """
def step(alpha, r, p, matvec):
    w = matvec(p)
    gamma = (r @ r) / (p @ w)
    alpha, r_next = alpha + gamma * p, r - gamma * w
    beta = (r_next @ r_next) / (r @ r)
    return alpha, r_next, r_next + beta * p
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_step,
        solution=STEP,
        wrong={
            "steepest descent": STEP.replace("r_next + beta * p", "r_next"),
            "the turn upside down": STEP.replace(
                "(r_next @ r_next) / (r @ r)", "(r @ r) / (r_next @ r_next)"
            ),
            "the wrong denominator": STEP.replace("(p @ w)", "(r @ matvec(r))"),
        },
    ),
    Exercise(
        difficulty=2,
        minutes=5,
        check=check_count,
        solution="""
steps = 4  # three eigenvalues of K that are not zero, and lambda itself
""",
        wrong={
            "as many as features": "steps = 3",
            "as many as supports": "steps = 20",
            "one more": "steps = 5",
        },
    ),
    Exercise(
        difficulty=3,
        minutes=20,
        check=check_exact,
        solution=TWO,
        wrong={
            "the best single step size": TWO.replace("step_size=1.0", "step_size=0.4").replace(
                "step_size=0.25", "step_size=0.4"
            ),
            "the eigenvalues themselves": TWO.replace("step_size=0.25", "step_size=4.0"),
            "one step only": TWO.replace(
                "(*first.layers, replace(second.layers[0], step=2))", "first.layers"
            ),
            "conjugate gradient": "from metarep_lib import conjugate_gradient\nprogram = conjugate_gradient(n_features=4, steps=2)",
        },
    ),
)
