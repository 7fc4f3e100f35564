"""Set the book up as on other people's machines: `make setup-check`.

Every case is a clone of a commit under circumstances of its own: another locale, other line ends, no repository, a home folder that
cannot be written, a .venv that came from elsewhere. Those of the whole book share one .venv and build a book of one page with it;
those of the .venv make theirs with a few pins. All that a case runs must work; where nothing can (`MAY_STOP`), make must stop and its
last line say what to do. One that this machine cannot set up says so. `make setup-check` tries HEAD, so what is not committed is not seen;
`.venv/bin/python scripts/setup_check.py COMMIT` tries another commit.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OURS = re.compile(r"MAKE|MFLAGS|MPLCONFIGDIR|IPYTHON|JUPYTER|PYTHON|LC_|LANG|VIRTUAL_ENV")  # the outer make's, or a case's own
INSTRUCTION = re.compile(r"\brun make\b|\bmake PYTHON=|\bapt install\b")
FEW_PINS = ("setuptools", "soupsieve", "tabulate", "wheel")  # a build of the library, what needs the newest Python, a program
PYTHONS = ("python3", "/usr/bin/python3", *(f"python3.{minor}" for minor in range(9, 15)))
OLDEST = (3, 11, 5)
LOGS = ROOT / "_build" / "setup-check"  # all that the commands of a failed case said
NOWHERE = "/dev/null/home"  # a home folder in which not even root can write

# What scripts read of the whole book and of git, in the locale of the case.
READ_ALL = "from statements import certificates, statements; from commit import commit; statements(), certificates(), commit('training')"

# A book of one page, which runs everything that a real chapter does.
PAGE = """---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
    format_version: 0.13
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# Größe λ

```{prf:theorem} Schöne Fourier coefficients
:label: thm-one
$\\\\lambda > 0$.
```

```{code-cell} ipython3
import torch
from matplotlib import pyplot as plt

from metarep_lib import diabetes_prompt
from metarep_lib.show import claim, environment
from metarep_lib.train import cards

print(environment(torch.device("cpu"), torch.float64))
prompt = diabetes_prompt(n_support=8, n_query=2, ridge=1.0, seed=0)
claim("size", prompt.ridge, "<=", 1.0, "λ ≤ 1, naïvely")
print("λ =", prompt.ridge, len(cards()) > 0)
```

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-one
    caption: "A line: λ."
  image:
    alt: A line that rises.
