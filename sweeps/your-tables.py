"""Tables that ship with packages, answered by constructed networks; what is run and why: `metarep_lib/studies/your_tables.py`."""

from metarep_lib.studies.your_tables import SWEEP  # noqa: F401
