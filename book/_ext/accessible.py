"""Roles that a screen reader would stumble over.

docutils calls a list of citations a list, and sphinxcontrib-bibtex fills it with entries whose role is another one, which a
list may not hold. The entries say what they are; the list need not.
"""


def drop_list_role(app, pagename, templatename, context, doctree) -> None:
    context["body"] = context.get("body", "").replace('<div role="list" class="citation-list">', '<div class="citation-list">')


def setup(app) -> dict:
    app.connect("html-page-context", drop_list_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
