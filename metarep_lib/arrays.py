"""What people bring: numpy arrays, data frames, tensors and lists, read as numbers; and the way back to their units.

Features and targets are read in float64. Whatever holds no numbers is named, column by column, with a call that makes numbers of it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.contents import Contents, describe, shown

__all__ = ["Features", "Targets", "Units", "read_features", "read_targets", "why_no_match"]


@dataclass(frozen=True, eq=False, repr=False)
class Units(Contents):
    """How a prediction is said in the units of the targets: mean + spread * prediction, and for classes the label of the largest.

    Args:
        mean: [] or [m] what was taken from the targets; 0 without an intercept.
        spread: [] or [m] what they were divided by; 1 where nothing was standardised.
        labels: the classes, one a column; None for numbers.
    """

    mean: Tensor
    spread: Tensor
    labels: tuple | None = None

    @asked(prediction=floats())
    def back(self, prediction: Tensor) -> Tensor:
        """[..., q] or [..., q, m] in the units of the targets: of classes a score a class, which is 1 for the class and 0 for others.

        >>> Units(torch.tensor(10.0), torch.tensor(2.0)).back(torch.tensor([0.0, 1.5]))
        tensor([10., 13.])
        """
        return self.mean.to(prediction) + self.spread.to(prediction) * prediction

    @asked(prediction=floats())
    def label(self, prediction: Tensor) -> list:
        """The class with the largest score at each of q queries, of predictions [q, m].

        Raises:
            ValueError: the targets were numbers, or predictions of several prompts.
        """
        fits = self.labels is not None and list(prediction.shape[1:]) == [len(self.labels)]
        if not fits or prediction.ndim != 2:
            expected = f"expected [q, {len(self.labels or ())}]"
            why = "the targets were numbers" if self.labels is None else expected
            raise ValueError(
                f"Units.label({describe(prediction)}): {why}; this would work: units.back(prediction)"
            )
        return [self.labels[best] for best in self.back(prediction).argmax(-1).tolist()]


@dataclass(frozen=True, eq=False, repr=False)
class Features(Contents):
    """[n, p] numbers, what their columns are called, and why they will not do."""

    values: Tensor
    names: tuple[str, ...] | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Targets(Contents):
    """[n] or [n, m] numbers, the labels of classes, and why they will not do."""

    values: Tensor
    labels: tuple | None
    reasons: tuple[str, ...]


NONE = torch.zeros(0, 0, dtype=torch.float64)


def read_features(given: Any, name: str) -> Features:
    """The numbers of an array, a frame, a tensor or nested lists.

    >>> read_features([[1, 2], [3, 4]], "X").values.tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    >>> read_features(np.array([[1, "north"], [2, "south"]], dtype=object), "X").reasons[0].split(";")[0]
    "X holds columns that are no numbers: column 1 ('north', 'south')"
    """
    if isinstance(given, Tensor):
        return of_tensor(given, name)
    if is_frame(given):
        names = tuple(map(str, given.columns))
        columns = [as_column(given[column]) for column in given.columns]
    else:
        try:
            array = np.asarray(given)
        except (TypeError, ValueError, RuntimeError):
            array = np.asarray(None)
        if array.ndim != 2:
            axis = (
                "None" if name == "X_query" else ":, None"
            )  # one query is a row, one feature a column
            cure = f": {name}[{axis}]" if array.ndim == 1 and array.dtype.kind in "iufb" else ""
            came = f"has shape {list(array.shape)}" if array.ndim else f"is {shown(given)}"
            return Features(NONE, None, (f"{name} {came}, expected rows and columns{cure}",))
        # beside words numpy makes text of numbers, too
        columns = [as_written(column) for column in array.T]
        names = None
    numbers = [as_numbers(column) for column in columns]
    reasons = tuple(why_no_numbers(name, names, columns, numbers))
    if reasons or not columns:
        return Features(NONE, names, reasons or (f"{name} has no columns",))
    return Features(torch.from_numpy(np.column_stack(numbers)), names, ())


def of_tensor(given: Tensor, name: str) -> Features:
    if given.ndim != 2 or given.is_complex() or given.layout != torch.strided or given.is_meta:
        return Features(
            NONE, None, (f"{name} is {describe(given)}, expected real numbers [rows, columns]",)
        )
    values = given.detach().to(torch.float64)
    bad = (~torch.isfinite(values)).any(0).nonzero().flatten().tolist()
    reasons = (f"{name} is not finite in {columns_called(None, bad)}",) if bad else ()
    return Features(values, None, reasons)


def is_frame(given: Any) -> bool:
    """A data frame, of whatever package: it has named columns and gives them one by one."""
    return hasattr(given, "columns") and hasattr(given, "to_numpy")


def as_column(series: Any) -> np.ndarray:
    """[n] the entries of a column of a frame; a categorical one as words, even where its categories are numbers."""
    entries = np.asarray(series)
    return entries.astype(str) if "categor" in str(series.dtype).lower() else entries


def as_numbers(column: np.ndarray) -> np.ndarray | None:
    """[n] in float64, missing entries NaN; None where they are no numbers."""
    if column.dtype.kind in "biuf":
        return column.astype(np.float64)
    if column.dtype.kind != "O" or any(isinstance(entry, str | bytes) for entry in column):
        return None
    try:
        return np.array([np.nan if is_missing(entry) else float(entry) for entry in column])
    except (TypeError, ValueError, OverflowError):
        return None


def as_written(column: np.ndarray) -> np.ndarray:
    """[n] numbers where a column of text holds nothing else."""
    if column.dtype.kind != "U":
        return column
    try:
        return column.astype(np.float64)
    except ValueError:
        return column


def is_missing(entry: Any) -> bool:
    """None, NaN, and whatever else a frame puts where nothing is known: it is not even equal to itself."""
    if entry is None:
        return True
    try:
        return not bool(entry == entry)
    except (TypeError, ValueError):
        return True


def why_no_numbers(
    name: str,
    names: Sequence[str] | None,
    columns: Sequence[np.ndarray],
    numbers: Sequence[np.ndarray | None],
) -> Iterator[str]:
    words = [i for i, read in enumerate(numbers) if read is None]
    if words:
        which = ", ".join(
            f"{column_called(names, i)} ({some_entries(columns[i])})" for i in words[:3]
        )
        more = f" and {len(words) - 3} more" if len(words) > 3 else ""
        one_hot = in_columns(name, words, names)
        yield (
            f"{name} holds columns that are no numbers: {which}{more}; one column of 0 and 1 a category"
            f" would work: {one_hot}"
        )
    broken = [i for i, read in enumerate(numbers) if read is not None and not finite(read)]
    if broken:
        n_bad = sum(int((~np.isfinite(numbers[i])).sum()) for i in broken)
        yield (
            f"{name} holds {n_bad} missing or infinite values, in {columns_called(names, broken)};"
            " leave these rows out, or fill them in"
        )


def in_columns(name: str, words: Sequence[int], names: Sequence[str] | None) -> str:
    """The call that makes a column of 0 and 1 of every category; those of the queries are the supports'."""
    if names is None:
        levels = f"{name}[:, [i]] == np.unique(X[:, i])"
        rest = f"np.delete({name}, {list(words)}, axis=1).astype(float)"
        return f"np.column_stack([{rest}, *({levels} for i in {list(words)})])"
    dummies = f"pandas.get_dummies({name}, columns={[names[i] for i in words]!r}, dtype=float)"
    same = ".reindex(columns=X.columns, fill_value=0.0), with X made first"
    return dummies + (same if name == "X_query" else "")


