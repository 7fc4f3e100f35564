"""The book's kinds of chart: curves with bands, places by kinds of marks. Each takes plain arrays and meanings, no colours.

A chart is a function taught once: what is drawn is decided by the arguments a page shows, how it is
drawn is decided here. Every function shows its figure and gives nothing back for a cell to echo.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

SMALLEST = (
    1e-17  # added where an axis is logarithmic: an error of exactly zero is drawn at the lower edge
)


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Args:
        values: [seeds, n], drawn as median and range, or [n].
        colour: of the line.
        style: of the line: ``-  --  :``.
        label: in the legend; None for none.
        band: Whether the range is drawn.
    """

    values: np.ndarray
    colour: str
    style: str = "-"
    label: str | None = None
    band: bool = True


Panels = Mapping[str, Sequence[Curve]]


def curves(
    values: Callable[..., np.ndarray],
    results: Mapping[str, str],
    knob: str,
    colours: Mapping[object, str],
    **fixed: object,
) -> list[Curve]:
    """The curves of some results of a sweep, a style for each, at every value of a knob, a colour for each.

    Args:
        values: `Swept.values`, or another function of a result's name and the knobs.
        results: Name of a result -> style of its line.
        knob: The knob that the colours tell apart.
        colours: Its values -> colour.
        fixed: The other knobs.

    >>> drawn = curves(lambda name, kappa: np.full((5, 3), kappa), {"cg_error": "-", "gd_error": ":"}, "kappa", {1e2: "#0072B2"})
    >>> [(curve.style, int(curve.values.max())) for curve in drawn]
    [('-', 100), (':', 100)]
    """
    return [
        Curve(values(result, **{knob: value}, **fixed), colour, style)
        for value, colour in colours.items()
        for result, style in results.items()
    ]


def bound(values: np.ndarray, colour: str) -> Curve:
    """A bound: thin and dashed, in the colour of what it bounds, cut off at two."""
    return Curve(np.minimum(values, 2.0), colour, "--", band=False)


def errors(
    rows: Mapping[str, Panels],
    steps: Sequence[int],
    *,
    wrap: int | None = None,
    low: float = 1e-16,
    high: float = 4.0,
    legend: Mapping[str, tuple[str, str]] | None = None,
) -> None:
    """Errors against steps on a log scale, a panel for every title, a row of panels for every measure.

    Args:
        rows: Label of the vertical axis -> title -> curves.
        steps: [n] where the curves stand.
        wrap: With one row alone, the number of panels side by side; the rest goes below.
        low: Lower end of the vertical axis.
        high: Its upper end.
        legend: Label -> (colour, style), in the first panel; or, where a panel is left over, there.

    >>> flat = Curve(np.ones((5, 3)), "#0072B2", label="level")
    >>> errors({"error": {"a": [flat], "b": [flat]}}, [0, 1, 2], legend={"level": ("#0072B2", "-")})
    >>> len(plt.gcf().axes)
    2
    >>> plt.close()
    """
    titles = list(next(iter(rows.values())))
    across = wrap or len(titles)
    down = len(rows) if len(rows) > 1 else -(-len(titles) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(3.7 * across, 3.2 * down), sharex=True, sharey=True, squeeze=False
    )
    places = iter(axes.flat)
    for label, panels in rows.items():
        for number, (title, curves) in enumerate(panels.items()):
            axis = next(places)
            for curve in curves:
                draw(axis, steps, curve)
            axis.set(yscale="log", ylim=(low, high), ylabel="" if number % across else label)
            axis.set_title(title if panels is next(iter(rows.values())) else "")
    left = list(places)
    for axis in left:
        axis.axis("off")
    for axis in axes[-1] if not left else [*axes[-1], *axes[-2]]:
        axis.set_xlabel("steps t")
    show_legend(left[0] if left else axes[0, 0], legend or {}, "center" if left else "lower left")
    plt.show()


def draw(axis: Axes, x: Sequence[float], curve: Curve) -> None:
    """A line, and its band."""
    values = np.atleast_2d(curve.values) + SMALLEST
    middle = np.median(values, 0)
    axis.plot(x, middle, curve.style, color=curve.colour, linewidth=0.9 if not curve.band else 1.8)
    if curve.band and len(values) > 1:
        axis.fill_between(
            x, values.min(0), values.max(0), color=curve.colour, alpha=0.15, linewidth=0
        )


def show_legend(axis: Axes, entries: Mapping[str, tuple[str, str]], place: str) -> None:
    """A legend of lines that need not be drawn anywhere."""
    lines = [
        plt.Line2D([], [], color=colour, linestyle=style, label=label)
        for label, (colour, style) in entries.items()
    ]
    if lines:
        axis.legend(handles=lines, fontsize=8, loc=place)


def diagonal(
    groups: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    colours: Sequence[str],
    xlabel: str,
    ylabel: str,
) -> None:
    """Before against after on log axes, a mark of its own for every group, and the line where nothing has changed.

    Args:
        groups: Label -> (before, after).
        colours: One for each group.
        xlabel: Of the horizontal axis.
        ylabel: Of the vertical one.

    >>> diagonal({"all": ([1.0, 10.0], [1.0, 5.0])}, colours=["#0072B2"], xlabel="before", ylabel="after")
    >>> len(plt.gcf().axes[0].lines)
    2
    >>> plt.close()
    """
    figure, axis = plt.subplots(figsize=(6.4, 4.8))
    for (label, (before, after)), colour, marker in zip(groups.items(), colours, "o^sDv"):
        axis.loglog(before, after, marker, color=colour, markersize=4, label=label, alpha=0.6)
    ends = [min(min(b) for b, _ in groups.values()), max(max(b) for b, _ in groups.values())]
    axis.plot(ends, ends, color="grey", linewidth=1, zorder=0)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.legend(fontsize=9)
    plt.show()


def maps(
    panels: Mapping[str, np.ndarray],
    x: Sequence[float],
    y: Sequence[float],
    *,
    xlabel: str,
    ylabel: str,
    quantity: str,
    low: float,
    high: float,
) -> None:
    """A quantity over a grid, a panel for every title; crosses at the least value of every column.

    Args:
        panels: Title -> [len(y), len(x)].
        x: Values on the horizontal axis.
        y: Values on the vertical one, logarithmic.
        xlabel: Of the horizontal axis.
        ylabel: Of the vertical one.
        quantity: Label of the colour bar.
        low: Value of the lightest colour.
        high: Value of the darkest.

    >>> maps({"a": np.eye(2)}, [1, 2], [0.1, 1.0], xlabel="t", ylabel="ridge", quantity="error", low=0, high=1)
    >>> [axis.get_title() for axis in plt.gcf().axes]
    ['a', '']
    >>> plt.close()
    """
    figure, axes = plt.subplots(
        1, len(panels), figsize=(5.5 * len(panels), 4), sharey=True, squeeze=False
    )
    for axis, (title, values) in zip(axes[0], panels.items()):
        mesh = axis.pcolormesh(
            x, y, values, cmap="cividis_r", shading="nearest", vmin=low, vmax=high
        )
        axis.plot(x, np.asarray(y)[values.argmin(0)], "x", color="#D55E00", markersize=7)
        axis.set(yscale="log", xlabel=xlabel, title=title)
    axes[0, 0].set(ylabel=ylabel)
    figure.colorbar(mesh, ax=axes, label=quantity, extend="max")
    plt.show()
