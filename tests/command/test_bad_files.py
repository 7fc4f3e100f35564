"""Every file that cannot be answered: one line that says where and why, exit status 2, nothing written."""

import pytest

import metarep_lib.command.run  # noqa: F401 (what it imports warns, once)
from metarep_lib.__main__ import main

GOOD = "x,w,y\n1,2,3\n2,5,4\n3,1,6\n4,4,7\n"

BAD = {  # name: (content of data.csv, arguments besides, what the line says)
    "missing": (None, "", "data.csv: there is no such file"),
    "empty": ("", "", "data.csv: it is empty"),
    "blank lines": ("\n\n , \n", "", "data.csv: it holds empty lines alone"),
    "only a header": ("x,y\n", "", "data.csv: it holds a line of names and no rows"),
    "no header": ("1,2\n3,4\n5,6\n", "", "data.csv, line 1: numbers (1, ...), expected the names"),
    "a workbook": (b"PK\x03\x04rest", "", "data.csv: it is no plain text"),
    "UTF-16": (GOOD.encode("utf-16"), "", "data.csv: it is no plain text"),
    "Latin-1": ("x,y\n1,2\nm\xfcll,2\n".encode("latin-1"), "", "data.csv, line 3: the byte 0xfc is no UTF-8"),
    "ragged": ("x,y\n1,2\n\n1,2,3\n", "", "data.csv, line 4: 3 cells, expected 2 as in line 1"),
    "ragged and short": ("x,w,y\n1,2,3\n1,2\n", "", "data.csv, line 3: 2 cells, expected 3"),
    "open quotes": ('x,y\n1,2\n"3,4\n5,6\n', "", "data.csv, line 3: the quotes"),
    "names twice": ("x,y,x\n1,2,3\n", "", "data.csv, line 1: columns 1 and 3 are both named 'x'"),
    "one column": ("y\n1\n2\n3\n", "", "data.csv, line 1: one column, 'y'"),
    "no such target": (GOOD, "--target price", "data.csv: no column 'price' to answer; its columns are 'x', 'w', 'y'"),
    "constant target": ("x,y\n1,5\n2,5.0\n3,5\n", "", "data.csv: the target 'y' is always '5'"),
    "constant class": ("x,y\n1,a\n2,a\n3,a\n", "", "data.csv: the target 'y' is always 'a'"),
    "empty target": ("x,y\n1,\n2,\n3,\n", "", "data.csv: the target 'y' is empty in every row"),
    "too many classes": ("x,y\n" + "".join(f"{i % 7},w{i}\n" for i in range(60)), "", "data.csv: the target 'y' has 60 different"),
    "two rows": ("x,y\n1,2\n2,3\n", "", "data.csv: 2 rows with 'y' and all features; expected three or more"),
    "two whole rows": ("x,y\n1,2\n2,3\n,4\n", "", "data.csv: 2 rows with 'y' and all features (1 more have an empty cell, in 'x')"),
    "constant features": ("x,w,y\n1,a,2\n1,a,3\n1,a,4\n", "", "data.csv: no column is left to answer from: 'x' (always '1'); 'w' (always 'a')"),
    "identifiers": ("x,y\na,2\nb,3\nc,4\n", "", "data.csv: no column is left to answer from: 'x' (words, 3 different"),
    "inf": ("x,y\n1,2\n-inf,3\n3,4\n", "", "data.csv, line 3: 'x' holds '-inf', which is no finite number"),
    "infinite target": ("x,y\n1,2\n2,Infinity\n3,4\n", "", "data.csv, line 3: 'y' holds 'Infinity'"),
    "1e400": ("x,y\n1,2\n1e400,3\n3,4\n", "", "data.csv, line 3: 'x' holds '1e400', and squares of numbers beyond 1e+150"),
    "a word among numbers": ("x,y\n" + "1,2\n3,4\n" * 10 + "1.2.3,3\n", "", "data.csv, line 22: 'x' holds '1.2.3', and the other cells hold numbers"),
    "points and commas": ("x;w;y\n1,5;2;3\n2,5;1.234;4\n3;2;6\n", "", "data.csv, line 3: 'w' holds '1.234' and 'x' holds '1,5'"),
    "a query without a column": (GOOD, "--query short.csv", "short.csv: no column 'w'; it has 'x', 'z'"),
    "a word in a query": (GOOD, "--query words.csv", "words.csv, line 2: 'w' holds 'big', and the other cells hold numbers"),
    "holes in all of a query": (GOOD, "--query holes.csv", "holes.csv: every row to answer for has an empty cell, in 'x'"),
    "no ridge": (GOOD, "--ridge 0", "argument --ridge: '0', expected a number > 0 or loo"),
    "no kernel": (GOOD, "--kernel cubic", "argument --kernel: invalid choice"),
    "no seed": (GOOD, "--seed -1", "argument --seed: '-1', expected a whole number >= 0"),
    "no such option": (GOOD, "--speed 1", "unrecognized arguments: --speed 1"),
    "no folder to write into": (GOOD, "--out a/b.csv", "a/b.csv: there is no folder a to write it into"),
    "a figure that is no PNG": (GOOD, "--figure seen.pdf", "seen.pdf: the figure is a PNG; expected a name that ends in .png"),
    "a folder to write": (GOOD, "--out folder", "folder: it is a folder; give the name of a file to write"),
    "somebody's file": (GOOD, "--out short.csv", "short.csv: it exists and was not made by this command; --force overwrites it"),
    "the data overwritten": (GOOD, "--out data.csv --force", "data.csv: it is read and would be overwritten"),
    "one file for both": (GOOD, "--out a.png --figure a.png", "a.png: answers and figure need a file each"),
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.csv").write_text("x,z\n1,2\n", encoding="utf-8")
    (tmp_path / "words.csv").write_text("x,w\n1,big\n", encoding="utf-8")
    (tmp_path / "holes.csv").write_text("x,w\n,1\n,2\n", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    return tmp_path


def status_of(arguments):
    try:
        return main(arguments)
    except SystemExit as leaving:  # of argparse
        return leaving.code


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_in_one_line(folder, capsys, recwarn, name):
    content, more, message = BAD[name]
    if content is not None:
        (folder / "data.csv").write_bytes(content.encode() if isinstance(content, str) else content)
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    target = [] if "--target" in more else ["--target", "y"]
    assert status_of(["data.csv", *target, *more.split()]) == 2

    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1 and not recwarn.list
    assert printed.err.startswith(f"python -m metarep_lib: {message}")
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == before


def test_a_folder_is_no_file(folder, capsys):
    assert status_of(["folder", "--target", "y"]) == 2
    assert capsys.readouterr().err == "python -m metarep_lib: folder: it is a folder; expected a CSV file\n"


def test_without_a_target_the_options_are_named(capsys):
    assert status_of(["data.csv"]) == 2
    assert capsys.readouterr().err.endswith("are required: --target; python -m metarep_lib --help lists the options\n")
