"""Explore: a figure with a slider, on a page without a kernel as in a running notebook.

    def draw(depth, kappa):
        plt.subplots()[1].semilogy(error(depth, kappa))
        return f"At depth {depth} the error is still large."

    explore(draw, depth=range(1, 9), kappa=[10, 100, 1000])

The call draws every picture there is, once. Its one output then carries two forms of them: HTML, which the built page shows
and whose slider is moved by the page's own script (book/_static/explore.js), and a widget, which Jupyter and Colab show while
a kernel runs. Where neither script nor kernel is there, in print or on GitHub, the HTML is the picture of the start.

Pictures are small: colours are rounded to 16 levels a channel, which keeps a line drawing within the 256 colours of a
palette, and equal pictures are stored once.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import product
from math import prod
from unittest.mock import patch

import numpy as np
from matplotlib import pyplot as plt
from PIL import Image

from metarep_lib.contents import Contents

MAX_FRAMES = 120  # a page carries them all
DPI = 100
LEVEL = 17  # 255 = 15 * 17: white and black stay what they are


@dataclass(frozen=True, eq=False, repr=False)
class Frame(Contents):
    """One picture: a PNG, and the sentence for whoever cannot see it."""

    png: bytes
    text: str

    @property
    def source(self) -> str:
        """The picture as the address of an `img`."""
        return f"data:image/png;base64,{b64encode(self.png).decode()}"


@dataclass(frozen=True)
class Exploration:
    """All pictures of a figure with one slider or two; put it last in a cell to show it.

    Args:
        parameters: name -> the labels of its values, in the order of the slider.
        start: [parameters] the position of each slider at first.
        frames: one for each combination of values, the last parameter running fastest.
    """

    parameters: dict[str, list[str]]
    start: tuple[int, ...]
    frames: list[Frame]

    def at(self, *positions: int) -> Frame:
        """The picture at a position of each slider, counted from 0."""
        return self.frames[
            int(np.ravel_multi_index(positions, tuple(map(len, self.parameters.values()))))
        ]

    def html(self) -> str:
        """The picture of the start, and what the page's script needs to move on from it."""
        pictures = list(dict.fromkeys(frame.source for frame in self.frames))  # equal ones once
        data = {
            "parameters": [
                {"name": name, "values": labels} for name, labels in self.parameters.items()
            ],
            "start": self.start,
            "pictures": pictures,
            "frames": [
                {"picture": pictures.index(frame.source), "text": frame.text}
                for frame in self.frames
            ],
        }
        # no text can end the script
        stored = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
        names = escape(" and ".join(map(_spoken, self.parameters)))
        return (
            f'<div class="explore" role="group" aria-label="Figure with a slider for {names}">'
            f'{picture(self.at(*self.start))}<p class="explore-at">{escape(self._start_in_words())}</p>'
            f'<script type="application/json">{stored}</script></div>'
        )

    def widget(self) -> object:
        """The same for a running kernel: a slider for each parameter above the picture."""
        # here, so that scripts do not pay for importing it
        from ipywidgets import (
            HTML,
            SelectionSlider,
            VBox,
        )

        sliders = [
            SelectionSlider(
                options=[(label, i) for i, label in enumerate(labels)],
                value=at,
                description=_spoken(name),
            )
            for (name, labels), at in zip(self.parameters.items(), self.start)
        ]
        shown = HTML()

        def show(*_: object) -> None:
            shown.value = picture(self.at(*(slider.value for slider in sliders)))

        for slider in sliders:
            slider.observe(show, "value")
        show()
        return VBox([*sliders, shown])

    def __repr__(self) -> str:
        ranges = "; ".join(
            f"{_spoken(name)} from {labels[0]} to {labels[-1]}"
            for name, labels in self.parameters.items()
        )
        return f"A figure with a slider: {ranges}. Run the cell to move it."

    def _repr_mimebundle_(
        self, include: object = None, exclude: object = None
    ) -> dict[str, object]:
        view = {"version_major": 2, "version_minor": 0, "model_id": self.widget().model_id}
        return {
            "text/plain": repr(self),
            "text/html": self.html(),
            "application/vnd.jupyter.widget-view+json": view,
        }

    def _start_in_words(self) -> str:
        at = (
            f"{_spoken(name)} = {labels[i]}"
            for (name, labels), i in zip(self.parameters.items(), self.start)
        )
        return f"Drawn at {', '.join(at)}."


