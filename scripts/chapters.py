"""The chapters of the book as the other scripts see them: pages with code, each with its pair.

A chapter is ``book/NAME.md`` with a jupytext header. Its pair ``book/NAME.ipynb`` is generated: the same cells, with the
outputs of the build.
"""

import ast
import re
from pathlib import Path

import jupytext
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"


def pages() -> list[Path]:
    """Every page of the book, with or without code."""
    return sorted(BOOK.glob("*.md"))


def chapters() -> list[Path]:
    """The pages with code."""
    return [path for path in pages() if re.match(r"---\n(?:.*\n)*?jupytext:", path.read_text(encoding="utf-8"))]


def read(chapter: Path) -> NotebookNode:
    """A chapter as a notebook without outputs."""
    return jupytext.read(chapter)


def pair(chapter: Path) -> Path:
    """Where a chapter's pair lies."""
    return chapter.with_suffix(".ipynb")


def claims_made(cell: NotebookNode) -> bool:
    """Whether a code cell calls `claim` or `record` itself."""
    return calls(cell, "claim", "record")


def calls(cell: NotebookNode, *functions: str) -> bool:
    """Whether a code cell calls one of these functions by its bare name."""
    try:
        tree = ast.parse(cell.source)
    except SyntaxError:  # a cell with a magic command
        return False
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(name, ast.Name) and name.id in functions for name in called)
