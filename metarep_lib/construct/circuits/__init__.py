"""Circuits: functions that return the writes of one operation, and prove that they are right."""

from metarep_lib import moved

__getattr__ = moved.names(__name__)
