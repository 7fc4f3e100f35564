"""The decorator that says above a call what it takes."""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import isclass, signature
from typing import Any, TypeVar

import torch

from metarep_lib.asked.call import Checks
from metarep_lib.asked.errors import TROUBLE, OutOfRange
from metarep_lib.asked.rules import Rule

Function = TypeVar("Function", bound=Callable)


def asked(**rules: Rule) -> Callable[[Function], Function]:
    """Check the arguments of a function, a method or the constructor of a dataclass before it runs.

    Args:
        rules: name of an argument to what is asked of it beyond its annotation.

    The call raises `AskedWrongly` with every reason, and `OutOfRange` where a factorisation fails or a number overflows.

    >>> import torch
    >>> from metarep_lib.asked import at_least, floats
    >>> @asked(steps=at_least(0), y=floats("k"), x=floats("k p"))
    ... def solve(x: torch.Tensor, y: torch.Tensor, steps: int) -> int:
    ...     return steps
    >>> solve(torch.ones(3, 2), torch.ones(3), 4)
    4
    >>> solve(torch.ones(3, 2), torch.ones(4), 2.5)
    Traceback (most recent call last):
    metarep_lib.asked.errors.AskedWrongly: solve(x=float32[3, 2], y=float32[4], steps=2.5)
      - y is float32[4] where {'k': 3} is known, expected a dense tensor of float64 or float32 of shape [k], all finite
      - steps is 2.5, expected a whole number >= 0, e.g. 3
    """

    def decorate(function: Function) -> Function:
        if isclass(function):
            function.__init__ = decorate_function(function.__init__, rules, function.__name__)
            return function
        name = function.__qualname__.removesuffix(".__init__").rpartition("<locals>.")[2]
        return decorate_function(function, rules, name)

    return decorate


def decorate_function(function: Function, rules: Mapping[str, Rule], name: str) -> Function:
    form = signature(function)
    said = Checks(name, form.parameters, rules, getattr(function, "__globals__", {}))

    # the compiler reads functions in a closure, and no other objects
    def check(args: tuple, kwargs: Mapping[str, Any]) -> None:
        said.check(args, kwargs)

    def out_of_range(error: Exception, args: tuple, kwargs: Mapping[str, Any]) -> OutOfRange:
        return said.out_of_range(error, args, kwargs)

    @wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if not torch.compiler.is_compiling():
            check(args, kwargs)
        try:
            return function(*args, **kwargs)
        except TROUBLE as error:
            raise out_of_range(error, args, kwargs) from error

    return checked
