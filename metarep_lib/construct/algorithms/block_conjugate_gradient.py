"""Block conjugate gradient for m outputs (O'Leary 1980): m + 1 blocks per step, one for the sums and one for each pivot.

All outputs search one space. A step takes the residuals R = [r_1 ... r_m], makes them conjugate to the directions P of the
step before, makes the new ones conjugate to each other one after the other, and moves every output along all of them:

    block 1      beta = S_hat^T R,  H = S^T R,  rho = R^T R,  g_a = Phi^T r_a     sums, for every token
                 P_new = R - P beta,  S_new = A R - S beta                       token by token; S = A P
                 Sigma = R^T A R - H^T beta                                      the linear kernel saves a sum
    block 1 + c  D = Sigma_cc                                                    the pivot of output c
                 gamma = rho_c / D,  mu_j = Sigma_cj / D for j > c,  s_hat_c = s_new_c / D
                 alpha_b += gamma_b p_c,  r_b -= gamma_b s_c                     for every output b
                 p_j -= mu_j p_c,  s_j -= mu_j s_c,  rows j of Sigma and rho likewise, for j > c
    block m + 1  P <- P_new,  S <- S_new as well

Rank needs no decision: Sigma_cc = p_c . A p_c is 0 only if p_c = 0, then every numerator over it is 0 too, and 0 / 0 = 0
leaves the direction out.

Differences from the paper: no m x m system is solved, since elimination on Sigma is conjugation of the directions; and S / D
is carried along, so that beta is a sum like any other and the first step is no special case.
"""

from metarep_lib.asked import asked, at_least
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import ONE, clear, copy, reduce, times, update
from metarep_lib.construct.program import (
    DIVISION_SCALE,
    GUARD,
    Form,
    Head,
    Layer,
    Program,
    Write,
    every_step,
)


@algorithm
@asked(n_features=at_least(1), steps=at_least(0), n_outputs=at_least(1))
def block_conjugate_gradient(
    n_features: int, steps: int, n_outputs: int, damping: float = 2**-48
) -> Program:
    """`steps` steps of block CG for (K + lambda I) alpha = Y; f_t(x) readable at every query after each.

    Args:
        n_features: p, the width of phi.
        steps: t >= 1, m + 1 blocks each; all steps share the tensors of m + 1 blocks.
        n_outputs: m targets per support.
        damping: 0 is block CG exactly. In floats 0 / 0 becomes rounding / rounding as soon as residuals are linearly
            dependent; there take D = Sigma_cc + damping r_c . A r_c with 16 machine epsilons, which keeps such directions still.

    Returns:
        A program of width (m + 1) p + (7 m^2 + 19 m) / 2 + 4, and m more with damping.

    Raises:
        ValueError: n_features, steps or n_outputs below one, or a negative damping.

    >>> program = block_conjugate_gradient(n_features=3, steps=4, n_outputs=2, damping=0.0)
    >>> program.n_blocks, program.width, len(program.distinct_layers)
    (12, 46, 3)
    """
    if damping < 0:
        raise ValueError(
            f"block_conjugate_gradient(damping={damping}): expected damping >= 0, e.g. 2**-48 in float64"
        )
    one_step = [sum_up(n_outputs, damping), *pivots(n_outputs, damping)]
    empty = scratch(n_features, n_outputs, damping)
    if n_outputs > 1:
        empty |= {"mu": n_outputs - 1}
    registers = dict.fromkeys(("alpha", "r", "p", "s", "s_hat"), n_outputs) | empty
    flags = ["is_aggregator", "is_sink"]
    return krr_program(
        "block_conjugate_gradient",
        n_features,
        flags,
        registers,
        {"r": TARGET},
        every_step(one_step, steps),
        n_outputs=n_outputs,
        scratch=tuple(empty),
    )


def scratch(n_features: int, n_outputs: int, damping: float) -> dict[str, int]:
    """What is empty between two steps, with its width. A matrix has a direction for each row; of Sigma the upper triangle is enough."""
    outputs = range(n_outputs)
    rows = {f"{name}_{a}": n_outputs for name in ("rho", "beta", "h") for a in outputs} | {
        f"sigma_{a}": n_outputs - a for a in outputs
    }
    columns = dict.fromkeys(("p_new", "s_new", "gamma", *(["delta"] if damping else [])), n_outputs)
    return columns | rows | {f"g_{a}": n_features for a in outputs} | {"lambda": 1}


