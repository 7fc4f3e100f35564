"""A network's stream against a solver's history, where both use the same names."""

from collections.abc import Mapping

from torch import Tensor

from metarep_lib.network import Trace

__all__ = ["gap"]

FIRST = 6  # steps, which rounding leaves alone


def gap(trace: Trace, history: Mapping[str, Tensor], name: str, group: str) -> float:
    """The largest difference under a name over the first six steps, relative to the name's largest value.

    Args:
        trace: of one prompt.
        history: name -> [steps + 1, k] of a vector, [steps] of a scalar, which exists from the first step on.
        name: of a direction.
        group: the tokens that hold it; all of them hold a scalar, and one is read.
    """
    expected = history[name][:FIRST]
    held = trace[name, group] if expected.ndim > 1 else trace[name, group][1:, 0]
    return float((held[:FIRST] - expected).abs().max() / expected.abs().max())
