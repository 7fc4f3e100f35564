"""Examine the whole line-up, 38 networks whose algorithm is known, as strangers: `python scripts/examine.py` (ten minutes of one core).

Says of each what it runs, what the report identifies, and ends with an error where a network is called by a name that it does not run, or
where fewer are named than are stored for the blind line-up.
"""

import sys
import time
from collections import Counter

import torch

from chapters import ROOT

sys.path.insert(0, str(ROOT))

from metarep_lib.asked import AskedWrongly  # noqa: E402
from metarep_lib.examine import examine  # noqa: E402
from metarep_lib.studies import load_sweep  # noqa: E402
from metarep_lib.studies.examined import as_bare, prompts_of_lineup  # noqa: E402
from metarep_lib.studies.identified import called  # noqa: E402
from metarep_lib.studies.lineup import NONE, Member, lineup  # noqa: E402

P, K, STEPS, SEEDS = 12, 16, 5, 2


def said_of(member: Member) -> str:
    """The name that the report identifies; "none" as well where a network says nothing that can be examined."""
    try:
        report = examine(as_bare(member, P), prompts_of_lineup(64, seed=11), power=False, controls=False, values=1)
    except AskedWrongly:
        return NONE
    return report.identified or NONE


def verdict(label: str, said: str) -> str:
    return "right" if said == label else "silent" if said == NONE else "WRONG"


def main() -> None:
    torch.set_num_threads(1)
    stored = called(load_sweep("blind-identification").rows, "own head")
    found = Counter()
    for member in lineup(P, K, STEPS, SEEDS):
        began = time.process_time()
        said = said_of(member)
        word = verdict(member.label, said)
        found[word] += 1
        print(f"{word:8} {member.label}: {said} ({time.process_time() - began:.0f} s)", flush=True)
    print(f"{found['right']} right, {found['silent']} silent, {found['WRONG']} wrong; the blind line-up: {len(stored.right)}, {len(stored.silent)}, {stored.wrong}")
    if found["WRONG"] or found["right"] < len(stored.right):
        sys.exit("examine names fewer networks of the line-up than the blind line-up did, or names one wrongly")


if __name__ == "__main__":
    main()
