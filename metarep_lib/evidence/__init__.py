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
from metarep_lib.evidence.wide import (
    gram_chebyshev_recurrence,
    gram_conjugate_gradient_recurrence,
    gram_squaring_recurrence,
    one_block_recurrence,
)

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
    "gram_chebyshev_recurrence",
    "gram_conjugate_gradient_recurrence",
    "gram_squaring_recurrence",
    "is_looped",
    "jacobi_recurrence",
    "newton_schulz_recurrence",
    "one_block_recurrence",
    "survivors",
    "two_block_recurrence",
]
