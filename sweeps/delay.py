"""Steps that conjugate gradient takes in floats; what is run and why: `metarep_lib/studies/delay.py`."""

from metarep_lib.studies.delay import SWEEP  # noqa: F401
