"""The experiments: certificates and mutants now; probes, interventions and training later."""

from metarep_lib.evidence.algorithms import (
    causal_recurrence,
    chebyshev_recurrence,
    conjugate_gradient_recurrence,
    features_first,
    gradient_descent_recurrence,
    jacobi_recurrence,
    newton_schulz_recurrence,
    two_block_recurrence,
)
from metarep_lib.evidence.certificate import Certificate, certify_end_to_end, certify_step, is_looped
from metarep_lib.evidence.mutation import survivors
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.evidence.softmax_algorithms import pipelined_recurrence, richardson_recurrence, softmax_conjugate_gradient_recurrence

__all__ = [
    "Certificate",
    "Recurrence",
    "causal_recurrence",
    "certify_end_to_end",
    "certify_step",
    "chebyshev_recurrence",
    "conjugate_gradient_recurrence",
    "features_first",
    "gradient_descent_recurrence",
    "is_looped",
    "jacobi_recurrence",
    "newton_schulz_recurrence",
    "pipelined_recurrence",
    "richardson_recurrence",
    "softmax_conjugate_gradient_recurrence",
    "survivors",
    "two_block_recurrence",
]
