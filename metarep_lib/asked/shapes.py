"""Shapes: as letters that arguments share, and as what broadcasts."""

from collections.abc import Sequence
from typing import Any

import torch

from metarep_lib.asked.rules import Rule, Sizes
from metarep_lib.contents import describe


def fits(came: torch.Size, letters: list[str], sizes: Sizes, empty: str) -> bool:
    """Whether a shape is as the letters say; letters met for the first time get their number.

    >>> sizes = {}
    >>> fits(torch.Size([5, 2, 3]), ["*B", "n", "D"], sizes, ""), sizes
    (True, {'*B': (5,), 'n': 2, 'D': 3})
    >>> fits(torch.Size([5, 4, 3]), ["*B", "n", "D"], sizes, "")
    False
    """
    if letters == ["..."]:
        return 0 not in came or "..." in empty.split()
    leading = letters[0] if letters[:1] and letters[0].startswith("*") else None
    letters = letters[1:] if leading else letters
    split = len(came) - len(letters)
    if split < 0 or (not leading and split):
        return False

    batch, may_be_zero, met = tuple(came[:split]), empty.split(), {}
    if leading:
        met[leading] = batch
        if sizes.get(leading, batch) != batch or (0 in batch and leading not in may_be_zero):
            return False
    for name, side in zip(letters, came[split:]):
        known = int(name) if name.isdigit() else sizes.get(name, met.setdefault(name, side))
        if known != side or (side == 0 and name not in may_be_zero):
            return False
    sizes.update(met)
    return True


def broadcasts(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether two shapes broadcast; `torch.broadcast_shapes` says it too, in a hundred times the time.

    >>> broadcasts((5, 1, 3), (4, 1)), broadcasts((2, 3), (2, 1, 2))
    (True, False)
    """
    return all(1 in sides or sides[0] == sides[1] for sides in zip(reversed(one), reversed(other)))


def beside(other: str, rule: Rule) -> Rule:
    """A tensor whose shape broadcasts with that of an argument before it."""

    def reason(x: Any, sizes: Sizes) -> str:
        if why := rule.reason(x, sizes):
            return why
        beside_it = sizes.get(f"={other}")  # nothing where that was refused
        if beside_it is None or not broadcasts(x.shape, beside_it.shape):
            return f"is {describe(x)}, which does not broadcast with {other}"
        return ""

    kind, _, example = rule.expected.partition(", e.g. ")
    such = f", e.g. {example}" if example else ""
    return Rule(f"{kind}, that broadcasts with {other}{such}", reason, implies=rule.implies)
