"""Exercises of the chapter "One decoder, a named residual stream"."""

import torch

from metarep_lib.construct import Program, ProgramError, assemble
from metarep_lib.exercises.grading import Exercise, NotYet, need, normal, numbers, same
from metarep_lib.prompt import Prompt


def run(program: object, prompt: Prompt) -> torch.Tensor:
    """What the network of a program says at the queries."""
    if not isinstance(program, Program):
        raise NotYet(f"expected a Program, got {type(program).__name__}")
    try:
        return assemble(program).predict(prompt)
    except ProgramError as error:
        raise NotYet(
            f"the program cannot be assembled: {str(error).splitlines()[1].strip(' -')}"
        ) from None


def check_length(program) -> None:
    for seed, k in ((0, 4), (1, 7)):
        phi_query = normal(5, 3, seed=seed)
        prompt = Prompt(normal(k, 3, seed=10), normal(k, seed=11), phi_query, ridge=1.0)
        hint = "the output at a query is not |phi(x)|^2; which product, written into one channel, adds up its channels?"
        same(run(program, prompt), phi_query.square().sum(-1), hint)


def check_mean_square(program) -> None:
    for seed, k in ((0, 4), (1, 9)):
        y = normal(k, seed=seed) + 1
        prompt = Prompt(normal(k, 2, seed=10), y, normal(3, 2, seed=11), ridge=1.0)
        hint = f"with {k} supports the output is not the mean of y^2; square on each token first, and average with a normalised head"
        same(run(program, prompt), y.square().mean().expand(3), hint)


def check_lost(pair) -> None:
    old, new = numbers(pair, (2,))
    need(new != 0, "the new value is zero; a relative error needs another one")
    need(
        abs(new) >= 1e-100 and abs(old) <= 1e100,
        "choose milder numbers: this happens far from the ends of the range",
    )
    written = old + (new - old)
    error = abs(float(written - new) / float(new))
    need(
        error >= 0.5,
        f"old + (new - old) is off by {error:.1e} of the new value; the rounding error is as large as the old value times 1e-16",
    )


IMPORTS = (
    "from metarep_lib.construct import Form, Head, Layer, Product, Program, Write\n"
    "from metarep_lib.network import Basis\n"
    "from metarep_lib.network.tokens import input_basis\n"
)
LENGTH = (
    IMPORTS
    + """
program = Program(
    name="length",
    inputs=input_basis(n_features=3),
    stream=Basis.of(phi=3, length=1),
    embedding=(("phi", Form("phi")),),
    layers=(
        Layer(step=1, phase="square", mlp=(Write("length", (Product(Form("phi"), Form("phi")),)),)),
    ),
    readout=Form("length"),
)
"""
)
MEAN_SQUARE = (
    IMPORTS
    + """
head = Head("normalised", ((Form("one"), Form("is_support")),), Form("square"))
program = Program(
    name="mean square",
    inputs=input_basis(n_features=2),
    stream=Basis.of(y=1, is_support=1, one=1, square=1, mean=1),
    embedding=(
        ("y", Form("y")),
        ("is_support", Form("is_support")),
        ("one", Form({"is_aggregator": 1, "is_sink": 1, "is_support": 1, "is_query": 1})),
    ),
    layers=(
        Layer(step=1, phase="square", mlp=(Write("square", (Product(Form("y"), Form("y")),)),)),
        Layer(step=1, phase="average", attention=(Write("mean", (head,)),)),
    ),
    readout=Form("mean"),
)
"""
)

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=15,
        check=check_length,
        solution=LENGTH,
        wrong={
            "half of it": LENGTH.replace(
                'Product(Form("phi"), Form("phi"))', 'Product(Form("phi"), Form("phi"), gain=0.5)'
            ),
            "one channel of three": LENGTH.replace(
                'Product(Form("phi"), Form("phi"))', 'Product(Form("phi[0]"), Form("phi[0]"))'
            ),
            "no squares": LENGTH.replace("layers=(", "layers=() and (").replace(
                'readout=Form("length")', 'readout=Form("phi[0]")'
            ),
            "a name that is not there": LENGTH.replace('Write("length"', 'Write("lenght"'),
        },
    ),
    Exercise(
        difficulty=2,
        minutes=20,
        check=check_mean_square,
        solution=MEAN_SQUARE,
        wrong={
            "a sum": MEAN_SQUARE.replace('"normalised"', '"linear"'),
            "the mean of y": MEAN_SQUARE.replace('Form("square"))', 'Form("y"))'),
            "registers are averaged, too": MEAN_SQUARE.replace(
                '(Form("one"), Form("is_support"))', '(Form("one"), Form("one"))'
            ),
        },
    ),
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_lost,
        solution="""
old_and_new = (1e17, 1.0)
""",
        wrong={
            "both of a size": "old_and_new = (2.0, 1.0)",
            "the other way round": "old_and_new = (1.0, 1e17)",
            "not large enough": "old_and_new = (1e12, 1.0)",
            "a new value of zero": "old_and_new = (1e17, 0.0)",
        },
    ),
)
