"""Keep a chapter's outputs for as long as nothing they depend on has changed.

myst-nb looks its cache up by the code of a chapter alone, so after a change in the library it would
show the old numbers. Here every chapter has a cache of its own, in a folder named after a digest of
all its outputs depend on: its code, the library's modules that the code reaches (scripts/reach.py)
without their comments, docstrings and formatting, the stored weights and sweeps it loads, the
pinned packages, the Python, the rounding that is drawn (`metarep_lib.settings`).

So a changed function runs those chapters again that reach its module. Going back finds the outputs
of before: of every chapter the last few are kept.
"""

import ast
import hashlib
import platform
import shutil
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from metarep_lib.settings import rounding_draw

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from chapters import chapters  # noqa: E402
from imports import Library, is_text, own_lines  # noqa: E402
from reach import code_cells, reach  # noqa: E402

KEPT = 4  # folders of a chapter


@cache
def syntax(source: str) -> str:
    """What runs of a source: its syntax without strings that do nothing, docstrings among them."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [statement for statement in body if not is_text(statement)]
    return ast.dump(tree)


def pins(root: Path) -> str:
    """The pinned packages, sorted, without comments."""
    lines = (root / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return "\n".join(sorted(pin for line in lines if (pin := line.partition("#")[0].strip())))


def facades(library: Library) -> Iterator[str]:
    """What packages do at import beside passing names on: it is done for every chapter."""
    for module in sorted(library.packages):
        for statement in own_lines(library.tree(module)):
            yield f"{module}: {syntax(ast.unparse(statement))}"


def ingredients(cells: list[str], root: Path) -> Iterator[str | bytes]:
    """All that the outputs of these code cells depend on."""
    library = Library(root)
    found = reach(cells, library)
    yield f"{platform.python_version()} {rounding_draw()}"
    yield pins(root)
    yield from cells
    yield from facades(library)
    yield from sorted(found.routes)
    for module in sorted(found.modules):
        yield module
        by_bytes = module in found.by_bytes
        yield library.modules[module].read_bytes() if by_bytes else syntax(library.source(module))
    for path in sorted(found.data):
        yield path.relative_to(root).as_posix()
        yield path.read_bytes()


def digest(cells: list[str], root: Path = ROOT) -> str:
    """A name for all that the outputs of these code cells depend on."""
    made = hashlib.sha256()
    for ingredient in ingredients(cells, root):
        content = ingredient if isinstance(ingredient, bytes) else ingredient.encode()
        made.update(b"%d:" % len(content) + content)  # with its length: no two lists read the same
    return made.hexdigest()[:16]


def cache_path(chapter: Path, root: Path = ROOT) -> Path:
    """Where the outputs of a chapter are kept, for the chapter and the library as they are now."""
    name = f"{chapter.stem}-{digest(code_cells(chapter), root)}"
    return root / "_build" / ".jupyter_cache" / name


def prune(folder: Path, present: set[Path]) -> None:
    """Remove all caches but those in use now and, of every chapter in use, the last few."""
    names = {path.name.rpartition("-")[0] for path in present}
    for name in names:
        others = [path for path in folder.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
        others = sorted(set(others) - present, key=lambda path: path.stat().st_mtime)
        for path in others[: 1 - KEPT]:
            shutil.rmtree(path)
    for path in folder.iterdir():
        if path.is_dir() and path.name.rpartition("-")[0] not in names:
            shutil.rmtree(path)


def use_cache(app, docname: str, source: list[str]) -> None:
    """Point myst-nb to the page's cache, and say which page is read.

    A chapter may take a minute to run, and `-q` silences Sphinx.
    """
    print(f"   {docname}", flush=True)
    page = Path(app.env.doc2path(docname))
    if page in chapters():
        where = str(cache_path(page))
        app.env.mystnb_config = app.env.mystnb_config.copy(execution_cache_path=where)


def tidy(app, exception: Exception | None) -> None:
    """Remove what no chapter needs after a build that passed."""
    present = {cache_path(chapter) for chapter in chapters()}
    folder = ROOT / "_build" / ".jupyter_cache"
    if exception is None and folder.exists():
        for path in filter(Path.exists, present):
            path.touch()  # used just now
        prune(folder, present)


def setup(app) -> dict:
    app.connect("source-read", use_cache)
    app.connect("build-finished", tidy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
