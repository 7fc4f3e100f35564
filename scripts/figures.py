"""Save figures of the book by name: `make figures` saves all into _build/figures, `make figures NAME=fig-route-a` one.

The pictures are those the build drew, taken from its stored outputs; nothing is executed here.
"""

import argparse
import base64
import sys
from collections.abc import Iterator
from pathlib import Path

from jupyter_cache import get_cache

from chapters import BOOK, ROOT, chapters, read
from metarep_lib.storage import write_bytes

sys.path.append(str(BOOK / "_ext"))
from execution_cache import cache_path  # noqa: E402

FOLDER = ROOT / "_build" / "figures"
COMMAND = "run `make book` first"


def stored() -> Iterator[tuple[str, bytes]]:
    """Name and PNG of every figure of the last build, in the order of the files."""
    for chapter in chapters():
        try:
            _, notebook = get_cache(cache_path(chapter)).merge_match_into_notebook(read(chapter))
        except KeyError:
            raise SystemExit(f"figures: {chapter.name} has not been executed with this library; {COMMAND}") from None
        for cell in notebook.cells:
            name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name")
            pictures = [output.data["image/png"] for output in cell.get("outputs", []) if "image/png" in output.get("data", {})]
            if name and pictures:
                yield name, base64.b64decode(pictures[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="figures to save; all when none is given")
    parser.add_argument("--to", type=Path, default=FOLDER, help="folder, or for one figure a .png file")
    given = parser.parse_args()
    known = dict(stored())
    unknown = [name for name in given.names if name not in known]
    if unknown:
        raise SystemExit(f"figures: there is no {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    names = given.names or list(known)
    if given.to.suffix == ".png":
        write_bytes(given.to, known[names[0]])
        return
    given.to.mkdir(parents=True, exist_ok=True)
    for name in names:
        write_bytes(given.to / f"{name}.png", known[name])
    print(f"{len(names)} figures in {given.to}")


if __name__ == "__main__":
    main()
