"""What a reader does with the site: moves a slider, searches for a theorem, switches the light off, unpacks the site without a
network, prints a page. Each function says what did not work, as sentences.
"""

import re
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from browser import SETTLED, SITE, browser, opened
from make_zip import make_zip

STATEMENT = re.compile(r'class="proof theorem[^"]*" id="([\w-]+)".*?\((.*?)\)</p>', re.DOTALL)


def slide(page: Page) -> Iterator[str]:
    """Every slider of an open page: keyboard and mouse must change the picture, what it is called, and what is said."""
    for box in page.locator(".explore").all():
        picture, says = box.locator(".explore-live img"), box.locator(".explore-says")
        for slider in box.locator("input[type=range]").all():
            slider.focus()
            page.keyboard.press("End")  # away from the start, which may be the first position already
            seen = []
            for key in ("Home", "End", "ArrowLeft"):
                page.keyboard.press(key)
                seen.append((picture.get_attribute("src"), picture.get_attribute("alt"), slider.get_attribute("aria-valuetext")))
                if says.text_content() != seen[-1][1]:
                    yield f"slider: {key} is not announced"
            edge = slider.bounding_box()
            page.mouse.click(edge["x"] + 2, edge["y"] + edge["height"] / 2)
            seen.append((picture.get_attribute("src"), picture.get_attribute("alt"), slider.get_attribute("aria-valuetext")))
            if seen[3] != seen[0]:
                yield "slider: a click at its left end does not bring back the first picture"
            if len({value for _, _, value in seen[:3]}) < min(3, int(slider.get_attribute("max")) + 1):
                yield f"slider: its values are announced as {[value for _, _, value in seen[:3]]}"
            if seen[0][:2] == seen[1][:2]:
                yield f"slider: from {seen[0][2]} to {seen[1][2]} neither picture nor text changes"
        if not page.evaluate("e => e.complete && e.naturalWidth > 0", picture.element_handle()):
            yield "slider: its picture does not load"


def search(page: Page, home: str) -> Iterator[str]:
    """A theorem is found by its title."""
    found = ((path, STATEMENT.search(path.read_text(encoding="utf-8"))) for path in sorted(SITE.glob("book/*.html")))
    path, statement = next(((path, match) for path, match in found if match), (None, None))
    if path is None:
        yield "search: no theorem with a title in any page"
        return
    title = re.sub(r"<[^>]+>|\\\(.*?\\\)", " ", statement[2]).strip()
    page.goto(f"{home}search.html?q={'+'.join(re.findall('[A-Za-z]+', title))}")
    try:
        page.wait_for_selector(f"#search-results a[href*='{path.stem}']", timeout=30_000)
    except Exception as error:  # noqa: BLE001  (whatever went wrong, the theorem was not found)
        yield f"search for {title!r} does not find {path.name}: {str(error).splitlines()[0]}"


def darken(page: Page, home: str) -> Iterator[str]:
    """The button of the theme turns the page dark."""
    page.goto(home + first("math"))
    background = "() => getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(background)}
    for _ in range(2):  # light, dark, auto: two clicks pass dark
        page.locator("button.theme-switch-button:visible").first.click()
        seen.add(page.evaluate(background))
    if len(seen) < 2:
        yield f"the theme button does not change the page: {seen}"


def unpack(running: Browser) -> Iterator[str]:
    """The zip, unpacked and opened from the disk: mathematics, sliders and search work, and nothing is asked of a host."""
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(make_zip()) as archive:
            archive.extractall(folder)
        root = next(Path(folder).iterdir())
        home = root.as_uri() + "/"
        landing = re.search(r'url=([^"]+)"', (root / "index.html").read_text(encoding="utf-8"))[1]  # a redirection
        found: list[str] = []
        page = opened(running, home, found)
        for name in dict.fromkeys([landing, first("math"), first("explore")]):
            page.goto(home + name)
            page.wait_for_load_state("load")
            page.evaluate(SETTLED)
            if page.locator(".math").count() and not page.locator("mjx-container").count():
                found.append(f"maths not typeset in {name}")
            found += slide(page)
        found += search(page, home)
        page.context.close()
    yield from (f"file://: {fault}" for fault in dict.fromkeys(found))


def print_out(page: Page, home: str) -> Iterator[str]:
    """On paper a figure with a slider is its first picture, and what only a screen needs is gone."""
    page.goto(home + first("explore"))
    page.emulate_media(media="print")
    for selector, shown in ((".explore > img", True), (".explore-at", True), (".explore-live", False), (".bd-sidebar-primary", False), (".bd-header-article", False)):
        if page.locator(selector).count() and page.locator(selector).first.is_visible() != shown:
            yield f"in print {selector} is {'missing' if shown else 'still there'}"
    page.emulate_media(media="screen")


def first(what: str) -> str:
    """The first page of the book with an element of this class."""
    pages = sorted(SITE.glob("book/*.html"))
    return next((f"book/{path.name}" for path in pages if f'class="{what}' in path.read_text(encoding="utf-8")), f"book/{pages[0].name}")


def read_site(home: str) -> list[str]:
    """Everything that does not work for a reader."""
    found: list[str] = []
    with browser() as running:
        page = opened(running, home, found)
        for doing in (search, darken, print_out):
            found += doing(page, home)
        found += unpack(running)
    return [f"reading: {fault}" for fault in dict.fromkeys(found)]
