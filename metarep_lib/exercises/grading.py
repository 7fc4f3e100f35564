"""Exercises as data, and their grading: an answer goes in, a verdict comes out, and nothing a reader writes makes it raise.

A check gets the answer and raises `NotYet` with a hint when it is not right. It runs what the reader has written on problems of
its own, against something independent, in milliseconds.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module

import torch
from torch import Tensor


class NotYet(Exception):
    """The answer is not right; the message is a hint."""


@dataclass(frozen=True)
class Verdict:
    """What came of grading an answer; a cell that ends in it shows it."""

    passed: bool
    message: str

    def __repr__(self) -> str:
        return self.message


@dataclass(frozen=True)
class Exercise:
    """One exercise. Its text and the stub stand in the chapter, all else here.

    Args:
        difficulty: 1, 2 or 3.
        minutes: how long a reader needs, about.
        check: takes the answer, raises `NotYet` if it is not right.
        solution: code that makes an answer, as a reader could write it in the place of the stub.
        wrong: what is wrong -> code that makes an answer with this mistake, which the check must refuse.
    """

    difficulty: int
    minutes: int
    check: Callable[[object], None]
    solution: str
    wrong: Mapping[str, str] = field(default_factory=dict)


def find(id: str) -> Exercise:
    """The exercise with this name: that of its chapter and its number there.

    Raises:
        ValueError: there is none; the message says which there are.
    """
    if not isinstance(id, str):
        raise ValueError(f"exercise {id!r}: expected a name like 'route-b-1'")
    chapter, _, number = id.rpartition("-")
    try:
        exercises = import_module(f"metarep_lib.exercises.{chapter.replace('-', '_')}").EXERCISES
    except (ModuleNotFoundError, AttributeError):
        raise ValueError(
            f"exercise {id!r}: no chapter {chapter!r} has exercises; a name is like 'route-b-1'"
        ) from None
    if number not in map(str, range(1, len(exercises) + 1)):
        raise ValueError(
            f"exercise {id!r}: {chapter} has the exercises {', '.join(f'{chapter}-{n + 1}' for n in range(len(exercises)))}"
        )
    return exercises[int(number) - 1]


def grade(id: str, answer: object) -> Verdict:
    """Say whether an answer is right, and if not, give a hint. An answer that fails to run is not right.

    Args:
        id: the exercise, as its heading names it.
        answer: what the exercise asks for, usually a function.

    Raises:
        ValueError: no exercise of this name.

    >>> grade("kernel-ridge-1", None)
    not yet: there is no answer in the place of the dots
    """
    exercise = find(id)
    if answer is None or answer is ...:
        return Verdict(False, "not yet: there is no answer in the place of the dots")
    try:
        with torch.enable_grad():  # an answer may differentiate
            exercise.check(answer)
    except NotYet as hint:
        return Verdict(False, f"not yet: {hint}")
    except KeyboardInterrupt:  # the reader's own
        raise
    except BaseException as error:  # exit() and its like end an answer, never the notebook
        name = type(error).__name__
        return Verdict(False, f"not yet: running your answer raised {name}: {first_line(error)}")
    return Verdict(True, "right")


def first_line(error: BaseException) -> str:
    """What an error says first; nothing where not even that works."""
    try:
        return next(iter(str(error).splitlines()), "")
    except Exception:
        return ""


def numbers(found: object, shape: tuple[int, ...] | None = None) -> Tensor:
    """What was answered as a float64 tensor, of this shape if one is given.

    Raises:
        NotYet: nothing was answered, or no finite numbers, or another shape.
    """
    if found is None or found is ...:
        raise NotYet("nothing is returned in the place of the dots")
    try:
        if isinstance(found, Tensor) and found.is_complex():
            raise NotYet(f"expected real numbers, got {found.dtype}")
        values = torch.as_tensor(found, dtype=torch.float64).detach()
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise NotYet(f"expected numbers, got {type(found).__name__}") from None
    if shape is not None and tuple(values.shape) != tuple(shape):
        raise NotYet(f"expected the shape {list(shape)}, got {list(values.shape)}")
    if not torch.isfinite(values).all():
        raise NotYet("there are NaN or infinite values in it")
    return values


def same(found: object, wanted: Tensor | float, hint: str, tolerance: float = 1e-6) -> None:
    """Compare numbers, relative to the largest wanted.

    Raises:
        NotYet: with the hint, where they differ.
    """
    wanted = torch.as_tensor(wanted, dtype=torch.float64)
    values = numbers(found, tuple(wanted.shape))
    scale = float(wanted.abs().max()) if wanted.numel() else 0.0
    if not math.isclose(scale, 0.0):
        values, wanted = values / scale, wanted / scale
    need((values - wanted).abs().max() <= tolerance, hint)


def need(holds: object, hint: str) -> None:
    """Raise `NotYet` with the hint unless it holds."""
    if not bool(holds):
        raise NotYet(hint)


def normal(*shape: int, seed: int) -> Tensor:
    """Standard normal numbers of their own generator, float64."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
