"""End a page with what has moved from it: old addresses lead there, and on to where things stand today.

The table is book/moved.toml. Each entry is a line that carries the old name as its anchor and says
"moved to", with a link.
"""

import tomllib
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx.util import logging

TABLE = Path(__file__).resolve().parents[1] / "moved.toml"
TITLE = "Moved from this page"
LOG = logging.getLogger(__name__)


def moved() -> dict[str, dict[str, str]]:
    """Page -> old name of a place -> its address today."""
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))


def called(place: nodes.Element) -> str:
    """The title of a section, statement or exercise, the first sentence of a caption."""
    title = next(iter(place.findall(lambda node: isinstance(node, nodes.title | nodes.caption))), None)
    words = title.astext().partition(". ")[0].strip(" .") if title else place["ids"][0]
    return words[1:-1] if words.startswith("(") and words.endswith(")") else words


def line(app, docname: str, old: str, address: str) -> nodes.list_item:
    """The anchor of the old name, and a link to the new place."""
    page, _, name = address.partition(".html#")
    tree = app.env.get_doctree(str(PurePosixPath(docname).with_name(page)))
    place = next((node for node in tree.findall(nodes.Element) if name in node.get("ids", [])), None)
    if place is None:
        LOG.warning("moved.toml: %s is to be at %s, and is not", old, address, location=docname)
        return nodes.list_item("", ids=[old])
    head = next(tree.findall(nodes.title)).astext()
    link = nodes.reference("", head, refuri=address, internal=True)
    return nodes.list_item("", nodes.paragraph("", f"{called(place)} – moved to ", link), ids=[old])


def append_moved(app, doctree: nodes.document, docname: str) -> None:
    """Add the lines to a page from which something has moved."""
    entries = moved().get(PurePosixPath(docname).name, {})
    if entries and app.builder.format == "html":
        lines = [line(app, docname, old, address) for old, address in entries.items()]
        doctree.children[0] += [nodes.rubric("", TITLE), nodes.bullet_list("", *lines)]


def setup(app) -> dict:
    app.connect("doctree-resolved", append_moved)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
