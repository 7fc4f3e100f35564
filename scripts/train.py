"""Train a recipe: `python scripts/train.py training/NAME.toml --seed 0`. Goes on where an interrupted run stopped.

    python scripts/train.py training/NAME.toml --seed 0
    python scripts/train.py --missing    every seed that a recipe of training/ states and that is not stored, or broken, or of another recipe
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch

from chapters import ROOT
from commit import commit

sys.path.insert(0, str(ROOT))

from metarep_lib.train.loop import train  # noqa: E402
from metarep_lib.train.recipe import Recipe, read_recipe  # noqa: E402
from metarep_lib.train.trained import WEIGHTS, why_missing  # noqa: E402


def file_of(recipe: Path) -> Path:
    """A recipe's file, by its path from here or from the repository."""
    return recipe if recipe.exists() or not (ROOT / recipe).exists() else ROOT / recipe


def command(recipe: Path, seed: int) -> str:
    """What a card quotes: the command in the repository's folder."""
    path = recipe.resolve()
    shown = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    return f"python scripts/train.py {shlex.quote(shown)} --seed {seed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, nargs="?", help="a file of training/")
    parser.add_argument("--seed", type=int, help="of the initial weights and of every batch")
    parser.add_argument("--missing", action="store_true", help="train all that training/ states and that is not there")
    parser.add_argument("--threads", type=int, default=1, help="on CPU: one per process is fastest")
    parser.add_argument("--folder", type=Path, default=WEIGHTS, help="where weights and card go")
    given = parser.parse_args()
    if given.missing == (given.recipe is not None) or given.missing == (given.seed is not None):
        parser.error("expected a recipe and --seed, or --missing alone")
    torch.set_num_threads(given.threads)

    def make(path: Path, recipe: Recipe, seed: int) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        print(train(recipe, seed, given.folder, commit=commit("training"), command=command(path, seed), device=device))

    if not given.missing:
        path = file_of(given.recipe)
        make(path, read_recipe(path), given.seed)
        return
    recipes = {path: read_recipe(path) for path in sorted((ROOT / "training").glob("*.toml"))}  # all, before hours go into one
    for path, recipe in recipes.items():
        for seed in recipe.seeds:
            if reason := why_missing(recipe, seed, given.folder):
                print(reason, flush=True)
                make(path, recipe, seed)


if __name__ == "__main__":
    main()