def finite(read: np.ndarray) -> bool:
    return bool(np.isfinite(read).all())


def some_entries(column: np.ndarray) -> str:
    seen = list(dict.fromkeys(map(str, column[:100])))
    return ", ".join(map(repr, seen[:2])) + (", ..." if len(seen) > 2 else "")


def column_called(names: Sequence[str] | None, i: int) -> str:
    return repr(names[i]) if names else f"column {i}"


def columns_called(names: Sequence[str] | None, which: Sequence[int]) -> str:
    more = f" and {len(which) - 5} more columns" if len(which) > 5 else ""
    return ", ".join(column_called(names, i) for i in which[:5]) + more


def read_targets(given: Any, classes: bool | None) -> Targets:
    """The targets as numbers, or as one column of 0 and 1 a class.

    Args:
        given: [n] or [n, m], an array, a series or frame, a tensor or a list.
        classes: whether they are labels; None: text and truth values are, floats are not, whole numbers must be told.

    >>> targets = read_targets(["yes", "no", "yes"], classes=None)
    >>> targets.labels, targets.values.tolist()
    (('no', 'yes'), [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    """
    try:
        array = given.detach().cpu().numpy() if isinstance(given, Tensor) else np.asarray(given)
    except (TypeError, ValueError, RuntimeError):
        array = np.asarray(None)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim not in (1, 2):
        return Targets(NONE, None, (f"y is {shown(given)}, expected a target for each row",))
    is_category = "categor" in str(getattr(given, "dtype", "")).lower()
    words = array.dtype.kind in "bUST" or (array.dtype.kind == "O" and numbers_of(array) is None)
    if classes is None and array.dtype.kind in "iu" and not is_category:
        why = "y holds whole numbers, which may be labels or counts: say classes=True or classes=False"
        return Targets(NONE, None, (why,))
    if classes or (classes is None and (words or is_category)):
        return of_classes(array)
    values = numbers_of(array)
    if values is None:
        why = f"y holds {some_entries(array.ravel())}, which are no numbers; as labels they would work: classes=True"
        return Targets(NONE, None, (why,))
    if not finite(values):
        n_bad = int((~np.isfinite(values)).sum())
        why = f"y holds {n_bad} missing or infinite values; leave these rows out"
        return Targets(NONE, None, (why,))
    return Targets(torch.from_numpy(values), None, ())


