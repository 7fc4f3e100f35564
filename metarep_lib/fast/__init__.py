"""Constructed networks at about the cost of the solvers they run: `fold(network)`."""

from metarep_lib.fast.fold import FoldedNetwork, fold

__all__ = ["FoldedNetwork", "fold"]
