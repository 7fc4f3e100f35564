"""Gradient descent on the dual of kernel ridge regression: one block per step.

    alpha <- alpha + eta r,     r <- r - eta (K + lambda I) r,     alpha_0 = 0, r_0 = y

This is Richardson's iteration for (K + lambda I) alpha = y. The step size eta is a weight.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import clear, copy, mat_vec, times, update
from metarep_lib.construct.program import Layer, Program, every_step


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def gradient_descent(n_features: int, steps: int, step_size: float, n_outputs: int = 1) -> Program:
    """`steps` steps of gradient descent, f_t(x) = k(x)^T alpha_t readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each; all blocks share one set of tensors.
        step_size: eta; converges for 0 < eta < 2 / lambda_max(K + lambda I).
        n_outputs: targets per support; they share the mat-vec.

    Returns:
        A program of width p + 2 + 3 n_outputs.

    Raises:
        ValueError: n_features, steps or n_outputs below one.

    >>> program = gradient_descent(n_features=3, steps=5, step_size=0.25)
    >>> program.n_blocks, program.width
    (5, 8)
    """
    one_step = Layer(
        step=1,
        phase="descend",
        attention=(mat_vec("r", into="w"),),
        mlp=(
            update("alpha", copy("r", step_size)),
            update("r", copy("w", -step_size), times("ridge", "r", -step_size)),
            clear("w"),
        ),
    )
    registers = dict.fromkeys(["alpha", "r", "w"], n_outputs)
    return krr_program(
        "gradient_descent",
        n_features,
        [],
        registers,
        {"r": TARGET},
        every_step([one_step], steps),
        n_outputs=n_outputs,
        scratch=["w"],
    )