def numbers_of(array: np.ndarray) -> np.ndarray | None:
    read = as_numbers(array.ravel())
    return None if read is None else read.reshape(array.shape)


def of_classes(array: np.ndarray) -> Targets:
    """[n, m] a column of 0 and 1 for each label, in the order in which they sort."""
    if array.ndim != 1:
        return Targets(NONE, None, (f"y has shape {list(array.shape)}, expected one label a row",))
    entries = array.tolist()
    if any(map(is_missing, entries)):
        return Targets(NONE, None, ("y holds missing labels; leave these rows out",))
    labels = sorted(set(entries), key=lambda label: (str(type(label)), label))
    if len(labels) < 2:
        return Targets(NONE, None, (f"y holds the label {labels!r} alone, expected two or more",))
    of_label = {label: i for i, label in enumerate(labels)}
    which = torch.tensor([of_label[label] for label in entries])
    return Targets(
        torch.nn.functional.one_hot(which, len(labels)).to(torch.float64), tuple(labels), ()
    )


def why_no_match(X: Features, X_query: Features) -> Iterator[str]:
    """Why the columns of two tables are not the same."""
    if X.names and X_query.names and X.names != X_query.names:
        missing = [name for name in X.names if name not in X_query.names]
        extra = [name for name in X_query.names if name not in X.names]
        if missing or extra:
            lacks = f" lacks {missing}" if missing else ""
            has = f" has {extra} besides" if extra else ""
            yield f"X_query{lacks}{has}: expected the columns of X"
        else:
            yield "X_query has the columns of X in another order; this would work: X_query[list(X.columns)]"
    elif X.values.shape[-1] != X_query.values.shape[-1]:
        yield f"X_query has {X_query.values.shape[-1]} columns, expected those of X: {X.values.shape[-1]}"
