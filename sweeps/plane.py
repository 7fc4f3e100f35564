"""The constructed network on m features after t steps; what is run and why: `metarep_lib/studies/plane.py`."""

from metarep_lib.studies.plane import SWEEP  # noqa: F401
