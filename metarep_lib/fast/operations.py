"""What a folded pass does, one operation after another, each on all values of its kind at once.

A slot holds a vector [*B, m] of numbers, or m columns [*B, m, n], a number for each of the n tokens of a segment. Every operation counts its
multiplications (divisions and exponentials among them), given how many tokens the segments have.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.network.masks import CausalMask
from metarep_lib.network.question import Question

Slots = list[Tensor | None]


@dataclass(frozen=True, eq=False, repr=False)
class Setting(Contents):
    """What a pass is made in.

    counts: how many tokens every segment has.
    question: the tokens' mask and groups; under a prefix mask perhaps those of a smaller prompt.
    block: (index, stream) to the stream after that block, run as it stands.
    """

    counts: Mapping[str, int]
    question: Question
    block: Callable[[int, Tensor], Tensor]


class Operation(ABC):
    """Fills one slot, or several."""

    @property
    @abstractmethod
    def slots(self) -> set[int]:
        """Those it reads."""

    @abstractmethod
    def multiplications(self, counts: Mapping[str, int]) -> int:
        """How many numbers it multiplies, divides or exponentiates for one prompt whose segments have so many tokens."""

    @abstractmethod
    def __call__(self, slots: Slots, setting: Setting) -> Tensor | list[Tensor]:
        """What goes into its slot, or its slots."""


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """`torch.cat` along -1 or -2 of parts whose other axes are made equal first.

    >>> joined([torch.zeros(2, 3, 5), torch.ones(1, 1)], -2).shape
    torch.Size([2, 4, 5])
    """
    if len(parts) == 1:
        return parts[0]
    shapes = [(*part.shape[:dim], 1, *part.shape[part.ndim + dim + 1 :]) for part in parts]
    if all(shape == shapes[0] for shape in shapes):
        return torch.cat(parts, dim)  # `broadcast_shapes` takes longer than all the rest
    common = torch.broadcast_shapes(*shapes)
    wide = [
        part.expand(*common[:dim], part.shape[dim], *common[len(common) + dim + 1 :])
        for part in parts
    ]
    return torch.cat(wide, dim)


@dataclass(frozen=True, eq=False, repr=False)
class Gathered(Contents):
    """Values that lie in several slots, as rows of one matrix [*B, m, n], each times a weight. Runs that lie side by side are views."""

    runs: tuple[tuple[int, int, int, bool], ...]  # slot, first, stop, whether a vector
    weights: Tensor | None  # [m, 1]; None: all one

    def __call__(self, slots: Slots, n: int | None = None) -> Tensor:
        parts = []
        for slot, first, stop, is_vector in self.runs:
            part = (
                slots[slot][..., first:stop].unsqueeze(-1)
                if is_vector
                else slots[slot][..., first:stop, :]
            )
            parts.append(part)
        if n is not None:
            parts = [part.expand(*part.shape[:-1], n) for part in parts]
        found = joined(parts, -2)
        return found if self.weights is None else found * self.weights

    @property
    def slots(self) -> set[int]:
        return {run[0] for run in self.runs}

    @property
    def size(self) -> int:
        return sum(stop - first for _, first, stop, _ in self.runs)


@dataclass(frozen=True, eq=False, repr=False)
class Sums(Contents, Operation):
    """[*B, size] sums of weight * a * b over numbers a and b that lie in vectors."""

    sources: tuple[int, ...]
    left: Tensor
    right: Tensor | None  # None: every b is one
    weights: Tensor | None  # None: every weight is one
    targets: Tensor | None  # None: one term each, in order
    size: int

    def __call__(self, slots: Slots, setting: Setting | None = None) -> Tensor:
        numbers = joined([slots[source] for source in self.sources], -1)
        terms = numbers.index_select(-1, self.left)
        if self.right is not None:
            terms = terms * numbers.index_select(-1, self.right)
        if self.weights is not None:
            terms = terms * self.weights
        if self.targets is None:
            return terms
        return terms.new_zeros(*terms.shape[:-1], self.size).index_add(-1, self.targets, terms)

    @property
    def slots(self) -> set[int]:
        return set(self.sources)

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return len(self.left) * ((self.right is not None) + (self.weights is not None))


@dataclass(frozen=True)
class Taken:
    """Numbers from one vector that lie side by side, as a matrix [*B, size, columns]: a view."""

    slot: int
    first: int
    stop: int

    def __call__(self, slots: Slots, size: int) -> Tensor:
        return slots[self.slot][..., self.first : self.stop].unflatten(-1, (size, -1))


@dataclass(frozen=True, eq=False, repr=False)
class Columns(Contents, Operation):
    """[*B, size, n] M X + b + products of columns: what every token of a segment makes of its own, with numbers that all of them share."""

    segment: str
    size: int
    terms: tuple[tuple[Taken | Tensor, Gathered], ...]  # matrix [size, columns], columns
    constants: Taken | Tensor | None  # [size, 1]
    products: "Products | None"

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        found = None if self.products is None else self.products(slots)
        for matrix, columns in self.terms:
            term = self._matrix(matrix, slots) @ columns(slots)
            found = term if found is None else found + term
        n = setting.counts[self.segment]
        if self.constants is not None:
            constants = self._matrix(self.constants, slots)
            constants = constants.expand(*constants.shape[:-1], n)
            found = constants if found is None else found + constants
        return slots[0].new_zeros(self.size, n) if found is None else found  # a sum of nothing

    def _matrix(self, matrix: Taken | Tensor, slots: Slots) -> Tensor:
        return matrix if isinstance(matrix, Tensor) else matrix(slots, self.size)

    @property
    def slots(self) -> set[int]:
        matrices = [matrix for matrix, _ in self.terms] + [self.constants]
        of_products = self.products.slots if self.products else set()
        taken = {matrix.slot for matrix in matrices if isinstance(matrix, Taken)}
        return taken.union(of_products, *(columns.slots for _, columns in self.terms))

    def multiplications(self, counts: Mapping[str, int]) -> int:
        a_token = self.size * sum(columns.size for _, columns in self.terms)
        return counts[self.segment] * (
            a_token + (self.products.n_multiplications if self.products else 0)
        )


@dataclass(frozen=True, eq=False, repr=False)
class Products(Contents):
    """[*B, m, n] sums of weight * x * y over columns x and y of the same tokens."""

    left: Gathered
    right: Gathered
    weights: Tensor | None  # [terms, 1]
    targets: Tensor | None
    size: int

    def __call__(self, slots: Slots) -> Tensor:
        terms = self.left(slots) * self.right(slots)
        if self.weights is not None:
            terms = terms * self.weights
        if self.targets is None:
            return terms
        shape = *terms.shape[:-2], self.size, terms.shape[-1]
        return terms.new_zeros(shape).index_add(-2, self.targets, terms)

    @property
    def slots(self) -> set[int]:
        return self.left.slots | self.right.slots

    @property
    def n_multiplications(self) -> int:
        return self.left.size * (1 + (self.weights is not None))


@dataclass(frozen=True)
class Moments(Operation):
    """[*B, a b] sums over the tokens of a segment of x y, for a columns x and b columns y."""

    segment: str
    left: Gathered
    right: Gathered

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        return (self.left(slots) @ self.right(slots).mT).flatten(-2)

    @property
    def slots(self) -> set[int]:
        return self.left.slots | self.right.slots

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return counts[self.segment] * self.left.size * self.right.size


@dataclass(frozen=True)
class Totals(Operation):
    """[*B, m] sums over the tokens of a segment."""

    columns: Gathered

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        return self.columns(slots).sum(-1)

    @property
    def slots(self) -> set[int]:
        return self.columns.slots

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return 0


@dataclass(frozen=True)
class Quotients(Operation):
    """[*B, m, n] columns over columns."""

    segment: str
    above: Gathered
    below: Gathered

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        n = setting.counts[self.segment]
        return self.above(slots, n) / self.below(slots, n)

    @property
    def slots(self) -> set[int]:
        return self.above.slots | self.below.slots

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return self.above.size * counts[self.segment]


@dataclass(frozen=True)
class Ratios(Operation):
    """[*B, m] numbers over numbers, both from one vector [above, below]."""

    terms: Sums

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        above, below = self.terms(slots, setting).chunk(2, -1)
        return above / below

    @property
    def slots(self) -> set[int]:
        return self.terms.slots

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return self.terms.multiplications(counts) + self.terms.size // 2


@dataclass(frozen=True)
class Shares(Operation):
    """[*B, n or 1, all tokens of the sources] softmax weights; one row where all tokens of the reading segment score alike."""

    segment: str | None
    queries: Gathered | None
    keys: tuple[tuple[str, Gathered | None], ...]  # of every source
    scale: float

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        counts = setting.counts
        if self.queries is None:
            n = sum(counts[source] for source, _ in self.keys)
            return slots[0].new_full((1, n), 1 / n)
        queries = self.queries(slots)
        keys = joined([key(slots, counts[source]) for source, key in self.keys], -1)
        scores = queries.mT @ keys
        return (scores if self.scale == 1 else self.scale * scores).softmax(-1)

    @property
    def slots(self) -> set[int]:
        keys = [key.slots for _, key in self.keys if key is not None]
        return set().union(self.queries.slots if self.queries else set(), *keys)

    def multiplications(self, counts: Mapping[str, int]) -> int:
        n_keys = sum(counts[source] for source, _ in self.keys)
        n_queries = 1 if self.segment is None else counts[self.segment]
        return n_queries * n_keys * ((self.queries.size if self.queries else 0) + 2)


@dataclass(frozen=True)
class Averages(Operation):
    """Weighted means of columns over all tokens of the sources: [*B, m, n], or [*B, m] where all readers weigh alike."""

    segment: str | None
    shares: int
    columns: tuple[tuple[str, Gathered], ...]  # of every source

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        values = joined(
            [column(slots, setting.counts[source]) for source, column in self.columns], -1
        )
        found = values @ slots[self.shares].mT
        return found.squeeze(-1) if self.segment is None else found

    @property
    def slots(self) -> set[int]:
        return {self.shares}.union(*(column.slots for _, column in self.columns))

    def multiplications(self, counts: Mapping[str, int]) -> int:
        n_keys = sum(counts[source] for source, _ in self.columns)
        return (
            n_keys * self.columns[0][1].size * (1 if self.segment is None else counts[self.segment])
        )


@dataclass(frozen=True)
class Past(Operation):
    """[*B, d, n] sum over earlier tokens j of (q_i . k_j) v_j."""

    segment: str
    queries: Gathered
    keys: Gathered
    values: Gathered

    def __call__(self, slots: Slots, setting: Setting) -> Tensor:
        n = setting.counts[self.segment]
        q, k, v = (side(slots, n).mT for side in (self.queries, self.keys, self.values))
        batch = torch.broadcast_shapes(*(side.shape[:-2] for side in (q, k, v)))
        q, k, v = (side.expand(*batch, *side.shape[-2:]) for side in (q, k, v))
        return CausalMask(setting.question.mask.strict).contract(q, k, v).mT

    @property
    def slots(self) -> set[int]:
        return self.queries.slots | self.keys.slots | self.values.slots

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return 2 * counts[self.segment] * self.keys.size * self.values.size


@dataclass(frozen=True)
class WholeBlock(Operation):
    """A block as it stands, on all channels of all tokens; what it may have changed goes back to the segments."""

    index: int
    channels: tuple[int, ...]
    streams: tuple[tuple[str, "Placed"], ...]
    n_weights: int

    def __call__(self, slots: Slots, setting: Setting) -> list[Tensor]:
        counts = setting.counts
        x = joined([placed(slots, counts[s]) for s, placed in self.streams], -1)
        after = setting.block(self.index, x.mT)[..., list(self.channels)].mT
        return list(after.split([counts[s] for s, _ in self.streams], -1))

    @property
    def slots(self) -> set[int]:
        return set().union(*(placed.slots for _, placed in self.streams))

    def multiplications(self, counts: Mapping[str, int]) -> int:
        return sum(counts[s] for s, _ in self.streams) * self.n_weights


@dataclass(frozen=True)
class Placed:
    """[*B, d_model, n] what a segment holds, zeros where it holds nothing."""

    d_model: int
    channels: tuple[int, ...]
    held: Gathered | None

    def __call__(self, slots: Slots, n: int) -> Tensor:
        if self.held is None:
            return slots[0].new_zeros(self.d_model, n)
        held = self.held(slots, n)
        where = torch.tensor(self.channels, device=held.device)
        return held.new_zeros(*held.shape[:-2], self.d_model, n).index_copy(-2, where, held)

    @property
    def slots(self) -> set[int]:
        return self.held.slots if self.held else set()
