"""Exact certificates: weights are shown to run an algorithm, with a bound on the chance of error.

Two rational functions, the network's forward pass and the textbook recurrence, are evaluated over
a random prime field at a random point. If they differ as functions, they still agree at the point
with probability at most degree / prime (Schwartz 1980, Zippel 1979), plus the chance that the random prime divides
every coefficient of their difference. An integer of H bits has at most H / (b - 1) prime divisors
of b bits, and there are more than 2^(b - 1) / b primes of b bits to choose from.

* `certify_step`: from random values of everything the stream holds between two steps, one period
  of blocks maps the stream as the recurrence maps its state, and what the step takes for granted (`known`) is so again.
* `certify_end_to_end`: from random tokens, after the preparation and after every step, every token holds under every name
  what the recurrence says, and the output at every query is what it predicts; at termination it is k(x)^T (K + lambda I)^-1 y,
  solved by another library.

The second is the base of an induction whose step is the first: `thm-induction` of the book. Both compare *every* name
of the stream; a name that the recurrence does not speak of, or one that the stream does not have, is an error. The scratch that a
stream declares is zero on every token between two steps, and is held to it.

A division of the network is N / (D + g) with a guard g. Both sides are functions of g, too, which is drawn like the rest: so a
certificate says exactly what the guards do, and the textbook's algorithm is its limit g = 0, in which termination is compared.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from torch import Tensor

from metarep_lib.asked import asked, asked_to_draw, at_least
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.certify.problem import CausalProblem, Problem, random_prompt
from metarep_lib.certify.recurrence import Recurrence, empty
from metarep_lib.certify.rings import PRIME_BITS, Degrees, Field, Isotropic, Ring
from metarep_lib.contents import Contents
from metarep_lib.network.basis import Basis
from metarep_lib.network.transformer import TransformerConfig

# what is compared: a name, the network's values, the recurrence's
Entries = tuple[str, np.ndarray, np.ndarray]
MAX_REDRAWS = 8


@asked(degree=at_least(0))
@dataclass(frozen=True, eq=False, repr=False)
class Certificate(Contents):
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


@asked_to_draw(t=at_least(0), n_inputs=at_least(1))
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

    `steps_to_certify` lists the t that stand for all.

    Args:
        state_dict, config: the network, and nothing else of it.
        stream: which channels carry which names.
        recurrence: the algorithm.
        seed: of the prime and the point.
        t: which step.
        n_support, n_query: size of the random prompt (a causal problem has no queries).
        n_inputs: what a token carries, where the network makes phi of it; the width of phi when None.
        bound_error: also bound degree and height (slower; a mutant needs no error bound to die).

    Raises:
        ValueError: the stream has names the recurrence does not speak of, or the other way round, or the network has no step t + 1.
    """

    def compare(ring: Ring) -> Iterator[Entries]:
        problem = pose(
            recurrence,
            ring,
            n_inputs or stream.width("phi"),
            n_support,
            n_query,
            outputs_of(stream),
        )
        return StepTrial(stream, recurrence, problem, t).compare(exact(state_dict, config, ring))

    return evaluate("step", compare, seed, bound_error)


class StepTrial:
    """One step from a random stream: drawn once, held against as many networks as one likes."""

    def __init__(self, stream: Basis, recurrence: Recurrence, problem: Problem, t: int):
        self.stream, self.recurrence, self.problem, self.t = stream, recurrence, problem, t
        state = recurrence.random_state(problem, t)
        self.before = recurrence.random_stream(state, stream, problem)
        self.state = recurrence.step(state, problem, t)
        self.expected = stand(stream, recurrence, self.state, problem)

    def compare(self, network: ExactTransformer) -> Iterator[Entries]:
        """The stream after the step; then what the next step takes for granted, which is the recurrence's own affair."""
        first = self.recurrence.n_prelude + self.t * self.recurrence.n_blocks
        blocks = network.config.schedule[first : first + self.recurrence.n_blocks]
        if len(blocks) < self.recurrence.n_blocks:
            raise ValueError(
                f"certify_step(t={self.t}): the network has {len(network.config.schedule)} blocks, too few for step {self.t + 1}"
            )
        *_, after = network.blocks(self.before, self.problem.mask, blocks)
        yield from on_every_name("", after, self.expected, self.stream, self.recurrence)
        yield from taken_for_granted("", self.recurrence, self.state, self.problem, self.t + 1)


