"""Steps of conjugate gradient to half of the digits; what is run and why: `metarep_lib/studies/steps_needed.py`."""

from metarep_lib.studies.steps_needed import SWEEP  # noqa: F401
