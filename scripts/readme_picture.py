"""Save the landing page's figure as the picture of the README: `make picture` runs it after a build.

The picture is the one the build drew; nothing is executed here.
"""

import base64
import os
import sys

from chapters import BOOK, ROOT, read
from jupyter_cache import get_cache

sys.path.append(str(ROOT / "book" / "_ext"))
from execution_cache import cache_path  # noqa: E402

FIGURE, PICTURE = "fig-headline", BOOK / "_static" / "metarep.png"


def main() -> None:
    _, notebook = get_cache(cache_path()).merge_match_into_notebook(read(BOOK / "intro.md"))
    cell = next(cell for cell in notebook.cells if cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == FIGURE)
    picture = next(output.data["image/png"] for output in cell.outputs if "image/png" in output.get("data", {}))
    temporary = PICTURE.with_name(f".{PICTURE.name}.{os.getpid()}")
    temporary.write_bytes(base64.b64decode(picture))
    temporary.replace(PICTURE)


if __name__ == "__main__":
    main()
