"""Run a sweep: `python scripts/sweep.py NAME`, for `sweeps/NAME.py`. Goes on where an interrupted run stopped."""

import argparse
import sys

import torch

from chapters import ROOT
from commit import commit

sys.path.insert(0, str(ROOT))

from metarep_lib.studies.sweep import run_sweep  # noqa: E402


def main() -> None:
    names = sorted(path.stem for path in (ROOT / "sweeps").glob("*.py"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=names)
    name = parser.parse_args().name
    torch.set_num_threads(1)
    definition = {}
    exec(compile((ROOT / "sweeps" / f"{name}.py").read_text(encoding="utf-8"), f"sweeps/{name}.py", "exec"), definition)
    print(run_sweep(definition["SWEEP"], commit=commit("sweeps"), command=f"python scripts/sweep.py {name}"))


if __name__ == "__main__":
    main()
