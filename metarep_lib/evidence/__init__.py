"""The experiments: certificates and mutants now; probes, interventions and training later."""

from metarep_lib.evidence.algorithms import (
    block_recurrence,
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

__all__ = [
    "Certificate",
    "Recurrence",
    "block_recurrence",
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
    "survivors",
    "two_block_recurrence",
]
