"""Curves with their bands, and legends of lines."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from torch import Tensor

from metarep_lib.contents import Contents

SMALLEST = 1e-17  # added on log axes: an error of exactly zero is drawn at the lower edge
Array = np.ndarray | Tensor | Sequence
THIN, THICK = 0.9, 1.8
MARKS = "os^Dv"  # of one seed after another


@dataclass(frozen=True, eq=False, repr=False)
class Curve(Contents):
    """One line of a panel.

    Args:
        values: [seeds, n], drawn as median and range, or [n].
        colour: of the line.
        style: of the line and of its marks, as matplotlib writes them: ``-  --  :  o-  s:``.
        label: in the legend; None for none.
        band: Whether the range is drawn.
        x: [n] where it stands, if not where the others of its chart do.
        width: of the line, in points; a mark is twice as wide, and four at least.
        each: Whether every seed is drawn, with marks of its own if the style has any, in the place of median and range.
        note: written beside its last point.
        offset: of the note from there, to the right and up, in points.
    """

    values: Array
    colour: str
    style: str = "-"
    label: str | None = None
    band: bool = True
    x: Array | None = None
    width: float = THICK
    each: bool = False
    note: str | None = None
    offset: tuple[float, float] = (8, -4)


Panels = Mapping[str, Sequence[Curve]]


def bound(values: Array, colour: str, label: str | None = None) -> Curve:
    """A bound on errors: thin and dashed, in the colour of what it bounds, cut off at two."""
    return Curve(np.minimum(np.asarray(values), 2.0), colour, "--", label, band=False, width=THIN)


def level(value: float, x: Sequence[float], colour: str, label: str | None = None) -> Curve:
    """A level to compare with: thin, dotted, over the ends of x."""
    ends = [min(x), max(x)]
    return Curve(np.full(2, value), colour, ":", label, band=False, x=ends, width=THIN)


def each(
    values: Array, colour: str, label: str | None = None, style: str = "o", x: Array | None = None
) -> list[Curve]:
    """[seeds, n] drawn one by one, under one label; the rest as in `Curve`.

    >>> [curve.label for curve in each([[1.0, 2.0], [1.5, 2.5]], "#0072B2", "every seed")]
    ['every seed', None]
    """
    return [Curve(row, colour, style, None if i else label, x=x) for i, row in enumerate(values)]


def shades(values: Iterable[Hashable]) -> dict[Hashable, str]:
    """A shade for each of some values that have an order, from light to dark; of any number.

    >>> list(shades([1, 2, 3]).values())
    ['#9bd93c', '#277e8e', '#440154']
    """
    values = list(values)
    darkness = np.linspace(0.15, 1, len(values))
    return dict(zip(values, map(to_hex, plt.get_cmap("viridis_r")(darkness))))


def draw(axis: Axes, x: Array, curve: Curve) -> None:
    """A line, its band, and the note at its end."""
    x = x if curve.x is None else curve.x
    values = np.atleast_2d(curve.values) + (SMALLEST if axis.get_yscale() == "log" else 0)
    drawn = values if curve.each else np.median(values, 0, keepdims=True)
    for number, row in enumerate(drawn):
        axis.plot(
            x,
            row,
            curve.style.replace("o", MARKS[number % len(MARKS)]) if curve.each else curve.style,
            color=curve.colour,
            linewidth=curve.width,
            label=None if number else curve.label,
            markersize=max(4, 2 * curve.width),
        )
    if curve.band and not curve.each and len(values) > 1:
        low, high = values.min(0), values.max(0)
        axis.fill_between(x, low, high, color=curve.colour, alpha=0.15, linewidth=0)
    if curve.note:
        end, beside = (x[-1], drawn[-1][-1]), dict(xytext=curve.offset, textcoords="offset points")
        axis.annotate(curve.note, end, **beside, fontsize=9)


def show_legend(
    axis: Axes,
    entries: Mapping[str, tuple[str, str]],
    place: str | tuple[float, float],
    of: Axes | None = None,
) -> None:
    """A legend of the curves that have labels, here or in another panel, and of lines that need not be drawn anywhere."""
    drawn, labels = (of or axis).get_legend_handles_labels()
    handles = drawn + [
        plt.Line2D([], [], color=colour, linestyle=style, label=label)
        for label, (colour, style) in entries.items()
    ]
    if handles:
        axis.legend(
            handles=handles,
            labels=[*labels, *entries],
            fontsize=8,
            loc=place,
            borderaxespad=0.2,  # as far from the curves as it goes
            handletextpad=0.5,
        )
