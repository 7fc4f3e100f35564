"""A quotient of two numbers that the registers hold, by a head."""

from metarep_lib.construct.circuits.linear import ONE
from metarep_lib.construct.program import GUARD, Form, Head, Product, Write


def quotient_scores(numerator: str, denominator: str, into: str, scale: float) -> Write:
    r"""First half of a division, in the MLP: adds c N on the aggregator and D - c N on the sink.

    N and D are the numbers both registers hold, c = `scale` a power of two with c |N / D| <= 1.

    Proof. Two gated units, is_aggregator * (c N) and is_sink * (D - c N).  QED
    """
    on_aggregator = Product(Form("is_aggregator"), Form({numerator: scale}))
    on_sink = Product(Form("is_sink"), Form({denominator: 1, numerator: -scale}))
    return Write(into, (on_aggregator, on_sink))


def quotient(scores: str, into: str, scale: float) -> Write:
    r"""Division, read by every token at once: adds N / D everywhere; it is its own broadcast.

    Proof. A normalised head whose every query is 1. Its scores are c N on the aggregator,
    D - c N + g on the sink (g the guard) and 0 on every other visible token; they add up to D + g.
    The value is 1 on the aggregator and 0 elsewhere, so every token receives c N / (D + g), and
    the gain 1 / c makes it N / (D + g). In exact arithmetic g = 0.  QED

    Rounding. D - c N costs one rounding of relative size u since c |N| <= |D|, the sum one more:
    the quotient has a *relative* error of a few u. Unscaled (c = 1, |N / D| >> 1) the total is a
    difference of two large numbers, and its error is u |N / D| relative to 1.

    Guard. g, far below every divisor that matters (`guard_of`), turns 0 / 0 (which comes soon after a solver has
    converged to the last bit) into 0, and changes no quotient whose D is of ordinary size.
    """
    head = Head(
        "normalised",
        ((ONE, Form({scores: 1, "is_sink": GUARD})),),
        Form("is_aggregator"),
        gain=1 / scale,
    )
    return Write(into, (head,))
