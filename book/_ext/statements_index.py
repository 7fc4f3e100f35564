"""The directive `statements-index`: a link to every definition, theorem and algorithm of the book, in its order."""

import re
from pathlib import Path

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

LABELLED = re.compile(r"^[`:]{3,}\{prf:(?!proof)(\w+)\}([^\n]*)\n(?:\s*:[\w-]+:.*\n)*?\s*:label:\s*(\S+)", re.MULTILINE)


class StatementsIndex(SphinxDirective):
    """Write a MyST list for each chapter and have it parsed in place."""

    def run(self) -> list[nodes.Node]:
        lines = []
        for docname in self.env.external_site_map:
            docname = docname.removesuffix(".md")
            page = Path(self.env.doc2path(docname))
            self.env.note_dependency(str(page))
            found = LABELLED.findall(page.read_text(encoding="utf-8"))
            if found:
                lines += [f"**{{doc}}`/{docname}`**", ""]
                lines += [f"- {{prf:ref}}`{label}`{f': {title.strip()}' if title.strip() else ''}" for _, title, label in found]
                lines += [""]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, source=self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


def setup(app) -> dict:
    app.add_directive("statements-index", StatementsIndex)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
