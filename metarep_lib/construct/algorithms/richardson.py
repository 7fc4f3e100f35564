r"""Richardson's iteration for the exponential kernel: one softmax head per step, nothing divided, nothing to tune.

P_ij = K_ij / D_i is what the head gives to support j, m_i = lambda / D_i what it gives to the sink, with D_i = sum_j K_ij + lambda. From
z_0 = m y,

    alpha <- alpha + z / lambda,    z <- z - P z - m z,    f <- f + (P z) / m

is Richardson's iteration for (K + lambda I) alpha = y, preconditioned by D: z / lambda = D^-1 r, for a residual r that is
never formed. f is k(x)^T alpha at a query x. Two blocks beforehand make m and, once and for all, 1 / m.
"""

from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, temperature
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import clear, copy, times, update
from metarep_lib.construct.circuits.softmax import (
    SOFTMAX_FLAGS,
    invert_mass,
    kernel_average,
    kernel_score,
    sink_mass,
)
from metarep_lib.construct.program import Form, Layer, Program

REGISTERS = ("y", "mass", "inverse_mass", "lambda_alpha", "z", "f", "average")


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), tau=temperature, U=floats("r p"))
def richardson(n_features: int, steps: int, tau: float, U: Tensor | None = None) -> Program:
    """`steps` steps of Richardson's iteration for the kernel exp(<U phi_i, U phi_j> / tau).

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each; all share one set of tensors.
        tau: the temperature.
        U: [p', p] in front of the features; the identity when None.

    Returns:
        A program of width p + 13 with t + 2 blocks. `lambda_alpha` holds lambda alpha_t on supports, and f_t(x) is
        read at every query after every step.

    Raises:
        ValueError: n_features or steps below one, a temperature that is not positive, or U that does not fit.

    >>> program = richardson(n_features=3, steps=5, tau=1.0)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (7, 16, 3)
    """
    score = kernel_score(n_features, tau, U)
    prelude = [
        Layer(
            step=0,
            phase="mass",
            attention=(sink_mass("mass", score),),
            mlp=(update("z", times("mass", "y")),),
        ),
        Layer(step=0, phase="invert", attention=(invert_mass("mass", into="inverse_mass"),)),
    ]
    average = (kernel_average("z", into="average", score=score),)
    advance = (
        update("lambda_alpha", copy("z")),
        update("f", times("inverse_mass", "average")),
        # z is zero off the supports
        update("z", times("is_support", "average", -1.0), times("mass", "z", -1.0)),
        clear("average"),
    )
    steps_of = [
        Layer(step=t, phase="average", attention=average, mlp=advance) for t in range(1, steps + 1)
    ]
    return krr_program(
        "richardson",
        n_features,
        [*SOFTMAX_FLAGS, "is_support"],
        dict.fromkeys(REGISTERS, 1),
        {"y": TARGET},
        [*prelude, *steps_of] if steps > 0 else [],
        readout=Form("f"),
        ridge="log_ridge",
        scratch=["average"],
    )
