"""The recurrences of the networks with softmax heads, over any ring, in units of the ridge.

`lambda_alpha` in the stream is what the recurrences call alpha, since the system they see is (K / lambda + I) (lambda alpha) = y.
"""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from metarep_lib.certify.exponential_problem import ExponentialProblem, exponential_problem
from metarep_lib.certify.problem import Problem
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.recurrences.dual import EVERYWHERE, two_block_start
from metarep_lib.construct.algorithms.softmax_preconditioner import Preconditioner
from metarep_lib.network.tokens import N_REGISTERS
from metarep_lib.numerics.steps import State, pipelined_step, richardson_step, two_block_step

__all__ = [
    "pipelined_recurrence",
    "richardson_recurrence",
    "softmax_conjugate_gradient_recurrence",
]


ON_REGISTERS_ANYTHING = ("mass",)
OWN_SHARES = ("own", "share")  # of Jacobi's heads, on every token


def as_alpha(state: State) -> State:
    return {"alpha" if name == "lambda_alpha" else name: value for name, value in state.items()}


def as_lambda_alpha(state: State) -> State:
    return {"lambda_alpha" if name == "alpha" else name: value for name, value in state.items()}


def predicted(state: State, problem: Problem) -> np.ndarray:
    """[q] k(x)^T alpha, both divided and multiplied by lambda."""
    return problem.K_query @ state["lambda_alpha"][: problem.n_support]


def prepared(
    problem: ExponentialProblem,
    preconditioner: Preconditioner | None = None,
    pipelined: bool = False,
) -> State:
    """What the blocks before the first step leave behind; the pipelined network also keeps m D / lambda."""
    inverse_mass = problem.inverse_mass
    one = np.repeat(problem.number(1.0), len(inverse_mass))
    held = {"mass": problem.ratio(one, inverse_mass), "inverse_mass": inverse_mass}
    if preconditioner is None:
        return held
    if preconditioner == "jacobi":
        made = own_shares(problem)
        held, m = (
            held | made,
            problem.divide(made["support_share"], (made["own"] + made["share"])[N_REGISTERS:, 0]),
        )
    else:
        m = problem.on_rows(
            (one if preconditioner == "none" else held["mass"])[: problem.n_support]
        )
    return held | {"m": m} | ({"m_inverse": m * inverse_mass} if pipelined else {})


def own_shares(problem: ExponentialProblem) -> State:
    """What Jacobi's heads hand over: of a token's own kernel value, the ridge and one for each support, what falls to the first two.

    They stand on every token; on the registers the kernel value is F(0).
    """
    registers = problem.zeros(N_REGISTERS, 1)
    norm = problem.own_score[:, None]
    own = np.vectorize(problem.ring.exponential, otypes=[object])(np.concatenate([registers, norm]))
    total = own + problem.ridge + problem.number(float(problem.n_support))
    share = problem.ratio(problem.ridge, total)
    support_share = problem.on_rows(share[N_REGISTERS : N_REGISTERS + problem.n_support, 0])
    return {
        "norm": norm[:, 0],
        "own": problem.ratio(own, total),
        "share": share,
        "support_share": support_share,
    }


def richardson_recurrence(tau: float = 1.0, U: Tensor | None = None) -> Recurrence:
    """lambda alpha, z and f; one block per step after two."""

    def start(problem: ExponentialProblem) -> State:
        y = problem.on_rows(problem.y)
        state = prepared(problem) | {
            "y": y,
            "lambda_alpha": problem.zeros(*y.shape),
            "f": problem.zeros(*y.shape),
        }
        return state | {"z": state["mass"] * y}

    def step(state: State, problem: ExponentialProblem, t: int) -> State:
        K_z = problem.matvec(state["z"]) - state["z"]  # z is zero on queries
        m = problem.on_rows(state["mass"][: problem.n_support])
        made = richardson_step(as_alpha(state), problem.matvec, m)
        return state | as_lambda_alpha(made) | {"f": state["f"] + K_z}

    def known(state: State, problem: ExponentialProblem, t: int) -> State:
        return prepared(problem) | {"z": problem.on_rows(state["z"][: problem.n_support])}

    return Recurrence(
        "richardson",
        1,
        start,
        step,
        n_prelude=2,
        known=known,
        loose=ON_REGISTERS_ANYTHING,
        predict=predicted,
        pose=exponential_problem(tau, U),
    )


def advanced(step: Callable[..., State], state: State, problem: ExponentialProblem) -> State:
    """A state after one step of conjugate gradient, preconditioned by the m it holds."""
    operations = (problem.matvec, problem.inner, problem.divide, state["m"], problem.number(1.0))
    return state | as_lambda_alpha(step(as_alpha(state), *operations))


def softmax_conjugate_gradient_recurrence(
    tau: float = 1.0, U: Tensor | None = None, preconditioner: Preconditioner = "normaliser"
) -> Recurrence:
    """lambda alpha, r, z, p, s and the scalars of two_block; three blocks per step after two (Jacobi: three)."""

    def start(problem: ExponentialProblem) -> State:
        state = as_lambda_alpha(two_block_start(problem)) | prepared(problem, preconditioner)
        return state | {"z": state["m"] * state["r"]}

    def step(state: State, problem: ExponentialProblem, t: int) -> State:
        after = advanced(two_block_step, state, problem)
        return after | {"z": after["m"] * after["r"]}

    def known(state: State, problem: ExponentialProblem, t: int) -> State:
        fixed = prepared(problem, preconditioner) | {"started": problem.number(1.0)}
        return fixed | {"z": fixed["m"] * state["r"]}

    jacobi = preconditioner == "jacobi"
    return Recurrence(
        "softmax_conjugate_gradient",
        3,
        start,
        step,
        n_prelude=2 + jacobi,
        known=known,
        everywhere=EVERYWHERE + OWN_SHARES,
        loose=ON_REGISTERS_ANYTHING,
        predict=predicted,
        pose=exponential_problem(tau, U),
    )


def pipelined_recurrence(
    tau: float = 1.0, U: Tensor | None = None, preconditioner: Preconditioner = "normaliser"
) -> Recurrence:
    """The same with w, q and v carried along; two blocks per step after three (Jacobi: four)."""

    def start(problem: ExponentialProblem) -> State:
        state = as_lambda_alpha(two_block_start(problem)) | prepared(
            problem, preconditioner, pipelined=True
        )
        z = state["m"] * state["r"]
        w = problem.matvec(z)
        zeros = dict.fromkeys(("q", "v"), problem.zeros(*z.shape))
        return state | zeros | {"z": z, "w": w, "m_w": state["m"] * w}

    def step(state: State, problem: ExponentialProblem, t: int) -> State:
        after = advanced(pipelined_step, state, problem)
        return after | {"m_w": after["m"] * after["w"]}

    def known(state: State, problem: ExponentialProblem, t: int) -> State:
        fixed = prepared(problem, preconditioner, pipelined=True) | {"started": problem.number(1.0)}
        at_supports = {
            name: problem.on_rows(state[name][: problem.n_support]) for name in ("z", "q", "p")
        }
        return fixed | at_supports | {"m_w": fixed["m"] * state["w"]}

    jacobi = preconditioner == "jacobi"
    return Recurrence(
        "pipelined_conjugate_gradient",
        2,
        start,
        step,
        n_prelude=3 + jacobi,
        known=known,
        everywhere=EVERYWHERE + OWN_SHARES,
        loose=ON_REGISTERS_ANYTHING,
        predict=predicted,
        pose=exponential_problem(tau, U),
    )
