"""Dataclasses that hold tensors: equal where their contents are, and shown by shapes.

The `==` that a dataclass has by itself asks tensors for a truth value that they do not have, and its `repr` prints every
entry. A class that inherits `Contents` compares entries and shows shapes:

    @dataclass(frozen=True, eq=False, repr=False)
    class Prompt(Contents): ...
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

__all__ = [
    "Contents",
    "describe",
    "same",
    "shown",
]

MOST = 8  # entries of a mapping or a sequence that are shown
LINE = 100  # columns; what is longer takes a line for every field that is not as by default


class Contents:
    """A dataclass that is equal to another of its class when all fields hold the same, and whose `repr` is short."""

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        compared = [each.name for each in fields(self) if each.compare]
        return all(same(getattr(self, name), getattr(other, name)) for name in compared)

    def __hash__(self) -> int:
        """Of the shapes alone: equal contents have equal shapes."""
        held = [getattr(self, each.name) for each in fields(self) if each.compare]
        return hash((type(self), *(tuple(x.shape) for x in held if isinstance(x, Tensor))))

    def __repr__(self) -> str:
        held = {each: getattr(self, each.name) for each in fields(self) if each.repr}
        line = ", ".join(f"{each.name}={shown(value)}" for each, value in held.items())
        name = type(self).__name__
        if len(name) + len(line) + 2 <= LINE:
            return f"{name}({line})"
        own = [
            f"\n  {each.name}={shown(value)},"
            for each, value in held.items()
            if value is not each.default
        ]
        return f"{name}({''.join(own)}\n)"


def same(one: Any, other: Any) -> bool:
    """Whether two values hold the same: tensors by dtype, device, shape and every entry, containers entry by entry.

    As with floats, NaN is no number equal to itself; a tensor is the same as itself whatever it holds.

    >>> same({"x": torch.ones(2)}, {"x": torch.ones(2)}), same(torch.ones(2), torch.ones(2).double())
    (True, False)
    """
    if one is other:
        return True
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        alike = (one.dtype, one.device) == (other.dtype, other.device)
        return alike and torch.equal(one, other)
    if hasattr(one, "__array__") or hasattr(other, "__array__"):
        return type(one) is type(other) and one.shape == other.shape and bool((one == other).all())
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and type(one) is type(other):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def describe(value: object) -> str:
    """`float32[4, 2]` for a tensor, type and shape of anything else.

    >>> describe(torch.zeros(4, 2)), describe([1, 2])
    ('float32[4, 2]', 'list[]')
    """
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"
    return f"{type(value).__name__}{list(getattr(value, 'shape', []))}"


def shown(value: object) -> str:
    """A value in a few words: tensors by dtype and shape, long containers by their first entries.

    >>> shown({"alpha": torch.zeros(3)}), shown(range(5000)), shown((1, 2))
    ('{alpha: float32[3]}', 'range(0, 5000)', '(1, 2)')
    >>> shown(list(range(5000)))
    '[0, 1, 2, 3, 4, 5, 6, 7, ... 4992 more]'
    """
    if isinstance(value, Tensor):
        return describe(value) if value.ndim or value.is_meta else one_line(repr(value))
    if hasattr(value, "__array__") and getattr(value, "shape", ()):
        return f"{value.dtype}{list(value.shape)}"
    if isinstance(value, Mapping) and type(value).__repr__ is not object.__repr__:
        pairs = [f"{key}: {shown(held)}" for key, held in first(value.items())]
        return f"{{{', '.join([*pairs, *rest(value)])}}}"
    if isinstance(value, list | tuple) and type(value).__repr__ in (list.__repr__, tuple.__repr__):
        parts = ", ".join([*map(shown, first(value)), *rest(value)])
        ends = "[]" if isinstance(value, list) else "()"
        return f"{ends[0]}{parts}{',' if len(value) == 1 and ends == '()' else ''}{ends[1]}"
    return one_line(repr(value))


def first(values: Any) -> list:
    return [value for value, _ in zip(values, range(MOST))]


def rest(values: Any) -> list[str]:
    return [f"... {len(values) - MOST} more"] if len(values) > MOST else []


def one_line(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= LINE else f"{joined[: LINE - 4]} ..."
