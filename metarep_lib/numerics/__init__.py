"""The answer: systems, steps, projections. Rooms: kernels, solvers, spectrum, bounds. Imports neither network nor construct."""

from metarep_lib import moved
from metarep_lib.numerics.leave_one_out import left_out, tuned_ridge_regression
from metarep_lib.numerics.projections import (
    best_projection,
    landmark_projection,
    projected,
    random_projection,
    spanned_features,
)
from metarep_lib.numerics.relative_error import relative_error
from metarep_lib.numerics.steps import (
    conjugate_gradient_step,
    gradient_descent_step,
    look_ahead_step,
)
from metarep_lib.numerics.system import RidgeSystem, past_systems, primal_system, ridge_system

__all__ = [
    "RidgeSystem",
    "best_projection",
    "conjugate_gradient_step",
    "gradient_descent_step",
    "landmark_projection",
    "left_out",
    "look_ahead_step",
    "past_systems",
    "primal_system",
    "projected",
    "random_projection",
    "relative_error",
    "ridge_system",
    "spanned_features",
    "tuned_ridge_regression",
]

__getattr__ = moved.names(__name__)
