"""Collinear and duplicated supports, small ridges, preconditioners; what is run and why: `metarep_lib/studies/degenerate.py`."""

from metarep_lib.studies.degenerate import SWEEP  # noqa: F401
