"""Rules of tensors: dtype, shape, entries."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metarep_lib.asked.rules import Rule, Sizes, that
from metarep_lib.asked.shapes import fits
from metarep_lib.asked.values import (
    FLOATS,
    WIDE,
    dtype_of,
    is_definite,
    is_finite,
    looks,
    unreadable,
)
from metarep_lib.contents import describe, shown


def of_tensor(value: Any, sizes: Sizes) -> str:
    return unreadable(value) if isinstance(value, Tensor) else f"is {shown(value)}"


dense = Rule("a dense tensor", of_tensor)


def floats(
    shape: str = "...",
    *,
    half: bool = False,
    finite: bool = True,
    empty: str = "",
    above: float | None = None,
    least: float | None = None,
    like: str = "",
    squared: bool = False,
) -> Rule:
    """A dense tensor of floats.

    Args:
        shape: letters and numbers, as in "*B n 2"; "B n | B n m" is either, "..." any.
        half: half precision will do, too; factorisations and quantiles are not made for it.
        finite: no NaN and nothing infinite.
        empty: the letters that may be zero.
        above, least: every entry is larger than this, or not smaller.
        like: another argument, whose dtype it has to have.
        squared: the sum of the squares of its entries is finite, too.
    """
    kinds = FLOATS if half else WIDE
    shapes = [one.split() for one in shape.split("|")]

    def reason(x: Any, sizes: Sizes) -> str:
        if why := of_tensor(x, sizes):
            return why
        if x.dtype not in kinds:
            return f"is {describe(x)}"
        if not any(fits(x.shape, letters, sizes, empty) for letters in shapes):
            met = {name: sizes[name] for name in shapes[0] if name in sizes}
            return f"is {describe(x)}" + (f" where {met} is known" if met else "")
        if why := of_entries(x, finite, above, least, squared):
            return f"is {describe(x)}{why}"
        if like and x.dtype != dtype_of(sizes.get(f"={like}"), x.dtype):
            return f"is {describe(x)} beside {like} of {dtype_of(sizes[f'={like}'])}"
        return ""

    spelled = " or ".join(f"[{', '.join(letters)}]" for letters in shapes)
    return Rule(
        f"a dense tensor of {'floats' if half else 'float64 or float32'}"
        + (f" of shape {spelled}" if shape != "..." else "")
        + (", all finite" if finite else "")
        + (f", all above {above:g}" if above is not None else "")
        + (f", none below {least:g}" if least is not None else "")
        + (f", of the dtype of {like}" if like else ""),
        reason,
        implies=dense,
    )


def of_entries(
    x: Tensor, finite: bool, above: float | None, least: float | None, squared: bool
) -> str:
    """What is wrong with the entries of a tensor."""
    if finite and not is_finite(x):
        return " with NaN or infinite values"
    if above is not None and not looks(lambda: (x > above).all()):
        return f" with entries of at most {above:g}"
    if least is not None and not looks(lambda: (x >= least).all()):
        return f" with entries below {least:g}"
    if squared and not looks(lambda: torch.isfinite(x.square().sum())):
        return ", whose squares overflow"
    return ""


def definite(shape: str) -> Rule:
    """Symmetric positive definite matrices."""
    plain = floats(shape)

    def reason(x: Any, sizes: Sizes) -> str:
        if why := plain.reason(x, sizes):
            return why
        return "" if looks(lambda: is_definite(x)) else f"is {describe(x)}, not positive definite"

    return Rule(f"{plain.expected}, positive definite", reason, implies=dense)


def ascending(shape: str) -> Rule:
    """A vector of floats that rise."""
    plain = floats(shape)

    def reason(x: Any, sizes: Sizes) -> str:
        if why := plain.reason(x, sizes):
            return why
        return "" if looks(lambda: (x.diff() > 0).all()) else f"is {describe(x)} that does not rise"

    return Rule(f"{plain.expected}, rising", reason, implies=dense)


def tensors(shape: str = "...", *, least: int = 1, finite: bool = True, half: bool = True) -> Rule:
    """A mapping of names to tensors of floats."""
    plain = floats(shape, finite=finite, half=half)

    def reason(held: Any, sizes: Sizes) -> str:
        if not isinstance(held, Mapping) or len(held) < least:
            return f"is {shown(held)}"
        wrong = [f"{name!r} {why}" for name, x in held.items() if (why := plain.reason(x, sizes))]
        return f"is {shown(held)} where {wrong[0]}" if wrong else ""

    return Rule(f"a mapping of {least} or more names, each to {plain.expected}", reason)


def indices(below: str = "") -> Rule:
    """A vector of whole numbers from 0 on, as positions; smaller than a size met before where one is named."""

    def reason(x: Any, sizes: Sizes) -> str:
        if why := of_tensor(x, sizes):
            return why
        if x.ndim != 1 or not len(x) or x.is_floating_point() or x.is_complex():
            return f"is {describe(x)}"
        if x.dtype == torch.bool:
            return f"is {describe(x)}"
        top = sizes.get(below, math.inf)
        inside = looks(lambda: (x >= 0).all() and float(x.max()) < top)
        return "" if inside else f"is {describe(x)} with entries outside 0 to {top - 1}"

    return Rule("a vector of positions, e.g. torch.tensor([0, 2])", reason, implies=dense)


def is_count(t: object) -> bool:
    if not isinstance(t, Tensor) or unreadable(t) or t.is_complex() or t.dtype == torch.bool:
        return False
    return looks(lambda: (t >= 0).all())


counts = that("a tensor of whole numbers from 0 on, e.g. torch.tensor(3)", is_count, implies=dense)
