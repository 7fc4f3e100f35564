"""Quantities over grids, and matrices with names."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


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
