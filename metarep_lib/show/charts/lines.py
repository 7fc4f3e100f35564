"""Curves over a common axis: a panel for every title, a row of panels for every measure."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from metarep_lib.show.charts.curves import Array, Curve, Panels, draw, show_legend

Rows = Mapping[str, Panels]


def lines(
    rows: Rows,
    x: Array = (),
    *,
    xlabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    ylim: tuple[float | None, float | None] | None = None,
    share: bool | str = True,
    wrap: int | None = None,
    size: tuple[float, float] = (3.7, 3.2),
    legend: Mapping[str, tuple[str, str]] | None = None,
    place: str = "best",
    own: Mapping[str, Mapping[str, Any]] | None = None,
    named: bool = False,
) -> None:
    """Curves, a panel for every title, a row of panels for every label of a vertical axis.

    Args:
        rows: Label of the vertical axis -> title -> curves.
        x: [n] where the curves stand that do not say it themselves.
        xlabel: Of the horizontal axes.
        xscale: ``"linear"``, ``"log"``; so is yscale.
        yscale: Of the vertical axes.
        ylim: Their ends.
        share: Whether all panels have one vertical axis; ``"row"``: those of a row.
        wrap: With one row alone, the number of panels side by side; the rest goes below.
        size: Width and height of a panel.
        legend: Label -> (colour, style), beside the labels of the curves.
        place: Of the legend in the first panel; where a panel is left over it stands there.
        named: Whether the places of its first curve are the ticks of a panel.
        own: Title -> what this panel has for itself, as `Axes.set` takes it, and a legend; then no axis is shared.

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
    figure, axes = plt.subplots(
        down,
        across,
        figsize=(size[0] * across, size[1] * down),
        sharex=not own,
        sharey=share and not own,
        squeeze=False,
    )
    places = iter(axes.flat)
    for row, (label, panels) in enumerate(rows.items()):
        for number, (title, curves) in enumerate(panels.items()):
            special = dict((own or {}).get(title, {}))
            usual = {
                "xscale": xscale,
                "yscale": yscale,
                "ylabel": "" if number % across else label,
                "title": "" if row else title,
            }
            limits = {"ylim": ylim} if ylim else {}  # None would end the scaling of shared axes
            axis = next(places)
            fill(axis, x, curves, usual | limits | special)
            if named:
                places_named(axis, x if curves[0].x is None else curves[0].x)
            if special:
                show_legend(axis, {}, "best")
    finish(axes, list(places), xlabel, legend or {}, place)


def fill(axis: Axes, x: Array, curves: Sequence[Curve], settings: Mapping[str, Any]) -> None:
    """Curves in a panel; the scales come first, since what is drawn depends on them."""
    axis.set(xscale=settings["xscale"], yscale=settings["yscale"])
    for curve in curves:
        draw(axis, x, curve)
    axis.set(**settings)


def places_named(axis: Axes, x: Array) -> None:
    """Ticks at these places, as numbers are written, and no others."""
    axis.set_xticks(x, [f"{value:g}" for value in x])
    axis.tick_params(axis="x", which="minor", length=0, labelbottom=False)


def finish(
    axes: np.ndarray,
    left: list[Axes],
    xlabel: str,
    legend: Mapping[str, tuple[str, str]],
    place: str,
) -> None:
    """Labels below, the legend, and nothing in the panels that are left over."""
    for axis in left:
        axis.axis("off")
    for axis in axes[-1] if not left else [*axes[-1], *axes[-2]]:
        axis.set_xlabel(axis.get_xlabel() or xlabel)
        axis.tick_params(labelbottom=True)
    if left:
        shown = dict(zip(*axes[0][0].get_legend_handles_labels()[::-1]))
        lines = {label: (line.get_color(), line.get_linestyle()) for label, line in shown.items()}
        show_legend(left[0], lines | dict(legend), "center")
    else:
        show_legend(axes[0][0], legend, place)
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
