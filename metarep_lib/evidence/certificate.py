"""Exact certificates: weights are shown to run an algorithm, with a bound on the chance of error.

Two rational functions, the network's forward pass and the textbook recurrence, are evaluated over
a random prime field at a random point. If they differ as functions, they still agree at the point
with probability at most degree / prime (Schwartz 1980, Zippel 1979), plus the chance that the random prime divides
every coefficient of their difference. An integer of H bits has at most H / (b - 1) prime divisors
of b bits, and there are more than 2^(b - 1) / b primes of b bits to choose from.

* `certify_step`: from random values of everything the stream holds between two steps, one period
  of blocks maps the stream as the recurrence maps its state.
* `certify_end_to_end`: from random tokens, the output at every query after every step is
  k(x)^T alpha_t; at termination it is k(x)^T (K + lambda I)^-1 y, solved by another library.

A network whose steps pass the first, and whose start passes the second, runs the algorithm for every
number of steps, by induction; when all steps run the same blocks, one step is enough.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from metarep_lib.construct.basis import Basis
from metarep_lib.construct.exact import ExactTransformer
from metarep_lib.evidence.problem import CausalProblem, Problem, random_prompt
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.evidence.rings import PRIME_BITS, Degrees, Field, Isotropic, Ring
from metarep_lib.network.transformer import TransformerConfig

Compared = dict[str, tuple[np.ndarray, np.ndarray]]
MAX_REDRAWS = 8


@dataclass(frozen=True)
class Certificate:
    """The result of comparing a network with a recurrence over a random prime field.

    Args:
        what: "step" or "end to end".
        mismatches: which entries differ; empty when the certificate holds.
        n_compared: how many entries were compared.
        redraws: random points given up because a divisor vanished there.
        degree: bound on the degree of the difference of the two functions; 0 when not asked for.
        bits: bound on the bits of its height; 0 when not asked for.
    """

    what: str
    mismatches: tuple[str, ...]
    n_compared: int
    redraws: int
    degree: int
    bits: int

    @property
    def holds(self) -> bool:
        return not self.mismatches

    @property
    def log2_error(self) -> int:
        """The chance that a false identity passes is at most 2 to this power."""
        by_point = Fraction(self.degree, 2 ** (PRIME_BITS - 1))
        by_prime = Fraction(self.bits * PRIME_BITS, (PRIME_BITS - 1) * 2 ** (PRIME_BITS - 1))
        bound = by_point + by_prime
        return bound.numerator.bit_length() - bound.denominator.bit_length() + 1

    def __str__(self) -> str:
        if not self.holds:
            return f"{self.what}: FAILS, {len(self.mismatches)} of {self.n_compared} entries differ, first {self.mismatches[0]}"
        if not self.degree:
            return f"{self.what}: holds, {self.n_compared} entries equal, error not bounded, redraws {self.redraws}"
        return (
            f"{self.what}: holds, {self.n_compared} entries equal, degree < 2^{self.degree.bit_length()},"
            f" chance of error < 2^{self.log2_error}, redraws {self.redraws}"
        )


def certify_step(
    state_dict: Mapping[str, Tensor],
    config: TransformerConfig,
    stream: Basis,
    recurrence: Recurrence,
    *,
    seed: int,
    t: int = 0,
    n_support: int = 3,
    n_query: int = 1,
    n_inputs: int | None = None,
    bound_error: bool = True,
) -> Certificate:
    """The blocks of step t + 1 map a random stream as the recurrence maps its state.

    When all steps run the same blocks, as `is_looped` says, one step stands for all.

    Args:
        state_dict, config: the network, and nothing else of it.
        stream: which channels carry which names.
        recurrence: the algorithm.
        seed: of the prime and the point.
        t: which step.
        n_support, n_query: size of the random prompt (a causal problem has no queries).
        n_inputs: what a token carries, where the network makes phi of it; the width of phi when None.
        bound_error: also bound degree and height (slower; a mutant needs no error bound to die).
    """
    first = recurrence.n_prelude + t * recurrence.n_blocks
    blocks = config.schedule[first : first + recurrence.n_blocks]

    def compare(ring: Ring) -> Compared:
        network = ExactTransformer(state_dict, config, ring.scalar, ring.divide, ring.exponential)
        n_outputs = next((stream.width(name) for name in ("alpha", "y") if name in stream), 1)
        problem = pose(recurrence, ring, n_inputs or stream.width("phi"), n_support, n_query, n_outputs)
        state = recurrence.random_state(problem)
        before = recurrence.random_stream(state, stream, problem)
        *_, after = network.blocks(before, problem.mask, blocks)
        expected = recurrence.stand(recurrence.step(state, problem, t), problem)
        return {name: both_sides(name, after, expected[name], stream, recurrence) for name in stream if name in expected}

    return evaluate("step", compare, seed, bound_error)


def both_sides(name: str, after: np.ndarray, expected: np.ndarray, stream: Basis, recurrence: Recurrence) -> tuple[np.ndarray, np.ndarray]:
    """What the network holds under a name and what it should, on the tokens where it matters."""
    held = after[:, stream[name]]
    where = recurrence.rows_of(name)
    return held[where], np.broadcast_to(expected, held.shape)[where]


def is_looped(config: TransformerConfig, recurrence: Recurrence) -> bool:
    """Whether every step runs the same blocks, after those that prepare."""
    steps = config.schedule[recurrence.n_prelude : len(config.schedule) - recurrence.n_epilogue]
    period = steps[: recurrence.n_blocks]
    return steps == period * (len(steps) // recurrence.n_blocks)


def certify_end_to_end(
    state_dict: Mapping[str, Tensor],
    config: TransformerConfig,
    recurrence: Recurrence,
    *,
    seed: int,
    n_features: int,
    n_support: int,
    n_query: int = 1,
    n_outputs: int = 1,
    terminates: bool = False,
    bound_error: bool = True,
) -> Certificate:
    """From random tokens, what the network says after every step is what the algorithm predicts.

    With `terminates`, the last output is also held against k(x)^T (K + lambda I)^-1 y.
    Arguments as for `certify_step`.
    """

    def compare(ring: Ring) -> Compared:
        network = ExactTransformer(state_dict, config, ring.scalar, ring.divide, ring.exponential)
        problem = pose(recurrence, ring, n_features, n_support, n_query, n_outputs)
        streams = list(network.stream(problem.tokens, problem.mask))
        asked = slice(len(problem.tokens) - len(recurrence.predict(recurrence.start(problem), problem)), None)
        n_steps = (len(config.schedule) - recurrence.n_prelude - recurrence.n_epilogue) // recurrence.n_blocks
        states = recurrence.states(problem, n_steps)
        readable = streams[recurrence.n_prelude :: recurrence.n_blocks] if not recurrence.n_epilogue else streams[-1:]
        outputs = [network.read(x)[asked] for x in readable]
        predictions = [recurrence.predict(state, problem).reshape(outputs[0].shape) for state in states[-len(outputs) :]]
        pairs = {f"f_{t}": both for t, both in enumerate(zip(outputs, predictions), start=n_steps + 1 - len(outputs))}
        if terminates and isinstance(ring, Field):
            pairs["f*"] = outputs[-1], problem.solution(ring).reshape(outputs[-1].shape)
        return pairs

    return evaluate("end to end", compare, seed, bound_error)


def pose(recurrence: Recurrence, ring: Ring, n_features: int, n_support: int, n_query: int, n_outputs: int = 1) -> Problem:
    n_query = 0 if recurrence.pose is CausalProblem else n_query
    return random_prompt(ring, n_features, n_support, n_query, n_outputs, kind=recurrence.pose)


def evaluate(what: str, compare: Callable[[Ring], Compared], seed: int, bound_error: bool) -> Certificate:
    """Evaluate both sides over a fresh field, redrawing where a divisor vanishes, and bound the error."""
    for redraws in range(MAX_REDRAWS):
        try:
            pairs = compare(Field(seed=seed * MAX_REDRAWS + redraws))
            break
        except Isotropic:
            continue
    else:  # no chance event: the divisor is zero as a function
        return Certificate(what, (f"a divisor vanished at {MAX_REDRAWS} random points",), 0, MAX_REDRAWS, 0, 0)
    mismatches = [
        f"{name}{list(at)}" for name, (ours, theirs) in pairs.items() for at in np.ndindex(ours.shape) if ours[at] != theirs[at]
    ]
    n_compared = sum(ours.size for ours, _ in pairs.values())
    degree, bits = bound_difference(compare, Degrees()) if bound_error else (0, 0)
    return Certificate(what, tuple(mismatches), n_compared, redraws, degree, bits)


def bound_difference(compare: Callable[[Ring], Compared], ring: Degrees) -> tuple[int, int]:
    """Degree and bits of N_1 D_2 - N_2 D_1, the largest over all entries compared, times what keeps the scores of softmax heads apart."""
    degree = bits = 0
    for ours, theirs in compare(ring).values():
        for one, other in zip(ours.flat, theirs.flat):
            (degree_1, bits_1), (degree_2, bits_2) = one.total, other.total
            degree, bits = max(degree, degree_1 + degree_2), max(bits, bits_1 + bits_2 + 1)
    apart_degree, apart_bits = ring.collisions
    return degree + apart_degree, bits + apart_bits
