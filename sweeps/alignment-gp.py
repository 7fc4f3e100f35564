"""Networks trained on Gaussian processes against smoothers fitted where they were trained and then frozen, one thing moved at a time.

A row is one network (by its training seed) on one shift, "knob value", of its law; all networks see the same prompts.
"""

from metarep_lib.studies import Sweep
from metarep_lib.studies.transfer import at_shift, trained_and_fitted

N_SUPPORT = 30
SHIFTS = {
    "supports": [2, 5, 10, 20, 30, 45, 60],
    "x-scale": [0.25, 0.5, 0.7, 1, 1.4, 2, 3],
    "y-scale": [0.1, 0.3, 1, 3, 10],
    "noise": [0.02, 0.2, 1, 2],
    "condition": [1, 100, 1000],
    "spread": [0, 0.1, 0.2, 0.3],
    "tau": [0.1, 0.2, 0.3, 1.5],
    "linear": [1],
    "step": [1],
}


def run(shift: str, seed: int) -> dict:
    return at_shift(*trained_and_fitted("softmax-gp", N_SUPPORT, seed), shift, N_SUPPORT)


SWEEP = Sweep("alignment-gp", {"shift": [f"{knob} {value}" for knob, values in SHIFTS.items() for value in values]}, [0, 1, 2], run)
