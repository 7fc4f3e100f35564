"""Ends that rounding has moved: "at most 0.06" of a stored .0647, "at least 10.1" of 10.06.

A sentence that quotes a number as an upper end may print it too large, never too small; a lower end
the other way. Read are the numbers in the pairs (book/*.ipynb), as `{glue:text}` prints them in
prose, captions and tables, and the words of the sentence right before and behind; a negation turns
`below` into a lower end, and what is "about" a number is no end. Rounding errors differ from machine
to machine, so an end of their size has to be "about". The numbers are those of the last commit: another
processor, or another rounding, finds others in the last digits, for which the text was not written. Without a
repository nothing is held to them. `python scripts/lint_book.py` says what it finds.
"""

import re
from collections.abc import Iterator, Mapping

from chapters import BOOK, pages
from commit import UNKNOWN, commit
from ledger import ledger, pairs_at

TOLERANCE = 3e-3  # of the number: 10.06 may not be "at least 10.1", 1.0004 may be "at most 1.00"
ROUNDING = 1e-9  # below this a number is an error of rounding
QUOTED = r"\{glue:text\}`(?:([\w-]+)\.md::)?([\w-]+):([^`]+)`"
UPPER = "at (?:the )?most|within|up to|at worst|largest"
LOWER = "at (?:the )?least|smallest"  # `at best` may be either end
TURNED = {  # by a negation before them
    "below|beneath|(?:less|fewer|smaller|lower) than": 1,
    "above|exceeds?|(?:more|larger|greater|higher) than": -1,
}
ADJACENT = {  # right before a number: not in "over eight steps they reach #"
    "under|between #[^#]* and": 1,
    "over|beyond|between(?: a factor of)?": -1,
}
BEHIND = {
    f"{UPPER}|or (?:less|fewer|below)": 1,
    f"{LOWER}|(?:or|and) (?:more|above)": -1,
}
NEGATION = r"\b(?:no|not|never|none|nobody|nothing|nowhere|cannot|neither|nor)\b"
SENTENCE = r"[.;:?!|()](?=\s)|[()]|\n\s*\n|^\s*[*-] "  # what parts one statement from the next
ABOUT = r"\b(?:about|near|nearly|almost|roughly) (?:#,? (?:and |or )?)*$"
FEW = r"(?: [\w$\\'^-]+){0,7}"  # words between an end and its number
ANOTHER = rf"(?:-fold|%)?{FEW}(?: (?:and|or) #{FEW})?"  # behind a number: "# and # at least"
LIST = rf" ?(?:#[\w-]*{FEW},?(?: and| or)? )*$"  # `#` is a number before: "below #, # and"


def end_before(text: str) -> int:
    """1 where these words, which a number follows, make it an upper end, -1 a lower one, else 0."""
    for words, sign in ADJACENT.items():
        if re.search(rf"\b(?:{words}) $", text, re.I):
            return sign
    for words, sign in {UPPER: 1, LOWER: -1, **TURNED}.items():
        if found := re.search(rf"\b(?:{words})(?!.*\b(?:{words})\b){FEW}{LIST}", text, re.I):
            negated = words in TURNED and re.search(NEGATION, text[: found.start()][-30:], re.I)
            return -sign if negated else sign
    return 0


def end_behind(text: str) -> int:
    """The same for the words that follow the number; those before another number are that one's."""
    for words, sign in BEHIND.items():
        if re.match(rf"{ANOTHER},? \(?(?:{words})\b(?!{FEW} ?[#$\d])", text):
            return sign
    return 0


def end(page: str, quoted: re.Match) -> int:
    """Which end of something a quoted number is."""
    before, behind = page[: quoted.start()][-400:], page[quoted.end() :][:200]
    before = re.split(SENTENCE, re.sub(QUOTED, "#", before), flags=re.MULTILINE)[-1]
    behind = re.split(SENTENCE, re.sub(QUOTED, "#", behind), flags=re.MULTILINE)[0]
    before, behind = (re.sub(r"\s+", " ", text) for text in (before, behind))
    if re.search(ABOUT, before, re.I):
        return 0
    return end_behind(behind) or end_before(before)


def moved(value: float, spec: str, sign: int) -> bool:
    """Whether an end is printed on the wrong side of its number."""
    shown = format(value, spec)
    printed = float(shown.rstrip("%")) / (100 if shown.endswith("%") else 1)
    return sign * (value - printed) > TOLERANCE * abs(value)


def flattering(page: str, numbers: Mapping[str, float]) -> Iterator[tuple[int, str]]:
    """(line, fault) of a page's text; ids are looked up as they are quoted, without `.md`."""
    for quoted in re.finditer(QUOTED, page):
        chapter, id, spec = quoted.groups()
        value = numbers.get(f"{chapter}::{id}" if chapter else id)
        sign = end(page, quoted) if isinstance(value, int | float) else 0
        line, side = page.count("\n", 0, quoted.start()) + 1, "upper" if sign > 0 else "lower"
        if sign and 0 < abs(value) < ROUNDING:
            yield line, f"{quoted[0]}: a rounding error is no {side} end; say `about`"
        elif sign and moved(value, spec, sign):
            shown = format(value, spec)
            yield line, f"{quoted[0]} prints the {side} end {value:.4g} as {shown}; add a digit"


def stored() -> dict[str, dict[str, float]]:
    """Chapter -> id -> number, from the pairs of the last commit; empty in a copy without git."""
    if commit("book") == UNKNOWN:
        return {}
    found = {}
    for chapter, pair in pairs_at("HEAD").items():
        kept = ledger({chapter: pair})
        found[chapter] = {id: one["value"] for id, one in (kept.claims | kept.records).items()}
    return found


def faults() -> Iterator[str]:
    """Every end of the book that rounding has moved."""
    numbers = stored()
    everywhere = {
        f"{chapter}::{id}": value for chapter, of in numbers.items() for id, value in of.items()
    }
    for page in pages():
        known = everywhere | numbers.get(page.stem, {})
        for line, fault in flattering(page.read_text(encoding="utf-8"), known):
            yield f"{page.relative_to(BOOK.parent)}:{line}: {fault}"
