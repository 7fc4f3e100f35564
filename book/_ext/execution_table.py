"""The directive `execution-table`: where and when each chapter ran, and how long it took, from the build's cache.

A chapter prints where it runs in its first cell (`metarep_lib.show.environment`); the times are those of the execution whose
outputs the page shows, in this build or an earlier one with the same code, library behind it and pins.
"""

import sys
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from jupyter_cache import get_cache
from sphinx.util.docutils import SphinxDirective

from execution_cache import ROOT, cache_path

sys.path.append(str(ROOT / "scripts"))

from chapters import chapters, read  # noqa: E402

COLUMNS = ("Chapter", "Seconds", "Where", "When (UTC)")
MARK = "# environment"  # ends each line of `environment`


def printed_environment(notebook) -> list[str]:
    """What the chapter said about device and versions: one line each."""
    texts = (output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    return [line.removesuffix(MARK).strip() for text in texts for line in text.splitlines() if line.endswith(MARK)]


def executions(order: list[str]) -> list[tuple[str, float, list[str], str]]:
    """(chapter, seconds, environment, date) of every executed chapter in the given order."""
    found = {}
    for chapter in chapters():
        cache = get_cache(cache_path(chapter))
        try:
            record = cache.match_cache_notebook(read(chapter))
        except KeyError:  # not executed: not in the table of contents
            continue
        said = printed_environment(cache.get_cache_bundle(record.pk).nb)
        found[chapter.stem] = (chapter.stem, record.data.get("execution_seconds", 0.0), said, f"{record.created:%Y-%m-%d %H:%M}")
    return [found[name] for name in order if name in found]


class ExecutionTable(SphinxDirective):
    """Write a MyST `list-table` in the order of the book, and what all chapters have in common below it."""

    def run(self) -> list[nodes.Node]:
        ran = executions([Path(name).stem for name in self.env.external_site_map])
        rows = [COLUMNS]
        for name, seconds, said, date in ran:
            rows.append((f"{{doc}}`/book/{name}`", f"{seconds:.0f}", said[0] if said else "–", date))
        rows.append((f"**{len(ran)} chapters**", f"**{sum(seconds for _, seconds, *_ in ran):.0f}**", "", ""))
        lines = ["````{list-table}", ":header-rows: 1", ":class: execution", ""]
        for cells in rows:
            lines += [f"{'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
        versions = sorted({line for _, _, said, _ in ran for line in said[1:]})
        lines += ["````", "", *(f"Versions: {line}.\n" for line in versions)]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive("execution-table", ExecutionTable)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
