"""From your arrays to an answer: what to choose, the network that runs, and whether it has arrived."""

from metarep_lib.estimators.answer import Answer, ask
from metarep_lib.estimators.defaults import program_for
from metarep_lib.estimators.overview import overview
from metarep_lib.estimators.ridge import ridge_by_leave_one_out
from metarep_lib.estimators.solve import solve
from metarep_lib.estimators.temperature import temperature_of

__all__ = [
    "Answer",
    "ask",
    "overview",
    "program_for",
    "ridge_by_leave_one_out",
    "solve",
    "temperature_of",
]
