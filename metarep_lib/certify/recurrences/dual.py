"""Recurrences of the algorithms that keep a number a token, in plain arithmetic, with the names of the programs.

They know no network: what a certificate holds weights against."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metarep_lib.certify.problem import PolynomialProblem, Problem
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.recurrences.primal import on_token
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.construct.program import DIVISION_SCALE
from metarep_lib.network.tokens import AGGREGATOR, N_REGISTERS, SINK
from metarep_lib.numerics.steps import (
    State,
    block_step,
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
    look_ahead_step,
    newton_schulz_step,
    split_gradient_descent_step,
    two_block_step,
)

__all__ = [
    "all_to_all_recurrence",
    "block_recurrence",
    "chebyshev_recurrence",
    "conjugate_gradient_recurrence",
    "features_first",
    "gradient_descent_recurrence",
    "jacobi_recurrence",
    "narrow_gradient_descent_recurrence",
    "narrow_ridge_gradient_descent_recurrence",
    "newton_schulz_recurrence",
    "one_block_recurrence",
    "two_block_recurrence",
]


def features_first(recurrence: Recurrence) -> Recurrence:
    """The same algorithm after one block that makes polynomial features."""
    return replace(recurrence, n_prelude=recurrence.n_prelude + 1, pose=PolynomialProblem)


def from_y(*names: str, zero: tuple[str, ...] = ("alpha",)) -> Callable[[Problem], State]:
    """A start with some names at y (0 on queries) and others at 0."""

    def start(problem: Problem) -> State:
        y = problem.on_rows(problem.y)
        return {name: problem.zeros(*y.shape) for name in zero} | dict.fromkeys(names, y)

    return start


def gradient_descent_recurrence(step_size: float) -> Recurrence:
    """alpha and r; one block per step."""

    def step(state: State, problem: Problem, t: int) -> State:
        return gradient_descent_step(state, problem.matvec, problem.number(step_size))

    return Recurrence("gradient_descent", 1, from_y("r"), step)


def kernel_alone(problem: Problem) -> Callable[[np.ndarray], np.ndarray]:
    """v to K v on the supports and k(x)^T v on the queries, without the ridge."""
    supports = problem.phi[: problem.n_support]
    return lambda v: problem.phi @ (supports.T @ v[: problem.n_support])


def narrow_gradient_descent_recurrence(step_size: float) -> Recurrence:
    """r alone (alpha is nowhere in the stream); one block per step, and no ridge but what the supports bring."""

    def step(state: State, problem: Problem, t: int) -> State:
        return gradient_descent_step(state, kernel_alone(problem), problem.number(step_size))

    return Recurrence("narrow_gradient_descent", 1, from_y("r"), step, unseen=("alpha",))


def narrow_ridge_gradient_descent_recurrence(step_size: float) -> Recurrence:
    """r alone, which shrinks once before the first step and once in each."""

    def diagonal(problem: Problem) -> np.ndarray:
        return problem.on_rows(np.repeat(problem.ridge, problem.n_support))

    def start(problem: Problem) -> State:
        state = from_y("r")(problem)
        return state | {
            "r": state["r"] - problem.number(step_size) * diagonal(problem) * state["r"]
        }

    def step(state: State, problem: Problem, t: int) -> State:
        return split_gradient_descent_step(
            state, kernel_alone(problem), problem.number(step_size), diagonal(problem)
        )

    return Recurrence(
        "narrow_ridge_gradient_descent", 1, start, step, n_prelude=1, unseen=("alpha",)
    )


def chebyshev_recurrence(smallest: float, largest: float, steps: int) -> Recurrence:
    """alpha, r and d; one block per step, each with coefficients of its own."""
    first, coefficients = chebyshev_coefficients(smallest, largest, steps)

    def start(problem: Problem) -> State:
        state = from_y("r")(problem)
        return state | {"d": problem.number(first) * state["r"]}

    def step(state: State, problem: Problem, t: int) -> State:
        c, g = coefficients[t]
        # d + (c - 1) d: the network holds c - 1, rounded, and the weight is what counts
        return chebyshev_step(
            state, problem.matvec, problem.number(c - 1) + problem.number(1.0), problem.number(g)
        )

    return Recurrence("chebyshev", 1, start, step)


def conjugate_gradient_recurrence() -> Recurrence:
    """alpha, r, p, and what the step leaves behind: its last direction and scalars, and the scores they were divided by; five blocks per step."""
    registers, broadcast, scores = (
        ("rho", "sigma", "rho_next"),
        ("gamma", "beta"),
        ("gamma_scores", "beta_scores"),
    )

    def start(problem: Problem) -> State:
        scalar, on_both = (
            problem.zeros(problem.n_outputs),
            problem.zeros(N_REGISTERS, problem.n_outputs),
        )
        return (
            from_y("r", "p", zero=("alpha", "p_old"))(problem)
            | dict.fromkeys((*registers, *broadcast), scalar)
            | dict.fromkeys(scores, on_both)
        )

    def step(state: State, problem: Problem, t: int) -> State:
        made = conjugate_gradient_step(state, problem.matvec, problem.inner, problem.divide)
        divided = {
            "gamma_scores": (made["rho"], made["sigma"]),
            "beta_scores": (made["rho_next"], made["rho"]),
        }
        return (
            made
            | {"p_old": state["p"]}
            | {name: quotient_scores(*parts, problem) for name, parts in divided.items()}
        )

    return Recurrence(
        "conjugate_gradient",
        5,
        start,
        step,
        on_registers=(*registers, *scores),
        everywhere=broadcast,
    )


def all_to_all_recurrence(recurrence: Recurrence) -> Recurrence:
    """The same algorithm where every token sums and divides for itself: what stood on the registers stands everywhere, and no scores are carried."""
    scores = tuple(name for name in recurrence.on_registers if name.endswith("_scores"))
    sums = tuple(name for name in recurrence.on_registers if name not in scores)
    return replace(
        recurrence, on_registers=(), everywhere=(*recurrence.everywhere, *sums), unseen=scores
    )


def quotient_scores(numerator: np.ndarray, denominator: np.ndarray, problem: Problem) -> np.ndarray:
    """[2, m] c N on the aggregator and D - c N on the sink."""
    scaled = problem.number(DIVISION_SCALE) * numerator
    return np.stack([scaled, denominator - scaled])


EVERYWHERE = ("c", "rho_old", "gamma", "started")


def two_block_start(problem: Problem) -> State:
    one, zero = (np.repeat(problem.number(value), problem.n_outputs) for value in (1.0, 0.0))
    return from_y("r", zero=("alpha", "p", "s"))(problem) | {
        "c": one,
        "rho_old": one,
        "gamma": zero,
        "started": problem.number(0.0),
    }


def two_block_recurrence(n_outputs: int = 1) -> Recurrence:
    """alpha, r, p, s and the scalars c, rho_old, gamma of every output, and started; two blocks per step."""

    def step(state: State, problem: Problem, t: int) -> State:
        one = problem.number(1.0)
        return two_block_step(state, problem.matvec, problem.inner, problem.divide, one, one)

    def known(state: State, problem: Problem, t: int) -> State:
        return {"started": problem.number(1.0)}

    return Recurrence(
        "two_block_conjugate_gradient",
        2,
        two_block_start,
        step,
        known=known,
        everywhere=EVERYWHERE,
    )


def jacobi_recurrence() -> Recurrence:
    """The same preconditioned by m_i = 1 / (K_ii + lambda), zero on queries; two blocks per step after two."""

    def prepared(problem: Problem) -> State:
        diagonal = np.diag(problem.A)
        m = problem.on_rows(problem.divide(np.repeat(problem.number(1.0), len(diagonal)), diagonal))
        return {"m": m, "m_ridge": m * problem.ridge, "m_phi": m[:, None] * problem.phi}

    def start(problem: Problem) -> State:
        state = two_block_start(problem) | prepared(problem)
        return state | {"z": state["m"] * state["r"]}

    def step(state: State, problem: Problem, t: int) -> State:
        after = state | two_block_step(
            state, problem.matvec, problem.inner, problem.divide, state["m"], problem.number(1.0)
        )
        return after | {"z": after["m"] * after["r"]}

    def known(state: State, problem: Problem, t: int) -> State:
        fixed = {"started": problem.number(1.0)} | prepared(problem)
        return fixed | {"z": fixed["m"] * state["r"]}

    return Recurrence(
        "jacobi_conjugate_gradient",
        2,
        start,
        step,
        n_prelude=2,
        known=known,
        everywhere=EVERYWHERE,
    )


def block_recurrence(n_outputs: int, damping: float) -> Recurrence:
    """alpha, r, p, s and s_hat, a column for each output; as many blocks per step as outputs, and one."""

    def start(problem: Problem) -> State:
        r = problem.on_rows(problem.y.reshape(-1, n_outputs))
        return dict.fromkeys(("alpha", "p", "s", "s_hat"), problem.zeros(*r.shape)) | {"r": r}

    def step(state: State, problem: Problem, t: int) -> State:
        identity = problem.zeros(n_outputs, n_outputs)
        np.fill_diagonal(identity, problem.number(1.0)[0])
        return block_step(
            state, problem.matvec, problem.gram, problem.divide, identity, problem.number(damping)
        )

    return Recurrence("block_conjugate_gradient", n_outputs + 1, start, step)


def newton_schulz_recurrence(scale: float) -> Recurrence:
    """u = X phi; one block per step, and one that predicts at the end."""

    def start(problem: Problem) -> State:
        y = problem.on_rows(problem.y)
        return {"u": problem.number(scale) * problem.phi, "y": y, "f": problem.zeros(*y.shape)}

    def step(state: State, problem: Problem, t: int) -> State:
        return state | {"u": newton_schulz_step(state["u"], problem.phi, problem.n_support)}

    def predict(state: State, problem: Problem) -> np.ndarray:
        k = problem.n_support
        return (state["u"][k:] @ problem.phi[:k].T) @ problem.y

    return Recurrence("newton_schulz", 1, start, step, n_epilogue=1, predict=predict)


def one_block_recurrence(scale: float) -> Recurrence:
    """v, A'v and those of the step before, and the sums of the next step; one block per step after one."""
    everywhere = (
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
    everywhere += ("vv_even", "vv_odd", "even", "pi", "pi_old", "lambda")

    def start(problem: Problem) -> State:
        c, one, zero = problem.number(scale), problem.number(1.0), problem.number(0.0)
        v = problem.on_rows(problem.y)
        Av = c * problem.matvec(v)
        first = {
            "v": v,
            "Av": Av,
            "v_old": v * zero,
            "Av_old": v * zero,
            "f": v * zero,
            "pi": one,
            "pi_old": zero,
            "lambda": problem.ridge,
        }
        scalars = dict.fromkeys(("h_2", "h_3", "j_3"), zero) | {
            "h_1": problem.inner(v, v),
            "j_1": problem.inner(v, Av),
        }
        return (
            first
            | scalars
            | turn(zero, zero, problem)
            | {"vv_even": zero, "vv_odd": one, "even": one}
        )

    def turn(theta: np.ndarray, omega: np.ndarray, problem: Problem) -> State:
        return {
            f"{name}_{token}": on_token(at, value, problem)
            for name, value in (("theta", theta), ("omega", omega))
            for token, at in (("sink", SINK), ("aggregator", AGGREGATOR))
        }

    def step(state: State, problem: Problem, t: int) -> State:
        one, even = problem.number(1.0), state["even"]
        old = state | {
            "theta": state["theta_sink"][SINK],
            "omega": state["omega_sink"][SINK],
            "vv": state["vv_even"] + state["vv_odd"],
        }
        made = look_ahead_step(
            old, problem.matvec, problem.inner, problem.divide, problem.number(scale), one
        )
        theta, omega, vv = (made.pop(name) for name in ("theta", "omega", "vv"))
        return (
            state
            | made
            | turn(theta, omega, problem)
            | {"vv_even": even * vv, "vv_odd": (one - even) * vv, "even": one - even}
        )

    def known(state: State, problem: Problem, t: int) -> State:
        theta, omega = state["theta_sink"][SINK], state["omega_sink"][SINK]
        waiting, even = ("vv_odd", 0.0) if t % 2 else ("vv_even", 1.0)
        return turn(theta, omega, problem) | {
            waiting: problem.number(0.0),
            "even": problem.number(even),
            "lambda": problem.ridge,
        }

    def predict(state: State, problem: Problem) -> np.ndarray:
        return state["f"][problem.n_support :]

    return Recurrence(
        "one_block_conjugate_gradient",
        1,
        start,
        step,
        n_prelude=1,
        known=known,
        period=2,
        everywhere=everywhere,
        predict=predict,
    )
