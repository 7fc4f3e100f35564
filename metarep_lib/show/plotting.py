"""Figures of the book: one style on every page, and what is drawn on an axis that a page has made.

Every curve has its own line style or marker beside its colour. Functions take plain arrays.
"""

from collections.abc import Iterable, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from metarep_lib.show.palette import COLOURS

STYLE = {
    "figure.figsize": (7.2, 3.6),
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E5E5E5",
    "axes.axisbelow": True,
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.0,
    "svg.hashsalt": "metarep",  # the same picture is the same file
}


def use_style() -> None:
    """Draw everything that follows in the style of the book."""
    plt.rcParams.update(STYLE)


def draw_wiring(axis: Axes, wires: Iterable, names: Sequence[str]) -> None:
    """The writes of one step: a row for each named direction, two columns for each block.

    A filled square is written, an open circle read, a cross cleared; grey columns are attention (what is read may
    sit on another token), white ones the MLP (the same token).

    Args:
        axis: where to draw.
        wires: records with `block`, `phase`, `half`, `target`, `reads` and `clears`, as `construct.wiring` yields.
        names: the directions to show, top to bottom; others are left out.
    """
    wires = list(wires)
    row = {name: i for i, name in enumerate(names)}
    blocks = {wire.block: wire.phase for wire in wires}
    for block, phase in blocks.items():
        axis.axvspan(2 * block - 2.5, 2 * block - 1.5, color="#EFEFEF", linewidth=0)
        axis.axvline(2 * block - 0.5, color="#BBBBBB", linewidth=0.8)
        axis.text(
            2 * block - 1.5,
            -1.25,
            f"block {block}\n{phase}",
            ha="center",
            va="bottom",
            fontsize=9.5,
        )
        for x, half in ((2 * block - 2, "attention"), (2 * block - 1, "MLP")):
            axis.text(x, -0.75, half, ha="center", va="bottom", fontsize=8, color="#555555")
    for half, colour in (
        ("attention", COLOURS["conjugate gradient"]),
        ("mlp", COLOURS["gradient descent"]),
    ):
        for block in blocks:
            here = [
                wire
                for wire in wires
                if (wire.block, wire.half) == (block, half) and wire.target in row
            ]
            draw_column(axis, here, 2 * block - (2 if half == "attention" else 1), row, colour)
    axis.set(xlim=(-0.5, 2 * len(blocks) - 0.5), ylim=(len(names) - 0.5, -0.7), xticks=[])
    axis.set_yticks(range(len(names)), names, family="monospace", fontsize=9.5)
    axis.grid(axis="x", visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(length=0)


def draw_column(
    axis: Axes, wires: Sequence, centre: float, row: dict[str, int], colour: str
) -> None:
    """The writes of one half of one block, each on a vertical line of its own; what is cleared on one more."""
    cleared = [row[wire.target] for wire in wires if wire.clears]
    written = [wire for wire in wires if not wire.clears]
    n_lines = len(written) + bool(cleared)
    offsets = np.linspace(-0.36, 0.36, n_lines) if n_lines != 1 else np.zeros(1)
    if not n_lines:
        return
    axis.plot([centre + offsets[-1]] * len(cleared), cleared, "x", markersize=6, color=colour)
    for wire, offset in zip(written, offsets):
        x = centre + offset
        reads = [row[name] for name in wire.reads if name in row]
        ends = [*reads, row[wire.target]]
        axis.plot([x, x], [min(ends), max(ends)], color=colour, linewidth=1, alpha=0.5)
        axis.plot(
            [x] * len(reads),
            reads,
            "o",
            markersize=5,
            markerfacecolor="white",
            markeredgecolor=colour,
        )
        axis.plot([x], [row[wire.target]], "s", markersize=5, color=colour)
