"""Hold the prose of the book to its rules: `make test` runs it first, it takes a second.

* No number in the prose that code could have computed: decimals, powers of ten, percentages, "N times". A number is
  quoted from a claim or a record by ``{glue:text}``; a constant of the theory stands in maths.
* No glue inside maths, where it would silently stay unreplaced.
* Every cell that draws a figure gives it a name, a caption and a text for those who cannot see it. A figure with a slider
  (`explore`) has a text for every picture of its own, and needs a name and a caption.
* No cell ends in a bare expression or has echoed a float: Jupyter would show digits that differ from machine to machine, and no
  tag tells nbval so. A number is claimed, recorded, or printed in a line that ends in ``# measured``.
* Nothing is loaded from another host.
* Statements and certificates pair off: every theorem, lemma, proposition or corollary is certified by a test that also
  sees a wrong version of it fail, and every certified label exists.
* No quoted end is on the wrong side of its number by rounding, "at most 0.06" of a .0647 (roundings.py).
* No chapter grows beyond its budget, or beyond what it measured when it was over it (budgets.py).
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

import budgets
import roundings
from chapters import BOOK, ROOT, calls, chapters, pages, pair, read
from check_pairs import is_picture
from prose import MATH, NOT_PROSE, blank, without_code
from statements import certificates, statements

TYPED = {
    "decimal": r"(?<![\w.])\d+\.\d+",
    "power of ten": r"(?<![\w.])\d+(?:\.\d+)?[eE][-+]?\d+\b",
    "percentage": r"\d+\s?(?:%|per ?cent)",
    "number of times": r"(?i:\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten)(?:\s+times\b|-fold\b|×))",
}
FOREIGN = r"""<(?:script|link|img|iframe)\b[^>]*https?://|!\[[^\]]*\]\(https?://|(?:@import|url\()\s*["']?https?://"""
FLOAT = r"(?<![\w.])\d+(?:\.\d+)?e[-+]?\d+|(?<![\w.])\d+\.\d+|\d\.(?=[,\])])|\b(?:nan|inf)\b"  # as Python, numpy and torch echo them
TAGGED = r"# (?:measured|environment)[ \t]*$"


def matches(pattern: str, text: str) -> Iterator[re.Match]:
    return re.finditer(pattern, text, re.DOTALL | re.MULTILINE)


def prose_faults(page: Path) -> Iterator[str]:
    """Typed numbers and glue in maths, each with its line."""
    prose = without_code(page.read_text(encoding="utf-8"))
    found = [(m, "glue inside maths is not replaced; end the formula before it") for m in matches(MATH, prose) if "{glue" in m[0]]
    for pattern in NOT_PROSE:
        prose = blank(pattern, prose)
    for kind, pattern in TYPED.items():
        found += [(m, f"typed {kind} {m[0]!r}; quote it with {{glue:text}} from a claim or record") for m in matches(pattern, prose)]
    for match, fault in found:
        line = match.string.count("\n", 0, match.start()) + 1
        yield f"{page.relative_to(ROOT)}:{line}: {fault}"


def foreign_faults(file: Path) -> Iterator[str]:
    """Scripts, pictures, styles and frames from other hosts."""
    for match in matches(FOREIGN, file.read_text(encoding="utf-8")):
        yield f"{file.relative_to(ROOT)}: loads from another host: {match.group()!r}"


def figure_faults(chapter: Path) -> Iterator[str]:
    """Figure cells without name, caption or alternative text."""
    for number, cell in enumerate(read(chapter).cells):
        shown = cell.metadata.get("mystnb", {})
        slides = calls(cell, "explore")
        if "figure" in shown or "image" in shown or slides:
            wanted = {"figure": ("name", "caption"), "image": () if slides else ("alt",)}
            missing = [f"{part}: {key}" for part in wanted for key in wanted[part] if not shown.get(part, {}).get(key)]
            if missing:
                yield f"{chapter.relative_to(ROOT)}: cell {number}: the figure lacks {', '.join(missing)}"


def bare(cell: NotebookNode) -> str | None:
    """The expression, no call, that a code cell ends in and echoes."""
    try:
        last = ast.parse(cell.source).body[-1:]
    except SyntaxError:  # a cell with a magic command
        return None
    echoed = [statement for statement in last if isinstance(statement, ast.Expr) and not isinstance(statement.value, ast.Call)]
    return ast.unparse(echoed[0]) if echoed else None


def echoed_floats(cell: NotebookNode) -> Iterator[str]:
    """The lines of a cell's result that show a float without a tag. A slider's ends are no result, a listing is of what is stored."""
    for output in cell.get("outputs", []):
        is_listing = "text/markdown" in output.get("data", {})
        if output.output_type == "execute_result" and not is_picture(output) and not is_listing:
            lines = output.data.get("text/plain", "").splitlines()
            yield from (line for line in lines if re.search(FLOAT, line) and not re.search(TAGGED, line))


def echo_faults(chapter: Path) -> Iterator[str]:
    """Cells that end in an expression, in the chapter; results that show a float, in its pair."""
    remedy = "claim it, record it, print it with its tag or give it a name"
    for number, cell in enumerate(read(chapter).cells):
        if cell.cell_type == "code" and (expression := bare(cell)):
            yield f"{chapter.name}: cell {number} echoes {expression!r}; {remedy}"
    if pair(chapter).exists():  # else check_pairs.py says so
        for number, cell in enumerate(nbformat.read(pair(chapter), as_version=4).cells):
            for line in echoed_floats(cell):
                yield f"{pair(chapter).name}: cell {number} echoed a float, {line.strip()!r}; in {chapter.name} {remedy}, then: make book"


def certificate_faults() -> Iterator[str]:
    """Statements without a label, a certificate or a mutant, and certificates without a statement."""
    tests, labels = certificates(), set()
    for statement in statements():
        page = statement.page.relative_to(ROOT)
        if statement.label is None:
            yield f"{page}: a {statement.kind} without a label: {statement.title!r}"
        elif statement.label not in tests:
            yield f"{page}: {statement.label} has no test with @certifies({statement.label!r}, statement=..., mutants=...)"
        elif not any(certificate.mutants for certificate in tests[statement.label]):
            yield f"{page}: {statement.label} has no test that is run on a mutant, a wrong version of it that fails"
        labels.add(statement.label)
    for label in sorted(tests.keys() - labels):
        first = tests[label][0]
        yield f"{first.test}:{first.line}: certifies {label!r}, which no page of the book states"


def main() -> int:
    found = [fault for page in pages() for fault in prose_faults(page)]
    found += [fault for file in [*pages(), *(BOOK / "_static").glob("*.css"), *(BOOK / "_static").glob("*.js")] for fault in foreign_faults(file)]
    found += [fault for chapter in chapters() for fault in (*figure_faults(chapter), *echo_faults(chapter))]
    found += certificate_faults()
    found += roundings.faults()
    found += budgets.faults(budgets.measured_today(), budgets.committed())
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
