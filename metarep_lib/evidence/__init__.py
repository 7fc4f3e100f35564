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
from metarep_lib.evidence.balls import exact_errors
from metarep_lib.evidence.blindness import BlindPair, blind_pair
from metarep_lib.evidence.candidates import KERNEL, LINEAR, SCHEDULED, Candidate, Posed
from metarep_lib.evidence.certificate import Certificate, certify_end_to_end, certify_step, is_looped
from metarep_lib.evidence.controls import control_task, fit_mlp_probes, other_tasks, random_features, rotated, untrained, with_shuffled_weights
from metarep_lib.evidence.diagnostics import Diagnosis, Score, diagnose, rank_correlation, reference_solver, score
from metarep_lib.evidence.drift import DRIFT_RATIOS, fragility
from metarep_lib.evidence.identification import SAME, Fit, Verdict, fit, judge, paired_interval
from metarep_lib.evidence.layers import Readout, Subject, fitted_readout, in_other_basis, signed_permutation
from metarep_lib.evidence.leakage import Leakage, leakage_by_change, leakage_by_gradient
from metarep_lib.evidence.lineup import Member, lineup
from metarep_lib.evidence.marks import Gains, LogFilter, additivity_gap, best_filter, primal_spectrum, spectral_gains
from metarep_lib.evidence.mutation import survivors
from metarep_lib.evidence.probes import Partial, Probe, Recovery, Split, activations, fit_probes, partial_recovery, recover, recovery, remainder
from metarep_lib.evidence.recipe import Recipe, read_recipe
from metarep_lib.evidence.recurrence import Recurrence
from metarep_lib.evidence.search import climb, worst_case
from metarep_lib.evidence.softmax_algorithms import pipelined_recurrence, richardson_recurrence, softmax_conjugate_gradient_recurrence
from metarep_lib.evidence.sweep import Sweep, Swept, load_sweep, run_sweep, sweeps
from metarep_lib.evidence.trained import TrainedTransformer, cards, load_seeds, load_trained
from metarep_lib.evidence.training import train
from metarep_lib.evidence.wide import gram_chebyshev_recurrence, gram_conjugate_gradient_recurrence, gram_squaring_recurrence, one_block_recurrence

__all__ = [
    "DRIFT_RATIOS",
    "KERNEL",
    "LINEAR",
    "SAME",
    "SCHEDULED",
    "BlindPair",
    "Candidate",
    "Certificate",
    "Diagnosis",
    "Fit",
    "Gains",
    "Leakage",
    "LogFilter",
    "Member",
    "Partial",
    "Posed",
    "Probe",
    "Readout",
    "Recipe",
    "Recovery",
    "Recurrence",
    "Score",
    "Split",
    "Subject",
    "Sweep",
    "Swept",
    "TrainedTransformer",
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
    "control_task",
    "diagnose",
    "exact_errors",
    "features_first",
    "fit",
    "fit_mlp_probes",
    "fit_probes",
    "fitted_readout",
    "fragility",
    "gradient_descent_recurrence",
    "gram_chebyshev_recurrence",
    "gram_conjugate_gradient_recurrence",
    "gram_squaring_recurrence",
    "in_other_basis",
    "is_looped",
    "jacobi_recurrence",
    "judge",
    "leakage_by_change",
    "leakage_by_gradient",
    "lineup",
    "load_seeds",
    "load_sweep",
    "load_trained",
    "narrow_gradient_descent_recurrence",
    "narrow_ridge_gradient_descent_recurrence",
    "newton_schulz_recurrence",
    "one_block_recurrence",
    "other_tasks",
    "paired_interval",
    "partial_recovery",
    "pipelined_recurrence",
    "primal_spectrum",
    "random_features",
    "rank_correlation",
    "read_recipe",
    "recover",
    "recovery",
    "reference_solver",
    "remainder",
    "richardson_recurrence",
    "rotated",
    "run_sweep",
    "score",
    "searched_prompts",
    "signed_permutation",
    "softmax_conjugate_gradient_recurrence",
    "spectral_gains",
    "survivors",
    "sweeps",
    "train",
    "two_block_recurrence",
    "untrained",
    "with_shuffled_weights",
    "worst_case",
]
