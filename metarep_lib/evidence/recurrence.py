"""What a network is held against: an algorithm and where its quantities stand in the stream.

A `Recurrence` knows no network. Its step is the solvers' own (`metarep_lib.numerics.recurrences`),
run over any ring; the rest says which token must hold what between two steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from metarep_lib.construct.basis import Basis
from metarep_lib.construct.tokens import N_REGISTERS
from metarep_lib.evidence.problem import Problem, draws
from metarep_lib.evidence.rings import Ring
from metarep_lib.numerics.recurrences import State, conjugate_gradient_step, gradient_descent_step

CONSTANTS = ("phi", "ridge", "one", "is_aggregator", "is_sink")


@dataclass(frozen=True)
class Recurrence:
    """An algorithm, its names, and where they stand between two steps.

    Args:
        name: what it is called.
        n_blocks: how many blocks a network takes for one step.
        start: live names, with True for those that start at y and False for those that start at 0;
            they stand on supports and queries, and are zero on the registers.
        step: (state, problem, ring) to the state after one step.
        on_registers: scalars of the step that stand on the registers, zero elsewhere.
        everywhere: scalars of the step that stand on every token.
        empty: names that are zero everywhere between steps.
    """

    name: str
    n_blocks: int
    start: dict[str, bool]
    step: Callable[[State, Problem, Ring], State]
    on_registers: tuple[str, ...] = ()
    everywhere: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()

    def iterates(self, problem: Problem, n_steps: int, ring: Ring) -> list[np.ndarray]:
        """[k] alpha_t for t = 0 ... n_steps."""
        zero = ring.scalar(Fraction(0))
        y = np.concatenate([problem.y, np.full(len(problem.K_query), zero, dtype=object)])
        state = {name: y if at_y else np.full_like(y, zero) for name, at_y in self.start.items()}
        iterates = [state["alpha"]]
        for _ in range(n_steps):
            state = self.step(state, problem, ring)
            iterates.append(state["alpha"])
        return [alpha[: len(problem.y)] for alpha in iterates]

    def random_stream(self, tokens: np.ndarray, inputs: Basis, stream: Basis, ring: Ring) -> np.ndarray:
        """[T, d_model] a stream as it may be between two steps: the constants of a prompt, anything else random.

        Names this recurrence does not mention are scratch and random too: what an earlier step
        left in them must not matter.
        """
        zero = ring.scalar(Fraction(0))
        x = draws(ring, len(tokens), stream.size)
        for name in filter(stream.__contains__, CONSTANTS):
            x[:, stream[name]] = ring.scalar(Fraction(1)) if name == "one" else tokens[:, inputs[name]]
        for name in self.start:
            x[:N_REGISTERS, stream[name]] = zero
        for name in self.empty:
            x[:, stream[name]] = zero
        return x

    def after_step(self, before: np.ndarray, stream: Basis, problem: Problem, ring: Ring) -> dict[str, np.ndarray]:
        """name -> [T, width] everything the stream must hold one step later."""
        n_tokens = len(before)
        zero = ring.scalar(Fraction(0))
        state = self.step({name: before[N_REGISTERS:, stream[name]][:, 0] for name in self.start}, problem, ring)
        expected = {name: before[:, stream[name]] for name in CONSTANTS if name in stream}
        expected |= {name: np.full((n_tokens, 1), zero, dtype=object) for name in (*self.start, *self.on_registers, *self.empty)}
        for name in self.start:
            expected[name][N_REGISTERS:, 0] = state[name]
        for name in self.on_registers:
            expected[name][:N_REGISTERS, 0] = state[name]
        for name in self.everywhere:
            expected[name] = np.full((n_tokens, 1), state[name][0], dtype=object)
        return expected


def gradient_descent_recurrence(step_size: float) -> Recurrence:
    """alpha and r; one block per step."""

    def step(state: State, problem: Problem, ring: Ring) -> State:
        return gradient_descent_step(state, problem.matvec, np.array([ring.scalar(Fraction(step_size))], dtype=object))

    return Recurrence("gradient_descent", 1, {"alpha": False, "r": True}, step, empty=("w",))


def conjugate_gradient_recurrence() -> Recurrence:
    """alpha, r, p and five scalars; five blocks per step."""

    def step(state: State, problem: Problem, ring: Ring) -> State:
        return conjugate_gradient_step(state, problem.matvec, problem.inner, np.vectorize(ring.divide, otypes=[object]))

    return Recurrence(
        "conjugate_gradient",
        5,
        {"alpha": False, "r": True, "p": True},
        step,
        on_registers=("rho", "sigma", "rho_next"),
        everywhere=("gamma", "beta"),
        empty=("w",),
    )
