"""A one-layer softmax smoother on 2400 tasks whose every knob is drawn at random; what is run and why: `metarep_lib/studies/silent_failure.py`."""

from metarep_lib.studies.silent_failure import SWEEP  # noqa: F401
