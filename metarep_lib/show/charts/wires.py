"""The writes of a program's blocks, and what they come to."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt

from metarep_lib.show.charts.curves import Curve, draw
from metarep_lib.show.plotting import draw_wiring

__all__ = ["draw_wires"]


def draw_wires(
    wires: Iterable,
    names: Sequence[str],
    *,
    size: tuple[float, float],
    below: Sequence[Curve] = (),
    legend: str | None = None,
    axes: Mapping[str, Any] | None = None,
) -> None:
    """The writes of one step, a row for each named direction; below them, if asked for, curves on an axis of their own.

    Args:
        wires: As `construct.wiring` yields them.
        names: The directions to show, top to bottom.
        size: Width and height of the figure.
        below: Curves that say where they stand.
        legend: Title of their legend.
        axes: What their axis has, as `Axes.set` takes it.

    >>> from metarep_lib.construct import wiring
    >>> from metarep_lib.construct.algorithms import gradient_descent
    >>> wires = wiring(gradient_descent(n_features=2, steps=1, step_size=0.5))
    >>> error = Curve([1.0, 0.1], "#0072B2", label="error", x=[0, 5])
    >>> draw_wires(wires, ["alpha", "r"], size=(6, 6), below=[error])
    >>> plt.gcf().axes[1].get_legend().get_texts()[0].get_text()
    'error'
    >>> plt.close()
    """
    rows = 2 if below else 1
    figure, panels = plt.subplots(
        rows, 1, figsize=size, squeeze=False, height_ratios=[1.2, 1][:rows]
    )
    draw_wiring(panels[0, 0], wires, names)
    for curve in below:
        draw(panels[1, 0], (), curve)
    if below:
        panels[1, 0].set(**(axes or {}))
        panels[1, 0].legend(title=legend)
    plt.show()
