"""Who may read whom."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from metarep_lib.show.charts.curves import Array

__all__ = ["draw_readers"]


def draw_readers(panels: Mapping[str, tuple[Array, Sequence[str]]]) -> None:
    """A grid for every mask, with a row for each reader; dark is the token it may read.

    Args:
        panels: Title -> (mask [tokens, tokens], names of the tokens).

    >>> draw_readers({"causal": (np.tri(2), ["1", "2"]), "all": (np.ones((2, 2)), ["a", "b"])})
    >>> [axis.get_title() for axis in plt.gcf().axes]
    ['causal', 'all']
    >>> plt.close()
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(2.75 * len(panels), 3.1), squeeze=False)
    for axis, (title, (mask, names)) in zip(axes[0], panels.items()):
        axis.imshow(np.asarray(mask), cmap="Blues", vmin=0, vmax=1.4)
        axis.set(title=title, xlabel="token read")
        axis.set_xticks(range(len(names)), names, fontsize=8)
        axis.set_yticks(range(len(names)), names, fontsize=8)
        for sides in (axis.set_xticks, axis.set_yticks):
            sides(np.arange(len(names) + 1) - 0.5, minor=True)
        axis.tick_params(which="both", length=0)
        axis.grid(visible=False)
        axis.grid(which="minor", color="white")
        axis.spines[:].set_visible(False)
    axes[0, 0].set_ylabel("reader")
    plt.show()
