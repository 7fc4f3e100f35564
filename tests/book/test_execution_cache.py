"""The cache of the chapters' outputs: nothing stale, nothing run again without need."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from metarep_lib import settings

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "scripts")]

from chapters import chapters  # noqa: E402
from execution_cache import KEPT, cache_path, digest, prune  # noqa: E402
from imports import Library  # noqa: E402
from reach import EXERCISES, GRADING, code_cells, reach  # noqa: E402

LIBRARY = {
    "__init__.py": (
        '"""Facade of all."""\nfrom metarep_lib.answer import solve\n__all__ = ["solve"]\n'
    ),
    "answer/__init__.py": (
        "from metarep_lib.answer import spectrum\n"
        "from metarep_lib.answer import spectrum as marks\n"
        "from metarep_lib.answer.kernels import gauss\n"
        "from metarep_lib.answer.solvers import solve\n"
        "from metarep_lib.answer.plain import smooth\n"
    ),
    "answer/solvers.py": (
        '"""Solvers."""\nfrom metarep_lib.answer.steps import step\n\n\n'
        'def solve(x, steps=3):\n    """Solve it."""\n    return step(x) * steps  # why\n'
    ),
    "answer/steps.py": "RATE = 0.5\n\n\ndef step(x):\n    return x * RATE\n",
    "answer/kernels.py": "def gauss(x):\n    return x\n",
    "answer/plain.py": (
        "def smooth(x):\n    from metarep_lib.answer.kernels import gauss\n    return gauss(x)\n"
    ),
    "answer/by_name.py": (
        "from importlib import import_module\n\n\n"
        "def solver(name):\n    return import_module(name).solve\n"
    ),
    "answer/spectrum.py": "def largest(x):\n    return x\n",
    "stored.py": (
        'from pathlib import Path\nFOLDER = Path(__file__).parent / "sweeps"\n\n\n'
        "def load(name):\n    return (FOLDER / name).read_text()\n\n\n"
        "def everything():\n    return [load(path.stem) for path in FOLDER.iterdir()]\n\n\n"
        "class Row:\n    pass\n"
    ),
    "exercises/__init__.py": "from metarep_lib.exercises.grading import grade\n",
    "exercises/grading.py": (
        "from importlib import import_module\n\n\n"
        "def grade(id, answer):\n    return import_module('metarep_lib.exercises.' + id)\n"
    ),
    "exercises/one.py": "EXERCISES = ()  # none yet\n",
    "exercises/two.py": "EXERCISES = ()  # none yet\n",
    "sweeps/plane.json": "1",
    "sweeps/plane-0.json": "2",
    "sweeps/line.json": "3",
}
SOLVE = ("from metarep_lib import solve", "solve(2)")
LOAD = ("from metarep_lib.stored import load", 'load("plane")')
GRADE = ("from metarep_lib.exercises import grade", 'grade("one-1", ...)')
SHAPE = ("from inspect import signature\nfrom metarep_lib import solve", "signature(solve)")
SHOW = ("import inspect\nfrom metarep_lib import solve", "print(inspect.getsource(solve))")
SPECTRUM = ("from metarep_lib.answer import spectrum", "spectrum.largest(2)")
SMOOTH = ("from metarep_lib.answer import smooth", "smooth(2)")
MARKS = ("from metarep_lib.answer import marks", "marks.largest(2)")
STEPS = ("from metarep_lib.answer import steps", "steps.step(2)")
BY_NAME = ("from metarep_lib.answer.by_name import solver", "solver(name)")
ROW = ("from metarep_lib.stored import Row",)
LOAD_ANY = ("from metarep_lib.stored import load", "load(name)")
LOAD_LIKE = ("from metarep_lib.stored import load", 'load(f"l{rest}")')
LOAD_ALL = ("from metarep_lib.stored import everything", "everything()")
HANDED_ON = ("from metarep_lib.stored import load", "list(map(load, names))")
RENAMED = ("from metarep_lib.stored import load as get", "get(name)")
WHOLE, MISSING, MAGIC = ("import metarep_lib",), ("from metarep_lib import x",), ("%run other.py",)
FILE = ('open("../metarep_lib/stored.py")',)
LINE, WHY = ("sweeps/line.json", "3", "4"), ("answer/solvers.py", "# why", "# because")
ELSEWHERE = ("__init__.py", "import solve", "import gauss as solve")
FURTHER = ("answer/__init__.py", "solvers import solve", "steps import step as solve")
ACTS = ("exercises/__init__.py", "\n", "\nimport torch\ntorch.set_num_threads(2)\n")
WRAPPED = "(\n        step( x )\n        * steps\n    )"
PINS = "torch==2.13.0\n"


@pytest.fixture
def root(tmp_path) -> Path:
    """A small library."""
    for name, text in LIBRARY.items():
        path = tmp_path / "metarep_lib" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (tmp_path / "requirements.txt").write_text(PINS, encoding="utf-8")
    return tmp_path


def change(root: Path, file: str, old: str, new: str) -> None:
    """Replace a text that is there."""
    path = root / file if file == "requirements.txt" else root / "metarep_lib" / file
    before = path.read_text(encoding="utf-8")
    assert old in before, f"{old!r} is not in {file}"
    path.write_text(before.replace(old, new), encoding="utf-8")


STALE = {
    "a body, through a facade": (SOLVE, "answer/solvers.py", "* steps", "/ steps"),
    "a default argument": (SOLVE, "answer/solvers.py", "steps=3", "steps=4"),
    "a constant, two imports away": (SOLVE, "answer/steps.py", "0.5", "0.25"),
    "a module taken as an attribute": (SPECTRUM, "answer/spectrum.py", "return x", "return 2 * x"),
    "a module renamed by its facade": (MARKS, "answer/spectrum.py", "return x", "return 2 * x"),
    "a module its facade leaves out": (STEPS, "answer/steps.py", "0.5", "0.25"),
    "a module imported by a string": (BY_NAME, *WHY),
    "an import within a function": (SMOOTH, "answer/kernels.py", "return x", "return 2 * x"),
    "a re-export pointed elsewhere": (SOLVE, *ELSEWHERE),
    "a re-export one facade further": (SOLVE, *FURTHER),
    "two re-exports exchanged": (
        ("from metarep_lib.answer import gauss, solve",),
        "answer/__init__.py",
        "kernels import gauss\nfrom metarep_lib.answer.solvers import solve",
        "kernels import gauss as solve\nfrom metarep_lib.answer.solvers import solve as gauss",
    ),
    "a facade that does something": (SOLVE, *ACTS),
    "a stored file": (LOAD, "sweeps/plane.json", "1", "4"),
    "a stored file of a seed": (LOAD, "sweeps/plane-0.json", "2", "4"),
    "a stored file of a name not said": (LOAD_ANY, *LINE),
    "a stored file of any name": (LOAD_ALL, *LINE),
    "a loader handed on": (HANDED_ON, *LINE),
    "a loader renamed": (RENAMED, *LINE),
    "a stored file of a pattern": (LOAD_LIKE, *LINE),
    "a pin": (SOLVE, "requirements.txt", "2.13.0", "2.14.0"),
    "a comment in the chapter's exercises": (GRADE, "exercises/one.py", "# none yet", "# soon"),
    "a comment that the chapter shows": (SHOW, *WHY),
    "any comment, where all is imported": (WHOLE, *WHY),
    "any comment, where a name is missing": (MISSING, *WHY),
    "any comment, where code is not Python": (MAGIC, *WHY),
    "any file, where code may read it": (FILE, *LINE),
}


@pytest.mark.parametrize("case", STALE)
def test_what_reaches_a_chapter_runs_it_again(root, case):
    cells, *changed = STALE[case]
    before = digest(list(cells), root)
    change(root, *changed)
    assert digest(list(cells), root) != before


SPARED = {
    "a docstring": (SOLVE, "answer/solvers.py", "Solve it.", "Solve it well."),
    "a comment": (SOLVE, *WHY),
    "a comment, where code asks for arguments alone": (SHAPE, *WHY),
    "formatting": (SOLVE, "answer/solvers.py", "step(x) * steps", WRAPPED),
    "a comment, where a facade leaves the module out": (STEPS, *WHY),
    "a module not reached": (SOLVE, "answer/kernels.py", "return x", "return 2 * x"),
    "a new export": (SOLVE, "answer/__init__.py", "import gauss", "import gauss, gauss as laplace"),
    "a facade's docstring": (SOLVE, "__init__.py", "Facade of all", "The facade"),
    "another sweep": (LOAD, *LINE),
    "a sweep of which only a class is used": (ROW, "sweeps/plane.json", "1", "4"),
    "a comment on the pins": (SOLVE, "requirements.txt", "torch", "# for all\ntorch"),
    "another chapter's exercises": (GRADE, "exercises/two.py", "()", "(1,)"),
}


@pytest.mark.parametrize("case", SPARED)
def test_what_does_not_reach_a_chapter_spares_it(root, case):
    cells, *changed = SPARED[case]
    before = digest(list(cells), root)
    change(root, *changed)
    assert digest(list(cells), root) == before


def test_a_new_file_of_a_loaded_name_runs_the_chapter_again(root):
    before = digest(list(LOAD), root)
    (root / "metarep_lib" / "sweeps" / "plane-1.json").write_text("9", encoding="utf-8")
    assert digest(list(LOAD), root) != before


def test_code_counts_and_prose_does_not(root):
    chapter = root / "chapter.md"
    header = "---\njupytext:\n  text_representation: {extension: .md, format_name: myst}\n---\n"
    page = header + "# A\n\nText.\n\n```{code-cell} ipython3\nfrom metarep_lib import solve\n```\n"
    chapter.write_text(page, encoding="utf-8")
    before = cache_path(chapter, root)
    chapter.write_text(page.replace("Text.", "More text."), encoding="utf-8")
    assert cache_path(chapter, root) == before
    chapter.write_text(page.replace("import solve", "import solve\nsolve(1)"), encoding="utf-8")
    assert cache_path(chapter, root) != before


def test_outputs_of_another_rounding_are_not_those_of_the_usual_one(root, monkeypatch):
    usual = digest(list(SOLVE), root)
    monkeypatch.setenv(settings.ROUNDING, "1")
    assert digest(list(SOLVE), root) != usual


def test_of_every_chapter_in_the_book_the_last_few_caches_are_kept(tmp_path):
    now = time.time()
    folders = [tmp_path / f"a-b-{number}" for number in range(KEPT + 2)]
    others = [tmp_path / name for name in ("a-0", "gone-0", "0123")]
    for age, folder in enumerate([*folders, *others]):
        folder.mkdir()
        os.utime(folder, (now - age, now - age))
    prune(tmp_path, {folders[-1], tmp_path / "a-0"})
    kept = {*folders[: KEPT - 1], folders[-1], tmp_path / "a-0"}
    assert set(tmp_path.iterdir()) == kept


@pytest.fixture(scope="module")
def library() -> Library:
    """Our own, read once."""
    return Library(ROOT)


@pytest.mark.parametrize("chapter", chapters(), ids=lambda path: path.stem)
def test_what_a_chapter_reaches_can_be_told(chapter, library):
    found = reach(code_cells(chapter), library)
    assert not found.unresolved
    assert len(found.modules) < len(library.modules) / 2
    shows = any("getsource" in cell for cell in code_cells(chapter))
    by_bytes = {module for module in found.by_bytes if not module.startswith(f"{EXERCISES}.")}
    assert bool(by_bytes) == shows  # a docstring runs those again that show it, and no other


def run_traced(chapter: str) -> dict[str, list[str]]:
    """What worked while the chapter ran."""
    command = [sys.executable, str(ROOT / "tests" / "support" / "traced.py"), chapter]
    asked = {settings.CLAIMS, settings.CLAIMS_LOG, settings.ROUNDING}  # here nothing is measured
    here = {name: value for name, value in os.environ.items() if name not in asked}
    here["MPLBACKEND"] = "Agg"
    done = subprocess.run(command, env=here, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_function_that_a_chapter_runs_is_of_a_module_it_reaches(library):
    worked = run_traced("kernel-ridge")
    found = reach(code_cells(ROOT / "book" / "kernel-ridge.md"), library)
    assert {"metarep_lib.numerics.solvers.iterations", GRADING} <= set(worked["modules"])
    doors = {"metarep_lib", "metarep_lib.moved"}  # they hand names on; what the first holds counts for everybody
    assert set(worked["modules"]) - doors <= found.modules
