r"""Conjugate gradient for the exponential kernel, plain or preconditioned: three blocks per step.

Everything is in units of the ridge: B = K / lambda + I, and `lambda_alpha` holds lambda alpha. A softmax head averages, its
sink's mass un-normalises, so that B z = (P z) / mass + z. With z = m r and the recurrences of Chronopoulos and Gear (1989),
as in `two_block`:

    block 1   average = P z                          one softmax head
              w = inverse_mass average + z           (B z)_i on supports, k(x)^T z / lambda at a query
    block 2   rho = sum r z,  delta = sum z w        two heads that sum, for every token
    block 3   beta, gamma, gamma_beta                three quotients, then every recurrence of the step

The linear kernel needs no round of its own for delta, since z . K z = |Phi^T z|^2; an exponential kernel has no such
p numbers, so its delta is summed over tokens once w is there: a block more.

Pipelined (Ghysels and Vanroose 2014) the product runs ahead of the sums: w is carried by a recurrence of its own, and the head averages
m w while the sums of r z and z w are taken in the same attention. Two blocks per step:

    block 1   average = P (m w),  rho = sum r z,  delta = sum z w
              n = inverse_mass average + m w                                B m w
    block 2   beta, gamma, gamma_beta;  v <- n + beta v,  q <- m w + beta q,  z <- z - gamma q,  w <- w - gamma v

Exactly the same iterates, but rounding errors in z and w are never corrected: the floor is higher.
"""

from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, temperature
from metarep_lib.construct.algorithms.krr_program import ONE as ONE_ON_ANY_TOKEN
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.algorithms.softmax_preconditioner import (
    Preconditioner,
    prepare,
    static_registers,
)
from metarep_lib.construct.algorithms.two_block_conjugate_gradient import (
    BOOKS,
    move,
    quotients,
    recurrences,
    set_aside,
)
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, reduce, times, update
from metarep_lib.construct.circuits.softmax import (
    SOFTMAX_FLAGS,
    Score,
    kernel_average,
    kernel_score,
)
from metarep_lib.construct.program import Layer, Program, every_step

LIVE = ("lambda_alpha", "r", "z", "p", "s", "c", "rho_old", "gamma", "started")
SCRATCH = ("average", "rho", "delta", "rho_rho", "p_old", "s_old", "z_old", "beta", "gamma_beta")
SCRATCH += (
    "c_aggregator",
    "c_sink",
    "rho_old_aggregator",
    "gamma_aggregator",
    "gamma_sink",
    "started_aggregator",
)
REFRESHED = ("w", "m_r", "m_w", "m_s")
PIPELINED_LIVE = ("w", "m_w", "q", "v")
PIPELINED_SCRATCH = ("n", "m_n", "m_v", "w_old", "m_w_old", "q_old", "v_old")


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), tau=temperature, U=floats("r p"))
def softmax_conjugate_gradient(
    n_features: int,
    steps: int,
    tau: float,
    U: Tensor | None = None,
    preconditioner: Preconditioner = "normaliser",
) -> Program:
    """`steps` steps of CG for (K + lambda I) alpha = y with K_ij = exp(<U phi_i, U phi_j> / tau), preconditioned by a diagonal.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, three blocks each; all share the tensors of three blocks.
        tau: the temperature.
        U: [p', p] in front of the features; the identity when None.
        preconditioner: "normaliser" (the sink's mass), "jacobi" or "none".

    Digits: the divisors are of degree four in the targets, as in two blocks a step, with the size sqrt(sum_i m_i y_i^2), where m_i is
    about e^(-|U phi_i|^2 / tau). And where features differ in length the row sums are no substitute for the diagonal: "jacobi" then
    keeps the digits that "normaliser" loses. A network warns of `DigitsLost` in either case (`metarep_lib.construct.digits`).

    Returns:
        A program of width p + 37 with 3 t + 2 blocks (Jacobi: p + 41 and 3 t + 3). `lambda_alpha` holds lambda alpha_t on
        supports, and f_t(x) is read at every query after every step.

    Raises:
        ValueError: n_features or steps below one, a temperature that is not positive, a U or a preconditioner that will not do.

    >>> program = softmax_conjugate_gradient(n_features=3, steps=4, tau=1.0)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (14, 40, 5)
    """
    score = kernel_score(n_features, tau, U)
    registers = (*static_registers(preconditioner), *LIVE, *SCRATCH, *REFRESHED)
    steps_of = every_step(three_blocks(score), steps)
    return program_of(
        "softmax_conjugate_gradient",
        n_features,
        registers,
        [*prepare(score, preconditioner), *steps_of] if steps > 0 else [],
        (*SCRATCH, *REFRESHED),
    )


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), tau=temperature, U=floats("r p"))
def pipelined_conjugate_gradient(
    n_features: int,
    steps: int,
    tau: float,
    U: Tensor | None = None,
    preconditioner: Preconditioner = "normaliser",
) -> Program:
    """The same iterates in two blocks per step, with a higher floor in floating point.

    Arguments and errors as for `softmax_conjugate_gradient`.

    Returns:
        A program of width p + 45 with 2 t + 3 blocks (Jacobi: p + 49 and 2 t + 4).

    >>> program = pipelined_conjugate_gradient(n_features=3, steps=4, tau=1.0)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (11, 48, 5)
    """
    score = kernel_score(n_features, tau, U)
    registers = (
        *static_registers(preconditioner),
        "m_inverse",
        *LIVE,
        *SCRATCH,
        *PIPELINED_LIVE,
        *PIPELINED_SCRATCH,
    )
    steps_of = every_step(two_blocks(score), steps)
    layers = [
        *prepare(score, preconditioner, update("m_inverse", times("m", "inverse_mass"))),
        first_product(score),
        *steps_of,
    ]
    return program_of(
        "pipelined_conjugate_gradient",
        n_features,
        registers,
        layers if steps > 0 else [],
        (*SCRATCH, *PIPELINED_SCRATCH),
    )


