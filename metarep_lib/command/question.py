"""Which rows teach and which are asked.

Asked are, in this order: the rows of a second file; the rows without a target; a fifth that is held out. A row with an empty cell in a
column that is read neither teaches nor is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from metarep_lib.command.columns import Column, read_columns, read_like
from metarep_lib.command.csv_table import BadFile, Table, count
from metarep_lib.command.features import MOST_WORDS, Encoding, Features, choose_features, encode
from metarep_lib.command.held_out import at_most, hold_out

How = Literal["query", "empty", "held out"]

WIDEST = 3000
"""Features times outputs, above which a network would fill the memory of a laptop."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a table.

    Args:
        table: the file.
        columns: its columns, by name.
        rows: [n] places in them.
        empty: name -> the number of rows with an empty cell there, of those that were to be here.
        n_left_out: the number of rows with an empty cell.
    """

    table: Table
    columns: Mapping[str, Column]
    rows: np.ndarray
    empty: dict[str, int]
    n_left_out: int


@dataclass(frozen=True)
class Question:
    """What is asked of the network.

    Args:
        target: the name of the column.
        classes: whether it holds labels.
        teaching, asked: the rows.
        how: why these are asked.
        n_could_teach: how many rows there were to draw from.
        n_without_target: rows of the first file without a target that are not asked.
        features: which columns are read.
        encoding: how.
    """

    target: str
    classes: bool
    teaching: Rows
    asked: Rows
    how: How
    n_could_teach: int
    n_without_target: int
    features: Features
    encoding: Encoding

    @property
    def X(self) -> np.ndarray:
        return self.encoding.matrix(self.teaching.columns, self.teaching.rows)

    @property
    def X_query(self) -> np.ndarray:
        return self.encoding.matrix(self.asked.columns, self.asked.rows)

    @property
    def y(self) -> np.ndarray:
        """[k] numbers, or labels as they are written."""
        return targets(self.teaching.columns[self.target], self.classes)[self.teaching.rows]

    @property
    def has_truth(self) -> bool:
        """Whether the target of every row that is asked is known."""
        column = self.asked.columns.get(self.target)
        return column is not None and not column.missing[self.asked.rows].any()

    @property
    def y_query(self) -> np.ndarray:
        return targets(self.asked.columns[self.target], self.classes)[self.asked.rows]


def targets(column: Column, classes: bool) -> np.ndarray:
    return np.array(column.cells, dtype=object) if classes else column.numbers


def pose(table: Table, target: str, query: Table | None, classes: bool, seed: int) -> Question:
    """The question that a file is.

    Args:
        table: with targets.
        target: the column to answer.
        query: the rows that are asked; None: those without a target, or a fifth.
        classes: whether numbers are labels.
        seed: of the draws.

    Raises:
        BadFile: no such target, a target that is always the same, fewer than three rows, nothing to answer from.
    """
    columns, classes = read_with_target(table, target, classes)
    features = choose_features(table.path, columns, target)

    given = complete(table, columns, features.names, ~columns[target].missing)
    check_enough(given, target)
    check_target(table, columns[target], classes, given.rows)
    could_teach, asked, how = who_is_asked(given, target, features.names, query, seed)

    drawn = at_most(could_teach, seed)
    check_target(table, columns[target], classes, drawn)
    question = Question(
        target=target,
        classes=classes,
        teaching=replace(given, rows=drawn),
        asked=asked,
        how=how,
        n_could_teach=len(could_teach),
        n_without_target=int(columns[target].missing.sum()) if how == "query" else 0,
        features=features,
        encoding=encode(columns, features.names, drawn),
    )
    check_width(question)
    return question


def read_with_target(table: Table, target: str, classes: bool) -> tuple[dict[str, Column], bool]:
    """The columns, and whether the target is a class: by request, or because it holds words."""
    if target not in table.names:
        known = ", ".join(map(repr, table.names))
        raise BadFile(table.path, f"no column {target!r} to answer; its columns are {known}")
    columns = read_columns(table)
    classes = classes or columns[target].numbers is None
    check_target(table, columns[target], classes)
    return columns, classes


def who_is_asked(
    given: Rows, target: str, names: tuple[str, ...], query: Table | None, seed: int
) -> tuple[np.ndarray, Rows, How]:
    """The rows that may teach, those that are asked, and why these."""
    without = given.columns[target].missing
    if query is None and not without.any():
        could_teach, rows = hold_out(given.rows, seed)
        return could_teach, Rows(given.table, given.columns, rows, {}, 0), "held out"
    if query is None:
        asked, how = complete(given.table, given.columns, names, without), "empty"
    else:
        wanted = [*names, target] if target in query.names else names
        columns = read_like(query, {name: given.columns[name] for name in wanted})
        asked, how = complete(query, columns, names, np.ones(len(query.rows), dtype=bool)), "query"
    if not len(asked.rows):
        holes = ", ".join(map(repr, asked.empty))
        raise BadFile(
            asked.table.path, f"every row to answer for has an empty cell, in {holes}; fill them in"
        )
    return given.rows, asked, how


def complete(
    table: Table, columns: Mapping[str, Column], names: tuple[str, ...], wanted: np.ndarray
) -> Rows:
    """The rows that are wanted and have no empty cell, and how many had one."""
    holes = {name: columns[name].missing & wanted for name in names}
    any_hole = np.logical_or.reduce(list(holes.values()))
    empty = {name: int(hole.sum()) for name, hole in holes.items() if hole.any()}
    return Rows(table, columns, np.flatnonzero(wanted & ~any_hole), empty, int(any_hole.sum()))


def check_enough(given: Rows, target: str) -> None:
    n = len(given.rows)
    if n < 3:
        where = ", ".join(map(repr, given.empty))
        holes = f" ({given.n_left_out} more have an empty cell, in {where})" if where else ""
        raise BadFile(
            given.table.path,
            f"{count(n, 'row')} with {target!r} and all features{holes}; expected three or more",
        )


def check_target(
    table: Table, column: Column, classes: bool, rows: np.ndarray | None = None
) -> None:
    """Raises BadFile for a target that says nothing, or has more classes than can be learnt; of all rows, or of some."""
    some_rows = np.flatnonzero(~column.missing) if rows is None else rows
    values = targets(column, classes)[some_rows]
    among = "" if rows is None else f" in the {len(rows)} rows that can teach"
    if not len(values):
        raise BadFile(table.path, f"the target {column.name!r} is empty in every row")
    different = set(values.tolist())
    if len(different) == 1:
        raise BadFile(
            table.path,
            f"the target {column.name!r} is always {column.cells[some_rows[0]]!r}{among}; expected values that differ",
        )
    if classes and len(different) > MOST_WORDS:
        raise BadFile(
            table.path,
            f"the target {column.name!r} has {len(different)} different words or labels; expected numbers, or at most"
            f" {MOST_WORDS} classes",
        )


def check_width(question: Question) -> None:
    n_outputs = len(set(question.y.tolist())) if question.classes else 1
    if question.encoding.width * n_outputs > WIDEST:
        most = WIDEST // n_outputs
        raise BadFile(
            question.teaching.table.path,
            f"{question.encoding.width} features for {n_outputs} outputs make a network too wide; at most {most} features would"
            " work: take columns out",
        )
