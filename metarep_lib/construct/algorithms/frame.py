"""What every algorithm shares: the constants of the stream, the embedding of a token, the readout."""

from collections.abc import Sequence

from metarep_lib.construct.basis import Basis
from metarep_lib.construct.program import Form, Layer, Program
from metarep_lib.construct.tokens import input_basis

ANY_TOKEN = {"is_aggregator": 1.0, "is_sink": 1.0, "is_support": 1.0, "is_query": 1.0}


def krr_program(
    name: str, n_features: int, flags: Sequence[str], registers: Sequence[str], starts_at_y: Sequence[str], layers: Sequence[Layer]
) -> Program:
    """A program whose stream holds phi, ridge, a constant one, flags, and one channel for each register.

    Args:
        name: what it runs.
        n_features: p, the width of phi.
        flags: which role flags of a token the circuits read.
        registers: names of the algorithm's own one-channel directions; they start at 0 ...
        starts_at_y: ... except these, which start at the target (0 on queries and registers).
        layers: the blocks.

    The prediction is -r: a query starts with residual 0 - 0, and every step subtracts from it what
    alpha has gained, so that r = 0 - k(x)^T alpha_t there after every step.

    Raises:
        ValueError: n_features below one or no steps.
    """
    if n_features < 1 or not layers:
        steps = layers[-1].step if layers else 0
        raise ValueError(f"{name}(n_features={n_features}, steps={steps}): expected both >= 1, e.g. {name}(n_features=8, steps=10)")
    constants = {"phi": n_features, "ridge": 1, "one": 1, **dict.fromkeys(flags, 1)}
    embedding = [(constant, Form(ANY_TOKEN if constant == "one" else constant)) for constant in constants]
    embedding += [(register, Form("y")) for register in starts_at_y]
    return Program(
        name=name,
        inputs=input_basis(n_features),
        stream=Basis.of(**constants, **dict.fromkeys(registers, 1)),
        embedding=tuple(embedding),
        layers=tuple(layers),
        readout=Form({"r": -1}),
    )
