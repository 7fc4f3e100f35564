"""Tables of what is stored: names, counts, commands, exactly as they are."""

from collections.abc import Collection, Mapping, Sequence


class Listing:
    """A table of texts, a row for each record; a page shows it as one, a terminal in the lines of its Markdown."""

    def __init__(self, rows: Sequence[Mapping[str, object]], code: Collection[str] = ()):
        self.head = list(rows[0]) if rows else []
        self.cells = [
            [f"`{value}`" if name in code else str(value) for name, value in row.items()]
            for row in rows
        ]

    def _repr_markdown_(self) -> str:
        lines = [self.head, ["---"] * len(self.head), *self.cells]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    __repr__ = _repr_markdown_


def listing(rows: Sequence[Mapping[str, object]], *, code: Collection[str] = ()) -> Listing:
    """A table of records.

    Args:
        rows: Name of a column -> what stands in it; all have the columns of the first.
        code: Columns that are set as code.

    Raises:
        ValueError: A row with other columns.

    >>> listing([{"sweep": "width", "points": 90}], code=["sweep"])
    | sweep | points |
    | --- | --- |
    | `width` | 90 |
    """
    for number, row in enumerate(rows):
        if list(row) != list(rows[0]):
            raise ValueError(
                f"listing(rows): row {number} has the columns {', '.join(row)}; expected those of the first,"
                f" {', '.join(rows[0])}, e.g. listing([{{'name': 'a', 'size': 1}}, {{'name': 'b', 'size': 2}}])"
            )
    return Listing(rows, code)
