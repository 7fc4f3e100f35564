"""Pack the built site into one file to read without a network: `make zip`. Unpack it and open index.html."""

import zipfile
from pathlib import Path

from browser import SITE

ARCHIVE = SITE.parent / "metarep-site.zip"


def make_zip(site: Path = SITE, archive: Path = ARCHIVE) -> Path:
    """The zip, made of all files of the site but those a reader has no use for."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for path in sorted(site.rglob("*")):
            if path.is_file() and path.name not in (".buildinfo", "objects.inv"):
                packed.write(path, Path(archive.stem) / path.relative_to(site))
    return archive


if __name__ == "__main__":
    made = make_zip()
    print(f"{made}: {made.stat().st_size / 1e6:.1f} MB")
