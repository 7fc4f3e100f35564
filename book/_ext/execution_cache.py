"""Keep a chapter's outputs for as long as nothing they depend on has changed.

myst-nb looks its cache up by the code of a chapter alone, so after a change in the library it would show the old numbers. Here
the cache moves to a folder named after a digest of everything else: the library, the pinned packages, the Python, the rounding that is
drawn (`metarep_lib.settings`). Going back to an earlier library finds its outputs again.
"""

import hashlib
import platform
from pathlib import Path

from metarep_lib.settings import rounding_draw

ROOT = Path(__file__).resolve().parents[2]


def cache_path(root: Path = ROOT) -> Path:
    """Where the outputs of the present library, pins and Python are kept."""
    files = [path for path in (root / "metarep_lib").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    digest = hashlib.sha256(f"{platform.python_version()} {rounding_draw()}".encode())
    for path in [root / "requirements.txt", *sorted(files)]:
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return root / "_build" / ".jupyter_cache" / digest.hexdigest()[:16]


def set_cache_path(app, config) -> None:
    config.nb_execution_cache_path = str(cache_path())


def announce(app, docname: str, source: list[str]) -> None:
    """Say which page is being read: a chapter may take a minute to run, and `-q` silences Sphinx."""
    print(f"   {docname}", flush=True)


def setup(app) -> dict:
    app.connect("config-inited", set_cache_path)
    app.connect("source-read", announce)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
