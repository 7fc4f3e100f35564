"""The size of every chapter, held to book/budgets.toml: a page may shrink, and not grow again.

    python scripts/budgets.py              today's figures
    python scripts/budgets.py --lower      write them to book/budgets.toml where they have fallen
    python scripts/budgets.py --raise NAME write today's figures of one page, whatever they are

A figure may not exceed the one in the file or, where that is within the budget, the budget. A line
of code is one that is neither blank nor a comment alone.

    source   lines of book/NAME.md
    code     lines of code, without those of imports and of calls of `claim` and `record`
    cell     the same for the largest cell
    folded   per cent of these lines that stand in cells with `hide-input`: imports, claims and records may be folded freely
    claims   calls of `claim`, as written: one in a loop is one
    words    of the prose, without code, figures' captions, maths and roles
    wide     lines of cells, comments too, over 88 columns
    def      lines of the longest function in a cell, from its `def` to its end
    hex      hex colours in cells, which name COLOURS, OKABE_ITO and `ramp` instead
"""

import argparse
import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from nbformat import NotebookNode

from chapters import BOOK, chapters, read
from metarep_lib.storage import write_whole
from prose import NOT_PROSE, blank, without_code

FILE = BOOK / "budgets.toml"
Figures = Mapping[str, int]
NAMES = ("source", "code", "cell", "folded", "claims", "words", "wide", "def", "hex")
COLUMNS = 88
HEX = r"""["']#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})["']"""
APART = ("claim", "record")
COUNTED = "shorten the page (scripts/budgets.py says what is counted)"
HEADER = """\
# What every chapter may measure; scripts/budgets.py says what is counted, `make test` holds it.
# A page within the budget has the budget as its limit, another one the figures below.
# A page that has become smaller: python scripts/budgets.py --lower
"""


def statements(cell: NotebookNode) -> list[ast.stmt]:
    """All statements of a code cell, at any depth."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:  # a cell with a magic command
        return []
    return [node for node in ast.walk(tree) if isinstance(node, ast.stmt)]


def function_called(statement: ast.stmt) -> str | None:
    """The bare name of the function that a statement calls, if that is all it does."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    name = call.func if isinstance(call, ast.Call) else None
    return name.id if isinstance(name, ast.Name) else None


def code_lines(cell: NotebookNode) -> set[int]:
    """The numbers of the lines that are neither blank nor a comment alone."""
    lines = enumerate(cell.source.splitlines(), start=1)
    return {number for number, line in lines if line.strip() and not line.lstrip().startswith("#")}


def counted(cell: NotebookNode) -> int:
    """The lines of code of a cell without imports, claims and records."""
    apart: set[int] = set()
    for statement in statements(cell):
        imports = isinstance(statement, ast.Import | ast.ImportFrom)
        if imports or function_called(statement) in APART:
            apart.update(range(statement.lineno, statement.end_lineno + 1))
    return len(code_lines(cell) - apart)


def wide_lines(cell: NotebookNode) -> int:
    """The lines of a cell over `COLUMNS` columns."""
    return sum(len(line) > COLUMNS for line in cell.source.splitlines())


def longest_function(cell: NotebookNode) -> int:
    """The lines of the longest function that a cell defines, at any depth; its docstring counts."""
    made = [s for s in statements(cell) if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef)]
    return max((function.end_lineno - function.lineno + 1 for function in made), default=0)


def hex_colours(cell: NotebookNode) -> int:
    """The hex colours in a cell, in quotes."""
    return len(re.findall(HEX, cell.source))


def words(page: str) -> int:
    """The words of the prose of a page."""
    prose = without_code(page)
    for pattern in NOT_PROSE:
        prose = blank(pattern, prose)
    return len(re.findall(r"[^\W\d_][\w'’-]*", prose))


def figures(chapter: Path) -> Figures:
    """Today's figures of a page."""
    page = chapter.read_text(encoding="utf-8")
    cells = [cell for cell in read(chapter).cells if cell.cell_type == "code"]
    net = [counted(cell) for cell in cells]
    folded = sum(
        lines for lines, cell in zip(net, cells) if "hide-input" in cell.metadata.get("tags", [])
    )
    claims = [1 for cell in cells for made in statements(cell) if function_called(made) == "claim"]
    measured = (page.count("\n"), sum(net), max(net, default=0), 100 * folded / max(sum(net), 1))
    form = (
        sum(map(wide_lines, cells)),
        max(map(longest_function, cells), default=0),
        sum(map(hex_colours, cells)),
    )
    return dict(zip(NAMES, (*map(round, measured), len(claims), words(page), *form)))


def faults(today: Mapping[str, Figures], committed: Mapping[str, Mapping]) -> Iterator[str]:
    """Pages that have grown beyond their limits; lines and pages without one another."""
    budget, lines = committed["budget"], committed["pages"]
    for page, measured in today.items():
        remedy = f"python scripts/budgets.py --raise {page}"
        if page not in lines:
            yield f"{page}: no line in book/budgets.toml; add it: {remedy}"
            continue
        for name, value in measured.items():
            limit = max(budget[name], lines[page][name])
            if value > limit:
                yield f"{page}: {name} is {value}, the limit {limit}; {COUNTED} or: {remedy}"
    for page in sorted(lines.keys() - today.keys()):
        yield f"book/budgets.toml: no chapter {page}; run: python scripts/budgets.py --lower"


def lowered(today: Mapping[str, Figures], committed: Mapping[str, Mapping]) -> dict[str, Figures]:
    """The lines of the file, with what has fallen."""
    lines = committed["pages"]
    return {
        page: {name: min(value, measured[name]) for name, value in lines[page].items()}
        for page, measured in today.items()
        if page in lines
    }


def shown(budget: Figures, lines: Mapping[str, Figures]) -> str:
    """The file, a page a line."""
    wide = max(map(len, lines), default=0)

    def entries(measured: Figures) -> str:
        return ", ".join(f"{name} = {measured[name]:>{len(name) - 1}}" for name in NAMES)

    rows = [f"{page:<{wide}} = {{ {entries(lines[page])} }}" for page in sorted(lines)]
    limits = [f"{name} = {budget[name]}" for name in NAMES]
    return "\n".join([HEADER, "[budget]", *limits, "", "[pages]", *rows, ""])


def committed() -> Mapping[str, Mapping]:
    """The file as it is."""
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def measured_today() -> dict[str, Figures]:
    """Today's figures of every page."""
    return {chapter.stem: figures(chapter) for chapter in chapters()}


def rewrite(today: Mapping[str, Figures], raised: str | None) -> None:
    """Lower what has fallen, and take one page as it is."""
    if raised and raised not in today:
        raise SystemExit(f"budgets: no chapter {raised!r}; there are {', '.join(today)}")
    lines = lowered(today, committed())
    if raised:
        lines[raised] = today[raised]
    write_whole(FILE, shown(committed()["budget"], lines))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lower", action="store_true", help="write what has fallen")
    parser.add_argument("--raise", dest="raised", metavar="NAME", help="write one page as it is")
    given, today = parser.parse_args(), measured_today()
    if given.lower or given.raised:
        rewrite(today, given.raised)
    print(f"{'':36}", *(f"{name:>7}" for name in NAMES))
    for page, measured in today.items():
        print(f"{page:36}", *(f"{measured[name]:7}" for name in NAMES))
    found = list(faults(today, committed()))
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
