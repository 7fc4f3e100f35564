"""A pass written out: where its inputs come from, the operations in order, when a slot is no longer needed, and what is read off."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.fast.blocks import Held
from metarep_lib.fast.expressions import ONE
from metarep_lib.fast.operations import Operation, Placed, Setting, Slots, WholeBlock
from metarep_lib.fast.packing import Packer
from metarep_lib.fast.reading import Reading, columns_of
from metarep_lib.fast.values import Values, frozen
from metarep_lib.network.masks import Mask
from metarep_lib.network.question import Question
from metarep_lib.prompt import Prompt


@dataclass(frozen=True)
class Plan:
    """Operations with their slots.

    Args:
        reading: of the tokens.
        numbers: (segment, channel) of the tokens that go into slot 1.
        columns: what goes into the slots behind it, and which of its columns: a tensor of the prompt, or the tokens of a segment.
        operations: with the slots they fill.
        last_use: operation -> slots that nobody needs after it.
        states: for every layer kept, what stands on every segment.
    """

    reading: Reading
    numbers: tuple[tuple[str, int], ...]
    columns: tuple[tuple[str, tuple[int, ...]], ...]
    operations: tuple[tuple[Operation, tuple[int, ...]], ...]
    last_use: Mapping[int, tuple[int, ...]]
    states: tuple[Mapping[str, Placed], ...]

    def multiplications(self, counts: Mapping[str, int]) -> int:
        """Of one prompt whose segments have so many tokens."""
        return sum(operation.multiplications(counts) for operation, _ in self.operations)

    def run(
        self, prompt: Prompt, block: Callable[[int, Tensor, Mask], Tensor]
    ) -> tuple[Slots, Setting]:
        """All slots that are needed at the end, and the setting they were made in."""
        slots, setting = self.begin(prompt, block)
        for i, (operation, targets) in enumerate(self.operations):
            made = operation(slots, setting)
            for target, found in zip(targets, made if isinstance(made, list) else [made]):
                slots[target] = found
            for slot in self.last_use.get(i, ()):
                slots[slot] = None
        return slots, setting

    def begin(
        self, prompt: Prompt, block: Callable[[int, Tensor, Mask], Tensor]
    ) -> tuple[Slots, Setting]:
        """The inputs in their slots: views of the prompt where they can be."""
        reading, like = self.reading, prompt.phi
        small = self.reading.layout.question(stand_in(prompt), reading.inputs)
        whole = None if self.is_views else reading.layout.question(prompt, reading.inputs)
        counts = reading.counts(small if whole is None else whole, prompt)
        places = {s: part.start for s, part in reading.slices(small).items()}
        answers_supports = whole is not None and small.has_passes and not whole.has_passes
        tokens = small.tokens[..., 0, :, :] if answers_supports else small.tokens
        slots: Slots = [like.new_ones(1)]
        slots.append(
            torch.stack([tokens[..., places[s], c] for s, c in self.numbers], -1)
            if self.numbers
            else like.new_ones(0)
        )
        slots.append(like.new_tensor([counts[s] for s in reading.segments]))
        slots += [
            self.column(prompt, whole, name)[..., list_or_slice(chosen), :]
            for name, chosen in self.columns
        ]
        slots += [None] * sum(len(targets) for _, targets in self.operations)
        question = small if whole is None else whole
        return slots, Setting(counts, question, lambda index, x: block(index, x, question.mask))

    @property
    def is_views(self) -> bool:
        """Whether no token has to be made: all columns are the prompt's own, and no block is run as it stands."""
        if any(isinstance(operation, WholeBlock) for operation, _ in self.operations):
            return False
        return self.reading.is_prefix and all(
            name not in self.reading.segments for name, _ in self.columns
        )

    def column(self, prompt: Prompt, whole: Question | None, name: str) -> Tensor:
        if name in self.reading.segments:
            return whole.tokens[..., self.reading.slices(whole)[name], :].mT
        return columns_of(prompt, name)


def list_or_slice(chosen: tuple[int, ...]) -> slice | list[int]:
    """Neighbours are a view."""
    if chosen and list(chosen) == list(range(chosen[0], chosen[-1] + 1)):
        return slice(chosen[0], chosen[-1] + 1)
    return list(chosen)


def stand_in(prompt: Prompt) -> Prompt:
    """One support and one query that hold nothing: for what does not depend on them."""
    phi = prompt.phi.new_zeros(1, prompt.n_features)
    y = (
        prompt.y.new_zeros(1)
        if prompt.y.ndim < prompt.phi.ndim
        else prompt.y.new_zeros(1, prompt.n_outputs)
    )
    return Prompt(phi, y, phi, prompt.ridge)


def planned(
    reading: Reading,
    values: Values,
    states: Sequence[Held],
    like: Tensor,
    d_model: int,
    n_weights: Sequence[int],
) -> Plan:
    """The plan that ends with these states at hand, and makes nothing else."""
    wanted = {
        frozen(what)[0]
        for held in states
        for channels in held.values()
        for what in channels.values()
    }
    needed = values.needed(wanted | {ONE})
    packer = Packer(values, like, d_model, reading.segments, n_weights)
    numbers, columns = place_inputs(packer, needed, reading)
    packer.pack(needed)

    placed = []
    for held in states:
        of_segment = {s: held.get(s, {}) for s in reading.segments}
        placed.append(
            {
                s: packer.placed(list(of), [frozen(what) for what in of.values()])
                for s, of in of_segment.items()
            }
        )
    kept = set().union({0}, *(place.slots for state in placed for place in state.values()))
    return Plan(
        reading,
        numbers,
        columns,
        tuple(packer.operations),
        last_uses(packer.operations, kept),
        tuple(placed),
    )


def last_uses(
    operations: Sequence[tuple[Operation, tuple[int, ...]]], kept: set[int]
) -> dict[int, tuple[int, ...]]:
    """Operation -> the slots that it is the last to read, but for those kept."""
    last = {slot: i for i, (operation, _) in enumerate(operations) for slot in operation.slots}
    found = defaultdict(list)
    for slot, i in last.items():
        if slot not in kept:
            found[i].append(slot)
    return {i: tuple(slots) for i, slots in found.items()}


def place_inputs(
    packer: Packer, needed: set[int], reading: Reading
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, tuple[int, ...]], ...]]:
    """Slot 1 has the numbers of the tokens, slot 2 the counts, and every tensor with columns one behind them."""
    table = packer.values.table
    inputs = [value for value in sorted(needed) if table[value].kind == "input"]
    numbers = [value for value in inputs if table[value].segment is None]
    packer.slot(numbers, None)
    counts = [packer.values.known.get(("count", None, s, 0)) for s in reading.segments]
    packer.slot(counts, None)
    by_source = defaultdict(list)
    for value in inputs:
        if table[value].segment is not None:
            name, column = table[value].made_of.rsplit(" ", 1)
            by_source[name].append((int(column), value))
    columns = []
    for name, of in by_source.items():
        packer.slot([value for _, value in sorted(of)], name)
        columns.append((name, tuple(column for column, _ in sorted(of))))
    return tuple(table[value].made_of for value in numbers), tuple(columns)
