"""Experiments: functions that put instruments to use and return plain numbers. Nothing imports them but chapters."""

from metarep_lib.studies.adversary import searched_prompts
from metarep_lib.studies.cases import Cases, won
from metarep_lib.studies.lineup import Member, lineup
from metarep_lib.studies.sweep import Sweep, Swept, load_sweep, run_sweep, sweeps
from metarep_lib.studies.transfer import drawn, fit_families, risks_compared, weights_compared

__all__ = [
    "Cases",
    "Member",
    "Sweep",
    "Swept",
    "drawn",
    "fit_families",
    "lineup",
    "load_sweep",
    "risks_compared",
    "run_sweep",
    "searched_prompts",
    "sweeps",
    "weights_compared",
    "won",
]
