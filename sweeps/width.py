"""What five maps to width m lose; what is run and why: `metarep_lib/studies/width.py`."""

from metarep_lib.studies.width import SWEEP  # noqa: F401
