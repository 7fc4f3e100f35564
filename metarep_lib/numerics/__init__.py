"""The answer: kernels, solvers with full histories, bounds. Imports neither network nor construct."""

from metarep_lib.numerics import solvers
from metarep_lib.numerics.bounds import conjugate_gradient_bound, gradient_descent_bound, prediction_factor
from metarep_lib.numerics.kernels import ExponentialKernel, RidgeSystem, linear_kernel, ridge_system
from metarep_lib.numerics.recurrences import conjugate_gradient_step, gradient_descent_step
from metarep_lib.numerics.smoothers import log_sink_mass, nadaraya_watson, smoother_weights
from metarep_lib.numerics.solvers import Outcome, Solution

__all__ = [
    "ExponentialKernel",
    "Outcome",
    "RidgeSystem",
    "Solution",
    "conjugate_gradient_bound",
    "conjugate_gradient_step",
    "gradient_descent_bound",
    "gradient_descent_step",
    "linear_kernel",
    "log_sink_mass",
    "nadaraya_watson",
    "prediction_factor",
    "ridge_system",
    "smoother_weights",
    "solvers",
]
