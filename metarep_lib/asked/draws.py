"""What every call asks of the sizes of the prompts it draws, and of its seed."""

from collections.abc import Callable
from inspect import signature

from metarep_lib.asked.decorator import Function, asked
from metarep_lib.asked.numbers import at_least
from metarep_lib.asked.rules import Rule

DRAWN = {
    "n_prompts": at_least(1),
    "n_support": at_least(1),
    "n_query": at_least(0),
    "n_features": at_least(1),
    "seed": at_least(0),
}


def asked_to_draw(**rules: Rule) -> Callable[[Function], Function]:
    """`asked`, with the rules of sizes and seed for the arguments that have these names.

    >>> @asked_to_draw()
    ... def drawn(n_support: int, seed: int) -> int:
    ...     return n_support
    >>> drawn(0, seed=-1)
    Traceback (most recent call last):
    metarep_lib.asked.errors.AskedWrongly: drawn(n_support=0, seed=-1)
      - n_support is 0, expected a whole number >= 1, e.g. 3
      - seed is -1, expected a whole number >= 0, e.g. 3
    """

    def decorate(function: Function) -> Function:
        own = {name: DRAWN[name] for name in signature(function).parameters if name in DRAWN}
        return asked(**own | rules)(function)

    return decorate
