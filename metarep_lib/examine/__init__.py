"""Examine a network: what it can be told to run on given prompts, what it cannot, and what was not tried."""

from metarep_lib.examine.examination import examine
from metarep_lib.examine.report import Finding, Report

__all__ = [
    "Finding",
    "Report",
    "examine",
]
