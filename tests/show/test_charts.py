"""Charts draw what they are handed: read back from the figure."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot as plt

from metarep_lib.show import charts, ramp, table
from metarep_lib.show.charts.arrival import draw_arrival
from metarep_lib.show.charts.readers import draw_readers
from metarep_lib.show.charts.stream import draw_stream
from metarep_lib.show.charts.wires import draw_wires


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_a_curve_is_median_and_range_of_its_seeds():
    samples = np.random.default_rng(0).uniform(0.1, 1, (5, 4))
    charts.errors({"error": {"a": [charts.Curve(samples, "#0072B2")]}}, range(4))
    axis = plt.gcf().axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), np.median(samples, 0))
    low, high = axis.collections[0].get_paths()[0].get_extents().get_points()[:, 1]
    assert (low, high) == pytest.approx((samples.min(), samples.max()))
    assert axis.get_yscale() == "log" and axis.get_xlabel() == "steps t" and axis.get_ylabel() == "error"


def test_every_measure_has_a_row_and_every_title_a_panel():
    flat = [charts.Curve(np.ones(3), "#0072B2")]
    charts.errors({"up": {"a": flat, "b": flat}, "down": {"a": flat, "b": flat}}, range(3))
    figure = plt.gcf()
    assert [axis.get_title() for axis in figure.axes] == ["a", "b", "", ""]
    assert [axis.get_ylabel() for axis in figure.axes] == ["up", "", "down", ""]


def test_a_legend_stands_in_the_panel_that_is_left_over():
    flat = [charts.Curve(np.ones(3), "#0072B2")]
    charts.errors({"up": dict.fromkeys("abc", flat)}, range(3), wrap=2, legend={"x": ("grey", "-")})
    figure = plt.gcf()
    assert [axis.get_legend() is not None for axis in figure.axes] == [False, False, False, True]


def test_a_panel_left_over_in_the_only_row_is_as_wide_as_a_legend():
    flat = [charts.Curve(np.ones(3), "#0072B2", label="flat")]
    charts.lines({"up": dict.fromkeys("ab", flat)}, range(3), xlabel="x", wrap=3)
    first, second, last = (axis.get_position().width for axis in plt.gcf().axes)
    assert first == pytest.approx(second) and last == pytest.approx(first / 2)
    assert plt.gcf().axes[2].get_legend() is not None


def test_every_seed_may_be_drawn_and_places_named():
    seeds = np.array([[1.0, 2.0], [3.0, 4.0], [0.5, 0.1]])
    curve = charts.Curve(seeds, "#0072B2", "o", "measured", x=[2, 60], each=True)
    charts.lines({"up": {"a": [curve]}}, xlabel="x", xscale="log", ticks="curves")
    axis = plt.gcf().axes[0]
    np.testing.assert_array_equal([line.get_ydata() for line in axis.lines], seeds)
    assert [line.get_marker() for line in axis.lines] == ["o", "s", "^"]
    assert len(axis.get_legend_handles_labels()[1]) == 1 and not axis.collections
    assert [tick.get_text() for tick in axis.get_xticklabels()] == ["2", "60"]


def test_panels_that_share_an_axis_show_all_of_every_curve():
    high, low = ([charts.Curve(np.full(3, value), "#0072B2")] for value in (1.0, 1e-3))
    charts.lines({"up": {"a": high, "b": low}}, range(3), xlabel="x", yscale="log")
    assert all(axis.get_ylim()[0] < 1e-3 and axis.get_ylim()[1] > 1 for axis in plt.gcf().axes)


def test_a_panel_may_have_axes_and_a_legend_of_its_own():
    line = [charts.Curve([0.5, 0.1, 0.2], "#0072B2", label="a line")]
    own = {"b": {"xscale": "linear", "xlabel": "angle", "ylim": (0, 1), "yscale": "linear"}}
    charts.lines({"up": {"a": line, "b": line}}, [1, 2, 3], xlabel="depth", xscale="log", yscale="log", ylim=(1e-3, 4), own=own)
    first, second = plt.gcf().axes
    assert (first.get_xscale(), first.get_yscale(), first.get_xlabel()) == ("log", "log", "depth")
    assert (second.get_xscale(), second.get_yscale(), second.get_xlabel()) == ("linear", "linear", "angle")
    assert first.get_ylim() == (1e-3, 4) and second.get_ylim() == (0, 1)
    np.testing.assert_array_equal(second.lines[0].get_ydata(), [0.5, 0.1, 0.2])
    assert second.get_legend() is not None


def test_what_a_sweep_holds_is_drawn_with_its_bound():
    held = {1e2: np.full((3, 4), 0.5), 1e4: np.full((3, 4), 0.7)}

    def values(name, kappa, kind):
        assert kind == "flat"
        return np.full(3, kappa) if name == "kappa" else held[kappa] / (2 if name == "gd_error" else 1)

    charts.swept(
        values, range(4), measures={"error": "error"}, panels={"a": {"kind": "flat"}},
        methods={"cg": ("CG", "-"), "gd": ("GD", ":")}, ramped=("kappa", [1e2, 1e4], "k"),
        bounded=(lambda kappa, t: 1 / kappa + 0 * t, "kappa"),
    )  # fmt: skip
    lines = plt.gcf().axes[0].lines
    assert [round(float(line.get_ydata()[0]), 6) for line in lines] == [0.5, 0.25, 0.01, 0.7, 0.35, 0.0001]
    labels = [text.get_text() for text in plt.gcf().axes[0].get_legend().get_texts()]
    assert labels == ["k = 1e+02", "k = 1e+04", "CG", "GD"]


def test_a_note_stands_beside_the_last_point():
    charts.lines({"y": {"": [charts.Curve([1.0, 2.0], "#0072B2", x=[5, 6], note="end", offset=(1, 2))]}}, xlabel="x")
    note = plt.gcf().axes[0].texts[0]
    assert (note.get_text(), note.xy, note.get_position()) == ("end", (6, 2.0), (1, 2))


def test_a_curve_may_stand_elsewhere_than_the_others():
    there = charts.Curve([1.0, 2.0], "#0072B2", "o", x=[5, 6])
    charts.lines({"score": {"a": [there, charts.level(0.5, [0, 9], "#000000", "chance")]}}, xlabel="layer")
    first, second = plt.gcf().axes[0].lines
    assert list(first.get_xdata()) == [5, 6] and list(second.get_xdata()) == [0, 9]
    assert list(second.get_ydata()) == [0.5, 0.5]


def test_shares_are_stacked_and_marks_have_their_range():
    charts.shares({"a": np.array([0.2, 0.5]), "b": np.array([0.3, 0.5])}, "xy", colours={"a": "k", "b": "c"}, xlabel="share")
    bars = plt.gcf().axes[0].patches
    assert [(bar.get_x(), round(bar.get_width(), 6)) for bar in bars[2:]] == [(0.2, 0.3), (0.5, 0.5)]
    charts.marks({"a": np.array([[1.0, 2.0], [3.0, 2.0], [2.0, 2.0]])}, "xy", colours={"a": "k"}, ylabel="score")
    (segments,) = [c.get_segments() for c in plt.gcf().axes[0].collections]
    assert [sorted(one[:, 1]) for one in segments] == [[1.0, 3.0], [2.0, 2.0]]


def test_the_diagonal_is_where_nothing_changes():
    charts.diagonal({"g": ([1, 10], [1, 100])}, colours=["#0072B2"], xlabel="x", ylabel="y")
    figure = plt.gcf()
    line = figure.axes[0].lines[-1]
    assert list(line.get_xdata()) == list(line.get_ydata()) == [1, 10]


def test_crosses_of_a_map_stand_at_the_least_of_every_column():
    values = np.array([[3.0, 1.0], [2.0, 2.0]])
    charts.maps({"a": values}, [1, 2], [0.1, 1.0], xlabel="t", ylabel="r", quantity="q", low=1, high=3)
    figure = plt.gcf()
    assert figure.axes[0].lines[0].get_ydata() == pytest.approx([1.0, 0.1])


def test_a_map_has_rows_of_its_own_a_contour_where_the_level_is_and_curves_for_the_crosses():
    x, y = [1, 2, 3], {"a": [0, 1], "b": [0, 1, 5]}
    panels = {title: np.add.outer(np.array(rows), x).astype(float) for title, rows in y.items()}  # x + y
    contours = {"a": [(2.5, charts.Curve(panels["a"], "black", "--"))]}
    over = {"a": [charts.Curve([0, 1], "#0072B2", x=[2, 2])], "b": []}
    charts.maps(panels, x, y, xlabel="t", ylabel="m", quantity="q", low=0, high=9, yscale="linear", contours=contours, over=over, wrap=1)
    first, second, bar = plt.gcf().axes
    (contour,) = (line for line in first.collections if hasattr(line, "levels"))
    assert contour.get_paths()[0].vertices.sum(1) == pytest.approx(2.5)
    assert [list(line.get_ydata()) for line in first.lines] == [[0, 1]] and not second.lines
    assert first.get_ylim() == (0, 1) and second.get_ylim()[1] > 5 and first.get_yscale() == "linear"
    assert first.get_position().y0 > second.get_position().y1 and second.get_xlabel() == "t" == first.get_xlabel() + "t"


def test_a_row_of_panels_may_have_a_scale_and_ends_of_its_own():
    curve = [charts.Curve([1.0, 0.1], "#0072B2")]
    rows = {"error": {"a": curve, "b": [charts.Curve([1.0, 0.1], "#0072B2", x=[5, 9])]}, "steps": {"a": curve, "b": curve}}
    charts.lines(rows, [0, 1], xlabel="x", yscale={"error": "log"}, ylim={"error": (1e-3, 4)}, share="row", share_x="col")
    a, b, c, d = plt.gcf().axes
    assert [axis.get_yscale() for axis in (a, b, c, d)] == ["log", "log", "linear", "linear"]
    assert a.get_ylim() == b.get_ylim() == (1e-3, 4) and c.get_ylim() == d.get_ylim() != (1e-3, 4)
    assert a.get_xlim() == c.get_xlim() and b.get_xlim() == d.get_xlim() != a.get_xlim()


def test_more_colours_than_can_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="told apart"):
        ramp(range(5))


def test_a_table_says_what_is_missing_and_escapes_names():
    with pytest.raises(ValueError, match="expected as many of each"):
        table(np.ones((2, 2)), rows=["a"], columns=["b", "c"])
    assert str(table(np.ones((1, 1)), rows=["a"], columns=["b"], corner="κ")).startswith("κ  b")
    assert "<th>&lt;b&gt;</th>" in table(np.ones((1, 1)), rows=["<b>"], columns=["c"])._repr_html_()


def test_a_number_that_is_missing_is_a_dash_and_one_that_was_computed_is_shown():
    held, names = [[1.5, np.nan]], dict(rows=["a"], columns=["b", "c"])
    assert str(table(held, **names)).splitlines()[1].split("  #")[0].split() == ["a", "1.5", "–"]
    assert "<td>–</td>" in table(held, **names)._repr_html_() and "nan" not in str(table(held, **names))
    assert "<td>nan</td>" in table(held, **names, nan="nan")._repr_html_()


def test_every_seed_is_a_curve_and_panels_may_have_axes_of_their_own():
    held = np.array([[1.0, 2.0], [1.5, 3.0]])
    panels = {"a": charts.each(held, "#0072B2", "seed"), "b": [charts.Curve([1.0, 2.0], "#0072B2", x=[7, 70])]}
    charts.lines({"score": panels}, [0, 1], xlabel="layer", share_x=False, yscale="log", ticks=[0, 1])
    first, second = plt.gcf().axes
    np.testing.assert_allclose([line.get_ydata() for line in first.lines], held)
    assert [text.get_text() for text in first.get_legend().get_texts()] == ["seed"]
    assert first.get_xlim()[1] < 2 and second.get_xlim()[1] > 60
    assert [label.get_text() for label in first.get_xticklabels()] == ["0", "1"]
    charts.lines({"score": panels}, [0.5, 1], xlabel="knob", share_x=False, xscale="log")
    plt.gcf().canvas.draw()
    assert {"10", "20", "50"} <= {label.get_text() for label in plt.gcf().axes[1].get_xticklabels()}
    assert all("times" not in label.get_text() for label in first.get_yticklabels())  # within a decade


def test_shades_run_from_light_to_dark():
    brightness = [sum(int(shade[i : i + 2], 16) for i in (1, 3, 5)) for shade in charts.shades(range(6)).values()]
    assert brightness == sorted(brightness, reverse=True) and len(set(brightness)) == 6


def test_a_matrix_writes_its_numbers_and_leaves_out_what_is_none():
    charts.matrices(
        {"a": np.array([[1.0, np.nan], [2.0, 3.0]]), "b": np.ones((2, 2))}, "xy", ["up", "down"],
        xlabel="said", ylabel="is", low=0, high=3, numbers=".1f", quantity="count", wrap=1,
    )  # fmt: skip
    first, second = plt.gcf().axes[:2]
    assert [text.get_text() for text in first.texts] == ["1.0", "2.0", "3.0"] and len(second.texts) == 4
    assert (first.get_xlabel(), second.get_xlabel(), second.get_ylabel()) == ("", "said", "is")
    np.testing.assert_array_equal(first.images[0].get_array().data[1], [2, 3])


def test_dots_show_every_draw_and_the_median():
    draws = np.arange(24.0).reshape(2, 3, 4)
    charts.dots({"a": draws, "b": draws + 1}, "wxyz", panels=["left", "right"], colours={"a": "k", "b": "c"}, xlabel="score")
    every, middle, *_ = plt.gcf().axes[1].lines
    np.testing.assert_array_equal(every.get_xdata(), draws[1].ravel())
    np.testing.assert_array_equal(middle.get_xdata(), np.median(draws[1], 0))
    assert [label.get_text() for label in plt.gcf().axes[0].get_yticklabels()] == list("wxyz")


def test_a_shared_axis_has_room_for_every_panel():
    low, high = ([charts.Curve([value, value], "#0072B2")] for value in (1.0, 100.0))
    for ylim in (None, (0, None)):
        charts.lines({"score": {"a": low, "b": high}}, [0, 1], xlabel="layer", ylim=ylim)
        assert plt.gcf().axes[1].get_ylim()[1] >= 100


def test_kinds_are_drawn_draw_by_draw_over_the_names_of_their_places():
    found, other = np.arange(6.0).reshape(2, 3), {"b": np.ones(2)}
    charts.kinds(
        {"score": {"all": {"a": found}}, "share": {"all": other}}, ["x", "y", "long name"],
        styles={"a": ("k", "o"), "b": ("c", "x")}, spread=0.1, share="row",
    )  # fmt: skip
    above, below = plt.gcf().axes
    np.testing.assert_array_equal([line.get_ydata() for line in above.lines], found)
    np.testing.assert_allclose([line.get_xdata()[0] for line in above.lines], [-0.1, 0.1])
    assert [label.get_text() for label in below.get_xticklabels()] == ["x", "y", "long name"]
    told = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in (above, below)]
    assert told == [["a"], ["b"]]  # each row of its own kinds


def test_ticks_may_be_where_the_curves_of_a_panel_stand():
    panels = {title: [charts.Curve([1.0, 2.0], "#0072B2", x=x)] for title, x in (("a", [2, 4]), ("b", [0.1, 30]))}
    charts.lines({"score": panels}, xlabel="knob", xscale="log", share_x=False, ticks="curves")
    told = [[label.get_text() for label in axis.get_xticklabels()] for axis in plt.gcf().axes]
    assert told == [["2", "4"], ["0.1", "30"]]


def test_a_stream_has_a_row_for_each_name_and_a_dot_where_a_layer_has_changed_one():
    held = {"still": np.array([[1.0, -1.0], [1.0, -1.0]]), "moved": np.array([[0.0, 1e-9], [-10.0, 1.0]])}
    draw_stream(held, 1, ["a", "b"], title="after one")
    axis = plt.gcf().axes[0]
    # the sign, and the logarithm on the row's own scale of two decades; nothing where nothing is
    np.testing.assert_allclose(axis.collections[0].get_array().filled(np.nan).ravel(), [1, -1, -1, 0.5])
    assert [line.get_ydata().tolist() for line in axis.lines] == [[1.5]] and axis.get_title() == "after one"
    draw_stream(held, 0, ["a", "b"])
    assert not plt.gcf().axes[0].lines and plt.gcf().axes[0].collections[0].get_array().mask.ravel().tolist() == [False, False, True, True]


def test_every_mask_has_a_grid_with_the_names_of_its_tokens():
    draw_readers({"causal": (np.tri(3), "abc"), "none": (np.zeros((3, 3)), "xyz")})
    causal, none = plt.gcf().axes
    np.testing.assert_array_equal(causal.images[0].get_array(), np.tri(3))
    assert [label.get_text() for label in none.get_yticklabels()] == list("xyz") and causal.get_ylabel() == "reader"


def test_what_blocks_write_stands_above_the_curves_it_comes_to():
    write = SimpleNamespace(block=1, phase="up", half="mlp", target="b", reads=["a"], clears=False)
    curve = charts.Curve([[1.0, 0.1], [3.0, 0.3]], "#0072B2", "o-", "found", x=[0, 5])
    draw_wires([write], ["a", "b"], size=(4, 4), below=[curve], legend="of", axes=dict(yscale="log"))
    above, below = plt.gcf().axes
    assert [line.get_ydata().tolist() for line in above.lines[-2:]] == [[0], [1]]  # read, written
    np.testing.assert_allclose(below.lines[0].get_xydata(), [[0, 2], [5, 0.2]])
    assert below.get_yscale() == "log" and below.get_legend().get_title().get_text() == "of"
    draw_wires([write], ["a", "b"], size=(4, 2))
    assert len(plt.gcf().axes) == 1


def test_a_matrix_has_squares_of_the_size_asked_for():
    names = dict(xlabel="source", ylabel="reader", low=0, high=1)
    widths = []
    for square in (0.2, 0.4):
        charts.matrices({"a": np.eye(10)}, range(10), range(10), square=square, **names)
        widths.append(plt.gcf().get_size_inches()[1])
    assert widths[1] - widths[0] == pytest.approx(10 * 0.2)


def test_where_an_iteration_stands_is_shown_on_the_diagonal_and_on_its_own_curve():
    draw_arrival([1.0, -2.0], [0.5, -2.0], [1.0, 0.3, 0.1], [2.0, 1.0, 0.5], 2, ends=(-4, 4), norm="norm of A")
    left, right = plt.gcf().axes
    np.testing.assert_array_equal(left.lines[1].get_xydata(), [[1.0, 0.5], [-2.0, -2.0]])
    bound, error, dot = right.lines
    assert dot.get_xydata().tolist() == [[2.0, 0.1]] and right.get_yscale() == "log"
    assert (error.get_ydata() <= bound.get_ydata()).all() and right.get_ylabel() == "relative error, norm of A"


def test_a_shaded_part_lies_behind_the_curves_of_every_panel():
    drawn = [charts.Curve([1.0, 2.0], "#0072B2")]
    charts.lines({"score": {"a": drawn, "b": drawn}}, [0, 1], xlabel="x", shaded=(0.5, 1.0))
    for axis in plt.gcf().axes:
        (part,) = axis.patches
        assert part.get_x() == 0.5 and part.get_width() == 0.5
        assert part.get_zorder() < axis.lines[0].get_zorder()
    plt.close()
