"""Prompts from what people bring, held against scikit-learn and against their own symmetries."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import unchecked
from metarep_lib import Prompt, PromptError, ridge_system, solvers
from metarep_lib.arrays import Units, read_targets

RNG = np.random.default_rng(0)
SCALES = 10.0 ** np.array([-1, 0, 2, 4])
X = RNG.normal(size=(30, 4)) * SCALES + 100 * SCALES
Y = 5e4 + X @ (np.array([1.0, -2.0, 0.5, 3.0]) / SCALES) + RNG.normal(size=30)
X_QUERY = RNG.normal(size=(7, 4)) * SCALES + 100 * SCALES


class Column:
    """A column as pandas and polars hand it out."""

    def __init__(self, entries, dtype="object"):
        self.entries, self.dtype = np.asarray(entries), dtype

    def __array__(self, dtype=None, copy=None):
        return self.entries if dtype is None else self.entries.astype(dtype)


class Frame:
    """As much of a data frame as is asked for."""

    def __init__(self, **columns):
        self.held = {name: entries if isinstance(entries, Column) else Column(entries) for name, entries in columns.items()}
        self.columns, self.shape = list(columns), (len(next(iter(self.held.values())).entries), len(columns))

    def __getitem__(self, name):
        return self.held[name]

    def to_numpy(self):
        return np.column_stack([column.entries for column in self.held.values()])


def frame(x):
    return Frame(**{f"c{i}": column for i, column in enumerate(x.T)})


def said(prompt, units):
    system = ridge_system(prompt)
    return units.back(system.predict(solvers.cholesky(system).alpha)).numpy()


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 100.0])
@pytest.mark.parametrize("y", [Y, np.column_stack([Y, -2 * Y + X[:, 1]])], ids=["one output", "two outputs"])
def test_the_answer_is_that_of_a_scaler_and_a_ridge_regression(ridge, y):
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=ridge)).fit(X, y).predict(X_QUERY)
    np.testing.assert_allclose(said(*Prompt.from_arrays(X, y, X_QUERY, ridge)), theirs, rtol=1e-9)


@pytest.mark.parametrize("intercept", [True, False])
def test_without_standardising_it_is_that_of_a_ridge_regression_alone(intercept):
    x, x_query = X / SCALES - 98, X_QUERY / SCALES - 98  # one unit, mean two
    theirs = Ridge(alpha=3.0, fit_intercept=intercept, solver="svd").fit(x, Y).predict(x_query)
    ours = said(*Prompt.from_arrays(x, Y, x_query, 3.0, standardise=False, intercept=intercept))
    np.testing.assert_allclose(ours, theirs, rtol=1e-9)


def test_units_of_features_and_targets_do_not_matter():
    plain = said(*Prompt.from_arrays(X, Y, X_QUERY, 1.0))
    moved = said(*Prompt.from_arrays(7 * X - 3, 5 - 2 * Y, 7 * X_QUERY - 3, 1.0))
    np.testing.assert_allclose(moved, 5 - 2 * plain, rtol=1e-9)
    assert np.abs(moved - plain).max() > 1  # the test would notice


@pytest.mark.parametrize(
    "given",
    [
        lambda x: x.tolist(),
        torch.from_numpy,
        lambda x: x.astype(object),
        frame,
        lambda x: [tuple(row) for row in x],
    ],
    ids=["lists", "tensor", "objects", "frame", "tuples"],
)
def test_whatever_holds_the_numbers_makes_the_same_prompt(given):
    ours, units = Prompt.from_arrays(X, Y, X_QUERY, 1.0)
    other, other_units = Prompt.from_arrays(given(X), Y.tolist(), given(X_QUERY), 1.0)
    assert ours == other and units == other_units


def test_pandas_is_read_as_it_is():
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame(X, columns=list("abcd"))
    assert Prompt.from_arrays(table, pandas.Series(Y), table[:3], 1.0) == Prompt.from_arrays(X, Y, X[:3], 1.0)
    table["region"] = pandas.Categorical([1, 2] * 15)  # whose categories are numbers
    with pytest.raises(PromptError, match=r"'region'.*get_dummies\(X, columns=\['region'\]"):
        Prompt.from_arrays(table, Y, table, 1.0)
    nothing = pandas.DataFrame({"a": pandas.array([1, None, 3], dtype="Int64"), "b": [1.0, 2.0, 3.0]})
    with pytest.raises(PromptError, match="X holds 1 missing or infinite values, in 'a'"):
        Prompt.from_arrays(nothing, [1.0, 2.0, 3.0], nothing, 1.0)


def test_a_categorical_column_of_numbers_is_refused():
    held = Frame(a=ONE, region=Column([1, 2, 1], "category"))
    with pytest.raises(PromptError, match=r"'region' \('1', '2'\).*get_dummies\(X, columns=\['region'\]"):
        Prompt.from_arrays(held, ONE, held, 1.0)


def advised(given, name):
    """What a refusal says would work, as code."""
    with pytest.raises(PromptError) as refused:
        Prompt.from_arrays(**given)
    line = next(line for line in str(refused.value).splitlines() if f"- {name} " in line)
    return line.split("would work: ")[1].removesuffix(", with X made first")


def test_what_a_refusal_of_an_array_advises_works():
    """Two columns of words, and queries that do not show every word."""
    X = np.array([[1.0, "north", "a"], [2.0, "south", "b"], [3.5, "east", "a"]], dtype=object)
    given = {"X": X, "y": ONE, "X_query": X[:1], "ridge": 1.0}
    made = {name: eval(advised(given, name), {"np": np, "X": X, "X_query": X[:1]}) for name in ("X", "X_query")}
    prompt, _ = Prompt.from_arrays(made["X"], ONE, made["X_query"], 1.0)
    assert prompt.n_features == 6 and torch.equal(prompt.phi[0], prompt.phi_query[0])


def test_what_a_refusal_of_a_frame_advises_works():
    pandas = pytest.importorskip("pandas")
    X = pandas.DataFrame({"a": ONE, "region": ["north", "south", "east"]})
    given = {"X": X, "y": ONE, "X_query": X[:1], "ridge": 1.0}
    there = {"pandas": pandas, "X_query": X[:1]}
    there["X"] = made = eval(advised(given, "X"), {"pandas": pandas, "X": X})
    prompt, _ = Prompt.from_arrays(made, ONE, eval(advised(given, "X_query"), there), 1.0)
    assert prompt.n_features == 4 and torch.equal(prompt.phi[0], prompt.phi_query[0])


def test_numbers_that_numpy_made_text_of_are_numbers():
    beside_words = np.array([[1.5, "north"], [2.0, "south"], [3.5, "north"]])
    message = r"no numbers: column 1 \('north', 'south'\)"
    with pytest.raises(PromptError, match=message):
        Prompt.from_arrays(beside_words, ONE, beside_words, 1.0)


def test_one_query_is_a_row():
    with pytest.raises(PromptError, match=r"X_query has shape \[2\], expected rows and columns: X_query\[None\]"):
        Prompt.from_arrays(X[:, :2], Y, np.ones(2), 1.0)


LABELS = {
    "text": (["b", "a", "b"], None, ("a", "b")),
    "truth values": ([True, False, True], None, (False, True)),
    "whole numbers": ([3, 1, 2], True, (1, 2, 3)),
    "objects": (np.array(["x", "y", "x"], dtype=object), None, ("x", "y")),
    "a categorical column": (Column([1, 2, 1], "category"), None, (1, 2)),
}


@pytest.mark.parametrize(("y", "classes", "labels"), LABELS.values(), ids=LABELS)
def test_labels_become_one_column_each(y, classes, labels):
    targets = read_targets(y, classes)
    assert targets.labels == labels and targets.values.sum(1).tolist() == [1.0] * 3
    at = [labels.index(label) for label in np.asarray(y).tolist()]
    assert targets.values.argmax(1).tolist() == at


def test_the_label_said_is_that_of_the_largest_score():
    prompt, units = Prompt.from_arrays([[0.0], [1.0], [10.0], [11.0]], ["low", "low", "high", "high"], [[0.5], [9.0]], 0.1)
    system = ridge_system(prompt)
    f = system.predict(solvers.cholesky(system).alpha.mT).mT if not system.has_outputs else system.predict(solvers.cholesky(system).alpha)
    assert units.label(f) == ["low", "high"]
    assert units.back(f).sum(-1).tolist() == pytest.approx([1.0, 1.0])  # the scores of all classes add up to that of the constant


def test_a_constant_column_is_left_as_it_is():
    prompt, _ = Prompt.from_arrays(np.column_stack([X, np.full(30, 0.1)]), Y, np.column_stack([X_QUERY, np.full(7, 0.1)]), 1.0)
    assert prompt.phi[:, 4].abs().max() < 1e-15 and torch.isfinite(prompt.phi).all()


ONE = [1.0, 2.0, 3.0]
ROWS = [[1.0], [2.0], [3.0]]
REFUSALS = {
    "a word": (dict(X="north", y=ONE), "X is 'north', expected rows and columns"),
    "a flat list": (dict(X=ONE, y=ONE), r"X has shape \[3\], expected rows and columns: X\[:, None\]"),
    "missing": (dict(X=[[1.0], [np.nan], [3.0]], y=ONE), "X holds 1 missing or infinite values, in column 0"),
    "missing in a tensor": (dict(X=torch.tensor([[1.0], [torch.nan], [3.0]]), y=ONE), "X is not finite in column 0"),
    "dates": (dict(X=np.array([["2020-01-01"]] * 3, dtype="datetime64[D]"), y=ONE), "X holds columns that are no numbers: column 0"),
    "ragged": (dict(X=[[1.0], [2.0, 3.0], [1.0]], y=ONE), "expected rows and columns"),
    "whole targets": (dict(X=ROWS, y=[0, 1, 2]), "y holds whole numbers, which may be labels or counts: say classes=True or classes=False"),
    "text said to be numbers": (dict(X=ROWS, y=["a", "b", "a"], classes=False), "'a', 'b', which are no numbers; as labels they would work: classes=True"),
    "one label": (dict(X=ROWS, y=["a"] * 3), "the label .* alone, expected two or more"),
    "missing targets": (dict(X=ROWS, y=[1.0, np.nan, 2.0]), "y holds 1 missing or infinite values; leave these rows out"),
    "rows": (dict(X=ROWS, y=[1.0, 2.0]), "y has 2 rows, X has 3"),
    "columns": (dict(X=ROWS, y=ONE, X_query=[[1.0, 2.0]]), "X_query has 2 columns, expected those of X: 1"),
    "names": (dict(X=Frame(a=ONE, b=ONE), y=ONE, X_query=Frame(a=ONE, c=ONE)), r"X_query lacks \['b'\] has \['c'\] besides: expected the columns of X"),
    "order": (dict(X=Frame(a=ONE, b=ONE), y=ONE, X_query=Frame(b=ONE, a=ONE)), r"another order; this would work: X_query\[list\(X.columns\)\]"),
    "a ridge of zero": (dict(X=ROWS, y=ONE, ridge=0.0), "ridge is 0.0, expected a finite Python number > 0"),
    "no rows": (dict(X=np.zeros((0, 2)), y=[], X_query=[[1.0, 2.0]]), "no rows, expected at least one"),
    "beyond squares": (dict(X=[[1e200], [-1e200], [0.0]], y=ONE), "squares leave the range of float64: take other units"),
}  # fmt: skip


@pytest.mark.parametrize(("given", "message"), REFUSALS.values(), ids=REFUSALS)
def test_what_cannot_be_read_is_named(given, message):
    with pytest.raises(PromptError, match=message):
        Prompt.from_arrays(**({"X_query": ROWS, "ridge": 1.0} | given))


def test_every_reason_is_said_at_once():
    with pytest.raises(PromptError) as refused:
        Prompt.from_arrays([["a"], ["b"]], [0, 1], [[1.0]], -1.0)
    assert str(refused.value).count("\n  - ") == 3


def test_the_way_back_refuses_what_it_cannot_say():
    with pytest.raises(ValueError, match="the targets were numbers; this would work: units.back"):
        Units(torch.tensor(0.0), torch.tensor(1.0)).label(torch.ones(2, 3))


def test_a_prompt_of_numpy_says_who_reads_it():
    with unchecked(), pytest.raises(PromptError, match="Prompt.from_arrays"):
        Prompt(X, Y, X_QUERY, 1.0)
