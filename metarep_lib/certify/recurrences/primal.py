"""Recurrences of the algorithms that keep vectors or matrices of features on every token."""

from dataclasses import replace

import numpy as np

from metarep_lib.certify.problem import CausalProblem, Problem
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.network.tokens import AGGREGATOR, N_REGISTERS
from metarep_lib.numerics.steps import (
    State,
    causal_step,
    chebyshev_step,
    token_step,
)

__all__ = [
    "causal_recurrence",
    "feature_scaled_recurrence",
    "gram_chebyshev_recurrence",
    "gram_conjugate_gradient_recurrence",
    "gram_squaring_recurrence",
]


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


def gram(problem: Problem) -> np.ndarray:
    """[n, p, p] S_i + lambda I for every support and query: sums over the supports that the token reads."""
    seen = problem.phi[None, : problem.n_support] * reads(problem)[:, :, None]
    return np.swapaxes(seen, 1, 2) @ problem.phi[: problem.n_support] + scalar_matrix(
        problem.ridge, problem
    )


def right(problem: Problem) -> np.ndarray:
    """[n, p] b_i, the sum of y_j phi_j over the supports that the token reads."""
    return reads(problem) @ (problem.phi[: problem.n_support] * problem.y[:, None])


def reads(problem: Problem) -> np.ndarray:
    """[n, k] 1 where a support or query reads a support, else 0, as scalars of the ring."""
    visible = problem.mask.dense(len(problem.tokens)).numpy()[N_REGISTERS:, N_REGISTERS:][
        :, : problem.n_support
    ]
    return np.where(visible, problem.number(1.0), problem.number(0.0))


def scalar_matrix(value: np.ndarray, problem: Problem) -> np.ndarray:
    """[p, p] a number times the identity."""
    matrix = problem.zeros(problem.phi.shape[1], problem.phi.shape[1])
    matrix[np.diag_indices(len(matrix))] = value
    return matrix


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[n, 1] the inner product on every token."""
    return (a * b).sum(axis=1, keepdims=True)


def held(name: str, matrices: np.ndarray) -> State:
    """The rows of every token's matrix under their names."""
    return {f"{name}_{a}": matrices[:, a] for a in range(matrices.shape[1])}


def matrices_of(state: State, name: str, p: int) -> np.ndarray:
    return np.stack([state[f"{name}_{a}"] for a in range(p)], axis=1)


def said(state: State, problem: Problem) -> np.ndarray:
    """f on the tokens that are asked: the queries, or under a causal mask the supports."""
    return state["f"][0 if isinstance(problem, CausalProblem) else problem.n_support :, 0]


def nowhere(problem: Problem) -> State:
    """w = 0, f = 0, and the targets, which stay where they are."""
    return {
        "w": problem.zeros(*problem.phi.shape),
        "f": problem.zeros(len(problem.phi), 1),
        "y": problem.on_rows(problem.y),
    }


def carried(recurrence: Recurrence, causal: bool, p: int, *vectors: str) -> Recurrence:
    """One block that carries before the first step; registers read the prompt too, and what they make of it does not matter."""
    loose = tuple(f"{name}_{a}" for name in "GE" for a in range(p)) + vectors
    return replace(
        recurrence,
        n_prelude=1,
        loose=loose,
        predict=said,
        pose=CausalProblem if causal else Problem,
    )


def gram_chebyshev_recurrence(
    p: int, smallest: float, largest: float, steps: int, causal: bool = False
) -> Recurrence:
    """w, r, d and f on every token; one block per step, each with coefficients of its own."""
    first, coefficients = chebyshev_coefficients(smallest, largest, steps)

    def start(problem: Problem) -> State:
        b = right(problem)
        return (
            nowhere(problem) | held("G", gram(problem)) | {"r": b, "d": problem.number(first) * b}
        )

    def step(state: State, problem: Problem, t: int) -> State:
        c, g = coefficients[t]
        G = gram(problem)
        f = state["f"] + dot(problem.phi, state["d"])
        c_held = problem.number(c - 1) + problem.number(1.0)  # the network holds c - 1, rounded
        made = chebyshev_step(
            state | {"alpha": state["w"]}, lambda v: apply(G, v), c_held, problem.number(g)
        )
        return state | {"w": made["alpha"], "r": made["r"], "d": made["d"], "f": f}

    def known(state: State, problem: Problem, t: int) -> State:
        return held("G", gram(problem))

    return carried(
        Recurrence("gram_chebyshev", 1, start, step, known=known), causal, p, "w", "r", "d"
    )


