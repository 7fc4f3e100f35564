"""Which call made a program: recorded as it happens, never typed by hand.

A body that wrote its own record could write the wrong one, and a certificate that believes the
record would pass. So the record is made around the function, from the arguments it was called with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from inspect import signature
from numbers import Integral, Real
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Parameters = ParamSpec("Parameters")
Made = TypeVar("Made")


class NotPlain(TypeError):
    """An argument that is no number, word, tensor, or program with a record."""


@dataclass(frozen=True)
class Entries:
    """A tensor by value: what it held when the call was made, whatever becomes of it."""

    values: Any
    dtype: str

    def tensor(self) -> Tensor:
        return torch.tensor(self.values, dtype=getattr(torch, self.dtype))


@dataclass(frozen=True)
class Call:
    """A function and the arguments it was called with, defaults included.

    Args:
        function: the public one, which `again` calls.
        bound: (name, value) of every argument: numbers, words, None, tuples of these, `Entries` of
            a tensor, the `Call` of a program.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> call = gradient_descent(3, steps=5, step_size=0.25).call
    >>> call, call.arguments["n_outputs"], call.function is gradient_descent
    (gradient_descent(n_features=3, steps=5, step_size=0.25, n_outputs=1), 1, True)
    """

    function: Callable
    bound: tuple[tuple[str, Any], ...]

    @property
    def name(self) -> str:
        return self.function.__name__

    @property
    def arguments(self) -> dict[str, Any]:
        """Name to value; tensors are new ones, programs are the calls that made them."""
        return {name: given_back(value) for name, value in self.bound}

    def again(self) -> Any:
        """The program, made once more."""
        arguments = self.arguments.items()
        return self.function(
            **{
                name: value.again() if isinstance(value, Call) else value
                for name, value in arguments
            }
        )

    def with_argument(self, name: str, value: Any) -> "Call | None":
        """The call with another value of one argument; None where the function does not take it."""
        if name not in self.arguments:
            return None
        changed = [(each, value if each == name else held) for each, held in self.bound]
        other = replace(self, bound=tuple(changed))
        try:
            other.again()
        except ValueError:
            return None
        return other

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={shown(value)}' for name, value in self.bound)})"


def algorithm(function: Callable[Parameters, Made]) -> Callable[Parameters, Made]:
    """Let a function's programs say which call made them, in `program.call`.

    A call with an argument that is not plain makes a program without a record. So does one with a
    program that has none: what is built on something unknown is unknown. `dataclasses.replace`
    drops the record.
    """
    form = signature(function)

    @wraps(function)
    def recorded(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Made:
        made = replace(function(*args, **kwargs))  # a copy: nobody else's program is marked
        given = form.bind(*args, **kwargs)
        given.apply_defaults()
        try:
            bound = tuple((name, by_value(value)) for name, value in given.arguments.items())
        except NotPlain:
            return made
        object.__setattr__(made, "call", Call(recorded, bound))
        return made

    return recorded


def by_value(value: Any) -> Any:
    """An argument as a record keeps it.

    Raises:
        NotPlain: it cannot be kept.
    """
    if value is None or isinstance(value, bool | str | Call):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Tensor):
        return Entries(nested(value.tolist()), str(value.dtype).removeprefix("torch."))
    if isinstance(value, tuple | list):
        return nested(value)
    if isinstance(call := getattr(value, "call", None), Call):  # of a program
        return call
    raise NotPlain(f"{type(value).__name__} {value!r}")


def nested(value: Any) -> Any:
    return tuple(map(nested, value)) if isinstance(value, tuple | list) else by_value(value)


def given_back(value: Any) -> Any:
    return value.tensor() if isinstance(value, Entries) else value


def shown(value: Any) -> str:
    return str(list(value.values)) if isinstance(value, Entries) else repr(value)
