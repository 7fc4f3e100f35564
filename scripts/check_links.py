"""Follow every link of the built site, and weigh its pages: `make test` runs it after the build.

A link inside the site must lead to a file that is there and, with a `#`, to an element of that name. Links to other hosts are
not followed. What has moved from a page to another (book/moved.toml) must still be found at its old address. A page with all its
pictures must not weigh more than `HEAVIEST`.
"""

import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from browser import SITE, pages
from chapters import BOOK

HEAVIEST = 3_000_000  # bytes of a page and its pictures, without what all pages share


class Page(HTMLParser):
    """The links of a page, the names that can be linked to, and its pictures."""

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.names, self.pictures = set(), {"", "top"}, set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list) -> None:
        given = dict(attributes)
        self.names |= {given.get("id"), given.get("name") if tag == "a" else None}
        for key in ("href", "src"):
            if given.get(key):
                (self.pictures if tag == "img" else self.links).add(given[key])


read = cache(Page)


def faults(name: str) -> Iterator[str]:
    """What is wrong with the links of a page, and its weight if it is too much."""
    here, weight = SITE / name, (SITE / name).stat().st_size
    page = read(here)
    for link in sorted(page.links | page.pictures):
        if urlsplit(link).scheme or link.startswith("//"):
            continue
        address, anchor = urldefrag(link)
        target = (here.parent / unquote(urlsplit(address).path)).resolve() if address else here
        target = target / "index.html" if target.is_dir() else target
        if not target.is_file() or not target.is_relative_to(SITE.resolve()):
            yield f"{name}: nothing at {link}"
        elif anchor and target.suffix == ".html" and unquote(anchor) not in read(target).names:
            yield f"{name}: {link} leads to the page, but not to a place in it"
        if link in page.pictures and target.is_file():
            weight += target.stat().st_size
    if weight > HEAVIEST:
        yield f"{name}: weighs {weight / 1e6:.1f} MB with its pictures; at most {HEAVIEST / 1e6:.0f} are allowed"


def lost_addresses(moved: dict[str, dict[str, str]]) -> Iterator[str]:
    """Old addresses of what has moved that lead nowhere."""
    for page, places in moved.items():
        names = read(SITE / "book" / f"{page}.html").names
        for old, address in places.items():
            if old not in names:
                yield f"book/{page}.html#{old}: moved to {address}, and nothing at the old address says so"


def main() -> int:
    found = [fault for name in ["index.html", *pages()] for fault in faults(name)]
    found += lost_addresses(tomllib.loads((BOOK / "moved.toml").read_text(encoding="utf-8")))
    print(*found, sep="\n", end="\n" if found else "")
    links = sum(len(read(SITE / name).links) for name in pages())
    print(f"{links} links on {len(pages())} pages, {len(found)} faults")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
