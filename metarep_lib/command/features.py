"""Which columns a network reads, and words as 0 and 1."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metarep_lib.command.columns import Column, is_count_of_rows, some
from metarep_lib.command.csv_table import BadFile

MOST_WORDS = 50
"""Different words in a column; of more, most are too rare to learn from."""


@dataclass(frozen=True)
class Features:
    """What is read of a table.

    Args:
        names: of the columns that are read.
        left_out: name -> why.
    """

    names: tuple[str, ...]
    left_out: dict[str, str]


def choose_features(path: Path, columns: Mapping[str, Column], target: str) -> Features:
    """All columns but the target and those that cannot teach.

    Raises:
        BadFile: no column is left.
    """
    others = [column for name, column in columns.items() if name != target]
    reasons = {column.name: reason for column in others if (reason := why_left_out(column))}
    names = tuple(column.name for column in others if column.name not in reasons)
    if not names:
        listed = "; ".join(f"{name!r} ({reason})" for name, reason in reasons.items())
        raise BadFile(path, f"no column is left to answer from: {listed}")
    return Features(names, reasons)


def why_left_out(column: Column) -> str:
    """Why a column cannot teach; nothing where it may."""
    n_different = len(set(column.known))
    if column.missing.all():
        return "empty"
    if column.missing.mean() > 0.5:
        return f"{column.missing.mean():.0%} of its cells are empty"
    if n_different == 1 or (column.numbers is not None and is_constant(column)):
        return f"always {column.known[0][:40]!r}"
    if is_count_of_rows(column):
        return "it counts the rows"
    if column.numbers is None and (n_different > MOST_WORDS or 2 * n_different > len(column.known)):
        is_amount = any(cell[0] in "0123456789+-.$€£" for cell in column.known)
        advice = "; dates and amounts must be written as numbers, like 1234.5" if is_amount else ""
        return f"words, {some(column, 2)}: too many to learn from{advice}"
    return ""


def is_constant(column: Column) -> bool:
    """1 and 1.0 are one number."""
    return bool(np.nanmin(column.numbers) == np.nanmax(column.numbers))


@dataclass(frozen=True)
class Encoding:
    """How rows become numbers: a column of numbers as it is, one of words as a column of 0 and 1 for each, in sorted order.

    Args:
        words: name -> the different words among the rows that teach; () for numbers.
    """

    words: dict[str, tuple[str, ...]]

    @property
    def width(self) -> int:
        return sum(max(1, len(words)) for words in self.words.values())

    def matrix(self, columns: Mapping[str, Column], rows: np.ndarray) -> np.ndarray:
        """[n, p] the features of some rows; a word that no teaching row has is 0 everywhere."""
        parts = [part for name in self.words for part in self.parts(columns[name], rows)]
        return np.column_stack(parts)

    def parts(self, column: Column, rows: np.ndarray) -> Iterator[np.ndarray]:
        if column.numbers is not None:
            yield column.numbers[rows]
            return
        cells = np.array(column.cells, dtype=object)[rows]
        for word in self.words[column.name]:
            yield (cells == word).astype(float)

    def unknown(self, columns: Mapping[str, Column], rows: np.ndarray) -> dict[str, int]:
        """Name -> the number of rows with a word that no teaching row has."""
        counts = {
            name: sum(columns[name].cells[row] not in words for row in rows)
            for name, words in self.words.items()
            if words
        }
        return {name: n for name, n in counts.items() if n}


def encode(columns: Mapping[str, Column], names: tuple[str, ...], rows: np.ndarray) -> Encoding:
    """The encoding that the rows that teach ask for.

    >>> north = Column("place", ["south", "north", "south"], None, np.zeros(3, dtype=bool))
    >>> encoding = encode({"place": north}, ("place",), np.arange(3))
    >>> encoding.words, encoding.matrix({"place": north}, np.arange(2)).tolist()
    ({'place': ('north', 'south')}, [[0.0, 1.0], [1.0, 0.0]])
    """
    return Encoding(
        {
            name: ()
            if columns[name].numbers is not None
            else tuple(sorted({columns[name].cells[row] for row in rows}))
            for name in names
        }
    )
