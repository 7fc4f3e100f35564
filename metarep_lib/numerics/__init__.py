"""The answer: kernels, solvers with full histories, bounds. Imports neither network nor construct."""

from metarep_lib.numerics import depth, solvers, spectral
from metarep_lib.numerics.bounds import conjugate_gradient_bound, gradient_descent_bound, prediction_factor
from metarep_lib.numerics.kernels import ExponentialKernel, RidgeSystem, linear_kernel, ridge_system
from metarep_lib.numerics.perturbation import (
    RidgeFit,
    aligned,
    drift_gradient,
    drift_size,
    feature_drift_bound,
    from_joint,
    joint_features,
    kernel_drift_bound,
    lipschitz_constants,
    predicted_drift_bound,
    resolvent_bound,
    ridge_fit,
    worst_drift,
)
from metarep_lib.numerics.preconditioning import jacobi, row_normalised, scaled
from metarep_lib.numerics.recurrences import conjugate_gradient_step, gradient_descent_step
from metarep_lib.numerics.sensitivity import conjugate_gradient_jacobian, conjugate_gradient_lipschitz
from metarep_lib.numerics.smoothers import nadaraya_watson, smoother_weights
from metarep_lib.numerics.leave_one_out import Tuned, left_out, tuned_ridge_regression
from metarep_lib.numerics.order import hidden_order_bound, hiding_threshold, one_step_order_bound
from metarep_lib.numerics.random_features import (
    positive_features,
    positive_variance,
    random_directions,
    random_feature_bound,
    trigonometric_features,
    trigonometric_variance,
)
from metarep_lib.numerics.preconditioning import jacobi, row_normalised, scaled
from metarep_lib.numerics.recurrences import conjugate_gradient_step, gradient_descent_step
from metarep_lib.numerics.smoothers import (
    effective_supports,
    first_order_bound,
    flat_logits_bound,
    leading_logit_bound,
    nadaraya_watson,
    share_on_sphere,
    smoother_left_out,
    smoother_weights,
)
from metarep_lib.numerics.solvers import Outcome, Solution
from metarep_lib.numerics.stencil import (
    StencilKernel,
    best_spacing,
    rounding_gain,
    stencil_coefficients,
    stencil_constant,
    stencil_error,
    stencil_error_in_floats,
)
from metarep_lib.numerics.width import best_projection, landmark_projection, projected, random_projection, spanned_features, width_bound

__all__ = [
    "ExponentialKernel",
    "Outcome",
    "RidgeFit",
    "RidgeSystem",
    "Solution",
    "StencilKernel",
    "aligned",
    "Tuned",
    "best_projection",
    "best_spacing",
    "conjugate_gradient_bound",
    "conjugate_gradient_jacobian",
    "conjugate_gradient_lipschitz",
    "conjugate_gradient_step",
    "depth",
    "drift_gradient",
    "drift_size",
    "feature_drift_bound",
    "from_joint",
    "effective_supports",
    "first_order_bound",
    "flat_logits_bound",
    "gradient_descent_bound",
    "gradient_descent_step",
    "hidden_order_bound",
    "hiding_threshold",
    "jacobi",
    "joint_features",
    "kernel_drift_bound",
    "landmark_projection",
    "leading_logit_bound",
    "left_out",
    "linear_kernel",
    "lipschitz_constants",
    "nadaraya_watson",
    "predicted_drift_bound",
    "one_step_order_bound",
    "positive_features",
    "positive_variance",
    "prediction_factor",
    "projected",
    "random_directions",
    "random_feature_bound",
    "random_projection",
    "resolvent_bound",
    "ridge_fit",
    "ridge_system",
    "rounding_gain",
    "row_normalised",
    "scaled",
    "share_on_sphere",
    "smoother_left_out",
    "smoother_weights",
    "solvers",
    "spanned_features",
    "spectral",
    "stencil_coefficients",
    "stencil_constant",
    "stencil_error",
    "stencil_error_in_floats",
    "trigonometric_features",
    "trigonometric_variance",
    "tuned_ridge_regression",
    "width_bound",
    "worst_drift",
]
