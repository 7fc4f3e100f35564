"""The kind of value that an annotation asks for, as a rule."""

import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import isclass
from typing import Any, Literal, TypeVar

import numpy as np
from torch import Tensor

from metarep_lib.asked.arrays import dense
from metarep_lib.asked.numbers import finite, numbers, whole
from metarep_lib.asked.rules import Rule, Sizes, either, one_of, that
from metarep_lib.contents import shown

PLAIN = {int: whole, float: finite, np.ndarray: numbers, Tensor: dense}
nothing = that("None", lambda value: value is None)


def of_kind(annotation: Any) -> Rule | None:
    """The rule that an annotation is; None where nothing can be checked.

    >>> of_kind(int).expected, of_kind(float | None).expected
    ('a whole number, e.g. 3', 'a finite number or None, e.g. 0.5')
    """
    if isclass(annotation) and annotation in PLAIN:
        return PLAIN[annotation]
    if annotation is None or annotation is types.NoneType:
        return nothing
    if isinstance(annotation, TypeVar):
        return of_kind(annotation.__bound__) if annotation.__bound__ else None
    if getattr(annotation, "array_type", None) is Tensor:
        return dense
    if typing.get_origin(annotation) is not None:
        return of_parts(typing.get_origin(annotation), typing.get_args(annotation))
    if isclass(annotation) and not getattr(annotation, "_is_protocol", False):
        return None if annotation in (object, Any) else instance(annotation)
    return instance(annotation) if getattr(annotation, "_is_runtime_protocol", False) else None


def of_parts(origin: Any, given: tuple) -> Rule | None:
    """The rule of a kind that is made of others: A | B, Literal["a"], Sequence[A]."""
    if origin in (types.UnionType, typing.Union):
        return either([of_kind(one) for one in given])
    if origin is Literal:
        return one_of(*given)
    if origin is Callable:
        return that("a function", callable)
    if isclass(origin) and origin.__module__ == "collections.abc":
        return container(origin, given)
    if origin in (tuple, list):
        return container(Sequence, given[:1] if given[1:] in ((), (...,)) else ())
    if origin is dict:
        return container(Mapping, given)
    return instance(type) if origin is type else None


def instance(kind: type) -> Rule:
    article = "an" if kind.__name__[0] in "AEIOUaeiou" else "a"

    def holds(value: object) -> bool:
        return isinstance(value, kind) and not (kind is not bool and isinstance(value, bool))

    return that(f"{article} {kind.__name__}", holds)


def container(kind: type, given: tuple) -> Rule:
    """A sequence, mapping or iterable; of the entries of a sequence, those with a kind are looked at."""
    name = kind.__name__.lower()
    entry = of_kind(given[0]) if given and kind in (Sequence, Iterable) else None

    def reason(values: Any, sizes: Sizes) -> str:
        if isinstance(values, str | bytes) or not isinstance(values, kind):
            return f"is {shown(values)}"
        if entry is None or not isinstance(values, Sequence):
            return ""
        wrong = [value for value in values if entry.reason(value, sizes)]
        return f"is {shown(values)}" if wrong else ""

    kind_of_entry, _, example = entry.expected.partition(", e.g. ") if entry else ("", "", "")
    of = f" of: {kind_of_entry}" if entry else ""
    such = f", e.g. [{example}]" if example else ""
    return Rule(f"{'an' if name[0] in 'aeiou' else 'a'} {name}{of}{such}", reason)
