"""What a network weighs its supports by, and whether its answer can be trusted."""

from metarep_lib.evidence.align.kernel_heads import head_logits, kernel_heads
from metarep_lib.evidence.align.representation import representation_drift
from metarep_lib.evidence.align.silent_failure import (
    diagnose,
    rank_correlation,
    reference_solver,
    score,
)
from metarep_lib.evidence.align.smoother_families import (
    FAMILIES,
    Fitted,
    fit,
    prediction_error,
    weight_cosine,
    weight_error,
)
from metarep_lib.evidence.align.target_weights import central_differences, prediction_and_weights

__all__ = [
    "FAMILIES",
    "Fitted",
    "central_differences",
    "diagnose",
    "fit",
    "head_logits",
    "kernel_heads",
    "prediction_and_weights",
    "prediction_error",
    "rank_correlation",
    "reference_solver",
    "representation_drift",
    "score",
    "weight_cosine",
    "weight_error",
]
