"""The experiments: certificates and mutants now; probes, interventions and training later."""

from metarep_lib.evidence.certificate import Certificate, certify_end_to_end, certify_step
from metarep_lib.evidence.mutation import survivors
from metarep_lib.evidence.recurrence import Recurrence, conjugate_gradient_recurrence, gradient_descent_recurrence

__all__ = [
    "Certificate",
    "Recurrence",
    "certify_end_to_end",
    "certify_step",
    "conjugate_gradient_recurrence",
    "gradient_descent_recurrence",
    "survivors",
]
