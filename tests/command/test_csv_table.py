"""Files come back as they were written, to the bit, and words become what scikit-learn makes of them."""

import csv

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import OneHotEncoder

from metarep_lib.command.columns import read_columns, read_like
from metarep_lib.command.csv_table import read_table
from metarep_lib.command.features import choose_features, encode, why_left_out

TABLES = st.integers(2, 4).flatmap(lambda p: st.lists(st.lists(st.floats(-1e100, 1e100), min_size=p, max_size=p), min_size=1, max_size=5))
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).map(str.strip).filter(lambda word: word and word != "\ufeff")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "data.csv"


def columns_of(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding, newline="")
    return read_columns(read_table(path))


@pytest.mark.parametrize(("delimiter", "decimal", "encoding"), [(",", ".", "utf-8"), (";", ",", "utf-8-sig"), ("\t", ".", "utf-8"), ("\t", ",", "utf-8")])
@settings(max_examples=25)
@given(numbers=TABLES)
def test_numbers_come_back_to_the_bit(path, delimiter, decimal, encoding, numbers):
    lines = [[f"x{i}" for i in range(len(numbers[0]))], *([repr(x).replace(".", decimal) for x in row] for row in numbers)]
    columns = columns_of(path, "\r\n".join(delimiter.join(line) for line in lines), encoding)
    read = np.column_stack([column.numbers for column in columns.values()])
    assert read.tobytes() == np.array(numbers).tobytes()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@settings(max_examples=25)
@given(words=st.lists(WORDS, min_size=4, max_size=4))
def test_words_come_back_with_their_quotes_and_lines(path, delimiter, words):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["name", "place", "n"], ["", "", ""], [words[0], words[1] + "\nx", 1], [words[2], words[3], 2]])
    table = read_table(path)
    assert table.rows == [[words[0], words[1] + "\nx", "1"], [words[2], words[3], "2"]]
    assert table.lines == [3, 5] and table.delimiter == delimiter


def test_words_are_encoded_as_scikit_learn_does_and_unknown_ones_by_zeros(path):
    columns = columns_of(path, "place,size\nnorth,L\nsouth,S\neast,S\nnorth,S\nwest,L\n")
    cells = np.array([column.cells for column in columns.values()], dtype=object).T
    rows, asked = np.arange(4), np.arange(5)
    encoding = encode(columns, ("place", "size"), rows)
    peer = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(cells[rows])
    assert np.array_equal(encoding.matrix(columns, asked), peer.transform(cells))
    assert encoding.unknown(columns, asked) == {"place": 1}


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["NA", "", "nan", "?", "NULL", "-"], "words, "),
        (["", "", "", "", "", ""], "empty"),
        (["1", "", "", "2", "", ""], "67% of its cells are empty"),
        (["7", "7.0", "7e0", "", "7", "7"], "always '7'"),
        (["a", "a", "a", "a", "a", "a"], "always 'a'"),
        (["1", "2", "3", "4", "5", "6"], ""),
        (["2024-01-0" + c for c in "123456"], "words, 6 different"),
        (["$1,200", "$90", "$15", "$8", "$8", "$7"], "words, 5 different"),
        (["2", "3", "4", "5", "6", "7"], ""),
        (["1", "NA", "2.5", "", "null", "-3e2"], ""),
        (["a", "b", "a", "b", "c", "c"], ""),
    ],
)
def test_which_columns_are_left_out(path, cells, reason):
    columns = columns_of(path, "x;y\n" + "".join(f'"{cell}";1\n' for cell in cells))
    assert why_left_out(columns["x"]).startswith(reason) and bool(why_left_out(columns["x"])) == bool(reason)


def test_a_column_without_a_name_is_called_by_its_place(path):
    columns = columns_of(path, ",y,z,PassengerId\n0,1,2,1\n1,3,4,2\n2,4,4,3\n")
    left_out = choose_features(path, columns, "y").left_out
    assert left_out == {name: "it counts the rows" for name in ("column 1", "PassengerId")}


def test_another_file_is_read_as_the_first_was(path):
    columns = columns_of(path, "code;x\na;1,5\nb;2\n")
    path.write_text("x,more,code\n2.5,q,7\n,q,8\n", encoding="utf-8")
    read = read_like(read_table(path), columns)
    assert read["code"].cells == ["7", "8"] and read["code"].numbers is None
    assert read["x"].numbers[0] == 2.5 and read["x"].missing.tolist() == [False, True]
