"""A browser that looks at the built site: where it is, a server of our own, and everything it complains about.

The site is served as a static host would serve it, or opened from a folder as `file://`.
"""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}
SETTLED = "async () => { if (window.MathJax?.startup) await MathJax.startup.promise; await document.fonts.ready; }"


class Server(http.server.SimpleHTTPRequestHandler):
    """The site without a log."""

    def log_message(self, *args) -> None:
        pass


def find() -> str | None:
    """The browser of this machine, if it has one."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def served(folder: Path = SITE) -> Iterator[str]:
    """The address under which the folder is served meanwhile."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextmanager
def browser() -> Iterator[Browser]:
    """The browser, running meanwhile."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=find())
        yield running
        running.close()


def pages() -> list[str]:
    """Every page of the site, as a path in it; not the redirection at its root nor the templates of the theme."""
    names = (path.relative_to(SITE).as_posix() for path in sorted(SITE.rglob("*.html")))
    return [name for name in names if name != "index.html" and not name.startswith("_static/")]


def opened(browser: Browser, home: str, found: list[str], size: str = "desktop", theme: str = "light") -> Page:
    """An empty page that notes in `found` every error and every request that leaves the site."""
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme)
    context.set_default_timeout(120_000)  # for a machine that is busy with other things
    context.add_init_script(f"localStorage.mode ??= '{theme}'; localStorage.theme ??= '{theme}'")
    page = context.new_page()
    page.on("request", lambda r: r.url.startswith((home, "data:", "blob:")) or found.append(f"asks another host: {r.url}"))
    page.on("response", lambda r: r.status >= 400 and found.append(f"HTTP {r.status}: {r.url}"))
    # A request that we cut off ourselves by going to the next page has not failed.
    page.on("requestfailed", lambda r: r.failure == "net::ERR_ABORTED" or found.append(f"request failed: {r.url} ({r.failure})"))
    page.on("console", lambda m: m.type == "error" and found.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: found.append(f"page error: {e}"))
    return page
