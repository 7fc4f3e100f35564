"""The experiments: certificates and mutants, training and trained networks."""

from metarep_lib.evidence.adversary import searched_prompts
from metarep_lib.evidence.algorithms import (
    block_recurrence,
    causal_recurrence,
    chebyshev_recurrence,
    conjugate_gradient_recurrence,
    features_first,
    gradient_descent_recurrence,
    jacobi_recurrence,
    narrow_gradient_descent_recurrence,
    narrow_ridge_gradient_descent_recurrence,
    newton_schulz_recurrence,
    two_block_recurrence,
)
from metarep_lib.evidence.alignment import FAMILIES, Fitted, fit, prediction_and_weights, prediction_error, weight_cosine, weight_error
from metarep_lib.evidence.balls import exact_errors
from metarep_lib.evidence.blindness import BlindPair, blind_pair
from metarep_lib.evidence.candidates import KERNEL, LINEAR, SCHEDULED, Candidate, Posed
from metarep_lib.evidence.certificate import Certificate, certify_end_to_end, certify_step, is_looped
from metarep_lib.evidence.controls import control_task, fit_mlp_probes, other_tasks, random_features, rotated, untrained, with_shuffled_weights
from metarep_lib.evidence.diagnostics import Diagnosis, Score, diagnose, rank_correlation, reference_solver, score
from metarep_lib.evidence.drift import DRIFT_RATIOS, fragility
from metarep_lib.evidence.edits import Add, Edit, Heads, Mean, Put, Scale, Stream, Take, Units, heads_into
from metarep_lib.evidence.heads import KernelHead, head_logits, kernel_heads
from metarep_lib.evidence.identification import SAME, Fit, Verdict, fit_candidate, judge
from metarep_lib.evidence.interventions import InterventionError, intervene
from metarep_lib.evidence.layers import Readout, Subject, fitted_readout, in_other_basis, signed_permutation
from metarep_lib.evidence.leakage import Leakage, leakage_by_change, leakage_by_gradient
from metarep_lib.evidence.lineup import Member, lineup
from metarep_lib.evidence.marks import Gains, LogFilter, additivity_gap, best_filter, primal_spectrum, spectral_gains
from metarep_lib.evidence.mutation import KINDS, Judged, Mutant, Trial, mutants, survivors
from metarep_lib.evidence.probes import Partial, Probe, Recovery, Split, activations, fit_probes, partial_recovery, recover, recovery, remainder
from metarep_lib.evidence.recipe import Recipe, read_recipe, recipe_of
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.evidence.remedies import REMEDIES, context_stream, feature_alignment, fine_tune, network_features, representation_drift
from metarep_lib.evidence.search import climb, worst_case
from metarep_lib.evidence.softmax_algorithms import pipelined_recurrence, richardson_recurrence, softmax_conjugate_gradient_recurrence
from metarep_lib.evidence.sweep import Sweep, Swept, load_sweep, run_sweep, sweeps
from metarep_lib.evidence.targets import past_systems, predictions, primal_system, states
from metarep_lib.evidence.trained import TrainedTransformer, cards, load_seeds, load_trained
from metarep_lib.evidence.training import initial, train
from metarep_lib.evidence.transfer import drawn, fit_families, paired_interval, risks_compared, weights_compared
from metarep_lib.evidence.wide import (
    feature_scaled_recurrence,
    gram_chebyshev_recurrence,
    gram_conjugate_gradient_recurrence,
    gram_squaring_recurrence,
    one_block_recurrence,
)

__all__ = [
    "DRIFT_RATIOS",
    "FAMILIES",
    "KERNEL",
    "LINEAR",
    "REMEDIES",
    "SAME",
    "SCHEDULED",
    "Add",
    "BlindPair",
    "Candidate",
    "Certificate",
    "Diagnosis",
    "Edit",
    "Fit",
    "Fitted",
    "Gains",
    "Heads",
    "InterventionError",
    "KernelHead",
    "Leakage",
    "LogFilter",
    "Mean",
    "Member",
    "Partial",
    "Posed",
    "Probe",
    "Put",
    "Readout",
    "Recipe",
    "Recovery",
    "Recurrence",
    "Scale",
    "Score",
    "Split",
    "Stream",
    "Subject",
    "Sweep",
    "Swept",
    "Take",
    "TrainedTransformer",
    "Units",
    "Verdict",
    "activations",
    "additivity_gap",
    "best_filter",
    "blind_pair",
    "block_recurrence",
    "cards",
    "causal_recurrence",
    "certify_end_to_end",
    "certify_step",
    "chebyshev_recurrence",
    "climb",
    "conjugate_gradient_recurrence",
    "context_stream",
    "control_task",
    "diagnose",
    "drawn",
    "exact_errors",
    "feature_alignment",
    "feature_scaled_recurrence",
    "features_first",
    "fine_tune",
    "fit",
    "fit_candidate",
    "fit_families",
    "fit_mlp_probes",
    "fit_probes",
    "fitted_readout",
    "fragility",
    "gradient_descent_recurrence",
    "gram_chebyshev_recurrence",
    "gram_conjugate_gradient_recurrence",
    "gram_squaring_recurrence",
    "head_logits",
    "heads_into",
    "in_other_basis",
    "initial",
    "intervene",
    "is_looped",
    "jacobi_recurrence",
    "judge",
    "kernel_heads",
    "leakage_by_change",
    "leakage_by_gradient",
    "lineup",
    "load_seeds",
    "load_sweep",
    "load_trained",
    "narrow_gradient_descent_recurrence",
    "narrow_ridge_gradient_descent_recurrence",
    "network_features",
    "newton_schulz_recurrence",
    "one_block_recurrence",
    "other_tasks",
    "paired_interval",
    "partial_recovery",
    "past_systems",
    "pipelined_recurrence",
    "prediction_and_weights",
    "prediction_error",
    "predictions",
    "primal_spectrum",
    "primal_system",
    "random_features",
    "rank_correlation",
    "read_recipe",
    "recipe_of",
    "recover",
    "recovery",
    "reference_solver",
    "remainder",
    "representation_drift",
    "richardson_recurrence",
    "risks_compared",
    "rotated",
    "run_sweep",
    "score",
    "searched_prompts",
    "signed_permutation",
    "softmax_conjugate_gradient_recurrence",
    "spectral_gains",
    "states",
    "survivors",
    "sweeps",
    "train",
    "two_block_recurrence",
    "untrained",
    "weight_cosine",
    "weight_error",
    "weights_compared",
    "with_shuffled_weights",
    "worst_case",
]
