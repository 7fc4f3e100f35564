"""What the figures of a chapter show, in lines of text that two revisions can compare.

A figure is a sorted list of lines: one for every artist that carries data, with its panel, kind and
label, how many numbers it has, and a digest of them to six significant digits; one for every text.
Colours, widths, the order of drawing and the place of a panel are not in it: how is not what.

Numbers that are roundings themselves, such as a residual at its floor, have no six digits to keep.
Their digest is that of the same operations in the same order.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from hashlib import sha256
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import matplotlib
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator
from nbformat import NotebookNode

HOLDERS = ("lines", "patches", "collections", "images")  # of the artists that a panel shows


def shown(figure: Figure) -> list[str]:
    """The lines of one figure."""
    lines = [f"figure: {line}" for line in (*_artists(figure), *_texts(figure))]
    insets = [inset for axes in figure.axes for inset in axes.child_axes]
    for number, axes in enumerate(dict.fromkeys([*figure.axes, *insets]), 1):
        here = (*_artists(axes), *_texts(axes), *_scales(axes))
        lines += [f"panel {number}: {line}" for line in here]
    return sorted(lines)


def _artists(holder: Axes | Figure) -> Iterator[str]:
    """The artists with data, of axes or of a figure itself."""
    for kind in HOLDERS:
        for artist in getattr(holder, kind, ()):
            label = str(artist.get_label())
            named = "" if label.startswith("_") else f" {label!r}"  # matplotlib counts the nameless
            arrays = [_plain(array) for array in _data(artist)]
            size = sum(map(np.size, arrays))
            yield f"{kind}{named}, {size} numbers, {_digest(arrays)}"


def _data(artist: Artist) -> list:
    """The arrays that say what an artist shows."""
    if isinstance(artist, Line2D):
        return [artist.get_xydata()]
    if isinstance(artist, Patch):
        return [artist.get_patch_transform().transform(artist.get_path().vertices)]
    if isinstance(artist, Collection):
        values = artist.get_array()
        paths = [path.vertices for path in artist.get_paths()]
        return [artist.get_offsets(), *paths, *([] if values is None else [values])]
    return [artist.get_array()]


def _plain(array: object) -> np.ndarray:
    """Floats, NaN where masked, no negative zeros."""
    return np.ma.filled(np.ma.asarray(array).astype(float), np.nan) + 0.0


def _digest(arrays: list[np.ndarray]) -> str:
    """Twelve hex digits of the shapes and of the numbers to six significant digits."""
    written = (f"{array.shape} {' '.join(f'{x:.5e}' for x in array.ravel())}" for array in arrays)
    return sha256("\n".join(written).encode()).hexdigest()[:12]


def _texts(holder: Axes | Figure) -> Iterator[str]:
    """Texts with their places, and the entries of legends."""
    for text in holder.texts:
        x, y = _plain(getattr(text, "xy", text.get_position()))
        yield f"text {text.get_text()!r} at {x:.6g}, {y:.6g}"
    legends = holder.legends if isinstance(holder, Figure) else [holder.get_legend()]
    for legend in filter(None, legends):
        yield from (f"legend {text.get_text()!r}" for text in legend.get_texts())


def _scales(axes: Axes) -> Iterator[str]:
    """Titles, names and scales of the axes, and ticks where they were chosen."""
    for place in ("left", "center", "right"):
        if title := axes.get_title(loc=place):
            yield f"title {title!r}"
    for name, axis in (("x", axes.xaxis), ("y", axes.yaxis)):
        yield f"{name} axis {axis.label.get_text()!r}, {axis.get_scale()}"
        if isinstance(axis.get_major_locator(), FixedLocator):
            yield f"{name} ticks {[tick.get_text() for tick in axis.get_ticklabels()]}"


@contextmanager
def pictures_taken() -> Iterator[list[list[str]]]:
    """The lines of every figure saved meanwhile; none is shown.

    A figure with a slider (metarep_lib/show/explore.py) saves and closes all pictures it has.
    """
    taken, save = [], Figure.savefig

    def savefig(figure: Figure, *place: object, **how: object) -> None:
        taken.append(shown(figure))
        save(figure, *place, **how)

    with patch.object(Figure, "savefig", savefig), patch.object(plt, "show", lambda **how: None):
        yield taken


def drawn(notebook: NotebookNode) -> dict[str, list[str]]:
    """Figure name -> its lines, from a run of the notebook's code in this process."""
    matplotlib.use("Agg")
    figures, namespace = {}, {"__name__": "__main__"}
    for cell in (cell for cell in notebook.cells if cell.cell_type == "code"):
        with pictures_taken() as pictures, redirect_stdout(StringIO()):
            exec(compile(cell.source, "cell", "exec"), namespace)
        pictures += [shown(plt.figure(number)) for number in plt.get_fignums()]
        plt.close("all")
        if name := cell.metadata.get("mystnb", {}).get("figure", {}).get("name"):
            figures[name] = _numbered(pictures)
    return figures


def _numbered(pictures: list[list[str]]) -> list[str]:
    """The lines of several pictures, each with the number of its picture; of one, its lines."""
    if len(pictures) == 1:
        return pictures[0]
    return [f"picture {n}, {line}" for n, lines in enumerate(pictures, 1) for line in lines]


def drawn_in(folder: Path, notebook: NotebookNode) -> dict[str, list[str]]:
    """`drawn` in a folder, for a process that runs this notebook alone."""
    os.chdir(folder)
    return drawn(notebook)
