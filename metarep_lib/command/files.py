"""What the command writes: answers beside the rows they belong to, and what it may overwrite."""

import csv
import io
from pathlib import Path

from metarep_lib.command.answers import Answered
from metarep_lib.command.csv_table import BadFile
from metarep_lib.command.question import Question

MADE_BY = "answer of metarep_lib"
"""Stands in the header of answers and in the figure; who finds it in a file may overwrite the file."""

START = 65536


def check_writable(path: Path, force: bool) -> None:
    """Whether a file may be written: where nothing stands, or what this command has made, or by force.

    Raises:
        BadFile: something else stands there, or there is no folder.
    """
    if not path.absolute().parent.is_dir():
        raise BadFile(path, f"there is no folder {path.parent} to write it into")
    if path.is_dir():
        raise BadFile(path, "it is a folder; give the name of a file to write")
    if path.exists() and not force:
        with path.open("rb") as file:
            is_ours = MADE_BY.encode() in file.read(START)
        if not is_ours:
            raise BadFile(path, "it exists and was not made by this command; --force overwrites it")


def answers_as_csv(question: Question, answered: Answered) -> str:
    """The rows that were asked: their line in the file, their cells as they are, and the answer.

    Numbers keep every digit, with the decimals and the delimiter of the file.
    """
    table, target = question.asked.table, question.target
    commas = any(column.decimal == "," for column in question.asked.columns.values())
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=table.delimiter, lineterminator="\n")
    writer.writerow(["line", *table.names, f"{target} ({MADE_BY})"])
    for row, value in zip(question.asked.rows, answered.values):
        answer = value if question.classes else repr(float(value))
        answer = answer.replace(".", ",") if commas and not question.classes else answer
        writer.writerow([table.lines[row], *table.rows[row], answer])
    return text.getvalue()
