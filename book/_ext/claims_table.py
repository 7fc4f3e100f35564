"""The directive `claims-table`: every claim of the book, as its chapters asserted it in this very build; and their count at its end.

`metarep_lib.show.claim` leaves each claim in the metadata of an output, and myst-nb writes a chapter's outputs of that sort to
``<output folder>/<chapter>.glue.json`` when it reads the chapter, executed or cached. A page with such a table is therefore
read after all the others, and again in every build, whatever has changed.

A measurement that did not hold is marked in the table and named by the count. Where claims are strict (`metarep_lib.settings`) the
build has then failed, even if the outputs are those of an earlier build that was not.
"""

import json
from collections.abc import Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from metarep_lib.settings import claims_are_strict

DIRECTIVE = "claims-table"
READ_LAST = (DIRECTIVE, "statements-table", "execution-table")  # tables of what other pages have left behind
COLUMNS = ("Claim", "Value", "", "Bound", "By", "Value / bound")
LOG = logging.getLogger(__name__)


def read_tables_last(app, env, docnames: list[str]) -> None:
    """Reorder the pages to be read, and add the pages with tables if they are not among them."""
    sources = {name: Path(env.doc2path(name)).read_text(encoding="utf-8") for name in sorted(env.found_docs)}
    tables = [name for name, source in sources.items() if any(f"{{{directive}}}" in source for directive in READ_LAST)]
    docnames[:] = [name for name in docnames if name not in tables] + tables


def stored_claims(env) -> Iterator[tuple[str, dict]]:
    """All (chapter, claim), in the order of the table of contents and of the cells; NaN and infinities are numbers again."""
    pages = getattr(env, "nb_metadata", {})
    for chapter in env.external_site_map:
        docname = chapter.removesuffix(".md")
        if pages.get(docname, {}).get("glue"):  # else a file on disk would be of an earlier build
            stored = json.loads(Path(env.mystnb_config.output_folder, f"{docname}.glue.json").read_text(encoding="utf-8"))
            for output in stored.values():
                if claim := output["metadata"].get("claim"):
                    yield docname, claim | {key: float(claim[key]) for key in ("value", "bound") if isinstance(claim[key], str)}


def row(claim: dict) -> tuple[str, ...]:
    """The cells of a claim's row, in MyST."""
    number = lambda x: str(x) if isinstance(x, int) else f"{x:.3g}"  # noqa: E731
    ratio = f"{claim['value'] / claim['bound']:.2g}" if claim["bound"] else "–"
    by = f"{claim['kind']}, {{prf:ref}}`{claim['source']}`" if claim["source"] else claim["kind"]
    relation = {"<=": "≤", ">=": "≥", "==": "=", "<": "\\<", ">": "\\>"}[claim["relation"]]
    text = " ".join(claim["text"].split()) + ("" if claim["holds"] else " (**did not hold on this machine**)")
    return text, number(claim["value"]), relation, number(claim["bound"]), by, ratio


def count(claims: list[dict]) -> str:
    """How many claims there are, and which of them did not hold."""
    failed = [claim["id"] for claim in claims if not claim["holds"]]
    said = f"{len(failed)} measurement{'s' * (len(failed) > 1)} did not hold on this machine: {', '.join(failed)}" if failed else "all held"
    return f"{len(claims)} claims: {said}"


def announce_count(app, exception) -> None:
    """Print the count when everything is built, even under `-q`."""
    if exception is None:
        claims = [claim for _, claim in stored_claims(app.env)]
        print(count(claims), flush=True)
        if claims_are_strict() and not all(claim["holds"] for claim in claims):
            app.statuscode = 1


class ClaimsTable(SphinxDirective):
    """Write a MyST `list-table` for each chapter and have it parsed in place, so that maths and links in it work."""

    def run(self) -> list[nodes.Node]:
        found = list(stored_claims(self.env))
        ids = [claim["id"] for _, claim in found]
        for repeated in sorted({id for id in ids if ids.count(id) > 1}):
            LOG.warning("claim id %r is used more than once in the book", repeated, location=self.get_location())
        if not found:
            return [nodes.paragraph(text="No chapter makes a claim yet.")]
        lines = []
        for docname, entries in groupby(found, key=itemgetter(0)):
            lines += [f"**Chapter:** {{doc}}`/{docname}`", "", "````{list-table}", ":header-rows: 1", ":class: claims", ""]
            for cells in [COLUMNS, *(row(claim) for _, claim in entries)]:
                lines += [f"{'* -' if i == 0 else '  -'} {cell}" for i, cell in enumerate(cells)]
            lines += ["````", ""]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive(DIRECTIVE, ClaimsTable)
    app.connect("env-before-read-docs", read_tables_last)
    app.connect("build-finished", announce_count)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
