"""Run a sweep: `python scripts/sweep.py NAME`, for `sweeps/NAME.py`. Goes on where an interrupted run stopped.

    python scripts/sweep.py NAME
    python scripts/sweep.py --missing    all whose stored file is missing, broken or of another grid
"""

import argparse
import sys

import torch

from chapters import ROOT
from commit import commit

sys.path.insert(0, str(ROOT))

from metarep_lib.studies.sweep import (  # noqa: E402
    Sweep,
    SweepError,
    is_of,
    load_sweep,
    run_sweep,
)

NAMES = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py"))


def definition(name: str) -> Sweep:
    """The sweep of a file of sweeps/."""
    path, defined = ROOT / "sweeps" / f"{name}.py", {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), defined)
    return defined["SWEEP"]


def why_missing(sweep: Sweep) -> str:
    """What is wrong with the stored file of a sweep; nothing when it is what its file says."""
    try:
        return "" if is_of(load_sweep(sweep.name), sweep) else "what is stored is another grid"
    except (FileNotFoundError, SweepError) as error:
        return str(error)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", choices=NAMES)
    what.add_argument("--missing", action="store_true", help="all that are missing")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name in NAMES if given.missing else [given.name]:
        sweep = definition(name)
        if given.missing:
            if not (reason := why_missing(sweep)):
                continue
            print(reason, flush=True)
        print(run_sweep(sweep, commit=commit("sweeps"), command=f"python scripts/sweep.py {name}"))


if __name__ == "__main__":
    main()
