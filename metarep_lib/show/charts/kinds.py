"""Every draw of several kinds, by place."""

from collections.abc import Mapping, Sequence

import numpy as np

from metarep_lib.show.charts.curves import Array, Curve
from metarep_lib.show.charts.lines import lines

Numbers = Mapping[str, Array]  # kind -> [draws, places] or [places]


def kinds(
    rows: Mapping[str, Mapping[str, Numbers]],
    places: Sequence[str | int],
    *,
    styles: Mapping[str, tuple[str, str]],
    xlabel: str = "",
    ylim: tuple[float | None, float | None] | None = None,
    share: bool | str = True,
    wrap: int | None = None,
    size: tuple[float, float] = (5.0, 3.6),
    spread: float = 0.0,
    place: str | tuple[float, float] = "best",
) -> None:
    """Every draw of several kinds over common places, a panel for every title, a row of panels for every label.

    Args:
        rows: Label of the vertical axis -> title -> kind -> [draws, places]; there may be fewer than others have.
        places: Their names, or whole numbers.
        styles: Kind -> (colour, style); the style says the mark, and whether a line joins them.
        xlabel: Of the horizontal axes.
        ylim: Ends of the vertical axes.
        share: Whether all panels have one vertical axis; ``"row"``: those of a row.
        wrap: With one row alone, the number of panels side by side; the rest goes below.
        size: Width and height of a panel.
        spread: How far draws stand to the sides of their place.
        place: Of the legends, one in the first panel of every row.

    >>> import matplotlib.pyplot as plt
    >>> found = {"a": [[1.0, 2.0], [1.5, 2.5]], "b": [0.0, 0.1]}
    >>> kinds({"score": {"all": found}}, ["x", "y"], styles={"a": ("k", "o"), "b": ("c", "x")})
    >>> [text.get_text() for text in plt.gcf().axes[0].get_legend().get_texts()]
    ['a', 'b']
    >>> plt.close()
    """

    def curves(found: Numbers) -> list[Curve]:
        drawn = []
        for kind, values in found.items():
            draws, (colour, style) = np.atleast_2d(values), styles[kind]
            aside = np.linspace(-spread, spread, len(draws)) if len(draws) > 1 else [0.0]
            for number, (row, offset) in enumerate(zip(draws, aside)):
                x = np.arange(len(row)) + offset
                drawn.append(Curve(row, colour, style, None if number else kind, x=x))
        return drawn

    lines(
        {
            label: {title: curves(found) for title, found in panels.items()}
            for label, panels in rows.items()
        },
        xlabel=xlabel,
        ylim=ylim,
        share=share,
        wrap=wrap,
        size=size,
        ticks=dict(enumerate(map(str, places))),
        place=place,
    )
