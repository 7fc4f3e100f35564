"""Put a network on trial against the algorithm it was called to be."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from metarep_lib.asked import asked, at_least, each, that
from metarep_lib.asked.values import is_whole
from metarep_lib.certify.catalogue import UnknownRecurrence, recurrence_of
from metarep_lib.certify.certificate import (
    Certificate,
    certify_end_to_end,
    certify_step,
    n_steps_of,
    steps_to_certify,
)
from metarep_lib.certify.problem import CausalProblem
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.rings import PRIME_BITS
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.contents import Contents

SEEDS = (0, 1)
SIZES = ((3, 1), (4, 2))


@dataclass(frozen=True, eq=False, repr=False)
class Certification(Contents):
    """The certificates of one network; printed, what was compared with what.

    Args:
        network: the call that made its program, or the program's name.
        recurrence: the name of what it was held against.
        names: the directions of the stream, all of which were compared.
        n_steps: after how many steps they were compared, from the tokens on.
        sizes: (supports, queries) of the random prompts.
        certificates: of single steps from any stream, and of whole passes from tokens.
        remark: what may explain a failure.
    """

    network: str
    recurrence: str
    names: tuple[str, ...]
    n_steps: int
    sizes: tuple[tuple[int, int], ...]
    certificates: tuple[Certificate, ...]
    remark: str = ""

    @property
    def holds(self) -> bool:
        return all(certificate.holds for certificate in self.certificates)

    def __bool__(self) -> bool:
        return self.holds

    @property
    def n_compared(self) -> int:
        return sum(certificate.n_compared for certificate in self.certificates)

    @property
    def log2_error(self) -> int:
        """Of the certificate that proves least; the chance that all of them err is no larger."""
        return max(certificate.log2_error for certificate in self.certificates)

    def __str__(self) -> str:
        if not self.holds:
            failed = [each for each in self.certificates if not each.holds]
            return (
                f"{self.network} does NOT run {self.recurrence}:"
                f" {len(failed)} of {len(self.certificates)} certificates fail,"
                f" first {failed[0]}{self.remark}"
            )
        sizes = " and ".join(f"{k} + {q}" for k, q in self.sizes)
        bounded = all(certificate.degree for certificate in self.certificates)
        error = f"chance of error < 2^{self.log2_error}" if bounded else "error not bounded"
        return (
            f"{self.network} runs {self.recurrence}:"
            f" {len(self.names)} names, {self.n_steps} steps and each step by itself,"
            f" {sizes} tokens, {self.n_compared} entries equal"
            f" over random fields of {PRIME_BITS}-bit primes, {error}"
        )


def is_pair(size: object) -> bool:
    pair = isinstance(size, tuple | list) and len(size) == 2
    return pair and all(map(is_whole, size)) and size[0] >= 1 and size[1] >= 0


PAIR = that("pairs of numbers, supports and queries", is_pair)


@asked(seeds=each(at_least(0), example="(0, 1)"), sizes=each(PAIR, example="((3, 1),)"))
def certify(
    network: ConstructedTransformer,
    recurrence: Recurrence | None = None,
    *,
    seeds: Sequence[int] = SEEDS,
    sizes: Sequence[tuple[int, int]] = SIZES,
    bound_error: bool = True,
) -> Certification:
    """Hold the weights against the recurrence that the program's record says.

    Every step by itself from a random stream, and the whole pass from random tokens.

    Args:
        network: as assembled, or loaded; of its program, the record and the names are used.
        recurrence: what to hold it against instead of what the record says.
        seeds: of the primes and the points, one trial each for every size.
        sizes: (supports, queries) of the random prompts; a causal network has no queries.
        bound_error: also bound degree and height, hence the chance of error (slower).

    Raises:
        UnknownRecurrence: no `recurrence` given, and a program without a record or an algorithm
            without a recurrence.
        ValueError: no seeds or sizes, a stream with names that the recurrence does not speak of,
            blocks that are no whole steps, or another mask.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> from metarep_lib.construct.assemble import assemble
    >>> made = certify(assemble(gradient_descent(2, steps=3, step_size=0.25)), sizes=[(3, 1)])
    >>> made.holds, made.n_steps, made.n_compared, made.log2_error
    (True, 3, 428, -512)
    """
    if not seeds or not sizes:
        raise ValueError(
            f"certify(seeds={seeds}, sizes={sizes}): expected one of each at least,"
            " e.g. seeds=(0,), sizes=((3, 1),)"
        )
    held_against = recurrence or recorded(network)
    check_shape(network, held_against)
    program, config = network.program, network.transformer.config
    dtype = network.transformer.W_E.dtype
    return Certification(
        network=repr(program.call) if program.call else program.name,
        recurrence=held_against.name,
        names=tuple(network.basis),
        n_steps=n_steps_of(config, held_against),
        sizes=tuple((k, 0 if program.causal else q) for k, q in sizes),
        certificates=tuple(
            certificate
            for k, q in sizes
            for seed in seeds
            for certificate in trials(network, held_against, seed, k, q, bound_error)
        ),
        remark=""
        if dtype == torch.float64
        else f"; its weights are rounded to {dtype}, the recurrence's numbers are not:"
        " assemble it in torch.float64",
    )


def recorded(network: ConstructedTransformer) -> Recurrence:
    """The recurrence that the program's record says."""
    if network.program.call is None:
        raise UnknownRecurrence(
            f"certify({network.program.name}): its program has no record of the call that made it"
            " (dataclasses.replace drops it); give recurrence=..., as in"
            " certify(network, recurrence=conjugate_gradient_recurrence())"
        )
    return recurrence_of(network.program.call)


def check_shape(network: ConstructedTransformer, recurrence: Recurrence) -> None:
    """Refuse what no certificate looks at: blocks behind the last step, another mask."""
    program, blocks = network.program, network.transformer.config.schedule
    steps = n_steps_of(network.transformer.config, recurrence)
    said = recurrence.n_prelude + steps * recurrence.n_blocks + recurrence.n_epilogue
    causal = issubclass(recurrence.pose, CausalProblem)
    reasons = [
        (steps < 1 or said != len(blocks), f"{len(blocks)} blocks run, {steps} steps take {said}"),
        (program.n_blocks != len(blocks), f"{len(blocks)} blocks run, it says {program.n_blocks}"),
        (program.causal != causal, f"causal={program.causal}, the recurrence is for {causal}"),
    ]
    if any(wrong for wrong, _ in reasons):
        listed = "; ".join(reason for wrong, reason in reasons if wrong)
        raise ValueError(f"certify({program.name}) against {recurrence.name!r}: {listed}")


def trials(
    network: ConstructedTransformer,
    recurrence: Recurrence,
    seed: int,
    n_support: int,
    n_query: int,
    bound_error: bool,
) -> Iterator[Certificate]:
    """One certificate for every step unlike those before it, and one of the whole pass."""
    weights, config = network.transformer.state_dict(), network.transformer.config
    asked = {
        "n_support": n_support,
        "n_query": n_query,
        "n_inputs": network.program.inputs.width("phi"),
        "bound_error": bound_error,
        "seed": seed,
    }
    for t in steps_to_certify(config, recurrence):
        if t < n_steps_of(config, recurrence):  # a network may be shorter than a period
            yield certify_step(weights, config, network.basis, recurrence, t=t, **asked)
    yield certify_end_to_end(weights, config, network.basis, recurrence, **asked)
