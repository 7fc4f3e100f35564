"""Hold the prose of the book to its rules: `make test` runs it first, it takes a second.

* No number in the prose that code could have computed: decimals, powers of ten, percentages, "N times". A number is
  quoted from a claim or a record by ``{glue:text}``; a constant of the theory stands in maths.
* No glue inside maths, where it would silently stay unreplaced.
* Every cell that draws a figure gives it a name, a caption and a text for those who cannot see it.
* Nothing is loaded from another host.
* Theorems and certificates pair off: every label of a theorem, lemma, proposition or corollary is certified by a test,
  and every certified label exists.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from chapters import BOOK, ROOT, chapters, pages, read

TYPED = {
    "decimal": r"(?<![\w.])\d+\.\d+",
    "power of ten": r"(?<![\w.])\d+(?:\.\d+)?[eE][-+]?\d+\b",
    "percentage": r"\d+\s?(?:%|per ?cent)",
    "number of times": r"(?i:\b(?:\d+|two|three|four|five|six|seven|eight|nine|ten)(?:\s+times\b|-fold\b|×))",
}
FOREIGN = r"""<(?:script|link|img|iframe)\b[^>]*https?://|!\[[^\]]*\]\(https?://|(?:@import|url\()\s*["']?https?://"""
CODE = {None, "code", "code-block", "code-cell", "literalinclude", "raw"}  # directives whose body is code; None: a plain fence
MATH = r"\$\$.*?\$\$|(?<![\\$])\$(?![\s$])(?:\\.|[^$\\])+?\$|^\{math\}.*?^\{end\}"
NOT_PROSE = (
    MATH,
    r"\{[a-z:]+\}`[^`]*`",  # roles, glue and citations among them
    r"(`+)(?!`)(?:(?!\n\n).)+?\1",  # code in a line
    r"^\s*:[\w-]+:.*?$",  # options of directives
    r"^%.*?$|<!--.*?-->",  # comments
    r"\]\([^)]*\)|https?://\S+",  # addresses
)
STATEMENT = r"^[`:]{3,}\{prf:(?:theorem|lemma|proposition|corollary)\}[^\n]*\n(?:\s*:(?!label:)[\w-]+:.*\n)*(?:\s*:label:\s*(\S+))?"


def matches(pattern: str, text: str) -> Iterator[re.Match]:
    return re.finditer(pattern, text, re.DOTALL | re.MULTILINE)


def blank(pattern: str, text: str) -> str:
    """The text with spaces in the place of every match, so that line numbers stay."""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.DOTALL | re.MULTILINE)


def without_code(page: str) -> str:
    """A page without its header and its code. Other directives lose their fences and keep their text."""
    lines, open_fences = [], []
    for line in blank(r"\A---\n.*?^---\n", page).split("\n"):
        fence = re.match(r"\s*(`{3,}|:{3,})(?:\{([\w:-]+)\})?(.*)", line)
        in_code = any(directive in CODE for _, directive in open_fences)
        if fence and open_fences and line.strip() == open_fences[-1][0]:
            line = "{end}" if open_fences.pop()[1] == "math" else ""
        elif fence and not in_code:
            open_fences.append((fence[1], fence[2]))
            line = "{math}" if fence[2] == "math" else "" if fence[2] in CODE else fence[3]
        elif in_code:
            line = ""
        lines.append(line)
    return "\n".join(lines)


def prose_faults(page: Path) -> Iterator[str]:
    """Typed numbers and glue in maths, each with its line."""
    prose = without_code(page.read_text())
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
    for match in matches(FOREIGN, file.read_text()):
        yield f"{file.relative_to(ROOT)}: loads from another host: {match.group()!r}"


def figure_faults(chapter: Path) -> Iterator[str]:
    """Figure cells without name, caption or alternative text."""
    for number, cell in enumerate(read(chapter).cells):
        shown = cell.metadata.get("mystnb", {})
        if "figure" in shown or "image" in shown:
            wanted = {"figure": ("name", "caption"), "image": ("alt",)}
            missing = [f"{part}: {key}" for part in wanted for key in wanted[part] if not shown.get(part, {}).get(key)]
            if missing:
                yield f"{chapter.relative_to(ROOT)}: cell {number}: the figure lacks {', '.join(missing)}"


def certified() -> dict[str, str]:
    """Label -> the test that certifies it, read from the decorators without importing anything."""
    found = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            for decorator in getattr(node, "decorator_list", []):
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "certifies":
                    where = f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
                    found.update({ast.literal_eval(label): where for label in decorator.args})
    return found


def certificate_faults() -> Iterator[str]:
    """Theorems without a label or certificate, and certificates without a theorem."""
    tests, labels = certified(), set()
    for page in pages():
        for match in matches(STATEMENT, page.read_text()):
            label = match.group(1)
            if label is None:
                yield f"{page.relative_to(ROOT)}: a statement without a label: {match.group().splitlines()[0]!r}"
            elif label not in tests:
                yield f"{page.relative_to(ROOT)}: {label} has no test with @certifies({label!r})"
            labels.add(label)
    for label in sorted(tests.keys() - labels):
        yield f"{tests[label]}: certifies {label!r}, which no page of the book states"


def main() -> int:
    found = [fault for page in pages() for fault in prose_faults(page)]
    found += [fault for file in [*pages(), *(BOOK / "_static").glob("*.css")] for fault in foreign_faults(file)]
    found += [fault for chapter in chapters() for fault in figure_faults(chapter)]
    found += certificate_faults()
    print(*found, sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
