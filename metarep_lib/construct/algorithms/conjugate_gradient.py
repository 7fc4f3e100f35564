"""Conjugate gradient in the textbook order of Hestenes and Stiefel (1952): five blocks per step.

    w = (K + lambda I) p                      block 1   mat-vec
    rho = r . r,  sigma = p . w               block 2   reductions onto the registers
    gamma = rho / sigma                       block 3   division, read by every token
    alpha <- alpha + gamma p,  r <- r - gamma w
    rho_next = r . r                          block 4   reduction
    beta = rho_next / rho                     block 5   division, read by every token
    p <- r + beta p

Differences from the textbook: rho is summed anew in every step instead of being carried over from
the step before (same number, no stale register), and p moves to `p_old` before it is replaced.
Between steps only alpha, r and p are live; everything else is scratch, cleared in block 1.
"""

from metarep_lib.construct.algorithms.frame import krr_program
from metarep_lib.construct.circuits import clear, copy, mat_vec, quotient, quotient_scores, reduce, times, update
from metarep_lib.construct.program import Layer, Program

REDUCED = ("rho", "sigma", "rho_next")
DIVIDED = ("gamma_scores", "gamma", "beta_scores", "beta")
DIVISION_SCALE = 2.0**-40


def conjugate_gradient(n_features: int, steps: int, division_scale: float = DIVISION_SCALE) -> Program:
    """`steps` steps of CG for (K + lambda I) alpha = y; f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, five blocks each; all steps share the tensors of five blocks.
        division_scale: a power of two c with c |N / D| <= 1 for gamma = N / D, which is at most
            1 / lambda; the default serves lambda >= 1e-12.

    Returns:
        A program of width p + 16.

    Raises:
        ValueError: n_features or steps below one.

    >>> program = conjugate_gradient(n_features=3, steps=4)
    >>> len(program.layers), program.stream.size
    (20, 19)
    """
    layers = [layer for t in range(1, steps + 1) for layer in one_step(t, division_scale)]
    registers = ["alpha", "r", "p", "w", "p_old", *REDUCED, *DIVIDED]
    return krr_program("conjugate_gradient", n_features, ["is_aggregator", "is_sink"], registers, ["r", "p"], layers)


def one_step(t: int, scale: float) -> list[Layer]:
    return [
        Layer(
            step=t,
            phase="mat-vec",
            attention=(mat_vec("p", into="w"),),
            mlp=(update("w", times("ridge", "p")), *(clear(name) for name in ("p_old", *REDUCED, *DIVIDED))),
        ),
        Layer(
            step=t,
            phase="reduce",
            attention=(reduce("r", "r", into="rho"), reduce("p", "w", into="sigma")),
            mlp=(quotient_scores("rho", "sigma", into="gamma_scores", scale=scale),),
        ),
        Layer(
            step=t,
            phase="advance",
            attention=(quotient("gamma_scores", into="gamma", scale=scale),),
            mlp=(update("alpha", times("gamma", "p")), update("r", times("gamma", "w", -1.0))),
        ),
        Layer(
            step=t,
            phase="reduce again",
            attention=(reduce("r", "r", into="rho_next"),),
            mlp=(
                quotient_scores("rho_next", "rho", into="beta_scores", scale=scale),
                update("p_old", copy("p")),
                clear("p"),
            ),
        ),
        Layer(
            step=t,
            phase="turn",
            attention=(quotient("beta_scores", into="beta", scale=scale),),
            mlp=(update("p", copy("r"), times("beta", "p_old")), clear("w")),
        ),
    ]
