"""What each algorithm takes and costs: a table made of the programs themselves, never typed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from inspect import signature

from metarep_lib.construct import Program, algorithms
from metarep_lib.construct.residual import residual_of
from metarep_lib.estimators.defaults import FAMILIES, FROM_SPECTRUM

__all__ = ["Row", "overview"]

EXAMPLE = {
    "damping": 2.0**-48,
    "scale": 0.25,
    "step_size": 0.25,
    "smallest": 1.0,
    "largest": 2.0,
    "momentum": 0.5,
    "shrink": 0.25,
    "tau": 1.0,
    "copies": 2,
}
"""Values of what a program must be told; no width and no depth depends on them but on `copies`, which are its steps."""

STEPS = {
    "Krylov": "the textbook's, and an eighth",
    "Chebyshev": "√κ/2 ln(2√κ/ε)",
    "descent": "κ/2 ln(√κ/ε)",
    "squaring": "log2 of descent's",
    "Richardson": "ln(1/ε)/μ",
}
"""What steps='auto' takes for a tolerance ε, by family; the counts are `steps_to` and `steps_by_law`."""


@dataclass(frozen=True)
class Row:
    """One algorithm.

    Args:
        program: its name.
        kernel: "linear" or "exponential".
        outputs: "any", or "one" at a time.
        mask: "prefix", "causal", or "either".
        told: what it must be told about the prompt's spectrum; "" where it finds out itself.
        ridge: "channel": it reads the prompt's; "supports": it comes as p supports more; "none": it reads none.
        token_ridge: whether each support may have a ridge of its own.
        blocks: in t steps.
        width: of the stream, with p features and one output.
        steps: what steps="auto" takes; "" where the program has no such default.
    """

    program: str
    kernel: str
    outputs: str
    mask: str
    told: str
    ridge: str
    token_ridge: bool
    blocks: str
    width: str
    steps: str


@cache
def overview() -> tuple[Row, ...]:
    """The algorithms that solve, or smooth, one row each.

    >>> [row.blocks for row in overview() if row.program == "two_block_conjugate_gradient"]
    ['2 t']
    """
    makers = (getattr(algorithms, name) for name in algorithms.__all__)
    return tuple(row_of(make) for make in makers if is_algorithm(make))


def is_algorithm(make: Callable) -> bool:
    return "n_features" in signature(make).parameters


def row_of(make: Callable[..., Program]) -> Row:
    name, parameters = make.__name__, signature(make).parameters
    family = next((family for family, names in FAMILIES.items() if name in names), "")
    program = made(make)
    reads_ridge = {"ridge", "log_ridge"} & read_directions(program)
    is_smoother = residual_of(program) is None and "tau" in parameters
    return Row(
        program=name,
        kernel="exponential" if "tau" in parameters else "linear",
        outputs="any" if "n_outputs" in parameters else "one",
        mask="either" if "causal" in parameters else "causal" if program.causal else "prefix",
        told=", ".join(key for key in FROM_SPECTRUM if key in parameters),
        ridge="channel" if reads_ridge else "none" if is_smoother else "supports",
        token_ridge=False,
        blocks=in_steps(make),
        width=in_features(make),
        steps=STEPS.get(family, ""),
    )


def read_directions(program: Program) -> set[str]:
    """The directions of the stream that some head or product reads, or that the answer is read from."""
    forms = [program.readout]
    for layer in program.layers:
        for write in (*layer.attention, *layer.mlp):
            for term in write.terms:
                if hasattr(term, "score"):
                    forms += [form for pair in term.score for form in pair] + [term.value]
                else:
                    forms += [term.left, term.right]
    return {name.split("[")[0] for form in forms for name, _ in form.terms}


def made(
    make: Callable[..., Program], n_features: int = 3, steps: int = 4, n_outputs: int = 1
) -> Program:
    """The program of an algorithm of some size."""
    told = EXAMPLE | {"steps": steps, "copies": steps, "n_outputs": n_outputs}
    parameters = signature(make).parameters
    return make(n_features=n_features, **{key: told[key] for key in parameters if key in told})


def in_steps(make: Callable[..., Program]) -> str:
    """The blocks as a t + b in the number of steps; where the outputs count, m + a of them in a step."""
    few, more, most = (made(make, steps=t).n_blocks for t in (2, 3, 4))
    assert most - more == more - few, f"{make.__name__}: not linear in its steps"
    each, once = more - few, few - 2 * (more - few)
    with_two = made(make, steps=2, n_outputs=2).n_blocks
    return f"(m + {each - 1}) t" if with_two > few else linear(each, once, "t")


def in_features(make: Callable[..., Program]) -> str:
    """The width as a polynomial of degree two in the number of features, by its differences."""
    one, two, three, four = (made(make, n_features=p).width for p in (1, 2, 3, 4))
    square = (three - 2 * two + one) // 2
    slope = two - one - 3 * square
    offset = one - square - slope
    assert four == 16 * square + 4 * slope + offset, f"{make.__name__}: not of degree two in p"
    squares = {0: "", 1: "p^2 + "}.get(square, f"{square} p^2 + ")
    return squares + linear(slope, offset, "p")


def linear(slope: int, offset: int, letter: str) -> str:
    first = {0: "", 1: letter}.get(slope, f"{slope} {letter}")
    parts = [part for part in (first, str(offset) if offset or not first else "") if part]
    return " + ".join(parts)
