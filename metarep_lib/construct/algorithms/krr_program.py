"""What every algorithm shares: the constants of the stream, the embedding of a token, the readout."""

from collections.abc import Mapping, Sequence

from metarep_lib.construct.program import Form, Layer, Program
from metarep_lib.network.basis import Basis
from metarep_lib.network.tokens import input_basis

ANY_TOKEN = {"is_aggregator": 1.0, "is_sink": 1.0, "is_support": 1.0, "is_query": 1.0}
TARGET, ONE = Form("y"), Form(ANY_TOKEN)
MADE_OF_FLAGS = {"one": ONE, "on_prompt": Form({"is_support": 1.0, "is_query": 1.0})}


def krr_program(
    name: str,
    n_features: int,
    flags: Sequence[str],
    registers: Mapping[str, int],
    starts: Mapping[str, Form],
    layers: Sequence[Layer],
    *,
    n_outputs: int = 1,
    readout: Form = Form({"r": -1}),
    causal: bool = False,
    ridge: str = "ridge",
    scratch: Sequence[str] = (),
) -> Program:
    """A program whose stream holds phi, the ridge, a constant one, flags, and the algorithm's own directions.

    Args:
        name: what it runs.
        n_features: p, the width of phi.
        flags: which role flags of a token the circuits read; `on_prompt` is 1 on supports and queries.
        registers: name -> width of the algorithm's own directions; they start at 0 ...
        starts: ... except these, which start at a linear read of the token: `TARGET` is y (0 on
            queries and registers), `ONE` is 1 on every token.
        layers: the blocks.
        n_outputs: targets per support.
        readout: what the network says.
        causal: run under the strict causal mask.
        ridge: what carries lambda, "ridge" on supports and registers, or "log_ridge" on the sink.
        scratch: the registers that are empty, on every token, before the first step and after each.

    The usual readout is -r: a query starts with residual 0 - 0, and every step subtracts from it
    what alpha has gained, so that r = 0 - k(x)^T alpha_t there after every step.

    Raises:
        ValueError: n_features or n_outputs below one, or no steps.
    """
    steps = layers[-1].step if layers else 0
    if min(n_features, n_outputs, steps) < 1:
        softmax = ", tau=1.0" if ridge == "log_ridge" else ""
        raise ValueError(
            f"{name}: expected n_features, steps and n_outputs of at least 1, got n_features={n_features}, {steps} steps,"
            f" n_outputs={n_outputs}; this would work: {name}(n_features=8, steps=10{softmax})"
        )
    constants = {"phi": n_features, ridge: 1, "one": 1, **dict.fromkeys(flags, 1)}
    embedding = [(constant, MADE_OF_FLAGS.get(constant, Form(constant))) for constant in constants]
    return Program(
        name=name,
        inputs=input_basis(n_features, n_outputs, log_ridge=ridge == "log_ridge"),
        stream=Basis(tuple({**constants, **registers}.items()), tuple(scratch)),
        embedding=(*embedding, *starts.items()),
        layers=tuple(layers),
        readout=readout,
        causal=causal,
    )
