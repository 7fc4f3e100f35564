"""Instruments for any network. Rooms: probe, intervene, identify, align."""

from metarep_lib import moved
from metarep_lib.evidence.intervals import over_seeds, paired_interval, ratio_over_seeds

__all__ = [
    "over_seeds",
    "paired_interval",
    "ratio_over_seeds",
]

__getattr__ = moved.names(__name__)