def program_of(
    name: str,
    n_features: int,
    registers: tuple[str, ...],
    layers: list[Layer],
    scratch: tuple[str, ...],
) -> Program:
    starts = {"r": TARGET, "c": ONE_ON_ANY_TOKEN, "rho_old": ONE_ON_ANY_TOKEN}
    return krr_program(
        name,
        n_features,
        [*SOFTMAX_FLAGS, "is_support"],
        dict.fromkeys(registers, 1),
        starts,
        layers,
        ridge="log_ridge",
        scratch=scratch,
    )


SUMS = (reduce("r", "z", into="rho", readers=ONE), reduce("z", "w", into="delta", readers=ONE))
RHO_RHO = update("rho_rho", times("rho", "rho"))


def three_blocks(score: Score) -> list[Layer]:
    product = update("w", times("inverse_mass", "average"), copy("z"))
    products = (
        update("m_r", times("m", "r")),
        update("m_w", times("m", "w")),
        update("m_s", times("m", "s")),
    )
    return [
        Layer(
            step=1,
            phase="mat-vec",
            attention=(kernel_average("z", into="average", score=score),),
            mlp=(product,),
        ),
        Layer(
            step=1,
            phase="sum",
            attention=SUMS,
            mlp=(RHO_RHO, *products, *set_aside(), *move("z", "z_old")),
        ),
        Layer(
            step=1,
            phase="advance",
            attention=quotients(),
            mlp=(*recurrences("lambda_alpha", "z"), *map(clear, (*SCRATCH, *REFRESHED))),
        ),
    ]


def first_product(score: Score) -> Layer:
    """w = B z and m w before the first step."""
    made = (
        update("w", times("inverse_mass", "average"), copy("z")),
        update("m_w", times("m_inverse", "average"), times("m", "z")),
    )
    return Layer(
        step=0,
        phase="mat-vec",
        attention=(kernel_average("z", into="average", score=score),),
        mlp=(*made, clear("average")),
    )


def two_blocks(score: Score) -> list[Layer]:
    ahead = (
        update("n", times("inverse_mass", "average"), copy("m_w")),
        update("m_n", times("m_inverse", "average"), times("m", "m_w")),
        update("m_v", times("m", "v")),
        update("m_w_old", times("m", "w")),  # not a copy of m_w: it would drift from w
        clear("m_w"),
    )
    moved = [write for name in ("z", "w", "q", "v") for write in move(name, f"{name}_old")]
    advance = (
        update("lambda_alpha", times("gamma", "z_old"), times("gamma_beta", "p_old")),
        update("r", times("gamma", "w_old", -1.0), times("gamma_beta", "s_old", -1.0)),
        update(
            "z", copy("z_old"), times("gamma", "m_w_old", -1.0), times("gamma_beta", "q_old", -1.0)
        ),
        update("w", copy("w_old"), times("gamma", "n", -1.0), times("gamma_beta", "v_old", -1.0)),
        update(
            "m_w", copy("m_w_old"), times("gamma", "m_n", -1.0), times("gamma_beta", "m_v", -1.0)
        ),
        update("p", copy("z_old"), times("beta", "p_old")),
        update("s", copy("w_old"), times("beta", "s_old")),
        update("q", copy("m_w_old"), times("beta", "q_old")),
        update("v", copy("n"), times("beta", "v_old")),
    )
    return [
        Layer(
            step=1,
            phase="ahead",
            attention=(kernel_average("m_w", into="average", score=score), *SUMS),
            mlp=(RHO_RHO, *ahead, *moved, *set_aside()),
        ),
        Layer(
            step=1,
            phase="advance",
            attention=quotients(),
            mlp=(*advance, *BOOKS, *map(clear, (*SCRATCH, *PIPELINED_SCRATCH))),
        ),
    ]
