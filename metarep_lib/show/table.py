"""Tables of numbers that a run has found, as a page, a notebook and a terminal show them."""

from collections.abc import Collection, Sequence
from html import escape

import numpy as np

from metarep_lib.asked import asked, between

ENDS = "  # measured"
MISSING = "–"  # en dash
Name = str | int | float


class Table:
    """A table with a name for every row and every column; a page shows it as one, a terminal as lines.

    The lines end in ``# measured``, and nbval compares neither them nor the numbers of the page's
    table, which other processors round otherwise.
    """

    def __init__(
        self,
        rows: Sequence[str],
        columns: Sequence[str],
        cells: Sequence[Sequence[str]],
        corner: str = "",
    ):
        self.rows, self.head = list(rows), [corner, *columns]
        self.cells = [list(row) for row in cells]

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        body = "".join(
            f"<tr><th>{escape(name)}</th>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>"
            for name, row in zip(self.rows, self.cells)
        )
        table = f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody>"
        # the class of the box is the theme's: it scrolls where the page is narrow
        return f'<div class="pst-scrollable-table-container"><table class="measured">{table}</table></div>'

    def __repr__(self) -> str:
        lines = [self.head, *([name, *row] for name, row in zip(self.rows, self.cells))]
        widths = [max(map(len, column)) for column in zip(*lines)]
        aligned = (
            "  ".join(
                [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]
            )
            for line in lines
        )
        return "\n".join(line.rstrip() + ENDS for line in aligned)


def shown_name(name: Name) -> str:
    """A text as it is, a number of things as such, a float by its power of ten."""
    return f"{name:.0e}" if isinstance(name, float) else str(name)


@asked(digits=between(1, 17, example=3))
def table(
    values: np.ndarray | Sequence[Sequence[float]],
    *,
    rows: Collection[Name],
    columns: Collection[Name],
    corner: str = "",
    digits: int = 3,
    most: float | None = None,
    nan: str = MISSING,
    formats: Sequence[str] | None = None,
) -> Table:
    """A table of numbers with names.

    Args:
        values: [rows, columns] what was found.
        rows: A name for each row, or the value of a knob.
        columns: A name for each column.
        corner: What the columns are, above the names of the rows.
        digits: How many of a number are shown.
        most: The largest number that was looked for; what lies above is shown as more than that.
        nan: How NaN is shown: a dash where a number is missing; ``"nan"`` where NaN is what a computation has said.
        formats: A format for every column, as Python writes them, where columns are of different kinds.

    Raises:
        ValueError: Names or formats that are not as many as rows or columns.

    >>> table(np.array([[1.0, np.inf]]), rows=["steps"], columns=["few", "many"], most=60)
           few  many  # measured
    steps    1  > 60  # measured
    >>> table(np.array([[1.0, np.nan]]), rows=["steps"], columns=["few", "many"])
           few  many  # measured
    steps    1     –  # measured
    """
    values = np.asarray(values)
    if values.shape != (len(rows), len(columns)):
        raise ValueError(
            f"table(values with shape {list(values.shape)}): {len(rows)} rows and {len(columns)} columns have names;"
            " expected as many of each, e.g. table(np.ones((1, 2)), rows=['a'], columns=['b', 'c'])"
        )
    if formats is not None and len(formats) != len(columns):
        raise ValueError(
            f"table(formats={list(formats)}): expected one for each of {len(columns)} columns, e.g. formats={['.3g'] * len(columns)}"
        )

    def shown(value: float, form: str) -> str:
        if value != value:  # NaN, and nothing else
            return nan
        return f"{value:{form}}" if most is None or not value > most else f"> {most:g}"

    names = [[shown_name(name) for name in of] for of in (rows, columns)]
    forms = formats or [f".{digits}g"] * len(columns)
    return Table(*names, [[*map(shown, row, forms)] for row in values], corner)
