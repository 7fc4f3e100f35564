"""End a chapter with the code behind it: the source of every study and statement that it calls, on the page and in its notebook.

A chapter shows the code that is its point, and calls `metarep_lib.studies` for what prepares it and
`metarep_lib.certify.statements` for the values and bounds of its claims.
Who reads the page offline, or the notebook in Colab, finds that code here, to be read, copied and
edited. It is read off the syntax, so nothing is run, and stands in the text, so it is no code cell
and leaves no output to compare.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from chapters import chapters  # noqa: E402
from imports import Library, imported, parsed  # noqa: E402
from reach import code_cells  # noqa: E402

STUDIES = "metarep_lib.studies"
BEHIND = (STUDIES, "metarep_lib.certify.statements")
MACHINERY = {f"{STUDIES}.sweep"}  # how sweeps are run and stored: no study
APART = {"book/intro", "book/reproducibility"}  # no chapters: who opens the door or looks up a pin wants no code
TITLE = "## The code behind this chapter"
WORDS = "What the cells above call of `{module}`, to be read or copied."


def called(cells: list[str], library: Library) -> dict[str, set[str]]:
    """Module of the studies or statements -> the names that code cells use of it."""
    found: dict[str, set[str]] = {}
    for tree in map(parsed, cells):
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(BEHIND):
                for alias in node.names:
                    for module, name in sources(node.module, alias.name, library):
                        names = {name} if name else attributes(cells, alias.asname or alias.name)
                        found.setdefault(module, set()).update(names)
    for module, names in found.items():
        if {"SWEEP", "run"} <= defined(library.tree(module)).keys():
            names.add("run")  # what has made the stored numbers of the page, though no cell calls it
    return {module: names for module, names in found.items() if module not in MACHINERY}


def sources(module: str, name: str, library: Library) -> Iterator[tuple[str, str | None]]:
    """Where a name of the studies is defined; with None for the name, it is a module."""
    if f"{module}.{name}" in library.modules:
        yield f"{module}.{name}", None
    elif module == STUDIES:  # the facade, which passes names on
        for home, itself in imported(library.tree(module)):
            if itself == name:
                yield home, name
    else:
        yield module, name


def attributes(cells: list[str], alias: str) -> set[str]:
    """What code cells take of a module that they call by a name."""
    nodes = (node for cell in cells for node in ast.walk(parsed(cell)))
    return {
        node.attr
        for node in nodes
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == alias
    }


def defined(tree: ast.Module) -> dict[str, ast.stmt]:
    """Name -> the statement of a module that defines it; its list of names is left out."""
    found: dict[str, ast.stmt] = {}
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found[statement.name] = statement
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            names = [n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            found |= {name: statement for name in names if name != "__all__"}
    return found


def with_what_they_use(names: set[str], tree: ast.Module) -> list[ast.stmt]:
    """The statements that define these names and all that they use of their module, in its order."""
    there, wanted, seen = defined(tree), sorted(names), set()
    while wanted:
        name = wanted.pop()
        if name in there and name not in seen:
            seen.add(name)
            wanted += [n.id for n in ast.walk(there[name]) if isinstance(n, ast.Name)]
    return sorted({there[name] for name in seen}, key=lambda statement: statement.lineno)


def imports_for(statements: list[ast.stmt], tree: ast.Module) -> list[ast.stmt]:
    """The imports of a module that some of its statements need."""
    used = {n.id for s in statements for n in ast.walk(s) if isinstance(n, ast.Name)}
    kinds = ast.Import | ast.ImportFrom
    bound = {s: {a.asname or a.name.split(".")[0] for a in s.names} for s in tree.body if isinstance(s, kinds)}
    return [statement for statement, names in bound.items() if names & used]


def source_of(statement: ast.stmt, lines: list[str]) -> str:
    """The text of a statement, its decorators included."""
    first = min([statement.lineno, *(d.lineno for d in getattr(statement, "decorator_list", []))])
    return "\n".join(lines[first - 1 : statement.end_lineno])


def appendix(cells: list[str], library: Library) -> str:
    """The section, in MyST; empty for a chapter that calls no study."""
    parts = []
    for module, names in sorted(called(cells, library).items()):
        lines = library.modules[module].read_text(encoding="utf-8").splitlines()
        tree = library.tree(module)
        statements = with_what_they_use(names, tree)
        head = "\n".join(source_of(statement, lines) for statement in imports_for(statements, tree))
        code = "\n\n".join([*filter(None, [head]), *(source_of(s, lines) for s in statements)])
        if statements:
            opening = f"::::{{dropdown}} `{module}`\n{WORDS.format(module=module)}"
            parts.append(f"{opening}\n\n```python\n{code}\n```\n::::")
    return "\n\n".join(["", TITLE, *parts, ""]) if parts else ""


def end_with_appendix(app, docname: str, source: list[str]) -> None:
    """Add the section to the text of a chapter as it is read."""
    paths = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in chapters()}
    if docname in paths and docname not in APART:
        source[0] += appendix(code_cells(paths[docname]), Library(ROOT))


def setup(app) -> dict:
    app.connect("source-read", end_with_appendix)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
