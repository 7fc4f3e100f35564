"""Instruments for any network. Rooms: probe, intervene, identify, align."""

from metarep_lib import moved
from metarep_lib.evidence.intervals import paired_interval

__all__ = [
    "paired_interval",
]

__getattr__ = moved.names(__name__)
