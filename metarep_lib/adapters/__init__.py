"""Your own model, as something that can be asked: a function, an estimator, a module."""

from metarep_lib.adapters.fitted import fitted_in_context
from metarep_lib.adapters.function import FunctionAnswerer, as_answerer
from metarep_lib.adapters.module import as_network
from metarep_lib.adapters.module_network import ModuleNetwork
from metarep_lib.adapters.where import INTERLEAVED, PREFIX, Where

__all__ = [
    "INTERLEAVED",
    "PREFIX",
    "FunctionAnswerer",
    "ModuleNetwork",
    "Where",
    "as_answerer",
    "as_network",
    "fitted_in_context",
]
