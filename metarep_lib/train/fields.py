"""What the keys of a recipe may hold: by the annotations of the dataclasses they fill, and by range.

Nothing raises here: a fault is words, so that all of them can be said at once.
"""

import sys
from collections.abc import Iterator
from dataclasses import MISSING
from typing import Any, Literal, get_args, get_origin, get_type_hints

AT_LEAST = {
    "n_inputs": 1,
    "condition": 1,
    "n_layers": 1,
    "d_model": 1,
    "n_heads": 1,
    "d_head": 1,
    "d_mlp": 0,
    "n_query": 1,
    "batch": 1,
    "steps": 1,
    "warmup": 1,
    "weight_decay": 0,
    "output_gain": 0,
}
POSITIVE = {"tau", "noise", "learning_rate", "clip"}
KINDS = {int: "a whole number", float: "a finite number", bool: "true or false"}


def part_faults(table: str, cls: type, part: dict) -> Iterator[str]:
    """What is wrong with the keys and values of one table."""
    there = cls.__dataclass_fields__
    for key in sorted(part.keys() - there.keys()):
        yield f"[{table}] {key} is unknown; there are: {', '.join(there)}"
    for key, its in there.items():
        if key not in part and its.default is MISSING:
            yield f"[{table}] {key} is missing"
    yield from value_faults(table, cls, part)


def value_faults(table: str, cls: type, values: dict) -> Iterator[str]:
    """What is wrong with the values of the fields of a class."""
    kinds = get_type_hints(cls)
    for key, value in values.items():
        if key in kinds and (fault := value_fault(key, kinds[key], value)):
            yield f"[{table}] {key} is {value!r}, expected {fault}"


def value_fault(key: str, kind: Any, value: Any) -> str:
    """What was expected instead; nothing when the value will do."""
    if get_origin(kind) is Literal:
        known = get_args(kind)
        return "" if value in known else f"one of {', '.join(map(repr, known))}"
    if get_origin(kind) is tuple:
        return list_fault(key, kind, value)
    allowed = (int, float) if kind is float else kind
    if not isinstance(value, allowed) or (isinstance(value, bool) and kind is not bool):
        return KINDS[kind]
    if kind is float and not abs(value) <= sys.float_info.max:
        return KINDS[kind]
    if key in POSITIVE and value <= 0:
        return f"{KINDS[kind]} above 0"
    if key in AT_LEAST and value < AT_LEAST[key]:
        return f"{KINDS[kind]}, at least {AT_LEAST[key]}"
    return ""


def list_fault(key: str, kind: Any, value: Any) -> str:
    """The same of a list: `noise`, or the two numbers of `n_support`."""
    pair = get_args(kind)[-1] is not Ellipsis
    whole = "the smallest and the largest number, [1, 20] say" if pair else "a list, [0.1] say"
    if not isinstance(value, list | tuple) or not value or (pair and len(value) != 2):
        return whole
    if fault := next(filter(None, (value_fault(key, get_args(kind)[0], one) for one in value)), ""):
        return f"{whole}, each {fault}"
    return f"{whole}, 0 <= smallest <= largest >= 1" if pair and not is_range(*value) else ""


def is_range(smallest: int, largest: int) -> bool:
    return 0 <= smallest <= largest >= 1
