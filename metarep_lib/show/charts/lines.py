"""Curves over a common axis: a panel for every title, a row of panels for every measure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, ScalarFormatter

from metarep_lib.show.charts.curves import Array, Curve, Panels, draw, show_legend

Rows = Mapping[str, Panels]
Ends = tuple[float | None, float | None]
LEGEND = 0.5  # width of a panel that is left over at the end of the only row, in panels
Ticks = Sequence[float] | Mapping[float, str] | Literal["curves"] | None


def lines(
    rows: Rows,
    x: Array = (),
    *,
    xlabel: str,
    xscale: str = "linear",
    yscale: str | Mapping[str, str] = "linear",
    ylim: Ends | Mapping[str, Ends] | None = None,
    share: bool | str = True,
    share_x: bool | str = True,
    ticks: Ticks = None,
    wrap: int | None = None,
    size: tuple[float, float] = (3.7, 3.2),
    legend: Mapping[str, tuple[str, str]] | None = None,
    place: str | tuple[float, float] = "best",
    own: Mapping[str, Mapping[str, Any]] | None = None,
    shaded: tuple[float, float] | None = None,
) -> None:
    """Curves, a panel for every title, a row of panels for every label of a vertical axis.

    Args:
        rows: Label of the vertical axis -> title -> curves.
        x: [n] where the curves stand that do not say it themselves.
        xlabel: Of the horizontal axes.
        xscale: ``"linear"``, ``"log"``; so is yscale.
        yscale: Of the vertical axes; or label of a row -> its own, linear where it has none.
        ylim: Their ends; or label of a row -> its own.
        share: Whether all panels have one vertical axis; ``"row"``: those of a row.
        share_x: Whether all have one horizontal axis; ``"col"``: those of a column.
        ticks: Where the horizontal axes have ticks, written as they are or by their names; ``"curves"``: where the first of each panel stands; None for where they fall.
        wrap: With one row alone, the number of panels side by side; the rest goes below.
        size: Width and height of a panel.
        legend: Label -> (colour, style), beside the labels of the curves.
        place: Of the legend in the first panel; where a panel is left over it stands there.
        own: Title -> what this panel has for itself, as `Axes.set` takes it, and a legend; then no axis is shared.
        shaded: A part of the horizontal axes that the text speaks of.

    >>> from metarep_lib.show.charts import Curve
    >>> flat = Curve([1.0, 1.0, 1.0], "#0072B2", label="level")
    >>> lines({"score": {"a": [flat], "b": [flat]}}, [0, 1, 2], xlabel="layer")
    >>> len(plt.gcf().axes)
    2
    >>> plt.close()
    """
    titles = list(next(iter(rows.values())))
    across = wrap or len(titles)
    down = len(rows) if len(rows) > 1 else -(-len(titles) // across)
    widths = [1.0] * across
    if down == 1 and across > len(titles):  # nothing but the legend stands there
        widths[-1] = LEGEND
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(size[0] * sum(widths), size[1] * down),
        width_ratios=widths,
        sharex=share_x if not own else False,
        sharey=share if not own else False,
        squeeze=False,
    )
    places, scaled = iter(axes.flat), []
    scales, ends = (by_row(of, rows) for of in (yscale, ylim))
    for row, (label, panels) in enumerate(rows.items()):
        for number, (title, curves) in enumerate(panels.items()):
            special = dict((own or {}).get(title, {}))
            usual = {
                "xscale": xscale,
                "yscale": scales.get(label, "linear"),
                "ylabel": "" if number % across else label,
                "title": "" if row else title,
            }
            axis = next(places)
            if shaded:
                axis.axvspan(*shaded, color="grey", alpha=0.15, linewidth=0)
            fill(axis, x, curves, usual | special)
            if special:
                show_legend(axis, {}, "best")
            else:
                scaled.append((axis, ends.get(label)))
    for axis, limits in scaled:  # once all is drawn: an end that is None stays where it is
        if limits:
            axis.set_ylim(*limits)
    finish(axes, list(places), xlabel, ticks, legend or {}, place)


def by_row(value: Any, rows: Rows) -> Mapping[str, Any]:
    """What every row has, from one value for all or from a value for each that has its own.

    >>> by_row("log", {"up": {}, "down": {}}), by_row({"up": "log"}, {"up": {}, "down": {}})
    ({'up': 'log', 'down': 'log'}, {'up': 'log'})
    """
    return value if isinstance(value, Mapping) else dict.fromkeys(rows, value)


def set_ticks(axis: Axes, ticks: Ticks) -> None:
    """Ticks where they were asked for; plain numbers on logarithmic axes of few decades."""
    if isinstance(ticks, str):
        ticks = list(axis.lines[0].get_xdata())
    if ticks is not None:
        named = isinstance(ticks, Mapping)
        names = list(ticks.values()) if named else [f"{tick:g}" for tick in ticks]
        slant = dict(rotation=60, ha="right", rotation_mode="anchor")
        axis.set_xticks(list(ticks), names, **slant if named and max(map(len, names)) > 3 else {})
        axis.xaxis.set_minor_locator(NullLocator())
    left, right = axis.get_xlim()
    if ticks is None and axis.get_xscale() == "log" and right < 300 * left:
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
    low, high = axis.get_ylim()
    if axis.get_yscale() == "log" and high < 10 * low:
        axis.yaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_locator(MaxNLocator(5))
        axis.yaxis.set_major_formatter(ScalarFormatter())


def fill(axis: Axes, x: Array, curves: Sequence[Curve], settings: Mapping[str, Any]) -> None:
    """Curves in a panel; the scales come first, since what is drawn depends on them."""
    axis.set(xscale=settings["xscale"], yscale=settings["yscale"])
    for curve in curves:
        draw(axis, x, curve)
    axis.set(**settings)


def finish(
    axes: np.ndarray,
    left: list[Axes],
    xlabel: str,
    ticks: Ticks,
    legend: Mapping[str, tuple[str, str]],
    place: str | tuple[float, float],
) -> None:
    """Ticks, labels below, the legend, and nothing in the panels that are left over."""
    for axis in axes.flat:
        set_ticks(axis, ticks)
    for axis in left:
        axis.axis("off")
    for axis in axes[-2:].flat if left else axes[-1]:
        axis.set_xlabel(axis.get_xlabel() or xlabel)
        axis.tick_params(labelbottom=True)
    if left:
        show_legend(left[0], legend, "center", of=axes[0][0])
    else:
        show_legend(axes[0][0], legend, place)
        told = axes[0][0].get_legend_handles_labels()[1]
        for axis in axes[1:, 0]:
            if not set(axis.get_legend_handles_labels()[1]) <= set(told):
                show_legend(axis, {}, place)
    plt.show()


def errors(
    rows: Rows,
    steps: Array,
    *,
    low: float = 1e-16,
    high: float = 4.0,
    wrap: int | None = None,
    legend: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Errors against steps on a log scale.

    Args:
        rows: Label of the vertical axis -> title -> curves.
        steps: [n] where the curves stand.
        low: Lower end of the vertical axis.
        high: Its upper end.
        wrap: With one row alone, the number of panels side by side; the rest goes below.
        legend: Label -> (colour, style).

    >>> from metarep_lib.show.charts import Curve
    >>> errors({"error": {"a": [Curve([1.0, 0.1, 0.01], "#0072B2")]}}, [0, 1, 2])
    >>> plt.gcf().axes[0].get_yscale()
    'log'
    >>> plt.close()
    """
    lines(
        rows,
        steps,
        xlabel="steps t",
        yscale="log",
        ylim=(low, high),
        wrap=wrap,
        legend=legend,
        place="lower left",
    )