class WholeTrial:
    """The whole pass from random tokens: drawn once, held against as many networks as one likes."""

    def __init__(self, stream: Basis, recurrence: Recurrence, problem: Problem, n_steps: int):
        self.stream, self.recurrence, self.problem = stream, recurrence, problem
        self.states = recurrence.states(problem, n_steps)
        self.expected = [stand(stream, recurrence, state, problem) for state in self.states]
        self.predictions = [recurrence.predict(state, problem) for state in self.states]

    def compare(self, network: ExactTransformer) -> Iterator[Entries]:
        """The stream after the preparation and after every step, with the output where it can be read, block after block."""
        ends = range(
            self.recurrence.n_prelude, len(network.config.schedule) + 1, self.recurrence.n_blocks
        )
        t_at = {end: t for t, end in enumerate(ends[: len(self.states)])}
        for n_blocks, x in enumerate(network.stream(self.problem.tokens, self.problem.mask)):
            if n_blocks in t_at:
                t = t_at[n_blocks]
                yield from on_every_name(
                    f"step {t}: ", x, self.expected[t], self.stream, self.recurrence
                )
                if t:  # the first step may find something else
                    yield from taken_for_granted(
                        f"step {t}: ", self.recurrence, self.states[t], self.problem, t
                    )
                if not self.recurrence.n_epilogue:
                    yield self.output(f"f_{t}", network, x, self.predictions[t])
        if self.recurrence.n_epilogue:
            yield self.output(f"f_{len(self.states) - 1}", network, x, self.predictions[-1])

    def output(
        self, name: str, network: ExactTransformer, x: np.ndarray, prediction: np.ndarray
    ) -> Entries:
        """What the network says on the tokens that are asked, the last ones."""
        said = network.read(x[len(x) - len(prediction) :])
        return name, said, prediction.reshape(said.shape)


def exact(
    state_dict: Mapping[str, Tensor], config: TransformerConfig, ring: Ring
) -> ExactTransformer:
    return ExactTransformer(
        state_dict, config, ring.scalar, ring.divide, ring.exponential, ring.guard
    )


def outputs_of(stream: Basis) -> int:
    return next((stream.width(name) for name in ("alpha", "y") if name in stream), 1)


def stand(
    stream: Basis, recurrence: Recurrence, state: dict, problem: Problem
) -> dict[str, np.ndarray]:
    """Where everything stands, once the stream and the recurrence are known to speak of the same names.

    What the stream declares scratch is zero on every token: a duty that the declaration adds, and takes none away.
    A stream need not carry every constant of the prompt, and names nothing else.
    """
    said, zeros = recurrence.stand(state, problem), empty(stream, problem)
    unknown = [name for name in stream if name not in said and name not in zeros]
    missing = [name for name in said if name not in stream and name not in problem.constants]
    both = [name for name in zeros if name in said or name in recurrence.loose]
    if unknown or missing or both:
        raise ValueError(
            f"recurrence {recurrence.name!r} cannot be compared with a stream of {', '.join(stream)}: it says nothing of {unknown},"
            f" {missing} are not in the stream, and {both} are declared scratch though it gives them a value;"
            " give each name a place in `start`, or in the scratch of the program"
        )
    return said | zeros


def taken_for_granted(
    when: str, recurrence: Recurrence, state: dict, problem: Problem, t: int
) -> Iterator[Entries]:
    """What step t + 1 takes for granted is so in a state: it is one of those that the step is certified for."""
    for name, value in recurrence.known(state, problem, t).items():
        yield f"{when}known {name}", state[name], value


def on_every_name(
    when: str, x: np.ndarray, expected: dict[str, np.ndarray], stream: Basis, recurrence: Recurrence
) -> Iterator[Entries]:
    """What the network holds under each name and what it should, on the tokens where it matters."""
    for name in stream:
        held, where = x[:, stream[name]], recurrence.rows_of(name)
        yield when + name, held[where], np.broadcast_to(expected[name], held.shape)[where]


