"""Look at every page of the built site in a browser, then use the site as a reader would: `make test` runs it last.

Each page is opened on a desktop and on a phone and switched from light to dark. It must ask no other host for anything, miss no
file, report no error, set all its mathematics, describe every picture, fit the width of the phone, and axe must find no serious
fault of accessibility in it. What a reader does with the site is in scripts/reader.py. Screenshots go to _build/screenshots.
Without a browser on the machine nothing is looked at, and that is said.
"""

import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.resources import files

from playwright.sync_api import Page

from browser import BROWSERS, SETTLED, SITE, SIZES, browser, find, opened, pages, served
from reader import read_site, slide

SHOTS = SITE.parent / "screenshots"
WORKERS = 2
SLOWEST = 5  # pages whose load times are printed
AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")

# What a reader would see go wrong, as a list of sentences.
FAULTS = r"""() => {
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

# axe's serious and critical findings. Mathematics is emptied first, its boxes keep their size: its thousands of elements are
# MathJax's own. Contrast depends on colours and size alone: one element of each look is enough, and in the dark nothing else
# can differ.
ACCESSIBLE = r"""async (dark) => {
  const maths = [...document.querySelectorAll("mjx-container")], sizes = maths.map(e => e.getBoundingClientRect());
  maths.forEach((e, i) => {
    e.style.cssText += `display: inline-block; width: ${sizes[i].width}px; height: ${sizes[i].height}px`;
    e.replaceChildren();
  });
  const looks = new Map();
  for (const e of document.body.querySelectorAll("*")) {
    if (![...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()) || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), clear = (x) => x && getComputedStyle(x).backgroundColor == "rgba(0, 0, 0, 0)";
    let under = e;
    while (clear(under)) under = under.parentElement;
    const ground = under ? getComputedStyle(under).backgroundColor : "none";
    const look = [style.color, ground, style.fontSize, style.fontWeight, style.opacity].join();
    if (!looks.has(look)) looks.set(look, e);
  }
  const options = {preload: false};
  const found = [await axe.run({include: [...looks.values()]}, {...options, runOnly: ["color-contrast"]})];
  if (!dark) found.push(await axe.run(document, {...options, rules: {"color-contrast": {enabled: false}}}));
  const bad = found.flatMap(result => result.violations).filter(v => ["serious", "critical"].includes(v.impact));
  const says = (n) => `${n.html.slice(0, 120)} ${n.any.map(c => c.message).join(" ").slice(0, 160)}`;
  return bad.map(v => `axe ${v.impact}, ${v.id} (${v.nodes.length}): ${v.nodes.slice(0, 2).map(says).join(" | ")}`);
}"""

STILL = "*, *::before, *::after { transition: none !important; animation: none !important; }"  # else axe sees colours half-way
SWITCH = "(theme) => Object.assign(document.documentElement.dataset, {mode: theme, theme})"


def views(page: Page, name: str, size: str) -> list[str]:
    """The faults of an open page at one size, light and dark; the mathematics is gone afterwards."""
    found = []
    for theme in ("light", "dark"):
        page.evaluate(SWITCH, theme)
        found += [f"{theme}: {fault}" for fault in page.evaluate(FAULTS)]
        page.screenshot(path=SHOTS / f"{name.replace('/', '-').removesuffix('.html')}-{size}-{theme}.jpg", full_page=True, type="jpeg", quality=60)
    if size == "desktop":
        found += slide(page)
        page.evaluate(AXE)
        for theme in ("dark", "light"):
            page.evaluate(SWITCH, theme)
            found += [f"{theme}: {fault}" for fault in page.evaluate(ACCESSIBLE, theme == "dark")]
    return found


def look(home: str, names: list[str]) -> tuple[list[str], dict[str, float]]:
    """The faults of these pages, and the seconds each took to load and set its mathematics on a desktop."""
    faults, seconds = [], {}
    with browser() as running:
        for size in SIZES:
            found: list[str] = []
            page = opened(running, home, found, size)
            for name in names:
                found.clear()
                start = time.monotonic()
                page.goto(home + name, wait_until="load")
                page.evaluate(SETTLED)
                seconds.setdefault(name, time.monotonic() - start)
                page.add_style_tag(content=STILL)
                found += views(page, name, size)
                faults += [f"{name} ({size}): {fault}" for fault in dict.fromkeys(found)]
            page.context.close()
    return faults, seconds


def main() -> int:
    if find() is None:
        print(f"SKIPPED: no browser found, so nobody looked at the pages. Install one of: {', '.join(BROWSERS)}")
        return 0
    shutil.rmtree(SHOTS, ignore_errors=True)
    SHOTS.mkdir(parents=True)
    with served() as home, ProcessPoolExecutor(WORKERS) as pool:
        looked = list(pool.map(partial(look, home), [pages()[worker::WORKERS] for worker in range(WORKERS)]))
        faults = [fault for some, _ in looked for fault in some] + read_site(home)
    seconds = {name: took for _, times in looked for name, took in times.items()}
    for name in sorted(seconds, key=seconds.get, reverse=True)[:SLOWEST]:
        print(f"{seconds[name]:5.1f} s to load {name}")
    print(*sorted(faults), sep="\n", end="\n" if faults else "")
    print(f"{len(list(SHOTS.iterdir()))} views, {len(faults)} faults, screenshots in {SHOTS}")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
