"""What can be told of one value by itself: its kind, and what it holds where that can be looked at."""

import math
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor

WIDE = (torch.float64, torch.float32)  # what factorisations are made for
FLOATS = (*WIDE, torch.bfloat16, torch.float16)


def looks(test: Callable[[], Any], otherwise: bool = True) -> bool:
    """Whether a test of values holds; `otherwise` where values cannot be looked at: under `torch.vmap`, in a compiler's trace.

    What is asked holds until it is seen not to; what is warned of does not (`otherwise=False`).

    >>> looks(lambda: torch.tensor(1.0) > 2)
    False
    >>> torch.vmap(lambda x: torch.tensor(looks(lambda: x > 2)))(torch.ones(2)).tolist()
    [True, True]
    """
    if torch.compiler.is_compiling():
        return otherwise
    try:
        return bool(test())
    except RuntimeError:  # a batched tensor has no one value
        return otherwise


def is_whole(value: object) -> bool:
    if type(value) is int:  # nearly always, and faster than asking an abstract class
        return True
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: object) -> bool:
    """A finite real number, or a tensor of one entry that is; a whole one no float can hold is none."""
    if type(value) is float:
        return math.isfinite(value)
    if isinstance(value, Tensor):
        real = value.ndim == 0 and not value.is_complex() and value.dtype != torch.bool
        return real and unreadable(value) == "" and looks(lambda: torch.isfinite(value))
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def unreadable(x: Tensor) -> str:
    """Why nothing can be computed with a tensor; nothing where it can."""
    if x.dtype in WIDE and x.layout is torch.strided and not (x.is_meta or x.is_nested):
        return ""
    if x.is_meta:
        return "is on the device meta, which holds no values"
    if x.layout != torch.strided or x.is_nested:
        return f"is {str(x.layout).removeprefix('torch.')}: to_dense()"
    if x.dtype.is_floating_point and x.dtype not in FLOATS:
        return f"is {x.dtype}, in which nothing is computed: float()"
    return ""


def is_finite(x: Tensor) -> bool:
    """Whether no entry is NaN or infinite; True where values cannot be looked at.

    A sum of numbers is finite only where all of them are, and cheaper than a test of each.
    """
    return looks(lambda: math.isfinite(x.detach().sum()) or torch.isfinite(x).all())


def is_definite(value: Tensor) -> bool:
    return not torch.linalg.cholesky_ex(value).info.any()


def is_array(value: object) -> bool:
    """Real numbers that numpy makes an array of."""
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        return False
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return array.dtype.kind in "iuf"


def is_array_or_number(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray) or is_number(value)


def is_device(value: object) -> bool:
    try:
        torch.empty(0, device=value)
    except (RuntimeError, TypeError, AssertionError):
        return False
    return True


def dtype_of(value: Any, otherwise: torch.dtype | None = None) -> torch.dtype | None:
    """Of a tensor, or of the first tensor that a dataclass holds."""
    held = [value, *vars(value).values()] if hasattr(value, "__dict__") else [value]
    return next((x.dtype for x in held if isinstance(x, Tensor)), otherwise)
