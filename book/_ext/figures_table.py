"""The directive `figures-table`: every figure of the book by the name that `make figures` knows it by."""

import sys
from itertools import groupby
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from chapters import read  # noqa: E402


def figures(chapter: Path) -> list[tuple[str, str]]:
    """(name, first sentence of the caption) of every figure of a chapter."""
    shown = [cell.metadata.get("mystnb", {}).get("figure", {}) for cell in read(chapter).cells]
    return [(figure["name"], " ".join(figure["caption"].split()).split(". ")[0].rstrip(".")) for figure in shown if figure]


class FiguresTable(SphinxDirective):
    """Write a MyST `list-table` in the order of the book and have it parsed in place."""

    def run(self) -> list[nodes.Node]:
        pages = [ROOT / f"{name.removesuffix('.md')}.md" for name in self.env.external_site_map]
        rows = [(page.stem, *figure) for page in pages if page.exists() and "jupytext:" in page.read_text(encoding="utf-8")[:400] for figure in figures(page)]
        lines = ["````{list-table}", ":header-rows: 1", ":class: figures", "", "* - Name", "  - What it shows"]
        for page, of_page in groupby(rows, key=lambda row: row[0]):
            for i, (_, name, finding) in enumerate(of_page):
                lines += [f"* - {{ref}}`{name} <{name}>`", f"  - {finding}{f' ({{doc}}`{page}`)' if i == 0 else ''}"]
        lines += ["````", ""]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive("figures-table", FiguresTable)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