def explore(
    f: Callable[..., str],
    /,
    *,
    start: Mapping[str, object] | None = None,
    **parameters: Iterable | Mapping[str, object],
) -> Exploration:
    """Draw ``f`` at every combination of values and put a slider for each parameter on the picture.

    Args:
        f: called as ``f(name=value)`` or ``f(name=value, other=value)``. Draws one new matplotlib figure and returns a
            sentence that says what this figure shows: its text for whoever cannot see it.
        start: name -> the value shown at first, and in print; the first value where nothing is said.
        **parameters: one or two; each the values of a slider in order, or a mapping from labels to values.

    Returns:
        The exploration, which a cell shows when it is the cell's last expression.

    Raises:
        ValueError: There are no parameters or more than two, fewer than two values, two values with the same label, more
            than `MAX_FRAMES` combinations, or a start that is not among the values.
        TypeError: ``f`` did not draw exactly one figure, or returned no sentence.

    >>> def line(slope):
    ...     plt.subplots()[1].plot([0, slope])
    ...     return f"A line rising to {slope}."
    >>> explore(line, slope=[1, 2, 4])
    A figure with a slider: slope from 1 to 4. Run the cell to move it.
    """
    call = (
        f"explore({getattr(f, '__name__', 'f')}, {', '.join(f'{name}=...' for name in parameters)})"
    )
    if len(parameters) not in (1, 2):
        raise ValueError(
            f"{call}: {len(parameters)} parameters; give the values of one or two, as in depth=range(1, 9)"
        )
    labelled = {name: _labelled(call, name, values) for name, values in parameters.items()}
    count = prod(map(len, labelled.values()))
    if count > MAX_FRAMES:
        raise ValueError(
            f"{call}: {count} pictures to draw; a page carries at most {MAX_FRAMES}, so leave out some values"
        )
    first = {name: next(iter(values.values())) for name, values in labelled.items()}
    unknown = sorted(set(start or {}) - set(first))
    if unknown:
        raise ValueError(
            f"{call}: start names {', '.join(unknown)}; the parameters are {', '.join(first)}"
        )
    positions = tuple(
        _position(call, name, list(labelled[name].values()), value)
        for name, value in (first | dict(start or {})).items()
    )
    frames = [
        _frame(call, f, dict(zip(labelled, values)))
        for values in product(*(values.values() for values in labelled.values()))
    ]
    return Exploration({name: list(values) for name, values in labelled.items()}, positions, frames)


def picture(frame: Frame) -> str:
    """An `img` of the frame, as wide as the page allows."""
    width, height = (round(side * 100 / DPI) for side in Image.open(BytesIO(frame.png)).size)
    return f'<img src="{frame.source}" alt="{escape(frame.text)}" width="{width}" height="{height}" style="max-width: 100%; height: auto">'


def _spoken(name: str) -> str:
    return name.strip("_").replace("_", " ")


def _labelled(call: str, name: str, values: Iterable | Mapping[str, object]) -> dict[str, object]:
    """Label -> value; numbers label themselves."""
    pairs = (
        list(values.items())
        if isinstance(values, Mapping)
        else [(f"{v:g}" if isinstance(v, float) else str(v), v) for v in values]
    )
    if len(pairs) < 2 or len(dict(pairs)) < len(pairs):
        fault = "fewer than two values" if len(pairs) < 2 else "two values with the same label"
        raise ValueError(
            f"{call}: {name} has {fault} ({', '.join(str(label) for label, _ in pairs) or 'none'}); a slider needs distinct ones"
        )
    return {str(label): value for label, value in pairs}


def _position(call: str, name: str, values: list, value: object) -> int:
    if value not in values:
        raise ValueError(
            f"{call}: starts at {name} = {value!r}, which is not one of its values {values}"
        )
    return values.index(value)


def _frame(call: str, f: Callable[..., str], values: dict[str, object]) -> Frame:
    """Draw one picture and close its figure."""
    here, before = (
        ", ".join(f"{name}={value!r}" for name, value in values.items()),
        set(plt.get_fignums()),
    )
    try:
        with patch.object(plt, "show"):  # a chart shows its figure, and in a notebook closes it
            text = f(**values)
        drawn = sorted(set(plt.get_fignums()) - before)
        pictures = [png(plt.figure(number)) for number in drawn[:1]]
    finally:  # f may raise between drawing and returning
        for number in set(plt.get_fignums()) - before:
            plt.close(number)
    if len(drawn) != 1:
        raise TypeError(
            f"{call}: at {here} it drew {len(drawn)} new figures; draw one, beginning with plt.subplots()"
        )
    if not isinstance(text, str) or not text.strip():
        raise TypeError(
            f"{call}: at {here} it returned {text!r}; return a sentence that says what the figure shows"
        )
    return Frame(pictures[0], text)


def png(figure: plt.Figure) -> bytes:
    """The figure as a small PNG, every channel rounded to a multiple of `LEVEL`."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI)
    levels = (np.asarray(Image.open(buffer).convert("RGB")).astype(np.uint16) + LEVEL // 2) // LEVEL
    colours, index = np.unique(levels @ (256, 16, 1), return_inverse=True)
    palette = (colours[:, None] // (256, 16, 1) % 16 * LEVEL).astype(np.uint8)
    if len(colours) <= 256:
        image = Image.fromarray(index.reshape(levels.shape[:2]).astype(np.uint8))
        image.putpalette(palette.tobytes())
    else:
        image = Image.fromarray(palette[index].reshape(levels.shape))
    buffer = BytesIO()
    image.save(buffer, format="png", optimize=True)
    return buffer.getvalue()
