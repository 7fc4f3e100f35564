"""Softmax networks trained on linear functions against smoothers fitted where they were trained and then frozen, one thing moved at a time.

A row is one network (by its training seed) on one shift, "knob value", of its law; all networks see the same prompts.
"""

from metarep_lib.studies import Sweep
from metarep_lib.studies.transfer import at_shift, trained_and_fitted

N_SUPPORT = 20
SHIFTS = {"supports": [3, 5, 10, 20, 30], "x-scale": [2], "y-scale": [0.3]}


def run(shift: str, seed: int) -> dict:
    return at_shift(*trained_and_fitted("softmax-linear", N_SUPPORT, seed), shift, N_SUPPORT)


SWEEP = Sweep("alignment-linear", {"shift": [f"{knob} {value}" for knob, values in SHIFTS.items() for value in values]}, [0, 1, 2], run)