def is_looped(config: TransformerConfig, recurrence: Recurrence) -> bool:
    """Whether every step runs the same blocks, after those that prepare."""
    steps = config.schedule[recurrence.n_prelude : len(config.schedule) - recurrence.n_epilogue]
    period = steps[: recurrence.n_blocks]
    return steps == period * (len(steps) // recurrence.n_blocks)


def steps_to_certify(config: TransformerConfig, recurrence: Recurrence) -> range:
    """The t for which `certify_step` has to hold so that all steps are certified: one period where every step runs the same blocks."""
    return range(
        recurrence.period if is_looped(config, recurrence) else n_steps_of(config, recurrence)
    )


def n_steps_of(config: TransformerConfig, recurrence: Recurrence) -> int:
    """How many whole steps of the recurrence the blocks have room for."""
    blocks = len(config.schedule) - recurrence.n_prelude - recurrence.n_epilogue
    return blocks // recurrence.n_blocks


@asked_to_draw(n_inputs=at_least(1))
def certify_end_to_end(
    state_dict: Mapping[str, Tensor],
    config: TransformerConfig,
    stream: Basis,
    recurrence: Recurrence,
    *,
    seed: int,
    n_support: int = 3,
    n_query: int = 1,
    n_inputs: int | None = None,
    terminates: bool = False,
    bound_error: bool = True,
) -> Certificate:
    """From random tokens, the network holds and says after every step what the algorithm does.

    Compared are all names on all tokens after the preparation and after each step, and the outputs. With `terminates`, the last output
    is also held against k(x)^T (K + lambda I)^-1 y; all guards are then 0, as they are in the limit.
    Arguments and errors as for `certify_step`.
    """
    n_steps = n_steps_of(config, recurrence)

    def compare(ring: Ring) -> Iterator[Entries]:
        problem = pose(
            recurrence,
            ring,
            n_inputs or stream.width("phi"),
            n_support,
            n_query,
            outputs_of(stream),
        )
        name = said = None
        for name, said, expected in WholeTrial(stream, recurrence, problem, n_steps).compare(
            exact(state_dict, config, ring)
        ):
            yield name, said, expected
        if terminates and isinstance(ring, Field):
            yield "f*", said, problem.solution(ring).reshape(said.shape)

    return evaluate("end to end", compare, seed, bound_error, guarded=not terminates)


@asked_to_draw(n_steps=at_least(0), n_outputs=at_least(1))
def certify_same(
    recurrence: Recurrence,
    other: Recurrence,
    *,
    seed: int,
    n_steps: int,
    n_features: int,
    n_support: int = 3,
    n_query: int = 1,
    n_outputs: int = 1,
) -> Certificate:
    """Two recurrences predict the same at every query after every step, whatever the order of their sums; guards are 0.

    With it, a network certified against its own recurrence is certified against the textbook's.
    """

    def compare(ring: Ring) -> Iterator[Entries]:
        problem = pose(recurrence, ring, n_features, n_support, n_query, n_outputs)
        ours, theirs = recurrence.states(problem, n_steps), other.states(problem, n_steps)
        for t, states in enumerate(zip(ours, theirs)):
            one, another = (
                np.asarray(which.predict(state, problem))
                for which, state in zip((recurrence, other), states)
            )
            yield f"f_{t}", one, another.reshape(one.shape)

    return evaluate("same predictions", compare, seed, bound_error=True, guarded=False)


def pose(
    recurrence: Recurrence,
    ring: Ring,
    n_features: int,
    n_support: int,
    n_query: int,
    n_outputs: int,
) -> Problem:
    n_query = 0 if recurrence.pose is CausalProblem else n_query
    return random_prompt(ring, n_features, n_support, n_query, n_outputs, kind=recurrence.pose)


def evaluate(
    what: str,
    compare: Callable[[Ring], Iterator[Entries]],
    seed: int,
    bound_error: bool,
    guarded: bool = True,
) -> Certificate:
    """Evaluate both sides over a fresh field, redrawing where a divisor vanishes, and bound the error."""
    for redraws in range(MAX_REDRAWS):
        try:
            entries = list(compare(Field(seed * MAX_REDRAWS + redraws, guarded)))
            break
        except Isotropic:
            continue
    else:  # no chance event: the divisor is zero as a function
        return Certificate(
            what, (f"a divisor vanished at {MAX_REDRAWS} random points",), 0, MAX_REDRAWS, 0, 0
        )
    mismatches = [
        f"{name}{list(at)}"
        for name, ours, theirs in entries
        for at in np.ndindex(ours.shape)
        if ours[at] != theirs[at]
    ]
    n_compared = sum(ours.size for _, ours, _ in entries)
    degree, bits = bound_difference(compare, Degrees()) if bound_error else (0, 0)
    return Certificate(what, tuple(mismatches), n_compared, redraws, degree, bits)


def bound_difference(
    compare: Callable[[Ring], Iterator[Entries]], ring: Degrees
) -> tuple[int, int]:
    """Degree and bits of N_1 D_2 - N_2 D_1, the largest over all entries compared, times what keeps the scores of softmax heads apart."""
    degree = bits = 0
    for _, ours, theirs in compare(ring):
        for one, other in zip(ours.flat, theirs.flat):
            (degree_1, bits_1), (degree_2, bits_2) = one.total, other.total
            degree, bits = max(degree, degree_1 + degree_2), max(bits, bits_1 + bits_2 + 1)
    apart_degree, apart_bits = ring.collisions
    return degree + apart_degree, bits + apart_bits
