"""Curves with their bands, and legends of lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

SMALLEST = 1e-17  # added on log axes: an error of exactly zero is drawn at the lower edge
Array = np.ndarray | Tensor | Sequence
THIN, THICK = 0.9, 1.8
MARKS = "os^Dv"  # of one seed after another


@dataclass(frozen=True)
class Curve:
    """One line of a panel.

    Args:
        values: [seeds, n], drawn as median and range, or [n].
        colour: of the line.
        style: of the line and of its marks, as matplotlib writes them: ``-  --  :  o-  s:``.
        label: in the legend; None for none.
        band: Whether the range is drawn.
        x: [n] where it stands, if not where the others of its chart do.
        width: of the line, in points.
        each: Whether every seed is drawn, with marks of its own if the style has any, in the place of median and range.
    """

    values: Array
    colour: str
    style: str = "-"
    label: str | None = None
    band: bool = True
    x: Array | None = None
    width: float = THICK
    each: bool = False


Panels = Mapping[str, Sequence[Curve]]


def bound(values: Array, colour: str, label: str | None = None) -> Curve:
    """A bound on errors: thin and dashed, in the colour of what it bounds, cut off at two."""
    return Curve(np.minimum(np.asarray(values), 2.0), colour, "--", label, band=False, width=THIN)


def level(value: float, x: Sequence[float], colour: str, label: str | None = None) -> Curve:
    """A level to compare with: thin, dotted, over the ends of x."""
    ends = [min(x), max(x)]
    return Curve(np.full(2, value), colour, ":", label, band=False, x=ends, width=THIN)


def draw(axis: Axes, x: Array, curve: Curve) -> None:
    """A line, and its band."""
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
            markersize=4,
        )
    if curve.band and not curve.each and len(values) > 1:
        low, high = values.min(0), values.max(0)
        axis.fill_between(x, low, high, color=curve.colour, alpha=0.15, linewidth=0)


def show_legend(axis: Axes, entries: Mapping[str, tuple[str, str]], place: str) -> None:
    """A legend of the curves that have labels, and of lines that need not be drawn anywhere."""
    drawn, labels = axis.get_legend_handles_labels()
    handles = drawn + [
        plt.Line2D([], [], color=colour, linestyle=style, label=label)
        for label, (colour, style) in entries.items()
    ]
    if handles:
        axis.legend(handles=handles, labels=[*labels, *entries], fontsize=8, loc=place)
