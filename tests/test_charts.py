"""Charts draw what they are handed: read back from the figure."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from metarep_lib.show import charts, ramp, table


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


def test_the_diagonal_is_where_nothing_changes():
    charts.diagonal({"g": ([1, 10], [1, 100])}, colours=["#0072B2"], xlabel="x", ylabel="y")
    figure = plt.gcf()
    line = figure.axes[0].lines[-1]
    assert list(line.get_xdata()) == list(line.get_ydata()) == [1, 10]


def test_crosses_of_a_map_stand_at_the_least_of_every_column():
    values = np.array([[3.0, 1.0], [2.0, 2.0]])
    charts.maps({"a": values}, [1, 2], [0.1, 1.0], xlabel="t", ylabel="r", quantity="q", low=1, high=3)
    figure = plt.gcf()
    assert list(figure.axes[0].lines[0].get_ydata()) == [1.0, 0.1]


def test_more_colours_than_can_be_told_apart_are_refused():
    with pytest.raises(ValueError, match="told apart"):
        ramp(range(5))


def test_a_table_says_what_is_missing_and_escapes_names():
    with pytest.raises(ValueError, match="expected as many of each"):
        table(np.ones((2, 2)), rows=["a"], columns=["b", "c"])
    assert str(table(np.ones((1, 1)), rows=["a"], columns=["b"], corner="κ")).startswith("κ  b")
    assert "<th>&lt;b&gt;</th>" in table(np.ones((1, 1)), rows=["<b>"], columns=["c"])._repr_html_()
