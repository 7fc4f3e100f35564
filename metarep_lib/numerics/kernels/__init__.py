"""Kernels, smoothers, and what stands in for a kernel."""

from metarep_lib import moved
from metarep_lib.numerics.kernels.kernels import ExponentialKernel, GaussianKernel, linear_kernel
from metarep_lib.numerics.kernels.smoothers import (
    effective_supports,
    first_order_bound,
    flat_logits_bound,
    leading_logit_bound,
    log_sink_mass,
    nadaraya_watson,
    share_on_sphere,
    smoother_left_out,
    smoother_weights,
)

__all__ = [
    "ExponentialKernel",
    "GaussianKernel",
    "effective_supports",
    "first_order_bound",
    "flat_logits_bound",
    "leading_logit_bound",
    "linear_kernel",
    "log_sink_mass",
    "nadaraya_watson",
    "share_on_sphere",
    "smoother_left_out",
    "smoother_weights",
]

__getattr__ = moved.names(__name__)
