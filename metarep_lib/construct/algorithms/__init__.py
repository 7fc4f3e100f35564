"""Functions that return a `Program`: one algorithm each."""

from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent

__all__ = ["conjugate_gradient", "gradient_descent"]
