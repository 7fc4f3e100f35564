"""Write the pair of every chapter from the outputs of the last build: `make book` runs it.

Nothing is executed here. The outputs come from the cache the build filled, so the committed notebooks and the site show one and
the same execution. What a notebook need not carry is left out: pictures (their text/plain stays, nbval compares it), all
pictures of a slider but the first one shown, live widgets, times of execution, random cell ids. The same execution always gives the same bytes.
"""

import re
import sys

import nbformat
from chapters import ROOT, chapters, pair, read, write
from jupyter_cache import get_cache
from nbformat import NotebookNode

sys.path.append(str(ROOT / "book" / "_ext"))
from execution_cache import cache_path  # noqa: E402

DROPPED = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
BASE64 = re.compile(r"base64,[A-Za-z0-9+/=\n]*")
SLIDER = '<div class="explore"'
FRAMES = re.compile(r'(?<=<script type="application/json">).*?(?=</script>)', re.DOTALL)


def lean(output: NotebookNode) -> NotebookNode:
    """An output without pictures and widgets. Of a slider the picture of the start stays, for who reads without running."""
    if "data" in output:
        output.data = {mime: lean_text(content) for mime, content in output.data.items() if mime not in DROPPED}
    return output


def lean_text(content: object) -> object:
    """What is kept of the content of an output."""
    if not isinstance(content, str):
        return content
    return FRAMES.sub("", content) if content.startswith(SLIDER) else BASE64.sub("base64,", content)


def executed(notebook: NotebookNode, cache) -> NotebookNode:
    """The notebook with the outputs of the build, in the form that is committed."""
    _, notebook = cache.merge_match_into_notebook(notebook, nb_meta=("kernelspec", "language_info"))
    notebook.nbformat, notebook.nbformat_minor = 4, 5  # the version with cell ids
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            cell.outputs = [lean(output) for output in cell.outputs]
    nbformat.validate(notebook)
    return notebook


def main() -> int:
    cache = get_cache(cache_path())
    unbuilt = []
    for chapter in chapters():
        try:
            notebook = executed(read(chapter), cache)
        except KeyError:
            unbuilt.append(chapter.name)
            continue
        write(pair(chapter), nbformat.writes(notebook, indent=1) + "\n")
    if unbuilt:
        print(f"No execution of {', '.join(unbuilt)} in the build's cache. Is it in _toc.yml? Then run: make book")
    return bool(unbuilt)


if __name__ == "__main__":
    sys.exit(main())
