"""Conjugate gradient in the primal, preconditioned by a scaling of features that the network computes: three blocks per step.

Jacobi's preconditioner for (S + lambda I) w = b, S = Phi^T Phi, b = Phi^T y, is d_a = 1 / (S_aa + lambda): a number for every *feature*, where
that of the dual has one for every support. Every token holds the whole problem, w, r, p, s and d in R^p, and with z = d r, channel by channel:

    prepare   squares = phi phi;   r = b, diagonal = sum squares;   d = 1 / (diagonal + lambda), z = d r      three blocks
    block 1   u = S z                                            one head, keys phi, values phi
              u <- u + lambda z,  rho = r . z
    block 2   beta = rho / rho_old,  chi = rho / c               two quotients; c = gamma_old rho_old
              delta = z . u,  psi = chi rho,  p <- z + beta p,  s <- u + beta s
    block 3   gamma = rho / (delta - psi)                        one quotient; psi counts from the second step on
              w <- w + gamma p,  r <- r - gamma s,  z <- d r,  f <- f + gamma phi . p,  c <- gamma rho

The order is that of `gram_conjugate_gradient`, with a head for the matrix it carries. z is refreshed from d r in every step, as d r - gamma d s.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.carried_gram import BETA, CHI, GAMMA, gram_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, reduce, times, update
from metarep_lib.construct.circuits.token import Fraction, token_quotient
from metarep_lib.construct.program import (
    DIVISION_SCALE,
    Form,
    Head,
    Layer,
    Program,
    Write,
    every_step,
)

VECTORS = (
    "w",
    "r",
    "z",
    "d",
    "p",
    "s",
    "u",
    "p_old",
    "s_old",
    "squares",
    "diagonal",
    "d_r",
    "d_s",
    "d_s_old",
)
SCALARS = (
    "y",
    "f",
    "c",
    "rho_old",
    "phi_p",
    "rho",
    "phi_z",
    "phi_p_old",
    "beta",
    "chi",
    "delta",
    "psi",
    "gamma",
    "started",
    "lambda",
)
SCRATCH = (
    "u",
    "p_old",
    "s_old",
    "d_r",
    "d_s",
    "d_s_old",
    "rho",
    "phi_z",
    "phi_p_old",
    "beta",
    "chi",
    "delta",
    "psi",
    "gamma",
)
MOVED = {"p": "p_old", "s": "s_old", "phi_p": "phi_p_old"}


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def feature_scaled_conjugate_gradient(n_features: int, steps: int) -> Program:
    """`steps` steps of CG for (Phi^T Phi + lambda I) w = Phi^T y, preconditioned by d_a = 1 / (S_aa + lambda).

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, three blocks each; all share the tensors of three blocks.

    Returns:
        A program of width 15 p + 19 with 3 t + 3 blocks, of which six store tensors. Every token holds w_t, and
        f_t(x) = phi(x) . w_t is read at every query after every step.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = feature_scaled_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (15, 64, 6)
    """
    layers = [*prepare(n_features), *every_step(one_step(), steps)] if steps > 0 else []
    registers = dict.fromkeys(VECTORS, n_features) | dict.fromkeys(SCALARS, 1)
    return gram_program(
        "feature_scaled_conjugate_gradient",
        n_features,
        ["is_aggregator", "is_sink"],
        registers,
        layers,
        causal=False,
        ones=("rho_old", "c"),
        scratch=SCRATCH,
    )


def prepare(n_features: int) -> list[Layer]:
    r"""d on every token, a head for every feature.

    Proof. phi phi holds phi_i[a]^2 on supports, 0 on registers; with query and key `one` a head adds the sum over supports, S_aa, into channel a of
    `diagonal`, and the sink's ridge into `lambda`, which a query does not carry itself. A quotient of `one` by `diagonal[a]` + `lambda`, both of the
    reading token, is d_a.  QED
    """
    sums = (
        reduce("y", "phi", into="r", readers=ONE),
        reduce("one", "squares", into="diagonal", readers=ONE),
    )
    ridge = reduce("is_sink", "ridge", into="lambda", readers=ONE)
    inverses = tuple(
        token_quotient(inverse_of(a), into=f"d[{a}]", scale=DIVISION_SCALE)
        for a in range(n_features)
    )
    return [
        Layer(step=0, phase="square", mlp=(update("squares", times("phi", "phi")),)),
        Layer(step=0, phase="sum", attention=(*sums, ridge)),
        Layer(step=0, phase="invert", attention=inverses, mlp=(update("z", times("d", "r")),)),
    ]


def inverse_of(a: int) -> Fraction:
    return Fraction(
        ("one", "is_sink", "is_aggregator"),
        ((f"diagonal[{a}]", "is_aggregator", 1.0), ("lambda", "is_aggregator", 1.0)),
    )


def one_step() -> list[Layer]:
    # sum over supports of (z . phi_j) phi_j
    product = Write("u", (Head("linear", ((Form("z"), Form("phi")),), Form("phi")),))
    products = (
        update("u", times("lambda", "z")),
        update("rho", times("r", "z")),
        update("phi_z", times("phi", "z")),
        update("d_r", times("d", "r")),
        update("d_s_old", times("d", "s")),
    )
    moved = [write for name, to in MOVED.items() for write in (update(to, copy(name)), clear(name))]
    directions = (
        update("delta", times("z", "u")),
        update("psi", times("chi", "rho")),
        update("p", copy("z"), times("beta", "p_old")),
        update("s", copy("u"), times("beta", "s_old")),
        update("d_s", times("d", "u"), times("beta", "d_s_old")),
        update("phi_p", copy("phi_z"), times("beta", "phi_p_old")),
        *map(clear, ("z", "rho_old", "c")),
    )
    advance = (
        update("w", times("gamma", "p")),
        update("r", times("gamma", "s", -1.0)),
        update("z", copy("d_r"), times("gamma", "d_s", -1.0)),
        update("f", times("gamma", "phi_p")),
        update("c", times("gamma", "rho")),
        update("rho_old", copy("rho")),
        # 0 or 1, so new - old is exact
        update("started", copy("is_aggregator"), copy("started", -1.0)),
    )
    divide = [
        token_quotient(fraction, into=name, scale=DIVISION_SCALE)
        for fraction, name in ((BETA, "beta"), (CHI, "chi"), (GAMMA, "gamma"))
    ]
    return [
        Layer(step=1, phase="multiply", attention=(product,), mlp=(*products, *moved)),
        Layer(step=1, phase="turn", attention=tuple(divide[:2]), mlp=directions),
        Layer(
            step=1,
            phase="advance",
            attention=tuple(divide[2:]),
            mlp=(*advance, *map(clear, SCRATCH)),
        ),
    ]
