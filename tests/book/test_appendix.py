"""The appendix of a chapter has the source of what the chapter calls of the studies, and of nothing else."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "scripts")]

from appendix import appendix  # noqa: E402
from chapters import chapters  # noqa: E402
from imports import Library  # noqa: E402
from reach import code_cells  # noqa: E402

STUDY = '''"""A study."""

import numpy as np
from functools import cache, wraps

__all__ = ["posed"]
SIZE = 3
OTHER = 4


@cache
def helper(x):
    return x + SIZE


def posed(x):
    """Its claim."""
    return helper(x)


def untouched(x):
    return np.abs(OTHER)
'''
SWEEP = "class Sweep:\n    pass\n\n\ndef load_sweep(name):\n    pass\n"


@pytest.fixture
def library(tmp_path):
    for name, text in {"": "", "studies": "from metarep_lib.studies.one import posed\nfrom metarep_lib.studies.sweep import load_sweep\n"}.items():
        folder = tmp_path / "metarep_lib" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(text, encoding="utf-8")
    (tmp_path / "metarep_lib" / "studies" / "one.py").write_text(STUDY, encoding="utf-8")
    (tmp_path / "metarep_lib" / "studies" / "sweep.py").write_text(SWEEP, encoding="utf-8")
    return Library(tmp_path)


@pytest.mark.parametrize(
    "cell",
    [
        "from metarep_lib.studies import one as study\nstudy.posed(1)",
        "from metarep_lib.studies.one import posed",
        "from metarep_lib.studies import posed",
    ],
)
def test_a_study_stands_there_with_what_it_uses_and_in_its_order(library, cell):
    said = appendix([cell], library)
    assert "The code behind this chapter" in said and "`metarep_lib.studies.one`" in said
    assert "SIZE = 3\n\n@cache\ndef helper(x):" in said and said.index("def helper") < said.index('def posed(x):\n    """Its claim."""')
    assert "from functools import cache, wraps\n\nSIZE = 3" in said and "numpy" not in said  # the imports that are needed
    assert "untouched" not in said and "OTHER" not in said and "__all__" not in said


@pytest.mark.parametrize("cell", ["import numpy", "from metarep_lib.studies import load_sweep", "from metarep_lib.studies import one"])
def test_a_chapter_that_calls_no_study_has_none(library, cell):
    assert appendix([cell], library) == ""


def test_what_made_the_stored_numbers_stands_there_though_no_cell_calls_it(library):
    path = library.modules["metarep_lib.studies.one"]
    path.write_text(STUDY + "\n\ndef run(seed):\n    return posed(seed)\n\n\nSWEEP = Sweep('one', run)\n", encoding="utf-8")
    assert "def run(seed)" in appendix(["from metarep_lib.studies.one import SIZE"], library)


def test_the_book_s_own():
    library, said = Library(ROOT), {path.stem: appendix(code_cells(path), Library(ROOT)) for path in chapters()}
    assert "def posed(kind: str, basis: str, kappa: float, seed: int) -> Prompt:" in said["conditioning"]
    assert "def rate_used(" in said["conditioning"] and "def run(kind: str, basis: str" in said["conditioning"]
    assert said["demo"] == "" and "metarep_lib.studies.sweep" in library.modules
