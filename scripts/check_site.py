"""Look at every page of the built site in a browser: `make test` runs it last, when there is a browser.

Each page is opened on a desktop and on a phone, light and dark, from a server of our own. It must ask no other host for
anything, miss no file, report no error, set all its mathematics, describe every picture, and fit the width of the phone.
Screenshots go to _build/screenshots.
"""

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
SHOTS = SITE.parent / "screenshots"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}

# What a reader would see go wrong, as a list of sentences. The first line waits until MathJax has finished.
FAULTS = r"""async () => {
  if (window.MathJax?.startup) await MathJax.startup.promise;
  const found = [], main = document.querySelector("main") ?? document.body;
  const say = (what, items) => items.length && found.push(`${what}: ${items.slice(0, 3).join(" | ")}`);
  const all = (selector) => [...main.querySelectorAll(selector)];
  say("maths not typeset", all(".math").filter(e => !e.querySelector("mjx-container")).map(e => e.textContent));
  say("maths with an error", all("mjx-merror, [data-mjx-error]").map(e => e.getAttribute("data-mjx-error") ?? e.textContent));
  const text = main.cloneNode(true);
  text.querySelectorAll("pre, code, script, style, mjx-container").forEach(e => e.remove());
  say("raw maths", text.textContent.match(/\$[^$\n]+\$|\\\([^\n]+?\\\)/g) ?? []);
  say("raw role", text.textContent.match(/\{[a-z]+:?[a-z]*\}(?=\S)/g) ?? []);
  const undescribed = (e) => !e.alt?.trim() || /\.(png|svg|jpe?g|gif)$/i.test(e.alt);
  say("picture without alt text", all("img").filter(undescribed).map(e => e.src.slice(0, 80)));
  say("picture that does not load", all("img").filter(e => e.complete && !e.naturalWidth).map(e => e.src.slice(0, 80)));
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  if (wide > 0) {
    const edge = window.innerWidth, out = all("*").filter(e => e.getBoundingClientRect().right > edge + 1);
    say(`scrolls sideways by ${wide} px`, out.map(e => `<${e.tagName.toLowerCase()} class="${e.className}">`));
  }
  return found;
}"""


class Server(http.server.SimpleHTTPRequestHandler):
    """The site as a static host would serve it, without a log."""

    def log_message(self, *args) -> None:
        pass


def watch(page: Page, home: str, found: list[str]) -> None:
    """Note everything the browser complains about, and every request that leaves the site."""
    page.on("request", lambda r: r.url.startswith((home, "data:", "blob:")) or found.append(f"asks another host: {r.url}"))
    page.on("response", lambda r: r.status >= 400 and found.append(f"HTTP {r.status}: {r.url}"))
    page.on("requestfailed", lambda r: found.append(f"request failed: {r.url} ({r.failure})"))
    page.on("console", lambda m: m.type == "error" and found.append(f"console: {m.text}"))
    page.on("pageerror", lambda e: found.append(f"page error: {e}"))


def look(browser, home: str, size: str, theme: str) -> list[str]:
    """The faults of all pages at one size in one theme."""
    context = browser.new_context(viewport=SIZES[size], color_scheme=theme)
    context.add_init_script(f"localStorage.setItem('mode', '{theme}'); localStorage.setItem('theme', '{theme}')")
    faults = []
    for path in sorted(SITE.rglob("*.html")):
        name = path.relative_to(SITE).as_posix()
        if name == "index.html" or name.startswith("_static/"):  # a redirection; templates of the theme
            continue
        found, page = [], context.new_page()
        watch(page, home, found)
        page.goto(home + name, wait_until="load")
        found += page.evaluate(FAULTS)
        page.screenshot(path=SHOTS / f"{name.replace('/', '-').removesuffix('.html')}-{size}-{theme}.png", full_page=True)
        page.close()
        faults += [f"{name} ({size}, {theme}): {fault}" for fault in dict.fromkeys(found)]
    context.close()
    return faults


def main() -> int:
    chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
    if chromium is None:
        print(f"SKIPPED: no browser found, so nobody looked at the pages. Install one of: {', '.join(BROWSERS)}")
        return 0
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=SITE))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        faults = [fault for size in SIZES for theme in ("light", "dark") for fault in look(browser, home, size, theme)]
        browser.close()
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(list(SHOTS.iterdir()))} views, {len(faults)} faults, screenshots in {SHOTS}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
