"""Before against after."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt


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
