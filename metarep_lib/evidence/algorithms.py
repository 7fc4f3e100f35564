"""The recurrence of every constructed network, over any ring."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.construct.program import DIVISION_SCALE
from metarep_lib.evidence.problem import CausalProblem, PolynomialProblem, Problem
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.network.tokens import N_REGISTERS
from metarep_lib.numerics.recurrences import (
    State,
    block_step,
    causal_step,
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
    newton_schulz_step,
    split_gradient_descent_step,
    two_block_step,
)


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


def causal_recurrence() -> Recurrence:
    """Every token's own w, r, p, s and scalars; three blocks per step after one."""

    def start(problem: CausalProblem) -> State:
        b, scalar = problem.before, problem.zeros(problem.n_support, 1)
        zeros = dict.fromkeys(("w", "p", "s"), problem.zeros(*b.shape)) | dict.fromkeys(
            ("h", "phi_p", "f"), scalar
        )
        return zeros | {"r": b, "rho_old": scalar + problem.number(1.0), "y": problem.y}

    def step(state: State, problem: CausalProblem, t: int) -> State:
        made = causal_step(
            state,
            problem.matvec,
            problem.inner,
            problem.divide,
            problem.ridge,
            problem.phi,
            np.full_like(state["h"], problem.number(1.0)[0]),
        )
        return state | made

    def predict(state: State, problem: CausalProblem) -> np.ndarray:
        return state["f"][:, 0]

    return Recurrence(
        "causal_conjugate_gradient",
        3,
        start,
        step,
        n_prelude=1,
        loose=("h", "rho_old"),  # lambda there, and 1 before the first step
        predict=predict,
        pose=CausalProblem,
    )


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
