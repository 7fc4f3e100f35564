"""Check that every chapter's pair is what the chapter would give: `make test` runs it after the build and before nbval.

nbval re-runs a pair and compares outputs, but passes a notebook that was never run and cannot know that the chapter has
changed since. That is checked here: the pair is there, its cells are those of the notebook that the build has just put into the
site, every code cell was run, none failed, every stored claim held, and a cell that makes a claim or has a caption has left an
output. A picture without a caption is reported too. A number quoted in the text may differ, as the output does it is quoted from.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from chapters import BOOK, chapters, claims_made, pair
from write_pairs import built

NUMBER = re.compile(r"-?\d+(\.\d+)?(e[-+]?\d+)?")


def content(notebook: NotebookNode) -> list[tuple]:
    """What the notebooks of two executions have in common: all but outputs and, in the text, numbers."""
    of_text = lambda cell: NUMBER.sub("#", cell.source) if cell.cell_type == "markdown" else cell.source  # noqa: E731
    return [(cell.cell_type, of_text(cell), cell.metadata) for cell in notebook.cells]


def is_picture(output: NotebookNode) -> bool:
    """Whether an output was a matplotlib figure, of which a pair keeps the text alone, or one with a slider."""
    return output.get("data", {}).get("text/plain", "").startswith(("<Figure size", "A figure with a slider"))


def cell_faults(cell: NotebookNode) -> Iterator[str]:
    """What is wrong with the outputs of a code cell."""
    figure = cell.metadata.get("mystnb", {}).get("figure")
    if cell.execution_count is None:
        yield "was never run"
    if any(output.output_type == "error" for output in cell.outputs) and "raises-exception" not in cell.metadata.get("tags", []):
        yield "has an error stored"
    if not cell.outputs and (figure or claims_made(cell)):
        yield "should have left a claim or a figure, but has no output"
    for claim in (output.get("metadata", {}).get("claim", {}) for output in cell.outputs):
        if not claim.get("holds", True):
            yield f"has stored a claim that did not hold, {claim['id']}"
    if any(map(is_picture, cell.outputs)) and not figure:
        yield "draws a figure without mystnb: figure: (name, caption) in its metadata"


def faults(chapter: Path) -> Iterator[str]:
    """What is wrong with the pair of a chapter."""
    missing = [path for path in (pair(chapter), built(chapter)) if not path.exists()]
    if missing:
        yield f"is missing: {', '.join(map(str, missing))}"
        return
    notebook = nbformat.read(pair(chapter), as_version=4)
    if content(notebook) != content(nbformat.read(built(chapter), as_version=4)):
        yield f"does not hold the cells of {chapter.name}"
        return
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            yield from (f"cell {number} {fault}: {cell.source[:60]!r}" for fault in cell_faults(cell))


def main() -> int:
    found = [f"{pair(chapter).name}: {fault}" for chapter in chapters() for fault in faults(chapter)]
    orphans = set(BOOK.glob("*.ipynb")) - set(map(pair, chapters()))
    found += [f"{orphan.name}: no chapter of this name; delete it" for orphan in sorted(orphans)]
    if found:
        print(*found, "The pairs are written by: make book", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
