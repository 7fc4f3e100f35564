"""explore: frame k is f(values[k]), pixel by pixel; its output serves a page, a kernel and those who cannot see."""

import json
import re
from base64 import b64decode
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt
from nbval.plugin import get_sanitize_patterns
from PIL import Image

from metarep_lib.show import charts, explore
from metarep_lib.show.explore import DPI, LEVEL, MAX_FRAMES

VIEW = "application/vnd.jupyter.widget-view+json"
SANITIZE = Path(__file__).resolve().parents[1] / "nbval-sanitize.cfg"


def drawn(depth, kappa=1.0):
    """A line drawing; the sentence has characters HTML must escape."""
    plt.subplots(figsize=(3, 2))[1].plot([0, depth, depth * kappa], linestyle="--", label=f"{depth}")
    return f'At depth {depth}, kappa < "{kappa:g}" & falling </script>.'


def shaded(depth):
    """More colours than a palette has."""
    plt.subplots(figsize=(3, 2))[1].imshow(np.random.default_rng(depth).random((40, 40, 3)))
    return f"Noise {depth}."


def pixels(png):
    return np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)


def rendered(f, **values):
    """The figure of f as matplotlib saves it, without any of explore."""
    f(**values)
    buffer = BytesIO()
    plt.savefig(buffer, format="png", dpi=DPI)
    plt.close()
    return pixels(buffer.getvalue())


