"""Conjugate gradient under a strictly causal mask: every token solves the regression of its own past, all in one pass.

Token i keeps its own w, r, p, s in R^p for (S_i + lambda I) w = b_i with S_i = sum_{j<i} phi_j phi_j^T and
b_i = sum_{j<i} y_j phi_j: the *primal* normal equations, since alpha_j for its past would have to sit on tokens it
shares with everybody. Scalars are its own too, so the only sums over tokens are b_i and S_i r.

    prepare   r = b_i                                          one head, keys j < i
    block 1   u = S_i r                                        one head, keys j < i
              rho = r . r,  r_u = r . u,  u <- u + lambda r
    block 2   beta = rho / rho_old,  rayleigh = r_u / rho      two quotients
              p <- r + beta p,  s <- u + beta s                s = (S_i + lambda I) p
              h <- rayleigh + lambda - beta h                  h = 1 / gamma = p . s / rho
    block 3   gamma = 1 / h                                    one quotient
              w <- w + gamma p,  r <- r - gamma s,  f <- f + gamma phi . p

Differences from the textbook: the curvature p . s is never summed; h follows from r . S r as in
Chronopoulos and Gear (1989). The prediction f = phi_i . w is carried along as a register.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import ONE as ONE_ON_ANY_TOKEN
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
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

BETA = Fraction(("rho", "is_sink", "is_aggregator"), (("rho_old", "is_aggregator", 1.0),))
RAYLEIGH = Fraction(("r_u", "is_sink", "is_aggregator"), (("rho", "is_aggregator", 1.0),))
GAMMA = Fraction(("one", "is_sink", "is_aggregator"), (("h", "is_aggregator", 1.0),))

VECTORS = ("w", "r", "p", "s", "u", "p_old", "s_old")
SCALARS = (
    "y",
    "f",
    "h",
    "rho_old",
    "phi_p",
    "rho",
    "r_u",
    "phi_r",
    "phi_p_old",
    "h_old",
    "beta",
    "rayleigh",
    "gamma",
)
MOVED = {"p": "p_old", "s": "s_old", "phi_p": "phi_p_old", "h": "h_old"}
SCRATCH = (
    "u",
    "rho",
    "r_u",
    "phi_r",
    "p_old",
    "s_old",
    "phi_p_old",
    "h_old",
    "beta",
    "rayleigh",
    "gamma",
)


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def causal_conjugate_gradient(n_features: int, steps: int) -> Program:
    """`steps` steps of CG on the past of every token; the output at support i is f_t from supports before it.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1; all steps share the tensors of three blocks.

    Returns:
        A program of width 8 p + 17 with 3 t + 1 blocks. It runs under the strict causal mask and
        asks at the supports: a query goes last among them, with any y.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = causal_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, program.causal
    (13, 41, True)
    """
    prepare = Layer(step=0, phase="prepare", attention=(reduce("y", "phi", into="r", readers=ONE),))
    steps_of = every_step(one_step(), steps)
    return krr_program(
        "causal_conjugate_gradient",
        n_features,
        ["is_aggregator", "is_sink"],
        dict.fromkeys(VECTORS, n_features) | dict.fromkeys(SCALARS, 1),
        {"y": TARGET, "rho_old": ONE_ON_ANY_TOKEN},
        [prepare, *steps_of] if steps > 0 else [],
        readout=Form("f"),
        causal=True,
        scratch=SCRATCH,
    )


def one_step() -> list[Layer]:
    # sum over j < i of (r_i . phi_j) phi_j
    past = Write("u", (Head("linear", ((Form("r"), Form("phi")),), Form("phi")),))
    products = (
        update("rho", times("r", "r")),
        update("r_u", times("r", "u")),
        update("phi_r", times("phi", "r")),
        update("u", times("ridge", "r")),
    )
    moved = [write for name, to in MOVED.items() for write in (update(to, copy(name)), clear(name))]
    directions = (
        update("p", copy("r"), times("beta", "p_old")),
        update("s", copy("u"), times("beta", "s_old")),
        update("phi_p", copy("phi_r"), times("beta", "phi_p_old")),
        update("h", copy("rayleigh"), copy("ridge"), times("beta", "h_old", -1.0)),
        clear("rho_old"),
    )
    advance = (
        update("w", times("gamma", "p")),
        update("r", times("gamma", "s", -1.0)),
        update("f", times("gamma", "phi_p")),
        update("rho_old", copy("rho")),
    )
    quotients = (
        token_quotient(BETA, into="beta", scale=DIVISION_SCALE),
        token_quotient(RAYLEIGH, into="rayleigh", scale=DIVISION_SCALE),
    )
    return [
        Layer(step=1, phase="mat-vec", attention=(past,), mlp=(*products, *moved)),
        Layer(step=1, phase="turn", attention=quotients, mlp=directions),
        Layer(
            step=1,
            phase="advance",
            attention=(token_quotient(GAMMA, into="gamma", scale=DIVISION_SCALE),),
            mlp=(*advance, *map(clear, SCRATCH)),
        ),
    ]
