"""A tiny recipe, a tiny sweep, and what breaks their files."""

import importlib.util
import sys
from pathlib import Path

from metarep_lib.studies import Sweep
from metarep_lib.train import recipe_of

ROOT = Path(__file__).resolve().parents[2]
SAID = {"commit": "none", "command": "python scripts/train.py training/tiny.toml --seed 0"}
TABLE = {
    "prior": {"kind": "linear", "n_inputs": 1, "noise": [0.5]},
    "network": {"attention": "softmax", "n_layers": 1, "d_model": 8, "n_heads": 1, "d_head": 4, "d_mlp": 8},
    "training": {"layout": "prefix", "n_support": [1, 2], "n_query": 1, "batch": 4, "steps": 6, "learning_rate": 1e-2, "warmup": 2},
}


def table(**changes):
    """The tables of a tiny recipe; a change names table and key, `training__steps=3`."""
    made = {name: dict(part) for name, part in TABLE.items()}
    for where, value in changes.items():
        part, _, key = where.partition("__")
        made[part][key] = value
    return made


def tiny(name="tiny", **changes):
    return recipe_of(name, table(**changes))


def script(name):
    """A script as a module."""
    sys.path.append(str(ROOT / "scripts"))
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"


def numbers(width, seed):
    return {"error": 1 / width + seed / 3, "path": [float("nan"), float("inf"), -float("inf"), 0.1 * width]}


def sweep(run=numbers, name="tiny"):
    return Sweep(name, {"width": [1, 2, 3]}, [0, 1], run)
