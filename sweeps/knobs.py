"""Five knobs of a network, one at a time; what is run and why: `metarep_lib/studies/knobs.py`."""

from metarep_lib.studies.knobs import SWEEP  # noqa: F401
