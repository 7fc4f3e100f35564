"""What a call raises that was asked for what it cannot do."""

from typing import Any

import numpy as np
import torch

from metarep_lib.asked.values import looks


class AskedWrongly(ValueError):
    """A call with what it cannot work with; the message names the call and lists every reason."""


class OutOfRange(ArithmeticError):
    """A call that was asked well and whose numbers left their range: a singular matrix, an overflow; the message names the call."""


TROUBLE = (torch.linalg.LinAlgError, np.linalg.LinAlgError, OverflowError, ZeroDivisionError)


def in_range(call: str, result: Any) -> Any:
    """A result whose numbers are all finite, as it is.

    Raises:
        OutOfRange: naming the call; what it was given leaves the range of its dtype on the way.
    """
    if not looks(lambda: torch.isfinite(torch.as_tensor(result)).all()):
        raise OutOfRange(
            f"{call}: the result is not finite, a number on the way left the range of its dtype; this"
            " would work: numbers of ordinary size, or float64"
        )
    return result


def first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")