class Page(HTMLParser):
    """The attributes of every element, and the stored frames."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.script = [], ""
        self.feed(html)
        self.data = json.loads(self.script)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, data):
        if self.elements[-1][0] == "script":
            self.script += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("f", "depths"), [(drawn, [1, 2, 5]), (shaded, [3, 4])])
def test_frame_k_is_f_of_value_k_to_the_pixel(f, depths):
    exploration = explore(f, depth=depths)
    for k, depth in enumerate(depths):
        exact = rendered(f, depth=depth)
        assert (pixels(exploration.at(k).png) == np.rint(exact / LEVEL) * LEVEL).all()
        others = [rendered(f, depth=other) for other in depths if other != depth]
        assert all(np.abs(pixels(exploration.at(k).png) - other).max() > LEVEL for other in others)
    assert len(Image.open(BytesIO(exploration.at(0).png)).getbands()) == (1 if f is drawn else 3)


def test_two_sliders_cover_the_grid_and_the_page_gets_the_same_pictures():
    depths, kappas = [1, 2], [1.0, 10.0, 1e6]
    exploration = explore(drawn, depth=depths, kappa=kappas, start={"kappa": 10.0})
    data = Page(exploration.html()).data
    assert data["parameters"] == [{"name": "depth", "values": ["1", "2"]}, {"name": "kappa", "values": ["1", "10", "1e+06"]}]
    assert data["start"] == [0, 1]
    for i, depth in enumerate(depths):
        for j, kappa in enumerate(kappas):
            stored = data["frames"][i * len(kappas) + j]  # as the script counts
            picture = b64decode(data["pictures"][stored["picture"]].removeprefix("data:image/png;base64,"))
            assert np.abs(pixels(picture) - rendered(drawn, depth=depth, kappa=kappa)).max() <= LEVEL // 2
            assert stored["text"] == exploration.at(i, j).text == f'At depth {depth}, kappa < "{kappa:g}" & falling </script>.'


def test_a_chart_that_shows_its_figure_is_left_to_the_slider(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: plt.close("all"))  # as a notebook does

    def chart(height):
        charts.lines({"y": {"a": [charts.Curve([0, height], "#0072B2")]}}, [0, 1], xlabel="x")
        return f"A line to {height}."

    assert len(explore(chart, height=[1, 2]).frames) == 2


def test_equal_pictures_are_stored_once():
    data = Page(explore(lambda depth: drawn(min(depth, 3)), depth=range(1, 8)).html()).data
    assert len(data["frames"]) == 7 and len(data["pictures"]) == 3
    assert [frame["picture"] for frame in data["frames"]] == [0, 1, 2, 2, 2, 2, 2]


def test_without_a_script_the_page_shows_and_describes_the_start():
    exploration = explore(drawn, depth={"one": 1, "two": 2}, start={"depth": 2})
    page = Page(exploration.html())
    (image,) = page.all("img")
    assert image["src"] == exploration.at(1).source and image["alt"] == exploration.at(1).text
    assert (int(image["width"]), int(image["height"])) == (300, 200)
    (box,) = page.all("div")
    assert box["role"] == "group" and "depth" in box["aria-label"]
    assert "Drawn at depth = two." in exploration.html()
    assert not page.all("input")  # the script makes them: without it there is nothing that does not work


def test_nothing_is_asked_of_another_host():
    assert not re.search(r"(src|href)=\"?https?:", explore(drawn, depth=[1, 2]).html())


def test_one_output_carries_both_forms_and_the_widget_follows_its_sliders():
    exploration = explore(drawn, depth=[1, 2], kappa=[1.0, 10.0])
    bundle = exploration._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", VIEW} and bundle[VIEW]["model_id"]
    depth, kappa, shown = exploration.widget().children
    assert (depth.description, kappa.description) == ("depth", "kappa")
    for i in (0, 1):
        for j in (1, 0):
            depth.value, kappa.value = i, j
            assert exploration.at(i, j).source in shown.value and "alt=" in shown.value


def test_nbval_compares_the_values_and_not_the_pictures():
    def sanitized(text):
        for regex, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
            text = re.sub(regex, replacement, text)
        return text

    one, other = explore(drawn, depth=[1, 2]), explore(shaded, depth=[1, 2])
    assert one.html() != other.html() and sanitized(one.html()) == sanitized(other.html())
    assert sanitized(f"<b>1</b>{one.html()}<b>2</b>{other.html()}<b>3</b>").count("<b>") == 3
    assert repr(one) == repr(other) != repr(explore(drawn, depth=[1, 3]))


@pytest.mark.parametrize(
    ("f", "arguments", "error", "said"),
    [
        (drawn, {}, ValueError, "0 parameters"),
        (drawn, {"a": [1, 2], "b": [1, 2], "c": [1, 2]}, ValueError, "3 parameters"),
        (drawn, {"depth": [1]}, ValueError, "fewer than two values"),
        (drawn, {"depth": []}, ValueError, "fewer than two values"),
        (drawn, {"depth": [1, 2, 1]}, ValueError, "same label"),
        (drawn, {"depth": range(MAX_FRAMES + 1)}, ValueError, f"at most {MAX_FRAMES}"),
        (drawn, {"depth": [1, 2], "start": {"depth": 3}}, ValueError, "depth = 3, which is not one of its values"),
        (drawn, {"depth": [1, 2], "start": {"width": 3}}, ValueError, "start names width; the parameters are depth"),
        (lambda depth: "nothing", {"depth": [1, 2]}, TypeError, "at depth=1 it drew 0 new figures"),
        (lambda depth: drawn(1) + drawn(2), {"depth": [1, 2]}, TypeError, "drew 2 new figures"),
        (lambda depth: drawn(1) and None, {"depth": [1, 2]}, TypeError, "returned None; return a sentence"),
        (lambda depth: drawn(1) and " ", {"depth": [1, 2]}, TypeError, "return a sentence"),
    ],
)
def test_bad_input_is_refused_with_the_way_out(f, arguments, error, said):
    with pytest.raises(error, match=re.escape(said)) as raised:
        explore(f, **arguments)
    assert str(raised.value).startswith("explore(")


def test_figures_of_others_stay_open_and_its_own_are_closed():
    mine = plt.figure()
    explore(drawn, depth=[1, 2])
    assert plt.get_fignums() == [mine.number]
    plt.close(mine)


def test_a_figure_is_closed_when_f_raises_after_drawing_it():
    def drawn_then_raised(depth):
        drawn(depth)
        if depth == 2:
            raise ZeroDivisionError("in the middle")
        return "Drawn."

    before = plt.get_fignums()
    with pytest.raises(ZeroDivisionError, match="in the middle"):
        explore(drawn_then_raised, depth=[1, 2])
    assert plt.get_fignums() == before
