"""What a network is held against: an algorithm and where its quantities stand in the stream.

A `Recurrence` knows no network. Its step is the solvers' own (`metarep_lib.numerics.steps`),
run over any ring; the rest says which token must hold what between two steps. It says nothing of what a
network leaves empty there: that is its scratch, which the stream declares.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from metarep_lib.certify.problem import Problem, draws
from metarep_lib.contents import Contents
from metarep_lib.network.basis import Basis
from metarep_lib.network.tokens import N_REGISTERS
from metarep_lib.numerics.steps import State


def nothing(state: State, problem: Problem, t: int) -> State:
    return {}


def dual_prediction(state: State, problem: Problem) -> np.ndarray:
    """[q(, m)] k(x)^T alpha at every query."""
    return problem.K_query @ state["alpha"][: problem.n_support]


def empty(stream: Basis, problem: Problem) -> dict[str, np.ndarray]:
    """name -> [T, 1] zeros, for the scratch of a stream."""
    return {name: problem.zeros(len(problem.tokens), 1) for name in stream.scratch}


@dataclass(frozen=True, repr=False)
class Recurrence(Contents):
    """An algorithm, its names, and where they stand between two steps.

    Args:
        name: what it is called.
        n_blocks: how many blocks a network takes for one step.
        start: problem to the state at t = 0. Names stand on supports and queries and are zero on
            the registers, except those in `everywhere`.
        step: (state, problem, t) to the state after step t + 1, and scalars made on the way.
        n_prelude: blocks that prepare constants before the first step.
        n_epilogue: blocks that predict after the last step; without them the output is read after every step.
        known: (state, problem, t) to the names that step t + 1 finds as they are given here, unlike the
            other live names, for which a step may find anything. The first step may find something else: it is
            compared by itself, from the tokens on.
        period: after how many steps `known` says the same again.
        everywhere: names that stand on every token.
        on_registers: scalars of a step that stand on the registers and are zero elsewhere.
        loose: names whose value on the registers does not matter.
        unseen: names that the network carries nowhere.
        predict: (state, problem) to what the network should say.
    """

    name: str
    n_blocks: int
    start: Callable[[Problem], State]
    step: Callable[[State, Problem, int], State]
    n_prelude: int = 0
    n_epilogue: int = 0
    known: Callable[[State, Problem, int], State] = nothing
    period: int = 1
    everywhere: tuple[str, ...] = ()
    on_registers: tuple[str, ...] = ()
    loose: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    predict: Callable[[State, Problem], np.ndarray] = dual_prediction
    pose: type[Problem] = field(default=Problem)

    def states(self, problem: Problem, n_steps: int) -> list[State]:
        """The states after 0, 1, ... n_steps steps."""
        states = [self.start(problem)]
        for t in range(n_steps):
            states.append(self.step(states[-1], problem, t))
        return states

    def random_state(self, problem: Problem, t: int) -> State:
        """A state as step t + 1 may find it."""
        state = {
            name: draws(problem.ring, *value.shape) for name, value in self.start(problem).items()
        }
        return state | self.known(state, problem, t)

    def random_stream(self, state: State, stream: Basis, problem: Problem) -> np.ndarray:
        """[T, d_model] a stream that holds this state and the constants of the prompt, and is zero on its scratch; anything else is random.

        Where a name does not matter it is random, too.
        """
        held = self.stand(state, problem) | empty(stream, problem)
        x = draws(problem.ring, len(problem.tokens), stream.size)
        for name in stream:
            if name in held:
                where = self.rows_of(name)
                x[where, stream[name]] = held[name][where]
        return x

    def rows_of(self, name: str) -> slice:
        """The tokens on which a name matters."""
        return slice(N_REGISTERS, None) if name in self.loose else slice(None)

    def stand(self, state: State, problem: Problem) -> dict[str, np.ndarray]:
        """name -> [T, width] where everything stands: the state and the constants, zero on the other tokens."""
        n_tokens, held = len(problem.tokens), dict(problem.constants)
        for name, value in state.items():
            if name in self.unseen:
                continue
            everywhere, on_registers = name in self.everywhere, name in self.on_registers
            rows = value if everywhere or on_registers or value.ndim > 1 else value[:, None]
            held[name] = problem.zeros(n_tokens, rows.shape[-1])
            held[name][
                slice(None)
                if everywhere
                else slice(N_REGISTERS)
                if on_registers
                else slice(N_REGISTERS, None)
            ] = rows
        return held
