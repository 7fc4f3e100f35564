"""What can be read off a stream, and what would have been found where there is nothing."""

from metarep_lib.evidence.probe.controls import (
    control_task,
    fit_mlp_probes,
    other_tasks,
    random_features,
    rotated,
    with_shuffled_weights,
)
from metarep_lib.evidence.probe.probes import (
    Split,
    activations,
    fit_probes,
    partial_recovery,
    recover,
    recovery,
)
from metarep_lib.evidence.probe.targets import predictions, states

__all__ = [
    "Split",
    "activations",
    "control_task",
    "fit_mlp_probes",
    "fit_probes",
    "other_tasks",
    "partial_recovery",
    "predictions",
    "random_features",
    "recover",
    "recovery",
    "rotated",
    "states",
    "with_shuffled_weights",
]
