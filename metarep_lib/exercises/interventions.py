"""Exercises of the chapter "Interventions: change it and see"."""

import torch

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import conjugate_gradient
from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt

NAMES = ("alpha", "r", "p", "gamma", "rho")


def said_without(name: str | None) -> torch.Tensor:
    """What the textbook-order network says when a name is set to zero on every token after two of its four steps."""
    prompt = Prompt(normal(6, 4, seed=0), normal(6, seed=1), normal(3, 4, seed=2), ridge=0.5)
    network = assemble(conjugate_gradient(n_features=4, steps=4))
    model, mask = network.transformer, prefix_mask(prompt)
    stream = tokenise(prompt, network.program.inputs) @ model.W_E
    for number, which in enumerate(model.config.schedule, start=1):
        stream = model.blocks[which](stream, mask)
        if name and number == network.program.step_ends[2]:
            stream[..., network.basis[name]] = 0.0
    return (stream @ model.W_U)[8:, 0]


def check_unread(unread) -> None:
    need(
        isinstance(unread, set | list | tuple) and set(unread) <= set(NAMES),
        f"expected a set of names among {', '.join(NAMES)}",
    )
    need(len(unread) > 0, "some of these are not read; which does a later step still need?")
    intact = said_without(None)
    for name in NAMES:
        changes = not torch.equal(said_without(name), intact)
        need(
            changes != (name in unread),
            f"it was run: without {name} the predictions {'change' if changes else 'stay bit for bit'}",
        )


def check_descent(step) -> None:
    system = ridge_system(
        Prompt(normal(6, 4, seed=3), normal(6, seed=4), normal(1, 4, seed=5), ridge=0.5)
    )
    alpha, r = torch.zeros(6, dtype=torch.float64), system.y
    for t in range(1, 5):
        found = step(alpha.clone(), r.clone(), system.matvec)
        need(
            isinstance(found, tuple) and len(found) == 2,
            "expected two vectors: alpha and r after the step",
        )
        gamma = (r @ r) / (r @ system.matvec(r))
        alpha, r = alpha + gamma * r, r - gamma * system.matvec(r)
        for name, part, wanted in zip(("alpha", "r"), found, (alpha, r)):
            same(
                numbers(part),
                wanted,
                f"{name} differs after step {t}; put beta = 0 into the definition of conjugate gradient, so that p = r",
            )


DESCENT = """
def step(alpha, r, matvec):
    w = matvec(r)
    gamma = (r @ r) / (r @ w)
    return alpha + gamma * r, r - gamma * w
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_descent,
        solution=DESCENT,
        wrong={
            "a fixed step size": DESCENT.replace("(r @ r) / (r @ w)", "0.1"),
            "the smallest residual": DESCENT.replace("(r @ r) / (r @ w)", "(r @ w) / (w @ w)"),
            "the residual stays": DESCENT.replace("r - gamma * w", "r"),
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_unread,
        solution="""
unread = {"alpha", "gamma", "rho"}
""",
        wrong={
            "alpha alone": 'unread = {"alpha"}',
            "the answer must be read": 'unread = {"gamma", "rho"}',
            "all of them": 'unread = {"alpha", "r", "p", "gamma", "rho"}',
            "none": "unread = set()",
        },
    ),
)
