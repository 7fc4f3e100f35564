"""A quotient that every token takes for itself, by scores between its own numbers."""

from dataclasses import dataclass

from metarep_lib.construct.circuits.linear import ONE
from metarep_lib.construct.program import GUARD, Form, Head, Write


@dataclass(frozen=True)
class Fraction:
    """N / D at every token i, N and D being sums of products <query at i, key on a register>.

    numerator: (query, key held by the sink alone, the same number held by the aggregator alone).
    denominator: (query, key held by the aggregator alone, coefficient) for every term.
    """

    numerator: tuple[str, str, str]
    denominator: tuple[tuple[str, str, float], ...]


def token_quotient(fraction: Fraction, into: str, scale: float) -> Write:
    r"""Division with operands on the reading token: adds N_i / D_i at every token i.

    Proof. `token_ratio` with one term in the numerator.  QED
    """
    query, on_sink, on_aggregator = fraction.numerator
    return token_ratio(
        ((Form(query), on_sink, on_aggregator, 1.0),),
        tuple((Form(part), *rest) for part, *rest in fraction.denominator),
        into,
        scale,
    )


def token_ratio(
    numerator: tuple[tuple[Form, str, str, float], ...],
    denominator: tuple[tuple[Form, str, float], ...],
    into: str,
    scale: float,
) -> Write:
    r"""The same with sums above the line as well: N_i is the sum of (query, key on the sink, the same number on the aggregator, coefficient).

    Proof. The scores of a normalised head are c N_i on the sink, D_i - c N_i + g on the aggregator
    (g the guard) and 0 elsewhere, since every key used is held by one register alone. The value is
    1 on the sink, 0 elsewhere: the head adds c N_i / (D_i + g), and the gain 1 / c makes it
    N_i / (D_i + g). Scale c and guard g as in `quotient`.  QED
    """
    score = [
        (query, Form({on_sink: scale * sign, on_aggregator: -scale * sign}))
        for query, on_sink, on_aggregator, sign in numerator
    ]
    score += [
        (ONE, Form({"is_aggregator": GUARD})),
        *((query, Form({key: sign})) for query, key, sign in denominator),
    ]
    return Write(into, (Head("normalised", tuple(score), Form("is_sink"), gain=1 / scale),))
