"""Mutants that every certificate accepts, and why each does no harm. Nothing else may survive.

By `thm-induction` a mutant that both certificates accept is a right network; a reason says how that can be. The survivors themselves are
listed in tests/mutants.json, which `make mutants` holds to a run of all mutants.
"""

import re

HEAD = "scales numerator, denominator and guard of a normalised head alike"
CLEARED = "lands in a direction that is cleared, or written anew, before anybody reads it"
REGISTERS = "changes on the registers alone what has no meaning there: nobody who is asked reads it"
UNASKED = "under the causal mask there are no queries, so no token carries this flag"
AFTERWARDS = "the last block predicts; what else it writes nobody reads"
EMPTY = "while even is 1, vv_even is empty"

# (networks, mutants, reason); the first that fits counts
RULES = (
    (r"(conjugate gradient.*|polynomial features)", r"tripled .*W_Q\[\d, one, 0\]", HEAD),
    (r".*causal", r"(tripled|added) W_E\[is_query, .*", UNASKED),
    (r"(newton-schulz|gram squaring.*)", r"added blocks\.[12]\.(attention|mlp).*", AFTERWARDS),
    (r"one block", r"tripled blocks\.1\.mlp\.W_gate\[even, \d+\]", EMPTY),
    (r".*", r"(tripled|added) W_E\[(is_aggregator|is_sink|log_ridge), (mass|h|rho_old|c|[GE]_\d\[\d\]|[wrdpsz]\[\d\])\]", REGISTERS),
    (r"(softmax cg|pipelined).*", r"added blocks\.\d\.mlp\.W_out\[\d+, mass\]", REGISTERS),
    (r"(gram conjugate gradient|feature scaled).*", r"added blocks\.\d\.(mlp\.W_out|attention\.0\.W_O)\[.*\b(G_\d\[\d\]|[wrpszd]\[\d\]|c|rho_old)\]", REGISTERS),
    (r".*", r"added (blocks|W_E).*", CLEARED),
)


def reason(network: str, mutant: str) -> str | None:
    """Why a mutant of a network does no harm, as far as anybody knows."""
    return next((why for networks, mutants, why in RULES if re.fullmatch(networks, network) and re.fullmatch(mutants, mutant)), None)
