"""From values to operations: what one stage makes of one kind is made by one operation, and no value that nobody needs is made.

Columns that read the same columns are made by one matrix product; numbers of a stage lie in one vector.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.fast.expressions import ONE
from metarep_lib.fast.operations import (
    Averages,
    Columns,
    Gathered,
    Moments,
    Operation,
    Past,
    Placed,
    Products,
    Quotients,
    Ratios,
    Shares,
    Sums,
    Taken,
    Totals,
    WholeBlock,
)
from metarep_lib.fast.values import Values

Term = tuple[int, int, int, float]  # target, a, b, weight
Weighed = tuple[int, float]  # a value and its weight


@dataclass(eq=False, repr=False)
class Packer(Contents):
    """Gives every value a place, in the order of the stages."""

    values: Values
    like: Tensor
    d_model: int
    segments: Sequence[str]
    n_weights: Sequence[int]  # of every block
    home: dict[int, tuple[int, int]] = field(default_factory=lambda: {ONE: (0, 0)})
    lengths: list[int] = field(default_factory=lambda: [1])  # how many values a slot holds
    vectors: set[int] = field(default_factory=lambda: {0})
    operations: list[tuple[Operation, tuple[int, ...]]] = field(default_factory=list)
    shares: dict[object, int] = field(default_factory=dict)
    matrices: dict[object, int] = field(default_factory=dict)

    def slot(self, values: Sequence[int | None], segment: str | None) -> int:
        """A new slot in which these values lie in order; None holds a place that nobody reads."""
        slot = len(self.lengths)
        self.lengths.append(len(values))
        self.home.update({value: (slot, i) for i, value in enumerate(values) if value is not None})
        if segment is None:
            self.vectors.add(slot)
        return slot

    def pack(self, needed: Iterable[int]) -> None:
        """All operations that make these values; those of kind "input" and "count" have their places already."""
        stages: dict[tuple[int, str, str], list[int]] = defaultdict(list)
        for value in sorted(set(needed) - self.home.keys()):
            about = self.values.table[value]
            stages[about.stage, about.kind, about.segment or ""].append(value)
        for (_, kind, segment), made in sorted(stages.items()):
            left = [value for value in made if value not in self.home]
            if left:
                getattr(self, "_" + kind.replace(" ", "_"))(left, segment or None)

    def _do(self, operation: Operation, values: Sequence[int], segment: str | None) -> None:
        self.operations.append((operation, (self.slot(values, segment),)))

    def _made_of(self, value: int) -> Hashable:
        return self.values.table[value].made_of

    def _is_column(self, value: int) -> bool:
        return self.values.table[value].segment is not None

    # sums of products

    def _sum_of_products(self, made: list[int], segment: str | None) -> None:
        if segment is None:
            terms = [
                (i, a, b, weight)
                for i, value in enumerate(made)
                for (a, b), weight in self._made_of(value)
            ]
            self._do(self._sums(terms, len(made)), made, None)
            return
        for together in self._packs(made):
            self._do(self._columns(together, segment), together, segment)

    def _sums(self, terms: list[Term], size: int) -> Sums:
        terms = sorted(terms, key=lambda term: term[0])
        has_products = any(a != ONE for _, a, _, _ in terms)
        used = {self.home[x][0] for _, a, b, _ in terms for x in ((a, b) if has_products else (b,))}
        sources = sorted(used)
        starts = dict(
            zip(sources, torch.tensor([0, *(self.lengths[s] for s in sources)]).cumsum(0).tolist())
        )

        def place(value: int) -> int:
            slot, index = self.home[value]
            return starts[slot] + index

        targets = [target for target, *_ in terms]
        weights = [weight for *_, weight in terms]
        return Sums(
            tuple(sources),
            self._indices([place(b) for _, _, b, _ in terms]),
            self._indices([place(a) for _, a, _, _ in terms]) if has_products else None,
            self._numbers(weights),
            None if targets == list(range(size)) else self._indices(targets),
            size,
        )

    def _packs(self, made: list[int]) -> list[list[int]]:
        """Columns put together where a product for all costs little more than one for each."""
        packs: list[tuple[list[int], set[int]]] = []
        for value in made:
            read = {x for (a, b), _ in self._made_of(value) for x in (a, b) if self._is_column(x)}
            for together, reads in packs:
                both = (len(together) + 1) * len(reads | read)
                if both <= 2 * (len(together) * len(reads) + len(read)):
                    together.append(value)
                    reads |= read
                    break
            else:
                packs.append(([value], read))
        return [together for together, _ in packs]

    def _columns(self, made: list[int], segment: str) -> Columns:
        linear, multiplied = [], []
        for i, value in enumerate(made):
            for (a, b), weight in self._made_of(value):
                full = self._is_column(a) + self._is_column(b)
                (multiplied if full == 2 else linear).append((i, a, b, weight))
        pieces, of_piece = self._pieces(linear, len(made))
        matrices = self._matrices(of_piece, len(made))
        constants = matrices.pop() if len(matrices) > len(pieces) else None
        products = self._products(multiplied, len(made)) if multiplied else None
        return Columns(segment, len(made), tuple(zip(matrices, pieces)), constants, products)

    def _pieces(
        self, linear: list[Term], size: int
    ) -> tuple[list[Gathered], list[tuple[int, list[Term]]]]:
        """The columns that are read, slot by slot, each as a view from the first to the last; and the matrices that read them, as
        (number of columns, terms). The constants are one matrix more, behind the others."""
        homes: dict[int, list[tuple[int, int, int, float]]] = defaultdict(list)
        constants = []
        for i, a, b, weight in linear:
            column, number = (a, b) if self._is_column(a) else (b, a)
            if self._is_column(column):
                homes[self.home[column][0]].append((i, self.home[column][1], number, weight))
            else:
                constants.append((i, a, b, weight))
        pieces, matrices = [], []
        for slot, of in sorted(homes.items()):
            first, stop = min(row for _, row, _, _ in of), max(row for _, row, _, _ in of) + 1
            pieces.append(Gathered(((slot, first, stop, False),), None))
            terms = [
                (i * (stop - first) + row - first, ONE, number, weight)
                for i, row, number, weight in of
            ]
            matrices.append((stop - first, terms))
        return pieces, matrices + ([(1, constants)] if constants else [])

    def _matrices(self, of_piece: list[tuple[int, list[Term]]], size: int) -> list[Taken | Tensor]:
        """A view where the numbers of a matrix lie side by side already, a tensor where they are constants, and one vector for all others."""
        found: list[Taken | Tensor | None] = []
        left, start = [], 0
        for width, terms in of_piece:
            known = self._known(sorted(terms), size, width)
            if known is None:
                left += [(start + target, a, b, weight) for target, a, b, weight in terms]
                known = Taken(-1, start, start := start + size * width)
            found.append(known)
        slot = self._numbers_made(left, start) if left else -1
        return [
            Taken(slot, x.first, x.stop) if isinstance(x, Taken) and x.slot < 0 else x
            for x in found
        ]

    def _known(self, terms: list[Term], rows: int, width: int) -> Taken | Tensor | None:
        size = rows * width
        if all(a == b == ONE for _, a, b, _ in terms):
            return self._sums(terms, size)([self.like.new_ones(1)]).unflatten(-1, (rows, width))
        homes = [self.home[b] for _, _, b, _ in terms]
        slot, first = homes[0]
        in_order = homes == [(slot, first + i) for i in range(size)]
        plain = all(a == ONE and weight == 1 for _, a, _, weight in terms)
        is_view = in_order and plain and [target for target, *_ in terms] == list(range(size))
        return Taken(slot, first, first + size) if is_view else None

    def _numbers_made(self, terms: list[Term], size: int) -> int:
        """The slot of a vector of sums; matrices that are equal are made once."""
        key = tuple(terms), size
        if key not in self.matrices:
            self.matrices[key] = slot = self.slot([], None)
            self.lengths[slot] = size
            self.operations.append((self._sums(terms, size), (slot,)))
        return self.matrices[key]

    def _products(self, terms: list[Term], size: int) -> Products:
        targets = [target for target, *_ in terms]
        return Products(
            self._gathered([(a, 1.0) for _, a, _, _ in terms]),
            self._gathered([(b, 1.0) for _, _, b, _ in terms]),
            self._weights([weight for *_, weight in terms]),
            None if targets == list(range(size)) else self._indices(targets),
            size,
        )

    # sums over tokens

    def _moment(self, made: list[int], _: None) -> None:
        pairs = defaultdict(list)
        for value in made:
            segment, a, b = self._made_of(value)
            pairs[segment, self.home[a][0], self.home[b][0]].append(
                (value, self.home[a][1], self.home[b][1])
            )
        for (segment, left, right), of in sorted(pairs.items()):
            rows, columns = ({pair[side] for pair in of} for side in (1, 2))
            grid = list(
                product(range(min(rows), max(rows) + 1), range(min(columns), max(columns) + 1))
            )
            slot = self.slot([], None)
            self.lengths[slot] = len(grid)
            where = {pair: i for i, pair in enumerate(grid)}
            self.home.update({value: (slot, where[a, b]) for value, a, b in of})
            views = (
                Gathered(((at, min(x), max(x) + 1, False),), None)
                for at, x in ((left, rows), (right, columns))
            )
            self.operations.append((Moments(segment, *views), (slot,)))

    def _total(self, made: list[int], _: None) -> None:
        by_segment = defaultdict(list)
        for value in made:
            by_segment[self._made_of(value)[0]].append(value)
        for of in by_segment.values():
            self._do(
                Totals(self._gathered([(self._made_of(value)[1], 1.0) for value in of])), of, None
            )

    # heads

    def _quotient(self, made: list[int], segment: str | None) -> None:
        above, below = ([self._made_of(value)[side] for value in made] for side in (0, 1))
        if segment is None:
            terms = [(i, ONE, value, weight) for i, (value, weight) in enumerate(above + below)]
            self._do(Ratios(self._sums(terms, len(terms))), made, None)
        else:
            self._do(
                Quotients(segment, self._gathered(above), self._gathered(below)), made, segment
            )

    def _average(self, made: list[int], segment: str | None) -> None:
        together = defaultdict(list)
        for value in made:
            _, sources, scale, score, columns = self._made_of(value)
            together[segment, sources, scale, score].append((value, columns))
        for key, of in together.items():
            if key not in self.shares:
                self.shares[key] = self.slot([], segment)
                self.operations.append((self._shares(*key), (self.shares[key],)))
            sources = key[1]
            columns = tuple(
                (s, self._gathered([held[i] for _, held in of])) for i, s in enumerate(sources)
            )
            self._do(
                Averages(segment, self.shares[key], columns), [value for value, _ in of], segment
            )

    def _shares(
        self, segment: str | None, sources: tuple[str, ...], scale: float, score: tuple
    ) -> Shares:
        keys = [
            (s, self._gathered([key[i] for _, key in score]) if score else None)
            for i, s in enumerate(sources)
        ]
        return Shares(
            segment,
            self._gathered([query for query, _ in score]) if score else None,
            tuple(keys),
            scale,
        )

    def _past(self, made: list[int], segment: str) -> None:
        together = defaultdict(list)
        for value in made:
            together[self._made_of(value)].append(value)
        for (score, columns), of in together.items():
            parts = [self.values.table[value].part for value in of]
            sides = (
                [query for query, _ in score],
                [key for _, key in score],
                [columns[part] for part in parts],
            )
            self._do(Past(segment, *map(self._gathered, sides)), of, segment)

    def _block(self, made: list[int], segment: str) -> None:
        index, channels, everything = self._made_of(made[0])  # with all segments at once
        streams = {s: ([], []) for s in self.segments}
        for s, channel, value, weight in everything:
            streams[s][0].append(channel)
            streams[s][1].append((value, weight))
        placed = tuple((s, self.placed(*held)) for s, held in streams.items())
        slots = []
        for s in streams:
            whose = [
                self.values.known.get(("block", s, self._made_of(made[0]), i))
                for i in range(len(channels))
            ]
            slots.append(self.slot(whose, s))
        self.operations.append(
            (WholeBlock(index, channels, placed, self.n_weights[index]), tuple(slots))
        )

    def placed(self, channels: Sequence[int], held: Sequence[Weighed]) -> Placed:
        return Placed(self.d_model, tuple(channels), self._gathered(list(held)) if held else None)

    # tensors

    def _gathered(self, held: Sequence[Weighed]) -> Gathered:
        runs: list[tuple[int, int, int, bool]] = []
        for value, _ in held:
            slot, index = self.home[value]
            if runs and runs[-1][0] == slot and runs[-1][2] == index:
                runs[-1] = (slot, runs[-1][1], index + 1, runs[-1][3])
            else:
                runs.append((slot, index, index + 1, slot in self.vectors))
        return Gathered(tuple(runs), self._weights([weight for _, weight in held]))

    def _weights(self, weights: Sequence[float]) -> Tensor | None:
        found = self._numbers(weights)
        return None if found is None else found.unsqueeze(-1)

    def _numbers(self, weights: Sequence[float]) -> Tensor | None:
        return None if all(weight == 1 for weight in weights) else self.like.new_tensor(weights)

    def _indices(self, where: Sequence[int]) -> Tensor:
        return torch.tensor(where, dtype=torch.long, device=self.like.device)
