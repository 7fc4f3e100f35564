"""The room in which notebooks run as in Colab: it holds what Colab has and the first cell installs, and nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "scripts")]

import check_colab  # noqa: E402
from notebooks import install_cell  # noqa: E402


def test_what_the_first_cell_installs_is_what_the_room_has():
    *_, last = install_cell("https://github.com/someone/somebook").source.splitlines()
    assert tuple(last.split()[3:]) == check_colab.INSTALLED


@pytest.fixture(scope="module")
def room(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("room")
    (folder / "sitecustomize.py").write_text(check_colab.BLOCKER.format(blocked=check_colab.blocked()), encoding="utf-8")
    return folder


def imports(room: Path, module: str) -> str:
    """What importing a module in the room says."""
    command = [sys.executable, "-c", f"import {module}"]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": str(room)}, capture_output=True, encoding="utf-8").stderr


@pytest.mark.parametrize("module", ["myst_nb", "sphinx.application", "jupytext", "pytest", "yaml"])
def test_tools_of_the_book_are_not_in_the_room(room, module):
    assert "ModuleNotFoundError: No module named" in imports(room, module)


@pytest.mark.parametrize("module", ["flint", "numpy.linalg", "safetensors", "tqdm"])
def test_packages_of_colab_are(room, module):
    assert not imports(room, module)


def test_a_package_that_looks_for_a_tool_finds_none(room):
    assert not imports(room, "importlib.util; assert importlib.util.find_spec('hypothesis') is None")


def test_a_package_brings_what_it_requires():
    assert {"jaxtyping", "wadler-lindig"} <= check_colab.closure(["jaxtyping"])
    assert "numpy" not in check_colab.closure(["jaxtyping", "python-flint", "safetensors"])
    assert "torch" not in check_colab.closure(["jaxtyping", "python-flint", "safetensors"])
