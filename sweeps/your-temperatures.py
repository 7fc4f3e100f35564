"""The exponential kernel on tables, at many temperatures; what is run and why: `metarep_lib/studies/your_temperatures.py`."""

from metarep_lib.studies.your_temperatures import SWEEP  # noqa: F401
