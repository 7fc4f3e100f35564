"""From a program to a program."""

from metarep_lib.construct.transforms.all_to_all import all_to_all
from metarep_lib.construct.transforms.frozen_stack import on_frozen_stack
from metarep_lib.construct.transforms.polynomial_features import on_polynomial_features
from metarep_lib.construct.transforms.softmax_products import (
    central_difference,
    with_softmax_products,
)

__all__ = [
    "all_to_all",
    "central_difference",
    "on_frozen_stack",
    "on_polynomial_features",
    "with_softmax_products",
]
