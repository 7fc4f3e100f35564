"""Who sums and who divides: the aggregator for everybody, or everybody for itself."""

from collections.abc import Iterator
from dataclasses import replace

from metarep_lib.asked import asked
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.division import quotient, quotient_scores
from metarep_lib.construct.circuits.linear import ONE, REGISTERS, clear
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import Form, Layer, Program, Write
from metarep_lib.network.basis import Basis

Quotients = dict[str, tuple[str, str, float]]
"""Direction of the scores of a division -> numerator, denominator, scale."""


@algorithm
@asked()
def all_to_all(program: Program) -> Program:
    """The program with every sum read by every token, and every quotient formed on the token that needs it.

    In the program given, sums land on the registers, whose quotients every token then reads. Both say the same at every
    support and query: a sum has the same terms for every reader, and a quotient of equal numbers is the same number.

    Args:
        program: with quotients read from the registers, as `conjugate_gradient` makes them.

    Returns:
        A program with as many blocks and heads, narrower by the scores of its divisions.

    Raises:
        ValueError: a program without such a quotient.

    >>> from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
    >>> program = conjugate_gradient(n_features=3, steps=4)
    >>> all_to_all(program).width - program.width
    -2
    """
    quotients = {}
    for layer in program.layers:
        quotients |= {write.target: parts for write in layer.mlp if (parts := quotient_of(write))}
    if not quotients:
        raise ValueError(
            f"all_to_all({program.name}): no quotient is read from the registers; this would work: all_to_all(conjugate_gradient(n_features=8, steps=10))"
        )
    return replace(
        program,
        name=f"{program.name}_all_to_all",
        stream=Basis(
            tuple((name, width) for name, width in program.stream.widths if name not in quotients),
            tuple(name for name in program.scratch if name not in quotients),
        ),
        layers=tuple(
            replace(
                layer,
                attention=tuple(own_heads(layer, quotients)),
                mlp=own_products(layer, quotients),
            )
            for layer in program.layers
        ),
    )


def quotient_of(write: Write) -> tuple[str, str, float] | None:
    """Numerator, denominator and scale, if a write of the MLP makes the scores of a division."""
    if (
        len(write.terms) != 2
        or write.terms[0].left != Form("is_aggregator")
        or len(write.terms[1].right.terms) != 2
    ):
        return None
    ((numerator, scale),), ((denominator, _), _) = (
        write.terms[0].right.terms,
        write.terms[1].right.terms,
    )
    return (
        (numerator, denominator, scale)
        if write == quotient_scores(numerator, denominator, write.target, scale)
        else None
    )


def own_heads(layer: Layer, quotients: Quotients) -> Iterator[Write]:
    """Heads that sum for every token, and heads that divide what the reading token holds."""
    for write in layer.attention:
        channel = "".join(write.target.partition("[")[1:])  # of several outputs
        for scores, (numerator, denominator, scale) in quotients.items():
            if write == quotient(scores + channel, write.target, scale):
                own = Fraction(
                    (numerator + channel, "is_sink", "is_aggregator"),
                    ((denominator + channel, "is_aggregator", 1.0),),
                )
                write = token_quotient(own, write.target, scale)
        heads = tuple(
            replace(
                head,
                score=tuple(
                    (ONE if query == REGISTERS else query, key) for query, key in head.score
                ),
            )
            for head in write.terms
        )
        yield Write(write.target, heads)


def own_products(layer: Layer, quotients: Quotients) -> tuple[Write, ...]:
    """The MLP without scores, which nobody reads."""
    return tuple(
        write
        for write in layer.mlp
        if write.target not in quotients or not (quotient_of(write) or write == clear(write.target))
    )
