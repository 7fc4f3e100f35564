"""Bounds."""

from metarep_lib import moved
from metarep_lib.numerics.bounds.cg_sensitivity import (
    conjugate_gradient_jacobian,
    conjugate_gradient_lipschitz,
)
from metarep_lib.numerics.bounds.rank_order import (
    hidden_order_bound,
    hiding_threshold,
    one_step_order_bound,
)
from metarep_lib.numerics.bounds.rates import (
    conjugate_gradient_bound,
    gradient_descent_bound,
    prediction_factor,
)
from metarep_lib.numerics.bounds.width import width_bound
from metarep_lib.numerics.bounds.width_and_depth import capacity_bound, distinct_eigenvalues

__all__ = [
    "capacity_bound",
    "conjugate_gradient_bound",
    "conjugate_gradient_jacobian",
    "conjugate_gradient_lipschitz",
    "distinct_eigenvalues",
    "gradient_descent_bound",
    "hidden_order_bound",
    "hiding_threshold",
    "one_step_order_bound",
    "prediction_factor",
    "width_bound",
]

__getattr__ = moved.names(__name__)
