"""All of it: a file read, the network asked, the answers judged and written."""

from collections.abc import Callable

from metarep_lib.command.answers import Answered, ask_all, left_out
from metarep_lib.command.csv_table import BadFile, read_table
from metarep_lib.command.figure import draw
from metarep_lib.command.files import MADE_BY, answers_as_csv, check_writable
from metarep_lib.command.options import Options, Written
from metarep_lib.command.quality import Quality, of_asked, of_left_out
from metarep_lib.command.question import Question, pose
from metarep_lib.command.report import report
from metarep_lib.storage import write_whole


def run(options: Options, seen: Callable[[int], Callable[[], object]] | None = None) -> str:
    """The report; the answers and the figure are written.

    Args:
        options: of the command line.
        seen: given the number of blocks, gives what is called after each.

    Raises:
        BadFile: a file that cannot be answered, or written.
    """
    written = options.written
    check_places(options, written)
    table = read_table(options.data)
    query = None if options.query is None else read_table(options.query)
    question = pose(table, options.target, query, options.classes, options.seed)

    answered = ask_all(question, options.ridge, options.kernel, seen)
    quality = judge(question, answered)
    picture = draw(quality, question.target, title(question), MADE_BY)

    write_whole(written.answers, answers_as_csv(question, answered))
    write_whole(written.figure, picture)
    return report(question, answered, quality, written, options.ridge, options.seed)


def check_places(options: Options, written: Written) -> None:
    read = {path.resolve() for path in (options.data, options.query) if path is not None}
    for path in (written.answers, written.figure):
        if path.resolve() in read:
            raise BadFile(path, "it is read and would be overwritten; give --out another name")
        check_writable(path, options.force)
    if written.figure.suffix.lower() != ".png":
        raise BadFile(written.figure, "the figure is a PNG; expected a name that ends in .png")
    if written.answers.resolve() == written.figure.resolve():
        raise BadFile(written.answers, "answers and figure need a file each")


def judge(question: Question, answered: Answered) -> Quality:
    """Where the asked rows have targets by these, else by every teaching row from the others."""
    if question.has_truth:
        return of_asked(answered.values, question.y_query, question.y, question.classes)
    return of_left_out(left_out(answered.first), question.y, question.classes)


def title(question: Question) -> str:
    if question.how == "held out":
        return f"{len(question.asked.rows)} rows held out"
    if question.has_truth:
        return f"{len(question.asked.rows)} rows that did not teach"
    return f"{len(question.teaching.rows)} teaching rows, each answered from the others"
