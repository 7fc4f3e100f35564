"""The values of a pass: each named once, by what it is made of, so that nothing is made twice.

A value is one number for a whole prompt, or one number for each token of a segment (`segment` says of which). Two values made in the
same way of the same values are one value: what does not change from block to block is formed once, softmax scores included.
"""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from metarep_lib.fast.expressions import ONE, Expression

Frozen = tuple[tuple[tuple[int, int], float], ...]


class Value(NamedTuple):
    """One value.

    kind: "one" | "input" | "count" | "sum of products" | "total" | "moment" | "quotient" | "average" | "past" | "block"
    segment: the group of tokens that have a number each; None: one number for all.
    made_of: what `kind` makes it of.
    part: of several made together, which.
    stage: after the stages of all it is made of.
    """

    kind: str
    segment: str | None
    made_of: Hashable
    part: int
    stage: int


@dataclass
class Values:
    """A growing table of values.

    >>> values = Values()
    >>> x = values.add("input", "support", "phi[0]")
    >>> values.hold({(0, x): 1.0}, "support") == {(0, x): 1.0}  # held already
    True
    >>> square = values.hold({(x, x): 1.0}, "support")
    >>> square == values.hold({(x, x): 1.0}, "support")  # made once
    True
    """

    table: list[Value] = field(default_factory=lambda: [Value("one", None, None, 0, 0)])
    parents: list[tuple[int, ...]] = field(default_factory=lambda: [()])
    known: dict[Hashable, int] = field(default_factory=dict)
    stage: int = 0  # of what comes next, at least
    highest: int = 0

    def add(
        self,
        kind: str,
        segment: str | None,
        made_of: Hashable,
        of: Iterable[int] = (),
        part: int = 0,
    ) -> int:
        """The value so made, `of` being the values in `made_of`."""
        key = kind, segment, made_of, part
        if key not in self.known:
            self.known[key] = len(self.table)
            parents = tuple(of)
            stage = max([self.stage, *(self.table[value].stage + 1 for value in parents)])
            self.table.append(Value(*key, stage))
            self.parents.append(parents)
            self.highest = max(self.highest, stage)
        return self.known[key]

    def next_half(self) -> None:
        """What comes from here on stands in later stages: what a half of a block makes is made together."""
        self.stage = self.highest + 1

    def segment(self, expression: Expression) -> str | None:
        """Whose tokens have a number each in it; None: it is one number for all."""
        for term in expression:
            for value in term:
                if self.table[value].segment is not None:
                    return self.table[value].segment
        return None

    def hold(self, expression: Expression, segment: str | None = None) -> Expression:
        """The same expression with at most one term, a multiple of one value.

        Args:
            expression: any.
            segment: makes it one number for each token of that segment, even where it is one number for all; None: as it is.
        """
        full = self.segment(expression)
        if full == (segment or full) and is_held(expression):
            return expression
        made_of = tuple(sorted(expression.items()))
        of = {value for term in expression for value in term}
        return {(ONE, self.add("sum of products", segment or full, made_of, of)): 1.0}

    def needed(self, wanted: Iterable[int]) -> set[int]:
        """These values and all that they are made of."""
        found, left = set(), list(wanted)
        while left:
            value = left.pop()
            if value not in found:
                found.add(value)
                left.extend(self.parents[value])
        return found


def is_held(expression: Expression) -> bool:
    return not expression or (len(expression) == 1 and next(iter(expression))[0] == ONE)


def frozen(expression: Expression) -> tuple[int, float]:
    """A held expression as (value, weight)."""
    if not expression:
        return ONE, 0.0
    ((_, value), weight) = next(iter(expression.items()))
    return value, weight
