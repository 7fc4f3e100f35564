"""Which commit an artefact comes from."""

import subprocess

from chapters import ROOT

UNKNOWN = "unknown"


def commit(folder: str) -> str:
    """The commit checked out, with a plus where the library's code or this folder differs from it; in a copy without git, `unknown`."""
    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if git("status", "--porcelain", "metarep_lib/**/*.py", folder) else "")
    except (FileNotFoundError, subprocess.CalledProcessError):  # no program of that name, no repository
        return UNKNOWN


def git(*words: str) -> str:
    """What git says, of this repository alone: a copy may lie inside of another one."""
    found = subprocess.run(["git", f"--git-dir={ROOT / '.git'}", f"--work-tree={ROOT}", *words], cwd=ROOT, capture_output=True, check=True, encoding="utf-8")
    return found.stdout.strip()
