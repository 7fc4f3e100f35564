"""Which commit an artefact comes from."""

import subprocess

from chapters import ROOT


def commit(folder: str) -> str:
    """The commit checked out, with a plus where the library's code or this folder differs from it."""
    head = subprocess.run(["git", "rev-parse", "--short=12", "HEAD"], cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout.strip()
    changed = ["git", "status", "--porcelain", "metarep_lib/**/*.py", folder]
    return head + ("+" if subprocess.run(changed, cwd=ROOT, capture_output=True, check=True, encoding="utf-8").stdout.strip() else "")
