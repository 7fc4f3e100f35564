"""Parts of wholes, and a number for every place and kind."""

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