def token_start(problem: Problem) -> State:
    """Before the first step of Chronopoulos and Gear on every token."""
    zero, scalar = problem.zeros(*problem.phi.shape), problem.zeros(len(problem.phi), 1)
    ones = {"c": scalar + problem.number(1.0), "rho_old": scalar + problem.number(1.0)}
    not_started = on_token(AGGREGATOR, problem.number(0.0), problem)
    right_side = {"r": right(problem), "started": not_started}
    return right_side | {"p": zero, "s": zero, "phi_p": scalar} | ones


def gram_conjugate_gradient_recurrence(p: int, causal: bool = False) -> Recurrence:
    """w, r, p, s and the scalars of Chronopoulos and Gear on every token; three blocks per step."""

    def start(problem: Problem) -> State:
        return nowhere(problem) | held("G", gram(problem)) | token_start(problem)

    def step(state: State, problem: Problem, t: int) -> State:
        return state | one_token_step(state, problem, problem.number(1.0))

    def known(state: State, problem: Problem, t: int) -> State:
        return held("G", gram(problem)) | {
            "started": on_token(AGGREGATOR, problem.number(1.0), problem)
        }

    recurrence = Recurrence(
        "gram_conjugate_gradient",
        3,
        start,
        step,
        known=known,
        everywhere=("started",),
    )
    return carried(recurrence, causal, p, "w", "r", "p", "s", "c", "rho_old")


def one_token_step(state: State, problem: Problem, m: np.ndarray) -> State:
    """A step of every token for itself, with the Gram matrix it carries."""
    G, one = gram(problem), problem.number(1.0)
    core = state | {"phi": problem.phi, "started": state["started"][AGGREGATOR]}
    made = token_step(core, lambda v: apply(G, v), dot, problem.divide, m, one)
    return made | {"started": on_token(AGGREGATOR, one, problem)}


def feature_scaled_recurrence() -> Recurrence:
    """w, r, z, p, s and the scalars of Chronopoulos and Gear on every token, preconditioned by d; three blocks per step after three."""

    def fixed(problem: Problem) -> State:
        squares = problem.phi * problem.phi
        diagonal = reads(problem) @ squares[: problem.n_support]
        d = problem.divide(np.full_like(diagonal, problem.number(1.0)[0]), diagonal + problem.ridge)
        return {"squares": squares, "diagonal": diagonal, "d": d, "lambda": problem.ridge}

    def start(problem: Problem) -> State:
        state = nowhere(problem) | fixed(problem) | token_start(problem)
        return state | {"z": state["d"] * state["r"]}

    def step(state: State, problem: Problem, t: int) -> State:
        made = one_token_step(state, problem, state["d"])
        return state | made | {"z": state["d"] * made["r"]}

    def known(state: State, problem: Problem, t: int) -> State:
        held = fixed(problem) | {"started": on_token(AGGREGATOR, problem.number(1.0), problem)}
        return held | {"z": held["d"] * state["r"]}

    loose = ("w", "r", "z", "d", "diagonal", "p", "s", "c", "rho_old")
    everywhere = ("started", "lambda")
    recurrence = Recurrence(
        "feature_scaled_conjugate_gradient",
        3,
        start,
        step,
        n_prelude=3,
        known=known,
        everywhere=everywhere,
    )
    return replace(recurrence, loose=loose, predict=said)


def gram_squaring_recurrence(p: int, step_size: float, causal: bool = False) -> Recurrence:
    """w and the rows of E on every token; one block per step, and one that predicts."""

    def start(problem: Problem) -> State:
        eta, one = problem.number(step_size), problem.number(1.0)
        E = scalar_matrix(one, problem) - eta * gram(problem)
        return nowhere(problem) | held("E", E) | {"w": eta * right(problem)}

    def step(state: State, problem: Problem, t: int) -> State:
        E = matrices_of(state, "E", p)
        # the network sums w[a] times row a
        w = state["w"] + apply(np.swapaxes(E, 1, 2), state["w"])
        return state | held("E", E @ E) | {"w": w}

    def predict(state: State, problem: Problem) -> np.ndarray:
        return said({"f": dot(problem.phi, state["w"])}, problem)

    return replace(
        carried(Recurrence("gram_squaring", 1, start, step, n_epilogue=1), causal, p, "w"),
        predict=predict,
    )


def apply(matrices: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """[n, p] the matrix of every token times its vector."""
    return (matrices * vectors[:, None, :]).sum(axis=2)


def on_token(at: int, value: np.ndarray, problem: Problem) -> np.ndarray:
    """[T, 1] a number on one token, zero elsewhere."""
    column = problem.zeros(len(problem.tokens), 1)
    column[at] = value
    return column
