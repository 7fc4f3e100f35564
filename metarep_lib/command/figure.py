"""One figure: answers against targets."""

import io
import warnings

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from metarep_lib.command.quality import Quality
from metarep_lib.show import COLOURS
from metarep_lib.show.plotting import STYLE

LEGIBLE = 12
"""Classes up to which the squares of a confusion matrix hold their numbers."""


def draw(quality: Quality, target: str, title: str, made_by: str) -> bytes:
    """The figure as PNG: points and the diagonal for numbers, a confusion matrix for classes.

    Args:
        quality: answers where the target is known.
        target: the name of the column, for the axes.
        title: what the rows are.
        made_by: what the file says it was made by.
    """
    with matplotlib.rc_context(STYLE), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of characters that the font does not have
        figure = Figure(figsize=(5.2, 5.0))
        axis = figure.add_subplot()
        (draw_matrix if quality.classes else draw_points)(axis, quality)
        name = target if len(target) <= 40 else f"{target[:39]}…"
        # a $ in a column's name is no mathematics
        axis.set_xlabel(f"{name}, as the network answers", parse_math=False)
        axis.set_ylabel(f"{name}, in the file", parse_math=False)
        axis.set_title(title, fontsize=10)
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=150, metadata={"Software": made_by})
    return content.getvalue()


def draw_points(axis: Axes, quality: Quality) -> None:
    """A point a row; on the diagonal an answer is the target, on the dotted line it would be the mean."""
    axis.plot(
        quality.answers,
        quality.truth,
        "o",
        color=COLOURS["conjugate gradient"],
        markersize=4,
        alpha=0.6,
        label="a row",
    )
    ends = [
        float(min(quality.truth.min(), quality.answers.min())),
        float(max(quality.truth.max(), quality.answers.max())),
    ]
    axis.plot(ends, ends, color=COLOURS["oracle"], linewidth=1, label="answer = target")
    mean = float(quality.baseline.mean())
    axis.axvline(mean, color=COLOURS["bound"], linestyle=":", linewidth=1.5, label="the mean")
    axis.set_aspect("equal", adjustable="datalim")
    axis.legend(fontsize=9)


def draw_matrix(axis: Axes, quality: Quality) -> None:
    """How many rows of each class were answered by each class."""
    labels = sorted({*quality.truth.tolist(), *quality.answers.tolist()}, key=by_number)
    counts = confusion(quality, labels)
    shades = LinearSegmentedColormap.from_list("shades", ["white", COLOURS["conjugate gradient"]])
    axis.imshow(counts, cmap=shades, vmin=0)
    axis.grid(visible=False)
    names = [label if len(label) <= 16 else f"{label[:15]}…" for label in labels]
    turn = {"rotation": 60, "ha": "right"} if max(map(len, names)) > 3 else {}
    axis.set_xticks(range(len(names)), names, parse_math=False, fontsize=9, **turn)
    axis.set_yticks(range(len(names)), names, parse_math=False, fontsize=9)
    if len(labels) > LEGIBLE:
        return
    for (row, column), n in np.ndenumerate(counts):
        shade = "white" if n > counts.max() / 2 else "black"
        axis.text(column, row, str(n), ha="center", va="center", color=shade, fontsize=9)


def confusion(quality: Quality, labels: list[str]) -> np.ndarray:
    """[classes, classes] rows of the file by class, columns by answer.

    >>> both = np.array(["a", "b", "b"], dtype=object), np.array(["a", "a", "b"], dtype=object)
    >>> confusion(Quality(*both, both[0], classes=True), ["a", "b"]).tolist()
    [[1, 0], [1, 1]]
    """
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=int)
    for truth, answer in zip(quality.truth, quality.answers):
        counts[place[truth], place[answer]] += 1
    return counts


def by_number(label: str) -> tuple[bool, float, str]:
    """Labels that are numbers in their order, then words in theirs."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label
