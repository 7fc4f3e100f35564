"""Statements held to account: certificates in exact arithmetic, mutants, leakage, searched inputs."""

from metarep_lib import moved
from metarep_lib.certify.blind_pair import blind_pair
from metarep_lib.certify.catalogue import RECURRENCES
from metarep_lib.certify.certificate import (
    Certificate,
    certify_end_to_end,
    certify_same,
    certify_step,
)
from metarep_lib.certify.certify import certify
from metarep_lib.certify.exact_errors import exact_errors
from metarep_lib.certify.leakage import leakage_by_change, leakage_by_gradient
from metarep_lib.certify.mutants import mutants, survivors
from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.search import climb, worst_case

__all__ = [
    "RECURRENCES",
    "Certificate",
    "Recurrence",
    "blind_pair",
    "certify",
    "certify_end_to_end",
    "certify_same",
    "certify_step",
    "climb",
    "exact_errors",
    "leakage_by_change",
    "leakage_by_gradient",
    "mutants",
    "survivors",
    "worst_case",
]

__call__ = moved.called(__name__, moved.Called)
