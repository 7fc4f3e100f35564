"""Parts of wholes, and numbers for every place and kind."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np


def shares(
    parts: Mapping[str, np.ndarray],
    places: Sequence[str],
    *,
    colours: Mapping[str, str],
    xlabel: str,
) -> None:
    """Stacked bars: what every part contributes, a bar for every place.

    Args:
        parts: Label -> [places].
        places: Names of the bars, from above.
        colours: Label -> colour.
        xlabel: Of the axis of the shares.

    >>> shares({"a": np.array([0.5]), "b": np.array([0.5])}, ["all"], colours={"a": "k", "b": "c"}, xlabel="share")
    >>> [bar.get_x() for bar in plt.gcf().axes[0].patches]
    [np.float64(0.0), np.float64(0.5)]
    >>> plt.close()
    """
    figure, axis = plt.subplots(figsize=(7.2, 0.9 + 0.35 * len(places)))
    start = np.zeros(len(places))
    for label, part in parts.items():
        axis.barh(range(len(places)), part, left=start, color=colours[label], label=label)
        start = start + part
    axis.set(yticks=range(len(places)), yticklabels=places, xlabel=xlabel)
    axis.invert_yaxis()
    axis.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    plt.show()


def marks(
    kinds: Mapping[str, np.ndarray],
    places: Sequence[str],
    *,
    colours: Mapping[str, str],
    ylabel: str,
    yscale: str = "linear",
    levels: Mapping[str, float] | None = None,
) -> None:
    """A number for every place, a mark of its own for every kind; with several draws, the median and their range.

    Args:
        kinds: Label -> [places] or [draws, places].
        places: Names along the horizontal axis.
        colours: Label -> colour.
        ylabel: Of the vertical axis.
        yscale: ``"linear"`` or ``"log"``.
        levels: Label -> a level to compare with, dotted.

    >>> marks({"a": np.array([[1.0, 2.0], [3.0, 2.0]])}, ["left", "right"], colours={"a": "k"}, ylabel="score")
    >>> plt.gcf().axes[0].get_xticklabels()[0].get_text()
    'left'
    >>> plt.close()
    """
    figure, axis = plt.subplots(figsize=(max(5.0, 0.9 * len(places) + 2), 3.6))
    offsets = np.linspace(-0.2, 0.2, len(kinds)) if len(kinds) > 1 else [0.0]
    for (label, values), offset, marker in zip(kinds.items(), offsets, "osD^vP*X"):
        values = np.atleast_2d(values)
        middle = np.median(values, 0)
        ends = np.stack([middle - values.min(0), values.max(0) - middle])
        x, style = np.arange(len(places)) + offset, dict(color=colours[label], label=label)
        axis.errorbar(x, middle, ends, fmt=marker, markersize=6, capsize=2, **style)
    for label, value in (levels or {}).items():
        axis.axhline(value, linestyle=":", color="grey", linewidth=0.9, label=label)
    axis.set(xticks=range(len(places)), xticklabels=places, ylabel=ylabel, yscale=yscale)
    axis.legend(fontsize=8)
    plt.show()


def dots(
    kinds: Mapping[str, np.ndarray],
    places: Sequence[str],
    *,
    panels: Sequence[str],
    colours: Mapping[str, str],
    xlabel: str,
    xscale: str = "linear",
    xlim: tuple[float, float] | None = None,
) -> None:
    """Every draw a dot, beside the name of its place; a bar at the median, a panel for every title.

    Args:
        kinds: Label -> [panels, draws, places].
        places: Names down the vertical axis, from above.
        panels: Titles, side by side.
        colours: Label -> colour.
        xlabel: Of the horizontal axes.
        xscale: ``"linear"`` or ``"log"``.
        xlim: Their ends, common to all.

    >>> dots({"a": np.ones((1, 3, 2))}, ["up", "down"], panels=["all"], colours={"a": "k"}, xlabel="score")
    >>> [len(line.get_xdata()) for line in plt.gcf().axes[0].lines]
    [6, 2]
    >>> plt.close()
    """
    size = (1.4 + 2.1 * len(panels), 1.2 + 0.32 * len(places))
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    offsets = np.linspace(-0.18, 0.18, len(kinds)) if len(kinds) > 1 else [0.0]
    for number, (axis, title) in enumerate(zip(axes[0], panels)):
        for (label, values), offset in zip(kinds.items(), offsets):
            draws, y = np.asarray(values)[number], np.arange(len(places)) + offset
            style = dict(color=colours[label], linestyle="")
            axis.plot(draws.ravel(), np.tile(y, len(draws)), marker="o", markersize=3.5, **style)
            middle = np.median(draws, 0)
            axis.plot(middle, y, marker="|", markersize=11, markeredgewidth=2, label=label, **style)
        axis.set(title=title, xscale=xscale, xlim=xlim, xlabel=xlabel)
    axes[0, 0].set_yticks(range(len(places)), places, fontsize=9)
    axes[0, 0].invert_yaxis()
    if len(kinds) > 1:
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    plt.show()
