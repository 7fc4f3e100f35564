"""Which algorithm a network follows, and which ones it cannot."""

from metarep_lib.evidence.identify.candidates import KERNEL, LINEAR, MATCHED, SCHEDULED, Posed
from metarep_lib.evidence.identify.readouts import fitted_readout, own_head, query_streams
from metarep_lib.evidence.identify.spectral_marks import LogFilter, additivity_gap, spectral_gains
from metarep_lib.evidence.identify.tuning import fit_candidate
from metarep_lib.evidence.identify.verdict import Verdict, compared, judge

__all__ = [
    "KERNEL",
    "LINEAR",
    "MATCHED",
    "SCHEDULED",
    "LogFilter",
    "Posed",
    "Verdict",
    "additivity_gap",
    "compared",
    "fit_candidate",
    "fitted_readout",
    "judge",
    "own_head",
    "query_streams",
    "spectral_gains",
]
