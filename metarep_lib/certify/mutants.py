"""Testing the certificates: every mutant of a network must die, or be known to do no harm.

A certificate that accepts a wrong network proves nothing. Four kinds of mutants are made: one non-zero weight tripled, one weight
added where W_E, W_O or W_out, the matrices that write to the stream, have a zero, one gated unit dropped, two neighbouring
unequal blocks swapped. Each is called by the directions it connects (`Naming`), so that its name outlives a change of their order.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from torch import Tensor

from metarep_lib.asked import asked, asked_to_draw
from metarep_lib.certify.certificate import (
    StepTrial,
    WholeTrial,
    exact,
    outputs_of,
    pose,
    steps_to_certify,
)
from metarep_lib.certify.naming import Naming
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.rings import Field, Isotropic
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.contents import Contents
from metarep_lib.network.transformer import TransformerConfig

KINDS = ("tripled", "added", "dropped", "swapped")
WRITING = ("W_E", "W_O", "W_out")  # the matrices in which a zero is an absent write


@dataclass(frozen=True)
class Mutant:
    """One small wrong.

    Args:
        kind: one of KINDS.
        where: what was touched, as in `W_E is_aggregator -> rho_old`.
        tensor: the name of the weights changed; None when blocks were swapped.
        at: where in them; a unit is a whole row.
        value: what stands there now.
        schedule: the blocks in their new order; None when they stay.
    """

    kind: str
    where: str
    tensor: str | None = None
    at: tuple[int, ...] = ()
    value: float = 0.0
    schedule: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.kind} {self.where}"

    def of(
        self, weights: Mapping[str, Tensor], config: TransformerConfig
    ) -> tuple[dict[str, Tensor], TransformerConfig]:
        """Weights and configuration with this wrong in them."""
        if self.tensor is None:
            return dict(weights), replace(config, schedule=self.schedule)
        changed = weights[self.tensor].clone()
        changed[self.at] = self.value
        return {**weights, self.tensor: changed}, config


@dataclass(frozen=True, eq=False, repr=False)
class Judged(Contents):
    """What became of mutants: how many of each kind were made, and those that every certificate accepts."""

    made: dict[str, int]
    survivors: tuple[str, ...]


@asked()
def mutants(network: ConstructedTransformer) -> Iterator[Mutant]:
    """All of them, one small wrong at a time."""
    state_dict, schedule = network.transformer.state_dict(), network.transformer.config.schedule
    naming = Naming(network)
    for tensor, weights in state_dict.items():
        changes = [
            ("tripled", at, 3 * float(weights[tuple(at)])) for at in weights.nonzero().tolist()
        ]
        if tensor.split(".")[-1] in WRITING:
            changes += [("added", at, 1.0) for at in (weights == 0).nonzero().tolist()]
        for kind, at, value in changes:
            yield Mutant(kind, naming.entry(tensor, tuple(at)), tensor, tuple(at), value)
        if tensor.endswith("mlp.W_out"):
            yield from (
                Mutant("dropped", naming.unit(tensor, unit), tensor, (unit,))
                for unit in range(len(weights))
            )
    for i, (one, other) in enumerate(zip(schedule, schedule[1:])):
        if one != other:
            yield Mutant(
                "swapped",
                f"blocks {i} and {i + 1}",
                schedule=(*schedule[:i], other, one, *schedule[i + 2 :]),
            )


class Harness:
    """The certificates of one network, drawn once and run on as many mutants as one likes.

    Networks of two periods of steps are enough: more would repeat the same tensors or the same circuits.
    """

    def __init__(
        self,
        network: ConstructedTransformer,
        recurrence: Recurrence,
        *,
        seed: int,
        n_support: int = 3,
    ):
        config, stream, field = network.transformer.config, network.basis, Field(seed)
        problem = pose(
            recurrence, field, network.program.inputs.width("phi"), n_support, 1, outputs_of(stream)
        )
        self.weights, self.config = network.transformer.state_dict(), config
        self.network = exact(self.weights, config, field)
        self.whole = WholeTrial(stream, recurrence, problem, network.program.n_steps)
        self.steps = [
            StepTrial(stream, recurrence, problem, t) for t in steps_to_certify(config, recurrence)
        ]

    def accepts(self, mutant: Mutant) -> bool:
        """Whether every certificate holds: the whole pass first, in which most die early; a step only where the blocks are in order."""
        weights, config = mutant.of(self.weights, self.config)
        network = (
            self.network.with_weight(mutant.tensor, weights[mutant.tensor])
            if mutant.tensor
            else self.network.with_config(config)
        )
        trials = [self.whole, *(self.steps if mutant.tensor else ())]
        try:
            return all(
                (ours == theirs).all()
                for trial in trials
                for _, ours, theirs in trial.compare(network)
            )
        except Isotropic:  # a divisor that vanishes at a random point is zero as a function
            return False

    def judge(self, of: Iterable[Mutant]) -> Judged:
        made, left = Counter(dict.fromkeys(KINDS, 0)), []
        for mutant in of:
            made[mutant.kind] += 1
            if self.accepts(mutant):
                left.append(str(mutant))
        return Judged(dict(made), tuple(left))


@asked_to_draw()
def survivors(
    network: ConstructedTransformer,
    recurrence: Recurrence,
    *,
    seed: int,
    n_support: int = 3,
    kinds: Iterable[str] = KINDS,
) -> Judged:
    """Try every mutant of these kinds against every certificate of a network."""
    return Harness(network, recurrence, seed=seed, n_support=n_support).judge(
        mutant for mutant in mutants(network) if mutant.kind in kinds
    )
