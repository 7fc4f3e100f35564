"""Write the pair of every chapter from the last build: `make book` runs it.

Nothing is executed here. The build has put the notebook of every chapter into the site (book/_ext/notebooks.py), with the outputs
its page shows. The pair is that notebook without what a committed file need not carry: pictures (their text/plain stays, nbval
compares it), all pictures of a slider but the first one shown, and the measured numbers of the lines that claims leave for the eye:
the number itself lies beside its line, for the prose. The same execution always gives the same bytes.
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from chapters import ROOT, chapters, pair
from metarep_lib.storage import write_text

SITE = ROOT / "_build" / "html"
PICTURES = ("image/png", "image/jpeg")
BASE64 = re.compile(r"base64,[A-Za-z0-9+/=\n]*")
SLIDER = '<div class="explore"'
MEASURED = re.compile(r"(?<=: )\S+(?= (?:<=|>=|==|<|>) \S+  # measured$)")
FRAMES = re.compile(r'(?<=<script type="application/json">).*?(?=</script>)', re.DOTALL)


def built(chapter: Path) -> Path:
    """Where the build has put the notebook of a chapter."""
    return SITE / "_sources" / pair(chapter).relative_to(ROOT)


def lean(notebook: NotebookNode) -> NotebookNode:
    """The notebook without pictures. Of a slider the picture of the start stays, for who reads without running."""
    for output in (output for cell in notebook.cells for output in cell.get("outputs", [])):
        if "data" in output:
            output.data = {mime: lean_text(content) for mime, content in output.data.items() if mime not in PICTURES}
        if "claim" in output.get("metadata", {}):
            output.data["text/plain"] = MEASURED.sub("…", output.data["text/plain"])
    return notebook


def lean_text(content: object) -> object:
    """What is kept of the content of an output."""
    if not isinstance(content, str):
        return content
    return FRAMES.sub("", content) if content.startswith(SLIDER) else BASE64.sub("base64,", content)


def main() -> int:
    unbuilt = [chapter for chapter in chapters() if not built(chapter).exists()]
    for chapter in chapters():
        if chapter not in unbuilt:
            write_text(pair(chapter), nbformat.writes(lean(nbformat.read(built(chapter), as_version=4)), indent=1) + "\n")
    if unbuilt:
        print(f"No notebook in the site of {', '.join(chapter.name for chapter in unbuilt)}. Is it in _toc.yml? Then run: make book")
    return bool(unbuilt)


if __name__ == "__main__":
    sys.exit(main())
