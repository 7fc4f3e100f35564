"""Make .venv with the pinned packages, or leave it as it is: `make venv` runs it, with the Python that .venv is to have.

A .venv does not move, for its programs name their interpreter by its whole path, and it belongs to one Python. One of ours that was
copied along with its folder, interrupted half made, or asked for with another Python is made anew. One that somebody made by hand
is filled where it stands, or left alone with a word on what to do. Old Pythons read this file too, to be told that they are too old.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 11, 5)  # that soupsieve of requirements.txt runs on
VENV = Path(".venv").absolute()
PYTHON = VENV / "bin" / "python"
PINS = Path("requirements.txt")

STAMP = VENV / "stamp"  # only a .venv that was made or filled here has one
HALF_MADE, TO_BE_FILLED = "half made", ""


def version():
    """The version of the Python in .venv, or None if it does not run."""
    ask = "import sys; print(*sys.version_info[:3])"
    try:
        asked = subprocess.run([str(PYTHON), "-c", ask], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, encoding="utf-8")
    except (OSError, subprocess.CalledProcessError):
        return None
    return tuple(map(int, asked.stdout.split()))


def dotted(numbers):
    """A version as it is written."""
    return ".".join(map(str, numbers))


def stamp():
    """What the stamp says, or None if there is none."""
    return STAMP.read_text(encoding="utf-8") if STAMP.is_file() else None


def filled():
    """What the stamp of a .venv with all of the present pins says."""
    return hashlib.sha256(PINS.read_bytes()).hexdigest()


def fault(python_was_named):
    """Why the .venv that is there cannot stay, or None if it can."""
    has, activate = version(), VENV / "bin" / "activate"
    if has is None:
        return "has no Python that runs"
    if has < OLDEST:
        return f"has Python {dotted(has)}, which is too old"
    if python_was_named and has != sys.version_info[:3]:
        return f"has Python {dotted(has)}, not {dotted(sys.version_info[:3])}"
    if not activate.is_file() or os.fsencode(str(VENV)) not in activate.read_bytes():
        return "was made for another folder"
    return "was left half made" if stamp() == HALF_MADE else None


def create():
    """An empty .venv of the Python that runs this."""
    if sys.version_info[:3] < OLDEST:
        raise SystemExit(f"Python {dotted(OLDEST)} or newer is needed, this is {dotted(sys.version_info[:3])}: make PYTHON=python3.12")
    VENV.mkdir()
    STAMP.write_text(HALF_MADE, encoding="utf-8")
    if subprocess.run([sys.executable, "-m", "venv", str(VENV)]).returncode:
        raise SystemExit(f"{sys.executable} has no working venv; on Debian and Ubuntu: apt install python3-venv")


def fill():
    """Install the pinned packages and the library."""
    STAMP.write_text(HALF_MADE, encoding="utf-8")
    if subprocess.run([str(PYTHON), "-c", "import pip"], stderr=subprocess.DEVNULL).returncode:
        subprocess.run([str(PYTHON), "-m", "ensurepip"], stdout=subprocess.DEVNULL)
    for what in (["-r", str(PINS)], ["--no-deps", "--no-build-isolation", "-e", "."]):
        if subprocess.run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"] + what).returncode:
            STAMP.write_text(TO_BE_FILLED, encoding="utf-8")  # pip puts back what it was about to replace
            raise SystemExit("pip could not install {}: mend what it says above, then run make again".format(" ".join(what)))
    STAMP.write_text(filled(), encoding="utf-8")


def main(python_was_named):
    there = VENV.exists() or VENV.is_symlink()
    found = fault(python_was_named) if there else None
    if found and stamp() is None:
        raise SystemExit(f".venv {found}, and make has not made it: move it away (mv .venv .venv-old), then run make again")
    if found:
        print(f".venv {found}: making it anew", flush=True)
        os.remove(str(VENV)) if VENV.is_symlink() else shutil.rmtree(str(VENV))
    if found or not there:
        create()
    if stamp() != filled():
        fill()


if __name__ == "__main__":
    main(python_was_named="--named" in sys.argv[1:])
