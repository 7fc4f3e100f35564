"""The directive `quoted-figure`: a picture of another chapter, shown again with a sentence of this page's own.

    ```{quoted-figure} fig-route-a
    The sentence the figure earns here.
    ```

The picture and its description for those who cannot see it are those of the figure with that label, drawn once in its chapter.
The caption is the directive's text; a link to the chapter follows it.
"""

from docutils import nodes
from sphinx import addnodes
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

LOG = logging.getLogger(__name__)


class quoted_figure(nodes.figure):  # noqa: N801, docutils names its nodes so
    """A figure whose picture is fetched when all pages have been read."""


class QuotedFigure(SphinxDirective):
    """Keep the label and parse the caption."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        label = self.arguments[0]
        holder = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, holder)
        words = nodes.paragraph("", "", *holder[0].children)
        link = addnodes.pending_xref("", refdomain="std", reftype="ref", reftarget=label, refexplicit=True, refdoc=self.env.docname, refwarn=True)
        link += nodes.inline("", "Where it comes from.", classes=["std", "std-ref"])
        words += [nodes.Text(" "), link]
        figure = quoted_figure("", nodes.legend("", words), label=label, classes=["quoted"])  # a caption would want a number
        self.set_source_info(figure)
        return [figure]


def fetch(app, doctree: nodes.document, docname: str) -> None:
    """Put the picture of the labelled figure into every quotation, and make it an ordinary figure."""
    labels = app.env.domains["std"].anonlabels
    for quotation in list(doctree.findall(quoted_figure)):
        label = quotation["label"]
        if label not in labels:
            LOG.warning("quoted-figure: no figure has the label %r", label, location=quotation)
            continue
        where, anchor = labels[label]
        figure = next(node for node in app.env.get_doctree(where).findall(nodes.Element) if anchor in node.get("ids", []))
        picture = next(figure.findall(nodes.image)).deepcopy()
        quotation.replace_self(nodes.figure("", picture, *quotation.children, classes=quotation["classes"]))


def setup(app) -> dict:
    app.add_directive("quoted-figure", QuotedFigure)
    app.add_node(quoted_figure)
    app.connect("doctree-resolved", fetch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
