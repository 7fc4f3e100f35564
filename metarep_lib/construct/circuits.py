r"""The circuits: each one function, what it reads and writes, and why it is right.

Notation: token i holds the named directions; k supports; the registers are the two tokens
`aggregator` and `sink`. Every circuit runs under the prefix mask: all tokens read registers and
supports, nobody reads a query.
"""

from dataclasses import dataclass

from metarep_lib.construct.program import GUARD, Form, Head, Product, Write

ONE = Form("one")
REGISTERS = Form({"is_aggregator": 1, "is_sink": 1})


def mat_vec(vector: str, into: str) -> Write:
    r"""Lemma A: adds (K v)_j = sum_i <phi_j, phi_i> v_i at support j, and k(x)^T v at a query x.

    Proof. Query and key are phi, the value is v, so the linear head adds
    sum_i (phi_j . phi_i) v_i. The sum runs over the visible tokens, registers and supports;
    registers have phi = 0 and contribute nothing. At a query token phi_j = phi(x). The head
    computes Q (K^T V): K^T V = Phi^T v has p numbers, so the k x k matrix never exists.  QED
    """
    return Write(into, (Head("linear", ((Form("phi"), Form("phi")),), Form(vector)),))


def reduce(left: str, right: str, into: str, readers: Form = REGISTERS) -> Write:
    r"""Lemma B: adds sum_i left_i right_i on the registers (or other readers), and nothing on other tokens.

    Proof. The query is the readers' flag, the key `left`, the value `right`: the head adds
    flag_j sum_i left_i right_i. The flag is 1 on the readers and 0 elsewhere; the visible tokens
    are registers, where the directions reduced are zero, and supports. With `ONE` for the flag
    every token reads the sum, and a value of width p gives a vector such as Phi^T r.  QED
    """
    return Write(into, (Head("linear", ((readers, Form(left)),), Form(right)),))


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


def update(target: str, *terms: Product) -> Write:
    r"""Lemma C: adds a sum of products of directions of the same token, e.g. r <- r - gamma w.

    Proof. A product is one gated unit per channel, gain * left * right, and the residual
    connection adds it to what the target holds. No token reads another.  QED
    """
    return Write(target, terms)


def times(left: str, right: str, gain: float = 1.0) -> Product:
    return Product(Form(left), Form(right), gain)


def copy(source: str, gain: float = 1.0) -> Product:
    """gain * source, as a product with the constant one."""
    return Product(ONE, Form(source), gain)


def clear(name: str) -> Write:
    r"""Empties a register: x <- x - x, exactly 0 in every arithmetic.

    A register that will be *replaced* is cleared in one MLP and written in a later half-block.
    Writing x <- x + (new - x) in one go would leave an error u |x|, which ruins small new values
    after large old ones: after a sharp drop of the residual, all of rho would be rounding.
    """
    return Write(name, (copy(name, -1.0),))