---
_ = plt.plot([0, 1])
```

{glue:text}`size:.1f` is λ.

```{claims-table}
```

```{execution-table}
```
"""
SMALL = """
small: book
	$(PYTEST) tests/studies/test_sweep.py
	$(PY) scripts/check_links.py
	$(PY) scripts/check_pairs.py
	$(PYTEST) $(NOTEBOOKS) book
	$(PY) scripts/check_colab.py intro
	$(PY) scripts/figures.py
	$(PY) scripts/check_site.py
"""


class Failed(Exception):
    """What went wrong in a case."""


class Stopped(Exception):
    """What make said to do."""


class NotHere(Exception):
    """What this machine lacks."""


class Ground:
    """The folder in which the clone of every case lies in turn, and the .venv with all pins that some of them share."""

    def __init__(self, folder: Path, commit: str):
        self.said: list[str] = []
        self.commit, self.tree, self.venv = commit, folder / "MetaRep", folder / "venv"
        self.environment = {name: value for name, value in os.environ.items() if not OURS.match(name)} | {"LANG": "C.UTF-8"}

    def run(self, *command: str | Path, where: Path | None = None, **environment: str) -> str:
        """What a command says.

        Raises:
            Stopped: it failed, and its last line, make's own aside, is an instruction.
            Failed: it failed, and is not.
        """
        into = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        done = subprocess.run(command, cwd=where or self.tree, env=self.environment | environment, encoding="utf-8", errors="replace", **into)
        self.said += [f"$ {' '.join(map(str, command))}", done.stdout]
        if done.returncode == 0:
            return done.stdout
        lines = [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("make")] or ["nothing"]
        if INSTRUCTION.search(lines[-1]) and "Traceback" not in done.stdout:
            raise Stopped(lines[-1])
        raise Failed(f"{' '.join(map(str, command))}: {lines[-1].strip()}")

    def clone(self, *options: str) -> None:
        """The commit, freshly checked out, where the clone before it was."""
        shutil.rmtree(self.tree, ignore_errors=True)
        self.run("git", "clone", "--quiet", "--no-checkout", ROOT, self.tree, where=ROOT)
        self.run("git", *options, "checkout", "--quiet", self.commit)

    def clone_with_few_pins(self) -> None:
        """A clone whose .venv is quickly made."""
        self.clone()
        pins = self.tree / "requirements.txt"
        pins.write_text("".join(line for line in pins.open(encoding="utf-8") if line.startswith(FEW_PINS)), encoding="utf-8")

    def check_few_pins(self, tree: Path | None = None) -> None:
        """The .venv imports the library of its own folder, and its programs run its own Python."""
        tree = tree or self.tree
        ask = "from importlib.util import find_spec; print(find_spec('metarep_lib').origin)"
        origin = self.run(tree / ".venv" / "bin" / "python", "-c", ask, where=tree / "book").strip()
        program = (tree / ".venv" / "bin" / "tabulate").read_text(encoding="utf-8")
        if not Path(origin).is_relative_to(tree) or f"{tree}/.venv" not in program:
            raise Failed(f"in {tree} the library is {origin} and tabulate begins with {program.splitlines()[0]}")

    def check_small_book(self, **environment: str) -> None:
        """What scripts read; then a book of one page, built and checked by make."""
        if self.venv.exists():
            self.venv.rename(self.tree / ".venv")  # its path is the one it was made for
        try:
            self.run("make", "venv", **environment)
            self.run("../.venv/bin/python", "-c", READ_ALL, where=self.tree / "scripts", **environment)
            for page in [*self.tree.glob("book/*.md"), *self.tree.glob("book/*.ipynb")]:
                page.unlink()
            (self.tree / "book" / "intro.md").write_text(PAGE, encoding="utf-8")
            (self.tree / "_toc.yml").write_text("format: jb-book\nroot: book/intro\n", encoding="utf-8")
            (self.tree / "book" / "moved.toml").write_text("", encoding="utf-8")  # nothing has moved in a book of one page
            with (self.tree / "Makefile").open("a", encoding="utf-8") as makefile:
                makefile.write(SMALL)
            self.run("make", "small", **environment)
        finally:
            if (self.tree / ".venv").exists():
                (self.tree / ".venv").rename(self.venv)

    def pythons(self) -> dict[str, tuple[int, ...]]:
        """The Pythons of this machine and their versions, the usual one first."""
        found = {}
        for name in filter(shutil.which, PYTHONS):
            try:
                said = self.run(name, "-c", "import sys; print(*sys.version_info[:3], sys.executable)", where=ROOT)
                *version, path = said.strip().split(maxsplit=3)
                found.setdefault(path, tuple(map(int, version)))
            except Failed:  # a shim without a Python behind it
                continue
        return found

    def other_python(self) -> str:
        """A Python that will do and is not the usual one."""
        (_, usual), *others = self.pythons().items()
        fitting = [path for path, version in others if version >= OLDEST and version != usual]
        if not fitting:
            raise NotHere(f"a second Python from {'.'.join(map(str, OLDEST))} on")
        return fitting[0]


def fresh_clone(ground: Ground) -> None:
    ground.clone()
    ground.check_small_book()


def locale_of_ascii(ground: Ground) -> None:
    ground.clone()
    ground.check_small_book(LC_ALL="C", PYTHONCOERCECLOCALE="0", PYTHONUTF8="0")


def locale_of_latin_1(ground: Ground) -> None:
    ground.clone()
    if not shutil.which("localedef"):
        raise NotHere("localedef")
    locales = ground.tree.parent / "locales"
    locales.mkdir()
    try:
        ground.run("localedef", "-i", "de_DE", "-f", "ISO-8859-1", locales / "de_DE.ISO-8859-1")
    except Failed:
        raise NotHere("the sources of the locale de_DE") from None
    ground.check_small_book(LOCPATH=str(locales), LC_ALL="de_DE.ISO-8859-1", PYTHONUTF8="0")


def line_ends_of_windows(ground: Ground) -> None:
    ground.clone("-c", "core.autocrlf=true")
    ground.check_small_book()


def no_repository(ground: Ground) -> None:
    ground.clone()
    shutil.rmtree(ground.tree / ".git")
    ground.check_small_book()


def read_only_home(ground: Ground) -> None:
    ground.clone()
    ground.check_small_book(HOME=NOWHERE)


def copied_folder(ground: Ground) -> None:
    ground.clone_with_few_pins()
    ground.run("make", "venv")
    copy = ground.tree.with_name("copy")
    shutil.copytree(ground.tree, copy, symlinks=True)
    ground.run("make", "venv", where=copy)
    ground.check_few_pins(copy)


def name_with_a_space(ground: Ground) -> None:
    ground.clone_with_few_pins()
    moved = ground.tree.rename(ground.tree.with_name("Meta Rep ü"))
    ground.run("make", "venv", where=moved)
    ground.check_few_pins(moved)


def pip_interrupted(ground: Ground) -> None:
    ground.clone_with_few_pins()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    making = subprocess.Popen(["make", "venv"], cwd=ground.tree, env=ground.environment, start_new_session=True, **quiet)
    while making.poll() is None and not any(ground.tree.glob(".venv/lib/*/site-packages/soupsieve*")):
        time.sleep(0.002)
    if making.poll() is not None:
        raise NotHere("a pip that is slow enough to be interrupted")
    os.killpg(making.pid, signal.SIGKILL)
    making.wait()
    ground.run("make", "venv")
    ground.check_few_pins()


def other_python_asked_for(ground: Ground) -> None:
    ground.clone_with_few_pins()
    other = ground.other_python()
    ground.run("make", "venv")
    ground.run("make", "venv", f"PYTHON={other}")
    ground.check_few_pins()
    ask = "import sys; print(sys.version_info[:3])"
    if ground.run(".venv/bin/python", "-c", ask) != ground.run(other, "-c", ask):
        raise Failed(f"asked for {other}, the .venv has {ground.run('.venv/bin/python', '--version')}")
    ground.run("make", "venv")  # and it stays when none is asked for
    if ground.run(".venv/bin/python", "-c", ask) != ground.run(other, "-c", ask):
        raise Failed("another make took the Python away again that had been asked for")


def made_by_hand(ground: Ground) -> None:
    ground.clone_with_few_pins()
    ground.run("python3", "-m", "venv", "--without-pip", ".venv")
    ground.run("make", "venv")
    ground.check_few_pins()


def made_by_hand_elsewhere(ground: Ground) -> None:
    ground.clone_with_few_pins()
    ground.run("python3", "-m", "venv", "venv")
    (ground.tree / "venv").rename(ground.tree / ".venv")
    ground.run("make", "venv")
    ground.check_few_pins()


def python_gone(ground: Ground) -> None:
    ground.clone_with_few_pins()
    ground.run("python3", "-m", "venv", ".venv")
    for python in (ground.tree / ".venv" / "bin").glob("python*"):
        python.unlink()
        python.symlink_to("/nowhere/python3")
    ground.run("make", "venv")
    ground.check_few_pins()


def python_too_old(ground: Ground) -> None:
    ground.clone_with_few_pins()
    old = {version: path for path, version in ground.pythons().items() if version < OLDEST}
    if not old:
        raise NotHere(f"a Python before {'.'.join(map(str, OLDEST))}")
    ground.run("make", "venv", f"PYTHON={old[max(old)]}")
    ground.check_few_pins()


def no_network(ground: Ground) -> None:
    ground.clone_with_few_pins()
    ground.run("make", "venv", PIP_NO_INDEX="1", PIP_FIND_LINKS="", PIP_CONFIG_FILE=os.devnull)
    ground.check_few_pins()


def path_to_another_copy(ground: Ground) -> None:
    ground.clone_with_few_pins()
    other = ground.tree.with_name("other")
    (other / "metarep_lib").mkdir(parents=True)
    (other / "metarep_lib" / "__init__.py").write_text("raise SystemExit('the library of another copy')", encoding="utf-8")
    with (ground.tree / "Makefile").open("a", encoding="utf-8") as makefile:
        makefile.write("\nwhich: venv\n\t@cd book && ../$(PY) -c 'from importlib.util import find_spec; print(find_spec(\"metarep_lib\").origin)'\n")
    if str(other) in ground.run("make", "which", PYTHONPATH=str(other)):
        raise Failed("the library is the one on PYTHONPATH")


CASES = (
    fresh_clone,
    locale_of_ascii,
    locale_of_latin_1,
    line_ends_of_windows,
    no_repository,
    read_only_home,
    copied_folder,
    name_with_a_space,
    pip_interrupted,
    other_python_asked_for,
    made_by_hand,
    made_by_hand_elsewhere,
    python_gone,
    python_too_old,
    no_network,
    path_to_another_copy,
)

MAY_STOP = {made_by_hand_elsewhere, python_gone, python_too_old, no_network}  # with a word on what to do; the others must work


def outcome(case: Callable[[Ground], None], ground: Ground) -> tuple[bool, str]:
    """Whether a case may be like this, and what became of it."""
    try:
        case(ground)
    except Stopped as said:
        if case in MAY_STOP:
            return True, f"stopped, and said: {said}"
        fault = said
    except NotHere as lacking:
        return True, f"not tried: this machine has not {lacking}"
    except Failed as failed:
        fault = failed
    else:
        return True, "passed"
    log = LOGS / f"{case.__name__}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("\n".join(ground.said), encoding="utf-8")
    return False, f"FAILED: {fault} (all it said: {log.relative_to(ROOT)})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default="HEAD")
    parser.add_argument("--only", nargs="+", choices=[case.__name__ for case in CASES], default=[case.__name__ for case in CASES])
    given = parser.parse_args()
    commit = subprocess.run(["git", "rev-parse", given.commit], cwd=ROOT, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout.strip()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        ground = Ground(Path(folder).resolve(), commit)
        for case in (case for case in CASES if case.__name__ in given.only):
            began = time.monotonic()
            ground.said.clear()
            fine, said = outcome(case, ground)
            failed += not fine
            print(f"{case.__name__.replace('_', ' ')} ({time.monotonic() - began:.0f} s): {said}", flush=True)
    print(f"{failed} of {len(given.only)} cases failed")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
