"""Run the shipped notebooks as Colab would: `make colab` all of them, `make test` one; or name some.

Each runs in an empty folder, with the library installed from a copy of this repository by the command of the notebook's first
cell, and with no packages but Colab's: those in COLAB, those the first cell installs, and what they require. All others of this
environment, Sphinx and pytest among them, cannot be imported.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from packaging.requirements import Requirement

from chapters import BOOK, ROOT

COLAB = ("torch", "numpy", "scipy", "matplotlib", "scikit-learn", "tqdm", "pillow", "ipython", "ipykernel", "ipywidgets", "pandas", "statsmodels")
INSTALLED = ("jaxtyping", "python-flint", "safetensors")  # by the first cell, tests/book/test_notebook_rendering.py

BLOCKER = """\
from importlib.machinery import PathFinder

find = PathFinder.find_spec
PathFinder.find_spec = lambda name, path=None, target=None: None if name.partition(".")[0] in {blocked} else find(name, path, target)
"""
AS_IN_COLAB = """\
import importlib, metarep_lib
assert metarep_lib.__file__.startswith({library!r})
try:
    importlib.import_module("sphinx")
except ModuleNotFoundError:
    pass
else:
    raise AssertionError("sphinx can be imported")
"""


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def closure(names: Iterable[str]) -> set[str]:
    """Packages with all they require here."""
    found, left = set(), [normal(name) for name in names]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            try:
                needed = map(Requirement, requires(name) or ())
            except PackageNotFoundError:
                continue
            left += [normal(one.name) for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def blocked() -> set[str]:
    """Modules of this environment that Colab does not have."""
    there = closure([*COLAB, *INSTALLED]) | {"pip", "setuptools", "metarep-lib"}
    return {module for module, packages in packages_distributions().items() if not any(normal(one) in there for one in packages)}


def install(target: Path) -> None:
    """Put the library there as the first cell does, from a copy of what its package is made of."""
    with tempfile.TemporaryDirectory() as copy:
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, copy)
        shutil.copytree(ROOT / "metarep_lib", Path(copy, "metarep_lib"), ignore=shutil.ignore_patterns("__pycache__"))
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*pip, "--no-build-isolation", "--target", str(target), copy], check=True)
    (target / "sitecustomize.py").write_text(BLOCKER.format(blocked=blocked()), encoding="utf-8")


def run(path: Path, library: Path) -> str | None:
    """What goes wrong in a notebook, or None."""
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(AS_IN_COLAB.format(library=str(library))))
    with tempfile.TemporaryDirectory() as empty:
        client = NotebookClient(notebook, timeout=900, kernel_name="python3")
        try:
            client.execute(cwd=empty, env=os.environ | {"PYTHONPATH": str(library), "OMP_NUM_THREADS": "1"})
        except CellExecutionError as error:
            return str(error)
    return None


def main(names: list[str]) -> int:
    failed = 0
    with tempfile.TemporaryDirectory() as library:
        install(Path(library))
        for path in [BOOK / f"{name}.ipynb" for name in names] or sorted(BOOK.glob("*.ipynb")):
            start = time.monotonic()
            fault = run(path, Path(library))
            print(f"{path.stem}: {'FAILED' if fault else 'ran'}, {time.monotonic() - start:.0f} s", *filter(None, [fault]), sep="\n", flush=True)
            failed += bool(fault)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
