"""Mutants that every certificate accepts, and why each does no harm. Nothing else may survive.

By `thm-induction` a mutant that both certificates accept is a right network; a reason says how that can be, and is read off the program and
its recurrence. The survivors themselves are listed in tests/support/mutants.json, which `make mutants` holds to a run of all mutants.
"""

import re
from functools import cache

from metarep_lib.certify.mutants import WRITING
from metarep_lib.construct import Form, Product
from networks import NETWORKS

HEAD = "scales numerator, denominator and guard of a normalised head alike"
UNASKED = "under the causal mask there are no queries, so no token carries this flag"
AFTERWARDS = "the last block predicts; what else it writes nobody reads"
EMPTY = "while even is 1, vv_even is empty"
REGISTERS = "changes on the registers alone a name that has no meaning there"
CLEARED = "lands in a direction that is cleared, or written anew, before anybody reads it"
REASONS = (HEAD, UNASKED, AFTERWARDS, EMPTY, REGISTERS, CLEARED)


def reason(network: str, mutant: str) -> str | None:
    """Why a mutant of a network does no harm, as far as anybody knows."""
    case = NETWORKS[network]
    named = re.fullmatch(r"(\w+) (?:block (\d+) )?.*?(W_\w+) (.*) -> (.*)", mutant)
    if named is None:
        return None  # a unit or a block, not a weight
    kind, block, matrix, source, target = named.groups()
    direction = re.sub(r"\[\d+\]$", "", target) if matrix in WRITING else None
    if (kind, matrix, source) == ("tripled", "W_Q", "one"):
        return HEAD
    if case.program.causal and (matrix, source) == ("W_E", "is_query"):
        return UNASKED
    if case.expects.n_epilogue and block == str(len(case.program.distinct_layers) - 1):
        return AFTERWARDS
    if network == "one block" and (kind, matrix, source) == ("tripled", "W_gate", "even"):
        return EMPTY
    if direction in case.expects.loose:
        return REGISTERS
    return CLEARED if kind == "added" and direction in emptied(network) else None


@cache
def emptied(network: str) -> set[str]:
    """The directions from which some block takes what they hold."""
    return {
        re.sub(r"\[\d+\]$", "", write.target)
        for layer in NETWORKS[network].program.layers
        for write in layer.mlp
        for term in write.terms
        if isinstance(term, Product) and term.right == Form(write.target) and term.gain < 0
    }
