"""Chebyshev's iteration: one block per step, no reductions, no division, and the spectrum in the weights.

    alpha <- alpha + d,   r <- r - (K + lambda I) d,   d <- c_t d + g_t r

with the coefficients of the Chebyshev semi-iteration (Saad 2003, algorithm 12.1), started correctly
with d_0 = r_0 / theta. Each step has coefficients of its own, so each block has tensors of its own.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import clear, copy, mat_vec, times, update
from metarep_lib.construct.program import Form, Layer, Program


def chebyshev_coefficients(
    smallest: float, largest: float, steps: int
) -> tuple[float, list[tuple[float, float]]]:
    """1 / theta, and (c_t, g_t) for t = 1 ... steps.

    With theta = (b + a) / 2 and delta = (b - a) / 2 for eigenvalues in [a, b], let rho_0 = delta / theta,
    rho_t = 1 / (2 theta / delta - rho_t-1); then c_t = rho_t rho_t-1 and g_t = 2 rho_t / delta.

    Raises:
        ValueError: not 0 < smallest < largest.

    >>> chebyshev_coefficients(1.0, 3.0, 1)
    (0.5, [(0.14285714285714285, 0.5714285714285714)])
    """
    if not 0 < smallest < largest:
        raise ValueError(
            f"chebyshev_coefficients(smallest={smallest}, largest={largest}): expected 0 < smallest < largest,"
            " e.g. the extreme eigenvalues of K + lambda I"
        )
    theta, delta = (largest + smallest) / 2, (largest - smallest) / 2
    rho, coefficients = delta / theta, []
    for _ in range(steps):
        rho_next = 1 / (2 * theta / delta - rho)
        coefficients.append((rho_next * rho, 2 * rho_next / delta))
        rho = rho_next
    return 1 / theta, coefficients


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def chebyshev(
    n_features: int, steps: int, smallest: float, largest: float, n_outputs: int = 1
) -> Program:
    """`steps` steps of Chebyshev's iteration for a spectrum in [smallest, largest].

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, one block each, every block with tensors of its own.
        smallest, largest: bounds for the eigenvalues of K + lambda I. They are weights: a prompt
            whose spectrum lies elsewhere is not solved.
        n_outputs: targets per support; they share the mat-vec.

    Returns:
        A program of width p + 2 + 4 n_outputs.

    Raises:
        ValueError: n_features, steps or n_outputs below one, or not 0 < smallest < largest.

    >>> program = chebyshev(n_features=3, steps=5, smallest=0.1, largest=2.0)
    >>> program.n_blocks, program.width
    (5, 9)
    """
    first, coefficients = chebyshev_coefficients(smallest, largest, steps)
    layers = [
        Layer(
            step=t,
            phase="chebyshev",
            attention=(mat_vec("d", into="w"),),
            mlp=(
                update("alpha", copy("d")),
                update("r", copy("w", -1.0), times("ridge", "d", -1.0)),
                # d <- c d + g (r - w - ridge d), added to d; d never drops sharply, so new - old is harmless here
                update("d", copy("d", c - 1), copy("r", g), copy("w", -g), times("ridge", "d", -g)),
                clear("w"),
            ),
        )
        for t, (c, g) in enumerate(coefficients, start=1)
    ]
    registers = dict.fromkeys(["alpha", "r", "d", "w"], n_outputs)
    return krr_program(
        "chebyshev",
        n_features,
        [],
        registers,
        {"r": TARGET, "d": Form({"y": first})},
        layers,
        n_outputs=n_outputs,
        scratch=["w"],
    )