def sigma(a: int, b: int) -> str:
    """The entry (a, b) of Sigma, a <= b."""
    return f"sigma_{a}[{b - a}]"


def sum_up(n_outputs: int, damping: float) -> Layer:
    """Block 1: every sum of the step, the new directions conjugate to the old ones, and what the pivots need."""
    outputs = range(n_outputs)
    keys = {"rho": "r", "beta": "s_hat", "h": "s"}
    sums = [
        reduce(f"{key}[{a}]", "r", into=f"{name}_{a}", readers=ONE)
        for name, key in keys.items()
        for a in outputs
    ]
    sums += [reduce(f"r[{a}]", "phi", into=f"g_{a}", readers=ONE) for a in outputs]
    sums.append(reduce("is_sink", "ridge", into="lambda", readers=ONE))
    writes = [update("p_new", copy("r"), *(times(f"p[{c}]", f"beta_{c}", -1.0) for c in outputs))]
    for a in outputs:
        old = (times(f"s[{c}]", f"beta_{c}[{a}]", -1.0) for c in outputs)
        writes.append(
            update(f"s_new[{a}]", times("phi", f"g_{a}"), times("ridge", f"r[{a}]"), *old)
        )
        if damping:
            writes.append(
                update(f"delta[{a}]", times(f"g_{a}", f"g_{a}"), times("lambda", f"rho_{a}[{a}]"))
            )
        for b in range(a, n_outputs):
            old = (times(f"h_{c}[{a}]", f"beta_{c}[{b}]", -1.0) for c in outputs)
            writes.append(
                update(
                    sigma(a, b), times(f"g_{a}", f"g_{b}"), times("lambda", f"rho_{a}[{b}]"), *old
                )
            )
    return Layer(
        step=1, phase="sum", attention=tuple(sums), mlp=(*writes, *map(clear, ("p", "s", "s_hat")))
    )


def pivots(n_outputs: int, damping: float) -> list[Layer]:
    """Blocks 2 to m + 1: direction c is final; every output moves along it, and it is taken out of those behind it."""
    layers = []
    for c in range(n_outputs):
        behind = range(c + 1, n_outputs)
        wanted = {f"gamma[{b}]": f"rho_{c}[{b}]" for b in range(n_outputs)} | {
            f"s_hat[{c}]": f"s_new[{c}]"
        }
        wanted |= {f"mu[{j - 1}]": sigma(c, j) for j in behind}
        moves = [
            update("alpha", times(f"p_new[{c}]", "gamma")),
            update("r", times(f"s_new[{c}]", "gamma", -1.0)),
        ]
        for j in behind:
            mu = f"mu[{j - 1}]"
            moves += [
                update(f"{name}[{j}]", times(mu, f"{name}[{c}]", -1.0))
                for name in ("p_new", "s_new")
            ]
            moves += [update(sigma(j, k), times(mu, sigma(c, k), -1.0)) for k in behind if k >= j]
            moves += [update(f"rho_{j}", times(mu, f"rho_{c}", -1.0)), clear(mu)]
        if behind:
            moves += [clear("gamma")]
        else:
            moves += [
                update("p", copy("p_new")),
                update("s", copy("s_new")),
                *map(clear, scratch(1, n_outputs, damping)),
            ]
        quotients = tuple(
            over_pivot(numerator, c, into, damping) for into, numerator in wanted.items()
        )
        layers.append(Layer(step=1, phase=f"pivot {c + 1}", attention=quotients, mlp=tuple(moves)))
    return layers


def over_pivot(numerator: str, c: int, into: str, damping: float) -> Write:
    r"""Adds N_i / D at every token i, with D = Sigma_cc + damping delta_c, which every token holds.

    Proof. As for `token_quotient`: scores scale N_i on the sink, D - scale N_i + guard on the aggregator, value `is_sink`.  QED
    """
    pivot = {sigma(c, c): 1.0} | ({f"delta[{c}]": damping} if damping else {})
    score = (
        (Form(numerator), Form({"is_sink": DIVISION_SCALE, "is_aggregator": -DIVISION_SCALE})),
        (Form(pivot), Form("is_aggregator")),
        (ONE, Form({"is_aggregator": GUARD})),
    )
    return Write(into, (Head("normalised", score, Form("is_sink"), gain=1 / DIVISION_SCALE),))
