r"""The blocks that every solver with softmax heads runs first: the sink's mass, its inverse, a preconditioner.

With K_ij = exp(<U phi_i, U phi_j> / tau), D_i = sum_j K_ij + lambda and everything in units of the ridge (the system is
(K / lambda + I) (lambda alpha) = y), a diagonal preconditioner m is one of

    "none"        m_i = 1                           is_support, nothing to compute
    "normaliser"  m_i = lambda / D_i                what the softmax head gives to the sink
    "jacobi"      m_i = lambda / (K_ii + lambda)    the sink against the aggregator, in a head of its own

on supports, and 0 on queries and registers.
"""

from typing import Literal, get_args

from metarep_lib.construct.circuits.linear import times, update
from metarep_lib.construct.circuits.softmax import LOG_RIDGE, Score, invert_mass, sink_mass
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import DIVISION_SCALE, Form, Head, Layer, Product, Write

Preconditioner = Literal["none", "normaliser", "jacobi"]

STATIC = ("mass", "inverse_mass", "m")
MADE_FOR_JACOBI = ("norm", "own", "share", "support_share")

SHARE = Fraction(
    ("support_share", "is_sink", "is_aggregator"),
    (("share", "is_aggregator", 1.0), ("own", "is_aggregator", 1.0)),
)


def static_registers(preconditioner: Preconditioner) -> tuple[str, ...]:
    """The directions that `prepare` fills, and those it needs on the way.

    Raises:
        ValueError: a preconditioner that there is not.
    """
    if preconditioner not in get_args(Preconditioner):
        raise ValueError(
            f"preconditioner={preconditioner!r}: expected one of {', '.join(map(repr, get_args(Preconditioner)))}"
        )
    return STATIC + (MADE_FOR_JACOBI if preconditioner == "jacobi" else ())


def prepare(score: Score, preconditioner: Preconditioner, *made_of_m: Write) -> list[Layer]:
    """lambda / D_i, D_i / lambda, m_i, z = m r and what else the last MLP makes of m: two blocks, or three for Jacobi."""
    mass, invert = sink_mass("mass", score), invert_mass("mass", into="inverse_mass")
    made = (update("z", times("m", "r")), *made_of_m)
    if preconditioner == "jacobi":
        return jacobi(score, mass, invert, made)
    m_is = "mass" if preconditioner == "normaliser" else "one"
    return [
        Layer(
            step=0, phase="mass", attention=(mass,), mlp=(update("m", times("is_support", m_is)),)
        ),
        Layer(step=0, phase="invert", attention=(invert,), mlp=made),
    ]


def jacobi(score: Score, mass: Write, invert: Write, made: tuple[Write, ...]) -> list[Layer]:
    r"""The diagonal K_ii is a kernel value that no head can single out; it needs heads of its own.

    Proof. The MLP of the first block writes n_i = <U phi_i, U phi_i> / tau. In the second block two softmax heads have the
    scores n_i on the aggregator, log lambda on the sink and 0 on every support; what they give to the aggregator
    and to the sink is in the ratio K_ii to lambda, whatever the supports take. The MLP keeps a copy of the sink's share
    on supports, and the quotient of the third block is lambda / (lambda + K_ii) there and 0 elsewhere.  QED
    """
    own_score = ((Form("norm"), Form("is_aggregator")), LOG_RIDGE)
    norm = Write("norm", tuple(Product(query, key) for query, key in score))
    shares = (
        Write("own", (Head("softmax", own_score, Form("is_aggregator")),)),
        Write("share", (Head("softmax", own_score, Form("is_sink")),)),
    )
    quotient = token_quotient(SHARE, into="m", scale=DIVISION_SCALE)
    return [
        Layer(step=0, phase="mass", attention=(mass,), mlp=(norm,)),
        Layer(
            step=0,
            phase="invert",
            attention=(invert, *shares),
            mlp=(update("support_share", times("is_support", "share")),),
        ),
        Layer(step=0, phase="jacobi", attention=(quotient,), mlp=made),
    ]
