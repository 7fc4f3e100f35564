"""Rules of numbers, and of the one thing beside them that is a word: a device."""

from metarep_lib.asked.rules import Rule, that
from metarep_lib.asked.values import (
    is_array,
    is_array_or_number,
    is_device,
    is_number,
    is_whole,
    looks,
)

whole = that("a whole number, e.g. 3", is_whole)
finite = that("a finite number, e.g. 0.5", is_number)


def is_positive(x: object) -> bool:
    return is_number(x) and looks(lambda: x > 0)


positive = that("a finite number > 0, e.g. 0.5", is_positive, implies=finite)
temperature = that("a positive temperature, e.g. 1.0", is_positive, implies=finite)
not_negative = that(
    "a finite number >= 0, e.g. 0.5",
    lambda x: is_number(x) and looks(lambda: x >= 0),
    implies=finite,
)
numbers = that("an array of numbers", is_array)
array_or_number = that("a number or an array of numbers", is_array_or_number)
a_device = that("a device of this machine, e.g. 'cpu'", is_device)


def at_least(least: int, *, example: int | None = None) -> Rule:
    """A whole number from `least` on."""
    shown_as = max(least, 3) if example is None else example
    expected = f"a whole number >= {least}, e.g. {shown_as}"
    return that(expected, lambda n: is_whole(n) and n >= least, implies=whole)


def between(low: float, high: float, example: float) -> Rule:
    return that(
        f"a number from {low:g} to {high:g}, e.g. {example:g}",
        lambda x: is_number(x) and low <= x <= high,
        implies=finite,
    )
