"""The checks of the built site are checked: what is right passes, what is planted is found."""

import sys
import zipfile
from pathlib import Path

import pytest
from matplotlib import pyplot as plt

from metarep_lib.show import explore

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import check_links  # noqa: E402
from browser import browser, find, opened  # noqa: E402
from check_site import ACCESSIBLE, AXE, FAULTS  # noqa: E402
from make_zip import make_zip  # noqa: E402
from reader import slide  # noqa: E402

HEAD = '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title></head><body><main><h1>t</h1>'
SCRIPT = (ROOT / "book" / "_static" / "explore.js").read_text(encoding="utf-8")


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A site of two pages and a picture."""
    monkeypatch.setattr(check_links, "SITE", tmp_path)
    (tmp_path / "a.html").write_text('<h1 id="one">A</h1><a href="b.html#two">b</a><a href="#one">a</a><img src="p.png"><a href="https://example.org">o</a>', encoding="utf-8")
    (tmp_path / "b.html").write_text('<p id="two"></p><a href="a.html">a</a>', encoding="utf-8")
    (tmp_path / "p.png").write_bytes(b"x" * 1000)
    check_links.read.cache_clear()
    return tmp_path


def test_links_that_lead_somewhere_pass(site):
    assert [*check_links.faults("a.html"), *check_links.faults("b.html")] == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ('<a href="c.html">', "nothing at c.html"),
        ('<a href="b.html#three">', "b.html#three leads to the page, but not to a place in it"),
        ('<a href="#three">', "#three leads to the page"),
        ('<script src="lost.js"></script>', "nothing at lost.js"),
        ('<img src="lost.png">', "nothing at lost.png"),
        ('<a href="../outside.html">', "nothing at ../outside.html"),
    ],
)
def test_a_broken_link_is_found(site, broken, said):
    (site.parent / "outside.html").write_text("", encoding="utf-8")
    (site / "b.html").write_text(broken, encoding="utf-8")
    assert any(said in fault for fault in check_links.faults("b.html"))


def test_an_old_address_of_what_has_moved_is_looked_for(site):
    (site / "book").mkdir()
    (site / "book" / "old.html").write_text('<p id="here">moved to</p>', encoding="utf-8")
    moved = {"old": {"here": "new.html#here", "gone": "new.html#gone"}}
    (lost,) = check_links.lost_addresses(moved)
    assert lost.startswith("book/old.html#gone: moved to new.html#gone")


def test_a_heavy_page_is_found(site):
    (site / "p.png").write_bytes(b"x" * check_links.HEAVIEST)
    assert any("weighs 3.0 MB" in fault for fault in check_links.faults("a.html"))


def test_the_zip_holds_the_site_in_one_folder(site, tmp_path):
    with zipfile.ZipFile(make_zip(site, tmp_path.with_suffix(".zip"))) as archive:
        assert {Path(name).name for name in archive.namelist()} == {"a.html", "b.html", "p.png"}
        assert {Path(name).parts[0] for name in archive.namelist()} == {tmp_path.stem}


def drawn(depth, kappa):
    plt.subplots(figsize=(3, 2))[1].plot([0, depth, kappa])
    return f"A line over {depth} to {kappa}."


@pytest.fixture(scope="module")
def running():
    if find() is None:
        pytest.skip("no browser on this machine")
    with browser() as found:
        yield found


@pytest.fixture
def show(running, tmp_path):
    """Open a page of the given content; return it and what it complained about."""

    def showing(body):
        (tmp_path / "page.html").write_text(f"{HEAD}{body}</main></body></html>", encoding="utf-8")
        found = []
        page = opened(running, tmp_path.as_uri(), found)
        page.goto((tmp_path / "page.html").as_uri())
        return page, found

    return showing


def test_a_slider_works_by_keyboard_and_mouse_and_says_what_it_shows(show):
    exploration = explore(drawn, depth=[1, 2, 5], kappa={"ten": 10, "20": 20}, start={"depth": 2})
    page, found = show(f"{exploration.html()}<script>{SCRIPT}</script>")
    depth, kappa = page.locator("input[type=range]").all()
    assert depth.get_attribute("aria-valuetext") == "2" and kappa.get_attribute("aria-valuetext") == "ten"
    assert page.get_by_role("slider", name="depth").count() == page.get_by_role("slider", name="kappa").count() == 1
    for key, position in (("End", 2), ("ArrowLeft", 1), ("Home", 0)):
        depth.press(key)
        frame = exploration.at(position, 0)
        picture = page.locator(".explore-live img")
        assert (picture.get_attribute("src"), picture.get_attribute("alt")) == (frame.source, frame.text)
        assert page.locator("output").text_content() == frame.text
    kappa.press("End")
    assert picture.get_attribute("src") == exploration.at(0, 1).source
    assert list(slide(page)) == [] and found == []
    assert page.evaluate(FAULTS) == []
    page.evaluate(AXE)
    assert page.evaluate(ACCESSIBLE, False) == []


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("picture.src = pictures[frames[at].picture];\n    picture.alt = frames[at].text;", "", "neither picture nor text changes"),
        ("if (event) says", "if (!event) says", "is not announced"),
        ('slider.setAttribute("aria-valuetext", values[slider.value]);', 'slider.setAttribute("aria-valuetext", "same");', "announced as"),
    ],
)
def test_a_slider_that_does_not_work_is_found(show, right, wrong, said):
    assert right in SCRIPT
    page, _ = show(f"{explore(drawn, depth=[1, 2, 5], kappa=[10, 20]).html()}<script>{SCRIPT.replace(right, wrong)}</script>")
    assert any(said in fault for fault in slide(page))


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ('<img src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">', "picture without alt text"),
        ("<p>$x$</p>", "raw maths"),
        ("<p>{prf:ref}`x`</p>", "raw role"),
        ('<div style="width: 2000px">wide</div>', "scrolls sideways"),
        ('<span class="math">x</span>', "maths not typeset"),
    ],
)
def test_what_a_reader_would_see_go_wrong_is_found(show, planted, said):
    page, _ = show(planted)
    assert any(said in fault for fault in page.evaluate(FAULTS))


@pytest.mark.parametrize(
    ("planted", "said"),
    [('<img src="https://example.invalid/a.png" alt="a">', "asks another host"), ("<script>throw Error('x')</script>", "page error"), ("<script>console.error('x')</script>", "console: x")],
)
def test_what_the_browser_complains_about_is_found(show, planted, said):
    _, found = show(planted)
    assert any(said in fault for fault in found)


def test_what_axe_must_find_is_found(show):
    page, _ = show('<p style="color: #ccc; background: #fff">pale</p><input type="range">')
    page.evaluate(AXE)
    said = " ".join(page.evaluate(ACCESSIBLE, False))
    assert "color-contrast" in said and "label" in said
