"""Train a recipe: `python scripts/train.py training/NAME.toml --seed 0`. Goes on where an interrupted run stopped."""

import argparse
from pathlib import Path

import torch

from commit import commit
from metarep_lib.train.loop import train
from metarep_lib.train.recipe import read_recipe
from metarep_lib.train.trained import WEIGHTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipe", type=Path, help="a file of training/")
    parser.add_argument("--seed", type=int, required=True, help="of the initial weights and of every batch")
    parser.add_argument("--threads", type=int, default=1, help="on CPU: one per process is fastest")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where weights and card go")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    command = f"python scripts/train.py {given.recipe} --seed {given.seed}"
    print(train(read_recipe(given.recipe), given.seed, given.folder, commit=commit("training"), command=command, device=device))


if __name__ == "__main__":
    main()
