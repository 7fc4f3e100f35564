"""Take the tags at the end of printed lines out of the pages.

``# measured`` and ``# environment`` tell nbval which lines not to compare (tests/nbval-sanitize.cfg). They stay in the notebooks and are
nothing to a reader of the page.
"""

import re

from docutils import nodes

TAG = re.compile(r"[ \t]*# (?:measured|environment)[ \t]*$", re.MULTILINE)


def drop_tags(app, doctree: nodes.document) -> None:
    """Rewrite what cells have printed or echoed; their code is left alone."""
    for block in doctree.findall(nodes.literal_block):
        if "output" in block["classes"]:
            block.rawsource = TAG.sub("", block.astext())
            block[:] = [nodes.Text(block.rawsource)]


def setup(app) -> dict:
    app.connect("doctree-read", drop_tags)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
