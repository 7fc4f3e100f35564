"""Quantities over grids."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np


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
