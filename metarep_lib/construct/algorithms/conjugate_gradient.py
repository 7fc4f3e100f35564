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

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.division import quotient, quotient_scores
from metarep_lib.construct.circuits.linear import clear, copy, mat_vec, reduce, times, update
from metarep_lib.construct.program import DIVISION_SCALE, Layer, Program, every_step

REDUCED = ("rho", "sigma", "rho_next")
DIVIDED = ("gamma_scores", "gamma", "beta_scores", "beta")


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def conjugate_gradient(n_features: int, steps: int, n_outputs: int = 1) -> Program:
    """`steps` steps of CG for (K + lambda I) alpha = y; f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, five blocks each; all steps share the tensors of five blocks.
        n_outputs: targets per support; they share the mat-vec, each has scalars of its own.

    Returns:
        A program of width p + 4 + 12 n_outputs.

    Raises:
        ValueError: n_features, steps or n_outputs below one.

    >>> program = conjugate_gradient(n_features=3, steps=4)
    >>> program.n_blocks, program.width
    (20, 19)
    """
    layers = every_step(one_step(n_outputs), steps)
    registers = dict.fromkeys(["alpha", "r", "p", "w", "p_old", *REDUCED, *DIVIDED], n_outputs)
    flags = ["is_aggregator", "is_sink"]
    return krr_program(
        "conjugate_gradient",
        n_features,
        flags,
        registers,
        {"r": TARGET, "p": TARGET},
        layers,
        n_outputs=n_outputs,
        scratch=["w"],
    )


def one_step(n_outputs: int) -> list[Layer]:
    outputs = [f"[{a}]" for a in range(n_outputs)] if n_outputs > 1 else [""]
    return [
        Layer(
            step=1,
            phase="mat-vec",
            attention=(mat_vec("p", into="w"),),
            mlp=(
                update("w", times("ridge", "p")),
                *(clear(name) for name in ("p_old", *REDUCED, *DIVIDED)),
            ),
        ),
        Layer(
            step=1,
            phase="reduce",
            attention=(
                *(reduce(f"r{a}", f"r{a}", into=f"rho{a}") for a in outputs),
                *(reduce(f"p{a}", f"w{a}", into=f"sigma{a}") for a in outputs),
            ),
            mlp=(quotient_scores("rho", "sigma", into="gamma_scores", scale=DIVISION_SCALE),),
        ),
        Layer(
            step=1,
            phase="advance",
            attention=tuple(
                quotient(f"gamma_scores{a}", into=f"gamma{a}", scale=DIVISION_SCALE)
                for a in outputs
            ),
            mlp=(update("alpha", times("gamma", "p")), update("r", times("gamma", "w", -1.0))),
        ),
        Layer(
            step=1,
            phase="reduce again",
            attention=tuple(reduce(f"r{a}", f"r{a}", into=f"rho_next{a}") for a in outputs),
            mlp=(
                quotient_scores("rho_next", "rho", into="beta_scores", scale=DIVISION_SCALE),
                update("p_old", copy("p")),
                clear("p"),
            ),
        ),
        Layer(
            step=1,
            phase="turn",
            attention=tuple(
                quotient(f"beta_scores{a}", into=f"beta{a}", scale=DIVISION_SCALE) for a in outputs
            ),
            mlp=(update("p", copy("r"), times("beta", "p_old")), clear("w")),
        ),
    ]
