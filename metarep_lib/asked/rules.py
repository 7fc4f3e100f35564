"""A rule: one thing that is asked of an argument, in words and as a test; and rules made of others."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Optional

from metarep_lib.contents import shown

Sizes = dict[str, Any]


@dataclass(frozen=True)
class Rule:
    """One thing that is asked of an argument.

    Args:
        expected: what is asked, as the end of "expected ...".
        reason: (value, sizes) to why it does not do, or "" where it does; letters of shapes meet in `sizes`.
        implies: a rule that need not be asked besides, since this one asks for it.
    """

    expected: str
    reason: Callable[[Any, Sizes], str]
    implies: Optional["Rule"] = None


def that(expected: str, holds: Callable[[Any], bool], implies: Rule | None = None) -> Rule:
    """A rule that looks at one value alone."""
    return Rule(
        expected, lambda value, sizes: "" if holds(value) else f"is {shown(value)}", implies
    )


def one_of(*names: Any) -> Rule:
    def known(value: object) -> bool:
        return isinstance(value, str | int) and value in names

    return that(f"one of {', '.join(map(repr, names))}", known)


def holding(*names: str) -> Rule:
    """A mapping with these names in it."""
    return that(
        f"a mapping that holds {', '.join(names)}",
        lambda held: isinstance(held, Mapping) and all(name in held for name in names),
    )


def each(rule: Rule, *, least: int = 1, example: str) -> Rule:
    """A sequence whose entries all keep to a rule."""

    def reason(values: Any, sizes: Sizes) -> str:
        if isinstance(values, str) or not isinstance(values, Iterable):
            return f"is {shown(values)}"
        try:
            listed = list(values)
        except TypeError:
            return f"is {shown(values)}"
        if len(listed) < least or any(rule.reason(value, sizes) for value in listed):
            return f"is {shown(values)}"
        return ""

    return Rule(f"{least} or more of: {rule.expected.partition(',')[0]}; e.g. {example}", reason)


def either(rules: list[Rule | None]) -> Rule | None:
    """What keeps to one of the rules; nothing is asked where one of them asks for nothing."""
    if None in rules:
        return None

    def reason(value: Any, sizes: Sizes) -> str:
        why = [rule.reason(value, sizes) for rule in rules]
        return "" if "" in why else why[0]

    parted = [rule.expected.partition(", e.g. ") for rule in rules]
    example = next((f", e.g. {each[2]}" for each in parted if each[2]), "")
    return Rule(" or ".join(each[0] for each in parted) + example, reason)
