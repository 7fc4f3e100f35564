"""A program on all products of two inputs, made inside the network."""

from dataclasses import replace

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import update
from metarep_lib.construct.program import Form, Layer, Product, Program
from metarep_lib.network.basis import Basis

ON_PROMPT = Form({"is_support": 1, "is_query": 1})


@algorithm
@asked(n_inputs=at_least(1))
def on_polynomial_features(program: Program, n_inputs: int) -> Program:
    """The program on phi(x) = (1, x) (x) (1, x), all (d + 1)^2 products, made by one block.

    <phi(x), phi(x')> = (1 + <x, x'>)^2, with no weight that has to be rounded: the two copies of
    every mixed product stand for its coefficient 2.

    Args:
        program: made for (d + 1)^2 features.
        n_inputs: d, the width of x.

    Raises:
        ValueError: the program is made for another number of features.

    >>> from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
    >>> program = on_polynomial_features(conjugate_gradient(n_features=9, steps=2), n_inputs=2)
    >>> program.n_blocks, program.width
    (11, 28)
    """
    p = (n_inputs + 1) ** 2
    if program.stream.width("phi") != p:
        raise ValueError(
            f"on_polynomial_features(program for {program.stream.width('phi')} features, n_inputs={n_inputs}):"
            f" {n_inputs} inputs make {p} features; this would work: {program.name}(n_features={p}, ...)"
        )
    factors = ["on_prompt", *(f"x[{a}]" if n_inputs > 1 else "x" for a in range(n_inputs))]
    pairs = [(left, right) for left in factors for right in factors]
    multiply = [
        update(f"phi[{i}]", Product(Form(left), Form(right)))
        for i, (left, right) in enumerate(pairs)
    ]
    kept = [(name, form) for name, form in program.embedding if name not in ("phi", "on_prompt")]
    flag = () if "on_prompt" in program.stream else (("on_prompt", 1),)
    return replace(
        program,
        name=f"{program.name}_on_polynomial_features",
        inputs=with_raw_inputs(program.inputs, n_inputs),
        stream=Basis((*program.stream.widths, ("x", n_inputs), *flag), program.scratch),
        embedding=(*kept, ("x", Form("phi")), ("on_prompt", ON_PROMPT)),
        layers=(Layer(step=0, phase="multiply", mlp=tuple(multiply)), *program.layers),
    )


def with_raw_inputs(inputs: Basis, n_inputs: int) -> Basis:
    """The same channels with x, d wide, in the place of phi."""
    return Basis(
        tuple((name, n_inputs if name == "phi" else width) for name, width in inputs.widths)
    )
