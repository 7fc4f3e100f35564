"""The words: what was read, what was left out, the answer, how good it is, and the network that gave it."""

import math
import textwrap
from collections.abc import Iterable, Iterator, Mapping

from metarep_lib.command.answers import Answered
from metarep_lib.command.columns import some
from metarep_lib.command.csv_table import DELIMITERS, count
from metarep_lib.command.options import Written
from metarep_lib.command.quality import FEWEST, Quality
from metarep_lib.command.question import Question

WIDTH, INDENT = 100, 10


def report(
    question: Question,
    answered: Answered,
    quality: Quality,
    written: Written,
    ridge: float | str,
    seed: int,
) -> str:
    """The whole report, a paragraph for every subject.

    Args:
        question: what was asked.
        answered: what was said.
        quality: how good it is.
        written: where it stands.
        ridge: as it was asked for.
        seed: of the draws.
    """
    paragraphs = {
        "read": of_reading(question),
        "left out": of_leaving_out(question),
        "asked": of_asking(question, seed),
        "network": of_network(answered),
        "ridge": of_ridge(answered, ridge),
        "answers": of_answers(question, written),
        "error": of_quality(question, quality),
        "next": of_next(question, answered),
    }
    lines = [line for name, sentences in paragraphs.items() for line in paragraph(name, sentences)]
    return "\n".join([*lines, *(f"note: {note}" for note in answered.notes)])


def paragraph(name: str, sentences: Iterable[str]) -> Iterator[str]:
    """A name, and beside it a sentence a line; what is longer than a line is indented once more.

    >>> list(paragraph("read", ["a table", "a target"]))
    ['read      a table', '          a target']
    """
    for sentence in sentences:
        yield from textwrap.wrap(
            sentence,
            WIDTH,
            initial_indent=f"{name:<{INDENT}}",
            subsequent_indent=" " * (INDENT + 2),
            break_long_words=False,
            break_on_hyphens=False,
        )
        name = ""


def of_reading(question: Question) -> Iterator[str]:
    table, columns = question.teaching.table, question.teaching.columns
    cut = DELIMITERS[table.delimiter]
    yield f"{table.path}: {count(len(table.rows), 'row')}, {len(table.names)} columns with {cut} between"
    commas = [name for name, column in columns.items() if column.decimal == ","]
    if commas:
        yield f"decimal commas in {listed(commas)}"
    yield of_target(question)
    words = question.encoding.words
    n_numbers = sum(not of_column for of_column in words.values())
    yield f"features: {count(n_numbers, 'column')} of numbers, {len(words) - n_numbers} of words"
    for name in (name for name in words if words[name]):
        n = count(len(words[name]), "column")
        yield f"{name!r} became {n} of 0 and 1, one for each word ({some(columns[name])})"


def of_target(question: Question) -> str:
    column = question.teaching.columns[question.target]
    y = question.y
    if question.classes:
        return f"target {question.target!r}: a class ({some(column)})"
    text = f"target {question.target!r}: a number ({number(y.min())} to {number(y.max())} where it teaches)"
    if (y == y.round()).all():
        text += ", always whole: if these are labels say --classes"
    return text


def of_leaving_out(question: Question) -> Iterator[str]:
    for name, why in question.features.left_out.items():
        yield f"column {name!r}: {why}"
    if question.teaching.n_left_out:
        yield holes(question.teaching.n_left_out, "teach", question.teaching.empty)
    if question.asked.n_left_out:
        yield holes(question.asked.n_left_out, "be answered", question.asked.empty)
    if question.n_without_target:
        yield f"{count(question.n_without_target, 'row')} of {question.teaching.table.path} without a target"


def holes(n: int, purpose: str, empty: Mapping[str, int]) -> str:
    places = ", ".join(f"{n_empty} in {name!r}" for name, n_empty in empty.items())
    return f"{count(n, 'row')} that cannot {purpose}, with an empty cell ({places})"


