"""Error of constructed networks against the condition number; what is run and why: `metarep_lib/studies/conditioning.py`."""

from metarep_lib.studies.conditioning import SWEEP  # noqa: F401
