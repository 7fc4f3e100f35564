"""Fold every mutant of every constructed network: `make folded-mutants`.

Some 50,000 networks with one small wrong each: what `fold` makes of every one must be what the dense one is, on every channel of every token after every block,
up to rounding (tests/support/folding.py). That is what proves that folding knows no algorithm; the unit tests try a sample. `--every 10` tries a tenth.
"""

import argparse
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice

from chapters import ROOT

sys.path.append(str(ROOT / "tests" / "support"))

from folding import largest_share, some_prompt  # noqa: E402
from metarep_lib import assemble  # noqa: E402
from metarep_lib.certify import mutants  # noqa: E402
from networks import NETWORKS  # noqa: E402


def judge(name: str, every: int) -> tuple[int, float, list[str]]:
    """How many mutants of a network were tried, the largest share of what is allowed, and those that are off by more."""
    warnings.simplefilter("ignore")  # a mutant may divide by nothing
    network = assemble(NETWORKS[name].program)
    prompt, weights, config = some_prompt(network), network.transformer.state_dict(), network.transformer.config
    shares = {str(mutant): largest_share(network, *mutant.of(weights, config), prompt) for mutant in islice(mutants(network), 0, None, every)}
    return len(shares), max(shares.values()), [mutant for mutant, share in shares.items() if share >= 1]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--every", type=int, default=1, help="try one of so many")
    parser.add_argument("--processes", type=int, default=2)
    asked = parser.parse_args()
    n_tried, wrong = 0, []
    with ProcessPoolExecutor(asked.processes) as pool:
        for name, (tried, share, off) in zip(NETWORKS, pool.map(partial(judge, every=asked.every), NETWORKS)):
            print(f"{name}: {tried} mutants, at most {share:.1e} of what rounding may do, {len(off)} wrong", *off[:10], sep="\n  ", flush=True)
            n_tried, wrong = n_tried + tried, wrong + off
    print(f"all: {n_tried} mutants, {len(wrong)} folded to something else")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
