"""The answer: kernels, solvers with full histories, bounds. Imports neither network nor construct."""

from metarep_lib.numerics import solvers
from metarep_lib.numerics.bounds import conjugate_gradient_bound, gradient_descent_bound, prediction_factor
from metarep_lib.numerics.kernels import RidgeSystem, linear_kernel, ridge_system
from metarep_lib.numerics.recurrences import conjugate_gradient_step, gradient_descent_step, look_ahead_step
from metarep_lib.numerics.s_step import s_step_conjugate_gradient
from metarep_lib.numerics.solvers import Outcome, Solution

__all__ = [
    "Outcome",
    "RidgeSystem",
    "Solution",
    "conjugate_gradient_bound",
    "conjugate_gradient_step",
    "gradient_descent_bound",
    "gradient_descent_step",
    "linear_kernel",
    "look_ahead_step",
    "prediction_factor",
    "ridge_system",
    "s_step_conjugate_gradient",
    "solvers",
]
