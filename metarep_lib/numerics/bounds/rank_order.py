"""What an error says about an order, and what one step of gradient descent does to it."""

import math

from metarep_lib.asked import asked, between, not_negative


@asked()
def hidden_order_bound(r_squared: float, tolerance: float) -> float:
    """sqrt(max(0, 1 - (1 + eps)^2 (1 - R^2))): how low a correlation with the targets an error may hide.

    If a predictor with coefficient of determination R^2 has root mean squared error E, any other predictor
    with error at most (1 + eps) E has at least this correlation with the same targets. At 0 it may have any.

    Args:
        r_squared: R^2 = 1 - E^2 / variance of the targets, at most 1.
        tolerance: eps >= 0.

    >>> round(hidden_order_bound(0.75, tolerance=0.0) ** 2, 12)
    0.75
    >>> hidden_order_bound(0.15, tolerance=0.1)
    0.0
    """
    return math.sqrt(max(0.0, 1 - (1 + tolerance) ** 2 * (1 - r_squared)))


@asked(tolerance=not_negative)
def hiding_threshold(tolerance: float) -> float:
    """1 - (1 + eps)^-2: the R^2 up to which an error within a factor 1 + eps says nothing about the order.

    >>> round(hiding_threshold(0.1), 3)
    0.174
    """
    return 1 - (1 + tolerance) ** -2


@asked(kappa=between(1, math.inf, 10.0))
def one_step_order_bound(kappa: float) -> float:
    """2 sqrt(kappa) / (kappa + 1): the least correlation of w . Sigma x with w . x, kappa the condition number of Sigma.

    Kantorovich's inequality; Sigma the covariance of x, w . x the truth, w . Sigma x one step of gradient descent.

    >>> one_step_order_bound(1.0), one_step_order_bound(9.0)
    (1.0, 0.6)
    """
    return 2 * math.sqrt(kappa) / (kappa + 1)
