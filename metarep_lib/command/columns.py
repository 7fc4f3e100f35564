"""Cells as numbers or as words.

A column holds numbers when every cell is one, written 12, -1.5 or 1e-3; in files without commas between the cells also 1,5. A cell is empty
when nothing stands in it, and in a column of numbers also where NA, NaN or another of `NOTHING` does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from metarep_lib.command.csv_table import BadFile, Table

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
NOTHING = ("", "na", "n/a", "nan", "null", "none", "?", "-")
OF_ROWS = ("row", "rows", "nr", "no", "no.", "number", "#", "unnamed: 0")
"""Names of a column that may count the rows, in small letters."""

MOSTLY = 0.9
"""A column with a larger part of numbers is one of numbers, and what else stands in it a mistake."""

LARGEST = 1e150
"""Sums of squares of larger numbers leave the range of float64."""


@dataclass(frozen=True)
class Column:
    """One column of a file.

    Args:
        name: from the header.
        cells: [n] as they are written.
        numbers: [n] in float64, NaN where nothing is known; None for words.
        missing: [n] truth values.
        decimal: "." or ",".
    """

    name: str
    cells: list[str]
    numbers: np.ndarray | None
    missing: np.ndarray
    decimal: str = "."

    @property
    def known(self) -> list[str]:
        return [cell for cell, missing in zip(self.cells, self.missing) if not missing]


def read_columns(table: Table) -> dict[str, Column]:
    """The columns of a table, by name.

    Raises:
        BadFile: a word among numbers, a number that is not finite, points and commas as decimals in one file.
    """
    columns = {name: read_column(table, name) for name in table.names}
    check_decimals(table, columns)
    return columns


def read_like(table: Table, columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns of another table, read as those with the same names were: numbers as numbers, words as words.

    Raises:
        BadFile: a column that the other table lacks, or a word where numbers were.
    """
    absent = [name for name in columns if name not in table.names]
    if absent:
        raise BadFile(
            table.path,
            f"no column {', '.join(map(repr, absent))}; it has {', '.join(map(repr, table.names))}",
        )
    read = {}
    for name, column in columns.items():
        cells = table.cells(name)
        if column.numbers is None:
            read[name] = words(name, cells)
        else:
            decimal = decimal_of(table.delimiter, cells)
            read[name] = as_numbers(table, name, cells, decimal)
    check_decimals(table, read)
    return read


def read_column(table: Table, name: str) -> Column:
    cells = table.cells(name)
    decimal = decimal_of(table.delimiter, cells)
    n_numbers, n_known = n_numeric(cells, decimal), sum(not is_nothing(cell) for cell in cells)
    if n_known and n_numbers > MOSTLY * n_known:
        return as_numbers(table, name, cells, decimal)
    return words(name, cells)


def words(name: str, cells: list[str]) -> Column:
    return Column(name, cells, None, np.array([not cell for cell in cells], dtype=bool))


def as_numbers(table: Table, name: str, cells: list[str], decimal: str) -> Column:
    numbers = np.array(
        [number_of(table, i, name, cell, decimal) for i, cell in enumerate(cells)], dtype=float
    )
    return Column(name, cells, numbers, np.isnan(numbers), decimal)


def number_of(table: Table, i: int, name: str, cell: str, decimal: str) -> float:
    """The number in a cell, NaN where it holds nothing."""
    if is_nothing(cell):
        return float("nan")
    problem = ""
    if INFINITE.fullmatch(cell):
        problem = "which is no finite number; leave the cell empty where nothing is known"
    elif not NUMBER.fullmatch(pointed(cell, decimal)):
        problem = (
            "and the other cells hold numbers; correct it, or leave it empty where nothing is known"
        )
    elif abs(float(pointed(cell, decimal))) > LARGEST:
        problem = f"and squares of numbers beyond {LARGEST:.0e} leave the range of float64; take another unit"
    if problem:
        raise BadFile(table.path, f"{name!r} holds {cell[:40]!r}, {problem}", table.lines[i])
    return float(pointed(cell, decimal))


def decimal_of(delimiter: str, cells: list[str]) -> str:
    """A point, unless more cells are numbers with a comma."""
    if delimiter == "," or n_numeric(cells, ",") <= n_numeric(cells, "."):
        return "."
    return ","


def n_numeric(cells: list[str], decimal: str) -> int:
    return sum(
        bool(NUMBER.fullmatch(pointed(cell, decimal)) or INFINITE.fullmatch(cell)) for cell in cells
    )


def pointed(cell: str, decimal: str) -> str:
    """A number with a point: of 1.234 in a column of decimal commas nothing that is a number."""
    return cell if decimal == "." else cell.replace(".", "?").replace(",", ".")


def is_nothing(cell: str) -> bool:
    return cell.lower() in NOTHING


def check_decimals(table: Table, columns: Mapping[str, Column]) -> None:
    """1.234 is a thousand and more where decimals are commas; nobody knows in a file that has both."""
    commas = next((column for column in columns.values() if column.decimal == ","), None)
    for column in columns.values() if commas else ():
        at = next((i for i, cell in enumerate(column.cells) if "." in cell), None)
        if column.numbers is not None and column.decimal == "." and at is not None:
            raise BadFile(
                table.path,
                f"{column.name!r} holds {column.cells[at]!r} and {commas.name!r} holds {commas.known[0]!r}:"
                " write decimals with points in all columns, or with commas in all",
                table.lines[at],
            )


def is_count_of_rows(column: Column) -> bool:
    """Whether it numbers the rows from 0 or 1, and its name says no more than that."""
    numbers = column.numbers
    name = column.name.lower()
    says_no_more = name in OF_ROWS or name.startswith("column ") or name.endswith(("id", "index"))
    if not says_no_more or numbers is None or numbers[0] not in (0.0, 1.0):
        return False
    return bool((np.diff(numbers) == 1).all())


def some(column: Column, most: int = 3) -> str:
    """
    >>> some(words("place", ["north", "south", "north", ""]))
    "2 different: 'north', 'south'"
    """
    different = sorted(set(column.known))
    more = ", ..." if len(different) > most else ""
    return f"{len(different)} different: {', '.join(repr(cell[:24]) for cell in different[:most])}{more}"
