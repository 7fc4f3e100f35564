"""What a call takes, said above it and checked before it runs; every reason at once.

    @asked(steps=at_least(0), step_size=positive)
    def gradient_descent(n_features: int, steps: int, step_size: float) -> Program: ...

The kind of every argument is read off its annotation (`kinds`): a whole number, a finite number, a dense tensor, a prompt. A
rule of the decorator narrows it (`rules`, of `numbers`, of `arrays`). Shapes share their letters (`shapes`): with
`x=floats("B n D"), y=floats("B n")` the B of both is one number. The values of a tensor are checked where they can be looked at
(`values`), so a call runs under `torch.vmap`, where shapes are checked all the same, and in a compiler's trace, where nothing is.
"""

from metarep_lib.asked.arrays import ascending, counts, definite, floats, indices, tensors
from metarep_lib.asked.decorator import asked
from metarep_lib.asked.draws import asked_to_draw
from metarep_lib.asked.errors import AskedWrongly, OutOfRange, in_range
from metarep_lib.asked.numbers import (
    a_device,
    array_or_number,
    at_least,
    between,
    finite,
    not_negative,
    positive,
    temperature,
    whole,
)
from metarep_lib.asked.rules import each, holding, one_of, that
from metarep_lib.asked.shapes import beside

__all__ = [
    "AskedWrongly",
    "OutOfRange",
    "a_device",
    "array_or_number",
    "ascending",
    "asked",
    "asked_to_draw",
    "at_least",
    "beside",
    "between",
    "counts",
    "definite",
    "each",
    "finite",
    "floats",
    "holding",
    "in_range",
    "indices",
    "not_negative",
    "one_of",
    "positive",
    "temperature",
    "tensors",
    "that",
    "whole",
]
