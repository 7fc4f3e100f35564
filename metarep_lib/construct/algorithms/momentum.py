"""Gradient descent with momentum, and GD++: one block per step, fixed scalars, no reductions, no division.

Heavy ball (Polyak 1964), with d_0 = eta y:

    alpha <- alpha + d,   r <- r - (K + lambda I) d,   d <- beta d + eta r

GD++ (von Oswald et al. 2023) moves the features as well. Both of its heads write straight into the stream, so it needs no MLP, and no
token can tell what the ridge would ask of it: it solves without one.

    r <- r - eta K r,   phi_j <- phi_j - gamma sum_i (phi_j . phi_i) phi_i
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import clear, copy, mat_vec, times, update
from metarep_lib.construct.program import Form, Head, Layer, Program, Write


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def momentum(n_features: int, steps: int, step_size: float, momentum: float) -> Program:
    """`steps` steps of the heavy ball, f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each; all blocks share one set of tensors.
        step_size: eta.
        momentum: beta, what is kept of the last move.

    Returns:
        A program of width p + 6.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = momentum(n_features=3, steps=5, step_size=0.25, momentum=0.5)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (5, 9, 1)
    """
    eta, beta = step_size, momentum
    moves = (
        update("alpha", copy("d")),
        update("r", copy("w", -1.0), times("ridge", "d", -1.0)),
        # d <- beta d + eta (r - w - ridge d), added to d
        update(
            "d", copy("d", beta - 1), copy("r", eta), copy("w", -eta), times("ridge", "d", -eta)
        ),
        clear("w"),
    )
    layers = [
        Layer(step=t, phase="roll", attention=(mat_vec("d", into="w"),), mlp=moves)
        for t in range(1, steps + 1)
    ]
    registers = dict.fromkeys(["alpha", "r", "d", "w"], 1)
    return krr_program(
        "momentum",
        n_features,
        [],
        registers,
        {"r": TARGET, "d": Form({"y": eta})},
        layers,
        scratch=["w"],
    )


@algorithm
@asked(n_features=at_least(1), steps=at_least(0))
def gradient_descent_plus_plus(
    n_features: int, steps: int, step_size: float, shrink: float
) -> Program:
    """`steps` steps of GD++, f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each; all blocks share one set of tensors.
        step_size: eta.
        shrink: gamma, by which phi <- (I - gamma Phi^T Phi) phi.

    Returns:
        A program of width p + 3, without MLP. It reads no ridge.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = gradient_descent_plus_plus(n_features=3, steps=5, step_size=0.25, shrink=0.01)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (5, 6, 1)
    """
    kernel = ((Form("phi"), Form("phi")),)
    descend = Write("r", (Head("linear", kernel, Form("r"), gain=-step_size),))
    move = Write("phi", (Head("linear", kernel, Form("phi"), gain=-shrink),))
    layers = [
        Layer(step=t, phase="descend and shrink", attention=(descend, move))
        for t in range(1, steps + 1)
    ]
    return krr_program(
        "gradient_descent_plus_plus", n_features, [], {"r": 1}, {"r": TARGET}, layers
    )