def of_asking(question: Question, seed: int) -> Iterator[str]:
    n, k = count(len(question.asked.rows), "row"), len(question.teaching.rows)
    yield {
        "held out": f"{n} held out, drawn with --seed {seed} (no row lacks a target)",
        "empty": f"{n} without a target",
        "query": f"{n} of {question.asked.table.path}",
    }[question.how]
    drawn = (
        f", drawn from {question.n_could_teach:,}: the network reads no more"
        if k < question.n_could_teach
        else ""
    )
    yield f"{count(k, 'row')} teach{drawn}"
    for name, n_rows in question.encoding.unknown(
        question.asked.columns, question.asked.rows
    ).items():
        yield f"{count(n_rows, 'row')} with a word in {name!r} that no row teaches, read as none of them"


def of_answers(question: Question, written: Written) -> Iterator[str]:
    yield f"{written.answers}: the rows that were asked, with a last column for the answer"
    seen = "answers against targets" if not question.classes else "which class was taken for which"
    yield f"{written.figure}: {seen}"


def of_quality(question: Question, quality: Quality) -> Iterator[str]:
    rows = what_is_judged(question, quality)
    if quality.classes:
        n_right = len(quality.truth) - round(quality.error * len(quality.truth))
        yield f"{n_right} of {rows} are right ({1 - quality.error:.1%})"
        yield f"always the most frequent class: {1 - quality.baseline_error:.1%}"
    else:
        yield f"off by {number(quality.error)} on average at {rows}"
        yield f"always the mean: off by {number(quality.baseline_error)}"
        if len(quality.truth) >= FEWEST and not math.isnan(quality.explained):
            yield f"R^2 is {quality.explained:.2f} (1: exact, 0: no better than the mean)"
    yield of_gain(quality)


def what_is_judged(question: Question, quality: Quality) -> str:
    n = count(len(quality.truth), "row")
    if question.has_truth:
        return f"the {n} that were asked"
    return f"the {n} that teach, each answered from the others (the targets of those asked are not known)"


def of_gain(quality: Quality) -> str:
    """Whether features helped, as far as so many rows can say."""
    if quality.gain is None:
        return f"{count(len(quality.truth), 'row')} are too few to say more"
    scale, unit = (100, " points") if quality.classes else (1, "")
    mean, low, high = (scale * end for end in quality.gain)
    verdict = "better" if low > 0 else "WORSE" if high < 0 else "NOT clearly better"
    if verdict == "WORSE":
        mean, low, high = -mean, -high, -low
    ends = f"95 % interval {number(low)} to {number(high)}"
    return f"{verdict} than that, by {number(mean)}{unit} ({ends})"


def of_network(answered: Answered) -> Iterator[str]:
    answer = answered.first
    kernel = "linear" if answer.tau is None else "exponential"
    of_tau = "" if answer.tau is None else f", tau {answer.tau:.3g}"
    yield f"a decoder of {count(answer.blocks, 'block')} and {answer.channels} channels; its weights are written down, not trained"
    yield (
        f"a pass is {answer.steps} steps of conjugate gradient for ridge regression of standardised features ({kernel} kernel{of_tau})"
    )
    residual = f"relative residual {answer.residual:.1e}, asked for {answer.tolerance:.0e}"
    if answer.has_converged:
        yield f"it solved the regression: {residual}"
    else:
        yield f"it did NOT solve the regression: {residual}"


def of_ridge(answered: Answered, ridge: float | str) -> Iterator[str]:
    how = "chosen to answer every teaching row best from the others"
    yield f"{answered.first.ridge:.4g}, {how if ridge == 'loo' else 'as asked for'}"


def of_next(question: Question, answered: Answered) -> Iterator[str]:
    if answered.first.tau is None:
        yield "--kernel exponential: along curves, too, with more blocks"
    else:
        yield "--kernel linear: along a plane, with fewer blocks"
    if question.how == "held out":
        yield f"--query FILE, or rows with an empty {question.target!r}: answers nobody knows yet"
    yield "metarep_lib.solve(X, y, X_query): the same from Python, with the network as answer.network"


def listed(names: list[str], most: int = 5) -> str:
    """
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(map(repr, names[:most])) + more


def number(value: float) -> str:
    """
    >>> number(25.0), number(0.123456), number(-1234567.0), number(999.9)
    ('25', '0.123', '-1,234,567', '1,000')
    """
    return f"{value:,.0f}" if 100 <= abs(value) < 1e9 else f"{value:.3g}"
