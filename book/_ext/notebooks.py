"""The notebook of every chapter: written when its page is, offered on the page for download and, in Colab, to be run.

It has the chapter's code with the outputs the build has just shown, pictures among them, and its text as plain Markdown
(notebook_text.py). It opens with a cell that installs `metarep_lib` where it is missing. `make book` puts a copy without
pictures beside the chapter (scripts/write_pairs.py): Colab opens that one, and the tests run it.

The address of the repository is in `[project.urls]` of pyproject.toml and nowhere else. While it is empty no page has a button
that would lead there.
"""

import re
import sys
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell
from pybtex.plugin import find_plugin

from execution_cache import cache_path
from notebook_text import Code, Page, cells

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from addresses import colab_can_open, repository, site  # noqa: E402

WIDGET = "application/vnd.jupyter.widget-view+json"  # a live widget is of the kernel that drew it
FOLDED = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # how Jupyter and Colab fold a cell's code

INSTALL = """\
# {hint}
try:
    import metarep_lib  # noqa: F401
except ModuleNotFoundError:
    {remedy}"""
# With --no-deps, and no package named that needs torch or numpy: those of the machine stay as they are.
FROM_ADDRESS = """\
%pip install --quiet --no-deps "git+{repository}"
    %pip install --quiet jaxtyping python-flint safetensors"""
BY_HAND = """\
raise ModuleNotFoundError("Get a copy of this book's repository and run in it: pip install --no-deps . "
                              "Then: pip install jaxtyping python-flint safetensors") from None"""


def install_cell(repository: str) -> NotebookNode:
    """The first cell of a notebook: it makes `metarep_lib` importable, and does nothing where it is."""
    hint = "In Colab this installs the book's library and leaves torch and numpy as they are. Where it is installed, it does nothing."
    if not repository:
        hint = "This notebook needs the book's library. Where it is installed, this cell does nothing."
    remedy = FROM_ADDRESS.format(repository=repository) if repository else BY_HAND
    return new_code_cell(INSTALL.format(hint=hint, remedy=remedy))


def written(notebook: NotebookNode, text: list[str | Code], repository: str) -> NotebookNode:
    """The executed notebook with its Markdown cells replaced by the text, and the cell that installs the library under the title."""
    cells, taken = [], 0

    def code_up_to(end: int | None) -> list[NotebookNode]:  # with the cells that the page does not show: they run, too
        return [cell for cell in notebook.cells[taken:end] if cell.cell_type == "code"]

    for piece in text:
        if isinstance(piece, Code):
            cells += code_up_to(piece.index + 1)
            taken = piece.index + 1
        else:
            cells.append(new_markdown_cell(piece))
    cells += code_up_to(None)
    cells.insert(1, install_cell(repository))
    notebook.cells = cells
    notebook.metadata.pop("widgets", None)  # the state of live widgets is of the kernel that ran
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the version with cell ids
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        tidy(cell, count)
    nbformat.validate(notebook)
    return notebook


def tidy(cell: NotebookNode, count: int) -> None:
    """Number a code cell, fold it where the page does, and drop what another run would have otherwise: times and live widgets."""
    cell.execution_count = count
    cell.metadata.pop("execution", None)
    if "hide-input" in cell.metadata.get("tags", []):
        cell.metadata.update(FOLDED)
    for output in cell.outputs:
        output.get("data", {}).pop(WIDGET, None)
        if output.output_type == "execute_result":
            output.execution_count = count


def references(env) -> dict[tuple[str, str], str]:
    """(page, id) of an entry of the bibliography -> the entry in Markdown."""
    style, backend = find_plugin("pybtex.style.formatting", "plain")(), find_plugin("pybtex.backends", "markdown")()
    rendered = lambda entry: style.format_entry("", entry).text.render(backend)  # noqa: E731
    readable = lambda text: re.sub(r"\\([^\w\s*_`\\])", r"\1", " ".join(text.split()))  # noqa: E731  it escapes every dot
    return {(made.bibliography_key.docname, made.citation_id): readable(rendered(made.entry)) for made in env.get_domain("cite").citations}


def is_chapter(app, pagename: str) -> bool:
    return "kernelspec" in app.env.metadata.get(pagename, {})


def where_executed(app, pagename: str) -> Path:
    """The cache with the outputs of a chapter: its own in the book, in a book without such caches the one of all pages."""
    own = "execution_cache" in app.extensions
    return cache_path(Path(app.env.doc2path(pagename))) if own else Path(app.config.nb_execution_cache_path)


def offer(app, pagename, templatename, context, doctree) -> None:
    """Have the theme put the notebook among the page's downloads."""
    if is_chapter(app, pagename):
        context["ipynb_source"] = f"{pagename}.ipynb"


def write(app, pagename, templatename, context, doctree) -> None:
    """Write the notebook of a chapter into the site, over the one without text and outputs that may be there."""
    if not is_chapter(app, pagename):
        return
    page = Page(
        name=pagename,
        numbers=app.env.toc_fignumbers.get(pagename, {}),
        macros=app.config.mathjax3_config["tex"]["macros"],
        site=site(),
        references=references(app.env),
    )
    source = nbformat.read(Path(app.env.mystnb_config.output_folder, f"{pagename}.ipynb"), as_version=4)
    _, executed = get_cache(where_executed(app, pagename)).merge_match_into_notebook(source, nb_meta=("kernelspec", "language_info"))
    made = written(executed, list(cells(doctree, page)), repository())
    target = Path(app.outdir, "_sources", f"{pagename}.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(nbformat.writes(made, indent=1) + "\n", encoding="utf-8")


def announce_addresses(app, config) -> None:
    """Tell the theme where the repository is, if it is anywhere: it adds its buttons, Colab's leads to the notebook beside the chapter."""
    if colab_can_open(repository()):
        config.html_theme_options.update(
            repository_url=repository(),
            repository_branch="main",
            use_repository_button=True,
            use_issues_button=True,
            launch_buttons={"colab_url": "https://colab.research.google.com"},
        )
    config.html_baseurl = site()


def setup(app) -> dict:
    app.connect("config-inited", announce_addresses)
    app.connect("html-page-context", offer, priority=499)  # before the theme makes the list of downloads
    app.connect("html-page-context", write, priority=900)  # after the theme has copied what myst-nb wrote
    return {"parallel_read_safe": True, "parallel_write_safe": True}
