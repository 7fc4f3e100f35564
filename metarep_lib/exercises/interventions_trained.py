"""Exercises of the chapter "Interventions in trained networks"."""

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import conjugate_gradient
from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.numerics.solvers import cholesky
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_move(move) -> None:
    for seed in range(3):
        x, w, b, value = normal(6, seed=seed), normal(6, seed=seed + 10), 0.3, 2.0 + seed
        moved = numbers(move(x.clone(), w.clone(), b, value), (6,))
        need(
            abs(float(moved @ w) + b - value) <= 1e-6,
            f"the probe reads {float(moved @ w) + b:.3g} there, and should read {value:g}",
        )
        shortest = abs(value - b - float(x @ w)) / float(w.norm())
        need(
            (moved - x).norm() <= shortest * (1 + 1e-6),
            f"the probe reads the right value, but the move is {float((moved - x).norm()) / shortest:.2f} of the shortest",
        )


def check_ends_at(ends_at) -> None:
    prompt = Prompt(normal(8, 6, seed=0), normal(8, seed=1), normal(3, 6, seed=2), ridge=0.2)
    system = ridge_system(prompt)
    f_star = system.predict(cholesky(system).alpha)
    network = assemble(conjugate_gradient(n_features=6, steps=3))
    model, mask, basis = network.transformer, prefix_mask(prompt), network.basis
    f = network.run(prompt).prediction
    for t in (1, 2):
        stream = tokenise(prompt, network.program.inputs) @ model.W_E
        for number, which in enumerate(model.config.schedule, start=1):
            stream = model.blocks[which](stream, mask)
            if number == network.program.step_ends[t]:
                stream[10:, basis["r"]] = -f_star.unsqueeze(-1)  # the query says -r
        hint = f"it was run, with the exact answer put on the query after step {t} of 3; what do the later steps still add?"
        same(
            ends_at(f[t].clone(), f[-1].clone(), f_star.clone()), (stream @ model.W_U)[10:, 0], hint
        )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_move,
        solution="""
def move(x, w, b, value):
    return x + (value - b - x @ w) / (w @ w) * w
""",
        wrong={
            "the length of the probe forgotten": "def move(x, w, b, value):\n    return x + (value - b - x @ w) * w",
            "along one channel": "def move(x, w, b, value):\n    x = x.clone()\n    x[0] += (value - b - x @ w) / w[0]\n    return x",
            "all of x replaced": "def move(x, w, b, value):\n    return (value - b) / (w @ w) * w",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_ends_at,
        solution="""
def ends_at(f_t, f_end, f_star):
    return f_star + (f_end - f_t)
""",
        wrong={
            "the answer stays": "def ends_at(f_t, f_end, f_star):\n    return f_star",
            "nothing happens": "def ends_at(f_t, f_end, f_star):\n    return f_end",
            "half-way": "def ends_at(f_t, f_end, f_star):\n    return (f_star + f_end) / 2",
        },
    ),
)
