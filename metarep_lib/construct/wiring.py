"""A program seen from outside: which direction is written from which, block by block."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from metarep_lib.asked import asked
from metarep_lib.construct.circuits.linear import clear
from metarep_lib.construct.program import Form, Head, Product, Program


@dataclass(frozen=True)
class Wire:
    """One write of one half of one block, with every direction its terms read; or a direction cleared."""

    block: int
    phase: str
    half: Literal["attention", "mlp"]
    target: str
    reads: tuple[str, ...]
    clears: bool


@asked()
def wiring(program: Program, step: int = 1) -> Iterator[Wire]:
    """Yield the writes of one step in the order they happen; blocks count from 1 within the step.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> for wire in wiring(gradient_descent(n_features=2, steps=1, step_size=0.5)):
    ...     print(wire.half, wire.target, "<-", *wire.reads)
    attention w <- phi r
    mlp alpha <- one r
    mlp r <- one w ridge r
    mlp w <- one w
    """
    layers = [layer for layer in program.layers if layer.step == step]
    for block, layer in enumerate(layers, start=1):
        for half in ("attention", "mlp"):
            for write in getattr(layer, half):
                forms = [form for term in write.terms for form in forms_of(term)]
                reads = dict.fromkeys(name for form in forms for name, _ in form.terms)
                yield Wire(
                    block,
                    layer.phase,
                    half,
                    write.target,
                    tuple(reads),
                    write == clear(write.target),
                )


def forms_of(term: Head | Product) -> list[Form]:
    if isinstance(term, Head):
        return [form for pair in term.score for form in pair] + [term.value]
    return [term.left, term.right]
