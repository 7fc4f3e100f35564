r"""Conjugate gradient in one block per step: the sums of the next step are foretold by those of this one.

The residuals are carried without their scale, v_t = pi_t r_t, by the three-term recurrence of Lanczos (1952) for A' = c (K + lambda I),

    v_t+1 = A' v_t - theta_t v_t - omega_t v_t-1,     theta_t = v_t . A' v_t / v_t . v_t,     omega_t = v_t . A' v_t-1 / v_t-1 . v_t-1,

and the prediction is -v_t / pi_t at a query, with pi_t+1 = -theta_t pi_t - omega_t pi_t-1. A head
cannot divide by what another head of its own attention sums; but with B = [A'v, v, v_old] and z = (1, -theta, -omega),

    v_next . v_next = z . H z,    v_next . A' v_next = z . J z,    v_next . A' v = (H z)_1,    H = B^T B,    J = B^T A' B,

and H and J are sums over vectors the tokens hold *before* theta and omega are known. So in one block

    attention   theta, omega   from h = H z, j = J z and z of the block before       two quotients
                f              = -v / pi of the step before                           one quotient
                H, J, g        sums over this step's vectors                          nine heads
    MLP         v, A'v         A' A'v = c (phi . g + lambda A'v) with g = Phi^T A'v
                h = H z,  j = J z,  pi

Everything is held on every token; z is held on the aggregator and the sink alone, where the quotients read it as keys.
Difference from the literature: the identities v . v_old = 0 and v . A' v_older = 0 would shorten h and j, and are true on
paper only; using them costs five digits at condition number 100.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import ONE as ONE_ON_ANY_TOKEN
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, reduce, times, update
from metarep_lib.construct.circuits.token import token_ratio
from metarep_lib.construct.program import (
    DIVISION_SCALE,
    Form,
    Layer,
    Product,
    Program,
    Write,
    every_step,
)

# `theta` receives theta - 1, so that 0 / 0 past convergence is theta = 1 and v / pi stays
THETA = Form({"theta": 1, "one": 1})
ODD = Form({"one": 1, "even": -1})
SUMS = {
    "H_11": ("Av", "Av"),
    "H_12": ("Av", "v"),
    "H_13": ("Av", "v_old"),
    "H_22": ("v", "v"),
    "H_23": ("v", "v_old"),
    "H_33": ("v_old", "v_old"),
}
SUMS |= {"J_13": ("Av", "Av_old"), "J_33": ("v_old", "Av_old")}

# terms (query, key on the sink, on the aggregator, coefficient) of z . h and z . (j - h); the middle entry of j is h_1
TURN, LAST = ("theta_sink", "theta_aggregator", -1.0), ("omega_sink", "omega_aggregator", -1.0)
NORM = ((Form("h_1"), "is_sink", "is_aggregator", 1.0), (Form("h_2"), *TURN), (Form("h_3"), *LAST))
EXCESS = (
    (Form({"j_1": 1, "h_1": -1}), "is_sink", "is_aggregator", 1.0),
    (Form({"h_1": 1, "h_2": -1}), *TURN),
    (Form({"j_3": 1, "h_3": -1}), *LAST),
)
BELOW = tuple((query, key, sign) for query, _, key, sign in NORM)

VECTORS = ("v", "Av", "v_old", "Av_old")
HELD = (
    "h_1",
    "h_2",
    "h_3",
    "j_1",
    "j_3",
    "theta_sink",
    "theta_aggregator",
    "omega_sink",
    "omega_aggregator",
)
HELD += ("vv_even", "vv_odd", "even", "pi", "pi_old", "lambda", "f")
SCRATCH = (*SUMS, "theta", "omega", "f_next", "g")


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def one_block_conjugate_gradient(n_features: int, steps: int, scale: float = 1.0) -> Program:
    """CG for (K + lambda I) alpha = y, one block per step; f_t(x) is said one block after step t.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1; all steps share the tensors of one block.
        scale: c, a power of two, best near 4 / lambda_max(K + lambda I). It changes no iterate, only the size of v_t:
            with another c it grows or shrinks by about c lambda_max / 4 per step, and may leave the range of the dtype.

    Returns:
        A program of width 2 p + 35 with t + 2 blocks: one prepares, and the prediction comes one block after the residual.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = one_block_conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (6, 41, 2)
    """
    registers = dict.fromkeys(("g", *VECTORS, *HELD, *SCRATCH), 1) | {"g": n_features}
    starts = {"v": TARGET} | dict.fromkeys(("pi", "even", "vv_odd"), ONE_ON_ANY_TOKEN)
    first = advance(scale)
    layers = [prepare(scale), first, *every_step([first], steps)] if steps > 0 else []
    flags = ["is_aggregator", "is_sink"]
    return krr_program(
        "one_block_conjugate_gradient",
        n_features,
        flags,
        registers,
        starts,
        layers,
        readout=Form("f"),
        scratch=SCRATCH,
    )


def prepare(scale: float) -> Layer:
    """v_0 = y, A'v_0 and the sums v_0 . v_0 and v_0 . A'v_0, which stand in h_1 and j_1 since z starts as (1, 0, 0)."""
    sums = (
        reduce("v", "phi", into="g", readers=ONE),
        reduce("v", "v", into="h_1", readers=ONE),
        reduce("is_sink", "ridge", into="lambda", readers=ONE),
    )
    products = (
        update("Av", times("phi", "g", scale), times("ridge", "v", scale)),
        update("j_1", times("g", "g", scale), times("lambda", "h_1", scale)),
    )
    return Layer(step=0, phase="prepare", attention=sums, mlp=(*products, clear("g")))


def advance(scale: float) -> Layer:
    """One step of CG: quotients and sums in the attention, every recurrence in the MLP."""
    sums = tuple(
        reduce(left, right, into=name, readers=ONE) for name, (left, right) in SUMS.items()
    )
    spread = reduce("Av", "phi", into="g", readers=ONE)
    quotients = (
        token_ratio(EXCESS, BELOW, into="theta", scale=DIVISION_SCALE),
        token_ratio(
            NORM[:1],
            ((Form({"vv_even": 1, "vv_odd": 1}), "is_aggregator", 1.0),),
            into="omega",
            scale=DIVISION_SCALE,
        ),
        token_ratio(
            ((Form({"v": -1}), "is_sink", "is_aggregator", 1.0),),
            ((Form("pi"), "is_aggregator", 1.0),),
            into="f_next",
            scale=DIVISION_SCALE,
        ),
    )
    recurrences = (
        replace("v", *along("Av", "v", "v_old")),
        replace(
            "Av",
            times("phi", "g", scale),
            times("ridge", "Av", scale),
            *along(None, "Av", "Av_old"),
        ),
        replace("v_old", copy("v")),
        replace("Av_old", copy("Av")),
        replace("h_1", *along("H_11", "H_12", "H_13")),
        replace("h_2", *along("H_12", "H_22", "H_23")),
        replace("h_3", *along("H_13", "H_23", "H_33")),
        replace(
            "j_1",
            times("g", "g", scale),
            times("lambda", "H_11", scale),
            *along(None, "H_11", "J_13"),
        ),
        replace("j_3", *along("J_13", "H_13", "J_33")),
        *(
            replace(f"theta_{token}", Product(Form(f"is_{token}"), THETA))
            for token in ("sink", "aggregator")
        ),
        *(
            replace(f"omega_{token}", times(f"is_{token}", "omega"))
            for token in ("sink", "aggregator")
        ),
        # v . v must outlive this block at full precision: two registers take turns, one is written empty while the other is cleared
        update("vv_even", times("even", "H_22"), Product(ODD, Form("vv_even"), -1.0)),
        update("vv_odd", Product(ODD, Form("H_22")), times("even", "vv_odd", -1.0)),
        update("even", copy("one"), copy("even", -2.0)),
        replace("pi", *along(None, "pi", "pi_old")),
        replace("pi_old", copy("pi")),
        replace("f", copy("f_next")),
    )
    return Layer(
        step=0,
        phase="advance",
        attention=(*sums, spread, *quotients),
        mlp=(*recurrences, *map(clear, SCRATCH)),
    )


def along(first: str | None, second: str, third: str) -> tuple[Product, ...]:
    """The products of first - theta second - omega third."""
    turned = (Product(THETA, Form(second), -1.0), times("omega", third, -1.0))
    return turned if first is None else (copy(first), *turned)


def replace(name: str, *terms: Product) -> Write:
    """name <- the sum of the terms, as new - old: what is replaced here is not much larger than the terms themselves."""
    return update(name, *terms, copy(name, -1.0))
