"""Try every mutant of every constructed network: `make mutants`.

Some 50,000 networks with one small wrong each, on trial in exact arithmetic (metarep_lib/certify/mutants.py). How many of each kind were
made, and which of them every certificate accepts, is stored in tests/support/mutants.json; the unit tests run a sample of both again.
Fails when a survivor has no reason in tests/support/survivors.py, or when the stored file says something else (--write stores what was found).
"""

import argparse
import json
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor

from chapters import ROOT
from metarep_lib.storage import write_whole

sys.path.append(str(ROOT / "tests" / "support"))

from metarep_lib import assemble  # noqa: E402
from metarep_lib.certify import survivors  # noqa: E402
from networks import NETWORKS  # noqa: E402
from survivors import reason  # noqa: E402

STORED = ROOT / "tests" / "support" / "mutants.json"
SEED = 5


def judge(name: str) -> dict:
    """How many mutants of a network were made, and who survived."""
    warnings.simplefilter("ignore")  # a mutant may divide by nothing
    case = NETWORKS[name]
    judged = survivors(assemble(case.program), case.expects, seed=SEED, n_support=case.n_support)
    return {"made": judged.made, "survivors": list(judged.survivors)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="store what was found")
    asked = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        found = dict(zip(NETWORKS, pool.map(judge, NETWORKS)))
    for name, of_it in found.items():
        print(f"{name}: {sum(of_it['made'].values())} made {of_it['made']}, {len(of_it['survivors'])} survive")
    made = {kind: sum(of_it["made"][kind] for of_it in found.values()) for kind in next(iter(found.values()))["made"]}
    left = sum(len(of_it["survivors"]) for of_it in found.values())
    print(f"all: {sum(made.values())} made {made}, {left} survive")
    faults = [f"{name}: {what} survives without a reason" for name, of_it in found.items() for what in of_it["survivors"] if reason(name, what) is None]
    text = json.dumps(found, indent=1) + "\n"
    if asked.write:
        write_whole(STORED, text)
    elif not STORED.exists() or STORED.read_text(encoding="utf-8") != text:
        faults.append(f"{STORED.relative_to(ROOT)} says something else; look at the difference, then: python scripts/mutants.py --write")
    print(*faults, sep="\n", end="\n" if faults else "")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
