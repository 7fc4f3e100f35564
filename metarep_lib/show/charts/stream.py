"""What tokens hold, name by name."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from metarep_lib.show.charts.curves import Array
from metarep_lib.show.palette import COLOURS

__all__ = ["draw_stream"]

DECADES = 2  # below the largest value of a name, where its colours end


def shade(values: np.ndarray) -> np.ndarray:
    """Signed logarithms on a scale of each name's own, [names, layers, tokens]: one at its largest, nothing where nothing is held.

    >>> shade(np.array([[[1.0, -0.1, 0.0, 1e-9]]])).tolist()
    [[[1.0, -0.5, 0.0, 0.0]]]
    """
    largest = np.maximum(np.abs(values).max(axis=(1, 2), keepdims=True), np.finfo(float).tiny)
    logs = np.log10(np.maximum(np.abs(values) / largest, 10.0**-DECADES)) / DECADES + 1
    return np.sign(values) * logs


def draw_stream(
    held: Mapping[str, Array], layer: int, tokens: Sequence[str], *, title: str = ""
) -> None:
    """The named directions of a residual stream after one layer: a row for each, a column for each token, a dot where the layer has changed one.

    Blue is positive, red negative; each row has its own scale, from its largest value in any layer
    down to a hundredth of it.

    Args:
        held: Name -> [layers + 1, tokens], the embedding first.
        layer: After which; 0 for the embedding.
        tokens: Their names, along the lower edge.
        title: Above.

    >>> draw_stream({"a": [[0.0, 1.0], [2.0, 1.0]], "b": [[1.0, 1.0], [1.0, 1.0]]}, 1, ["x", "y"])
    >>> [line.get_ydata().tolist() for line in plt.gcf().axes[0].lines]
    [[0.5]]
    >>> plt.close()
    """
    values = np.stack([np.asarray(of) for of in held.values()])
    figure, axis = plt.subplots(figsize=(7.2, 1.0 + 0.28 * len(held)))
    shades = np.ma.masked_equal(shade(values)[:, layer], 0)
    axis.pcolormesh(shades, cmap="RdBu", vmin=-1.2, vmax=1.2, edgecolors="#DDDDDD")
    changed = (values[:, layer] != values[:, max(layer - 1, 0)]).any(-1)
    rows = np.flatnonzero(changed) + 0.5
    if len(rows):
        beside = np.full(len(rows), len(tokens) + 0.4)
        axis.plot(beside, rows, "o", color=COLOURS["gradient descent"], clip_on=False)
    axis.set_xticks(np.arange(len(tokens)) + 0.5, tokens, fontsize=9)
    axis.set_yticks(np.arange(len(held)) + 0.5, list(held), family="monospace", fontsize=9)
    axis.set_title(title, fontsize=11)
    axis.invert_yaxis()
    axis.tick_params(length=0)
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    plt.show()
