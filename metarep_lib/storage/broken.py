"""Files that do not hold what they should: what is wrong with them, in words."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

POINTER = b"version https://git-lfs.github.com/spec/"


def file_fault(path: Path) -> str:
    """What stands at a path in the place of content; nothing when it may be content."""
    if path.is_dir():
        return "it is a folder"
    with path.open("rb") as file:
        start = file.read(len(POINTER))
    if not start:
        return "it is empty"
    if start == POINTER:
        return "it is the pointer of Git LFS to the file, not the file: `git lfs pull` fetches that"
    return ""


def read_json(path: Path) -> Any:
    """What a file of JSON holds.

    Raises:
        ValueError: in words that follow the name of the file: it is broken, or no JSON by the
            standard, which knows neither NaN nor Infinity.
    """
    if fault := file_fault(path):
        raise ValueError(fault)
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse_constant)
    except UnicodeDecodeError as error:
        raise ValueError(f"it is no text: {error}") from error
    except RecursionError as error:
        raise ValueError("it is no JSON that anybody wrote: too many brackets") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"it is no JSON, or a broken one: {error}") from error


def refuse_constant(name: str) -> None:
    raise ValueError(f"it has {name}, which is no JSON: null stands for what is no number")


def misfits(expected: Mapping[str, Any], weights: Mapping[str, Any]) -> Iterator[str]:
    """Which tensors out of a file are not those of the shape, and what is wrong with their dtypes."""
    for name in sorted(expected.keys() | weights.keys()):
        if name not in weights or name not in expected:
            yield f"{name} is {'missing' if name in expected else 'no weight of this shape'}"
        elif expected[name].shape != weights[name].shape:
            came, wanted = list(weights[name].shape), list(expected[name].shape)
            yield f"{name} is {came}, its shape says {wanted}"
    dtypes = {weight.dtype for weight in weights.values()}
    if len(dtypes) > 1 or not all(dtype.is_floating_point for dtype in dtypes):
        yield f"its weights are {', '.join(sorted(map(str, dtypes)))}, expected floats of one dtype"


def refusal(call: str, what: str, reasons: Iterable[str], remedy: str) -> str:
    """A message: the call, what came, every reason, what would work."""
    listed = "".join(f"\n  - {reason}" for reason in reasons)
    return f"{call}: {what}:{listed}\nthis would work: {remedy}"
