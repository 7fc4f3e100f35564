"""Quantities over grids, and matrices with names."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from metarep_lib.show.charts.curves import Curve, draw
from metarep_lib.show.palette import COLOURS

Contours = Sequence[tuple[float, Curve]]  # (level, a look and [len(y), len(x)] of a quantity)


def maps(
    panels: Mapping[str, np.ndarray],
    x: Sequence[float],
    y: Sequence[float] | Mapping[str, Sequence[float]],
    *,
    xlabel: str,
    ylabel: str,
    quantity: str,
    low: float,
    high: float,
    yscale: str = "log",
    contours: Mapping[str, Contours] | None = None,
    over: Mapping[str, Sequence[Curve]] | None = None,
    wrap: int | None = None,
) -> None:
    """A quantity over a grid, a panel for every title; crosses at the least value of every column, or what is asked for.

    Args:
        panels: Title -> [len(y), len(x)].
        x: Values on the horizontal axis.
        y: Values on the vertical one; or title -> those of the panel.
        xlabel: Of the horizontal axis.
        ylabel: Of the vertical one.
        quantity: Label of the colour bar.
        low: Value of the lightest colour.
        high: Value of the darkest.
        yscale: ``"linear"`` or ``"log"``.
        contours: Title -> levels, each with a curve whose values are those of a quantity over the grid: drawn where it has the level.
        over: Title -> curves, in the place of the crosses.
        wrap: The number of panels side by side; the rest goes below.

    >>> maps({"a": np.eye(2)}, [1, 2], [0.1, 1.0], xlabel="t", ylabel="ridge", quantity="error", low=0, high=1)
    >>> [axis.get_title() for axis in plt.gcf().axes]
    ['a', '']
    >>> plt.close()
    """
    across = wrap or len(panels)
    down = -(-len(panels) // across)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(5.5 * across, 4 * down),
        sharey=not isinstance(y, Mapping),
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, values) in zip(axes.flat, panels.items()):
        rows = y[title] if isinstance(y, Mapping) else y
        axis.set(yscale=yscale, title=title)
        colours = dict(cmap="cividis_r", shading="nearest", vmin=low, vmax=high)
        mesh = axis.pcolormesh(x, rows, values, **colours)
        curves = [least(x, rows, values)] if over is None else over[title]
        draw_over(axis, x, rows, (contours or {}).get(title, ()), curves)
    plt.setp(axes[-1], xlabel=xlabel)
    plt.setp(axes[:, 0], ylabel=ylabel)
    figure.colorbar(mesh, ax=axes, label=quantity, extend=beyond(panels, low, high))
    plt.show()


def beyond(panels: Mapping[str, np.ndarray], low: float, high: float) -> str:
    """At which ends of the colour bar there is more, as matplotlib says it.

    >>> beyond({"a": np.array([0.0, 1.0])}, low=0, high=1), beyond({"a": np.array([0.0, 2.0])}, low=0, high=1)
    ('neither', 'max')
    """
    below = any((values < low).any() for values in panels.values())
    above = any((values > high).any() for values in panels.values())
    return {(0, 0): "neither", (1, 0): "min", (0, 1): "max", (1, 1): "both"}[below, above]


def least(x: Sequence[float], y: Sequence[float], values: np.ndarray) -> Curve:
    """Crosses at the least value of every column."""
    at = np.asarray(y)[values.argmin(0)]
    return Curve(at, COLOURS["gradient descent"], "x", x=x, width=3.5)


def draw_over(
    axis: Axes,
    x: Sequence[float],
    y: Sequence[float],
    contours: Contours,
    curves: Sequence[Curve],
) -> None:
    """Contours and curves over a map, which keeps its ends; with contours it ends where they do, at the outermost points of the grid."""
    ends = ((x[0], x[-1]), (y[0], y[-1])) if contours else (axis.get_xlim(), axis.get_ylim())
    for level, one in contours:
        look = dict(colors=one.colour, linestyles=one.style, linewidths=one.width)
        axis.contour(x, y, one.values, [level], **look)
    for curve in curves:
        draw(axis, x, curve)
    axis.set(xlim=ends[0], ylim=ends[1])


def matrices(
    panels: Mapping[str, np.ndarray],
    rows: Sequence[str | int],
    columns: Sequence[str | int],
    *,
    xlabel: str,
    ylabel: str,
    low: float,
    high: float,
    quantity: str | None = None,
    numbers: str | None = None,
    wrap: int | None = None,
    square: float = 0.36,
) -> None:
    """A coloured square for every pair of names, a panel for every title; what is no number stays empty.

    Args:
        panels: Title -> [rows, columns].
        rows: Names of the rows, from above.
        columns: Names of the columns.
        xlabel: What the columns are.
        ylabel: What the rows are.
        low: Value of the darkest colour.
        high: Value of the lightest.
        quantity: Label of the colour bar; None for no bar.
        numbers: Format in which the values are written into their squares; None for not.
        wrap: The number of panels side by side; the rest goes below.
        square: Its side, in inches.

    >>> matrices({"a": np.eye(2)}, "xy", "xy", xlabel="said", ylabel="is", low=0, high=1, numbers=".0f")
    >>> [text.get_text() for text in plt.gcf().axes[0].texts]
    ['1', '0', '0', '1']
    >>> plt.close()
    """
    across = wrap or len(panels)
    down, side = -(-len(panels) // across), 1.1 + square * len(rows)
    figure, axes = plt.subplots(
        down,
        across,
        figsize=((side + 0.1) * across, side * down),
        sharex=True,
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for axis, (title, values) in zip(axes.flat, panels.items()):
        image = axis.imshow(values, cmap="cividis", vmin=low, vmax=high)
        axis.set(title=title, xticks=range(len(columns)), yticks=range(len(rows)))
        slant = dict(rotation=60, ha="right") if max(len(str(name)) for name in columns) > 2 else {}
        axis.set_xticklabels(columns, fontsize=9, **slant)
        axis.set_yticklabels(rows, fontsize=9)
        axis.grid(visible=False)
        if numbers:
            write_numbers(axis, np.asarray(values), numbers, (low + high) / 2)
    for axis in axes[:, 0]:
        axis.set_ylabel(ylabel)
    for axis in axes[-1]:
        axis.set_xlabel(xlabel)
    if quantity:
        figure.colorbar(image, ax=axes, label=quantity, shrink=0.6)
    plt.show()


def write_numbers(axis: Axes, values: np.ndarray, style: str, middle: float) -> None:
    """Every number into its square, white on dark."""
    for (i, j), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < middle else "black"
            axis.text(j, i, f"{value:{style}}", ha="center", va="center", fontsize=8, color=colour)
