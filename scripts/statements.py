"""What the book states and what holds it to account: labelled statements, and the tests that certify them.

A statement is a `prf:theorem`, `lemma`, `proposition` or `corollary`; definitions and remarks state nothing. A certificate is
a test decorated with ``@certifies("label", statement=..., mutants={"what is wrong": ...})``. Both are read from the sources; nothing is imported or run.
"""

import ast
import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from chapters import ROOT, pages

STATEMENT = r"^[`:]{3,}\{prf:(theorem|lemma|proposition|corollary)\}([^\n]*)\n((?:\s*:[\w-]+:.*\n)*)"


@dataclass(frozen=True)
class Statement:
    """A labelled statement of a page; `label` is None where the author forgot it."""

    kind: str
    title: str
    label: str | None
    page: Path


@dataclass(frozen=True)
class Certificate:
    """A test that certifies a statement, the wrong versions of it that the test is run on and fails, and whether it compares without rounding."""

    test: str
    line: int
    mutants: tuple[str, ...]
    exact: bool


def statements() -> list[Statement]:
    """Every statement of the book, page by page."""
    found = []
    for page in pages():
        for kind, title, options in re.findall(STATEMENT, page.read_text(encoding="utf-8"), re.MULTILINE):
            label = re.search(r":label:\s*(\S+)", options)
            found.append(Statement(kind, title.strip(), label and label[1], page))
    return found


def certificates() -> dict[str, list[Certificate]]:
    """Label -> the certificates of that statement."""
    found = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for decorator in getattr(node, "decorator_list", []):
                if isinstance(decorator, ast.Call) and getattr(decorator.func, "id", None) == "certifies":
                    said = {word.arg: word.value for word in decorator.keywords}
                    mutants = tuple(ast.literal_eval(what) for what in said["mutants"].keys) if "mutants" in said else ()
                    made = Certificate(f"{path.relative_to(ROOT)}::{node.name}", node.lineno, mutants, "exact" in said)
                    for label in decorator.args:
                        found[ast.literal_eval(label)].append(made)
    return dict(found)
