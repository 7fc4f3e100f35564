"""How well one candidate can pass for another; what is run and why: `metarep_lib/studies/identification_power.py`."""

from metarep_lib.studies.identification_power import SWEEP  # noqa: F401
