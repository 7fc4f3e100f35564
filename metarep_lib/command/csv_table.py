"""A CSV file as a table of cells, each row with the line on which it starts: by the standard library alone."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from metarep_lib.storage import file_fault

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
ENCODED_OTHERWISE = (b"\xff\xfe", b"\xfe\xff", b"PK\x03\x04")
"""How UTF-16 and workbooks start."""


class BadFile(ValueError):
    """What cannot be answered; the message is one line: the file, the line where there is one, what came, what would work."""

    def __init__(self, path: Path, problem: str, line: int | None = None) -> None:
        place = f"{path}, line {line}" if line else f"{path}"
        super().__init__(" ".join(f"{place}: {problem}".split()))


@dataclass(frozen=True)
class Table:
    """A file, cell by cell, without the spaces around.

    Args:
        path: of the file.
        names: of the columns.
        rows: [n] the cells of every row.
        lines: [n] where each row starts in the file, from 1.
        delimiter: between cells.
    """

    path: Path
    names: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    delimiter: str

    def cells(self, name: str) -> list[str]:
        at = self.names.index(name)
        return [row[at] for row in self.rows]


def read_table(path: Path) -> Table:
    """The table in a file: UTF-8, with commas, semicolons or tabs between cells, and a line of names above.

    Raises:
        BadFile: no file, no text, no header, a row with more or fewer cells than the header.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder) / "data.csv"
    ...     _ = path.write_text("age;place\\n1,5; north\\n", encoding="utf-8")
    ...     table = read_table(path)
    >>> table.names, table.rows, table.lines, table.delimiter
    (('age', 'place'), [['1,5', 'north']], [2], ';')
    """
    text = content_of(path)
    delimiter = likely_delimiter(text)
    records = list(records_of(path, text, delimiter))
    if not records:
        raise BadFile(path, "it holds empty lines alone; expected a line of names and rows below")

    (first, header), *below = records
    names = names_of(path, first, header)
    for line, cells in below:
        if len(cells) != len(names):
            raise BadFile(
                path,
                f"{count(len(cells), 'cell')}, expected {len(names)} as in line {first}; a cell that holds"
                f" {DELIMITERS[delimiter]} is written in double quotes",
                line,
            )
    if not below:
        raise BadFile(path, "it holds a line of names and no rows; expected three rows or more")
    return Table(path, names, [cells for _, cells in below], [line for line, _ in below], delimiter)


def content_of(path: Path) -> str:
    try:
        if fault := file_fault(path):
            raise BadFile(path, f"{fault}; expected a CSV file")
        content = path.read_bytes()
    except FileNotFoundError:
        raise BadFile(path, f"there is no such file in {path.absolute().parent}") from None
    except OSError as error:
        raise BadFile(path, f"it cannot be read: {error.strerror}") from None
    if content.startswith(ENCODED_OTHERWISE) or b"\0" in content:
        raise BadFile(path, "it is no plain text in UTF-8; a spreadsheet saves that as 'CSV UTF-8'")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content[: error.start].count(b"\n")
        byte = content[error.start]
        raise BadFile(
            path,
            f"the byte 0x{byte:02x} is no UTF-8; a spreadsheet saves UTF-8 as 'CSV UTF-8'",
            line,
        ) from None


def likely_delimiter(text: str) -> str:
    """The one that cuts the header into the most cells."""

    def n_cells(delimiter: str) -> int:
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            return len(next((cells for cells in reader if any(cells)), []))
        except csv.Error:
            return 0

    return max(DELIMITERS, key=n_cells)


def records_of(path: Path, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """The line where it starts and the cells of every row that is not empty."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadFile(
            path, f"the quotes of this row do not close, or worse ({error})", line
        ) from None


def names_of(path: Path, line: int, header: list[str]) -> tuple[str, ...]:
    """The names in a header; a column without one is called by its place."""
    names = tuple(name or f"column {i}" for i, name in enumerate(header, 1))
    if len(names) == 1:
        raise BadFile(
            path,
            f"one column, {names[0]!r}; expected a target and features, with commas, semicolons or tabs between",
            line,
        )
    if all(is_numeric(name) for name in header):
        raise BadFile(path, f"numbers ({header[0]}, ...), expected the names of the columns", line)
    for i, name in enumerate(names):
        if name in names[:i]:
            raise BadFile(
                path,
                f"columns {names.index(name) + 1} and {i + 1} are both named {name!r}; rename one",
                line,
            )
    return names


def is_numeric(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def count(n: int, noun: str) -> str:
    """
    >>> count(1, "row"), count(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
