"""Claims: the numbers of a chapter, asserted where they are computed and kept for its prose.

A chapter never types a number that code can compute. It writes

    claim("floor-error", error, "<=", 1e-12, "error at the floor")
    claim("rate", used, "<=", 1, "largest error / bound", theorem="thm-cg-rate")

in a cell and ``{glue:text}`floor-error:.1e` `` in its prose. The call asserts the relation; where the theorem is named that gives
the bound, the claim is one of theory, otherwise a measurement. A theorem that has become false stops the chapter. A measurement depends on the machine's arithmetic, which nobody has tried on every machine: one that does not
hold says so in a line at its cell and on the Claims page, and the book still builds. Who checks the book sets
``METAREP_CLAIMS=strict``, and a measurement that does not hold stops the chapter, too (`metarep_lib.settings`).

Inside IPython the call also stores the number as an output of the cell, in the format that myst-nb's *glue* reads; nothing of
myst-nb is needed to run the notebook. Who runs the cell sees a line, ``✓ floor-error: 3.1e-15 <= 1e-12``; the page does not show
it, since a reader has the sentence that quotes the number. The book's Claims page is a table of all stored claims.

The bound is committed: written down beforehand or given by a theorem, never computed from the value it bounds.
"""

import json
import math
import operator
import os
import re
import sys
from dataclasses import asdict, dataclass
from typing import SupportsFloat

from metarep_lib.settings import claims_are_strict, claims_log

RELATIONS = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
}
_GLUE = (
    "application/papermill.record/"  # mime prefix of an output that glue stores and does not show
)


class ClaimFailed(AssertionError):
    """A theorem's relation that does not hold, or under ``METAREP_CLAIMS=strict`` a measurement's."""


@dataclass(frozen=True)
class Claim:
    """A claim as it was made, whether it held or not. Its fields are those of `claim`."""

    id: str
    value: int | float
    relation: str
    bound: int | float
    kind: str
    text: str
    source: str | None = None
    searched: bool = False

    @property
    def ratio(self) -> float | None:
        """Value over bound, the part of the bound that is used up; None where the bound is zero."""
        try:
            return self.value / self.bound if self.bound else None
        except OverflowError:  # of integers whose ratio no float can hold
            return math.inf

    @property
    def holds(self) -> bool:
        """Whether the relation holds between finite numbers. NaN and infinities satisfy nothing."""
        return (
            _finite(self.value)
            and _finite(self.bound)
            and RELATIONS[self.relation](self.value, self.bound)
        )

    @property
    def data(self) -> dict[str, object]:
        """What is stored: the fields, whether the relation held, and strings for the numbers that JSON does not know."""
        return asdict(self) | {
            "value": _plain(self.value),
            "bound": _plain(self.bound),
            "holds": self.holds,
        }

    @property
    def line(self) -> str:
        """What is shown to who runs the cell."""
        mark = "✓" if self.holds else "✗"
        return f"{mark} {self.id}: {_short(self.value)} {self.relation} {_short(self.bound)}"

    def __str__(self) -> str:
        """The claim in a line, with the verdict."""
        verdict = (
            "holds"
            if self.holds
            else "is false"
            if _finite(self.value) and _finite(self.bound)
            else "is not between finite numbers"
        )
        ratio = "undefined, the bound is 0" if self.ratio is None else f"{self.ratio:.3g}"
        said = " ".join(self.text.split())
        return f"{self.id} ({said}): {self.value!r} {self.relation} {self.bound!r} {verdict}; value / bound = {ratio}"

    def _ipython_display_(self) -> None:
        """Echo nothing when a cell ends in a claim: its place on the page is where the prose quotes it."""


def claim(
    id: str,
    value: SupportsFloat,
    relation: str,
    bound: SupportsFloat,
    text: str,
    *,
    theorem: str | None = None,
    source: str | None = None,
    searched: bool = False,
    exact: bool | None = None,
) -> Claim:
    """Assert ``value relation bound`` and keep the value for the prose and the Claims page.

    A measurement that does not hold prints a line that says so, and is kept: the sentence that quotes it still stands, and the
    Claims page marks it. Every claim, held or not, is appended to the file of `settings.claims_log`, if there is one.

    Args:
        id: Name for the prose to quote, unique in the book: lower-case letters, digits and hyphens.
        value: The number computed, of Python, numpy or torch (any scalar with an `item` method).
        relation: One of ``<=  >=  ==  <  >``.
        bound: The committed number.
        text: The claim in a few words, as the Claims page prints it; MyST with maths is fine.
        theorem: Label of the theorem that proves the relation, the bound being the theorem's. Without it the claim is a measurement.
        source: Label of a statement that a measurement is about and that does not prove it. The Claims page links to either.
        searched: Whether an optimiser looked for the input that brings the value nearest to the bound, or beyond it.
        exact: Whether every machine finds the same digits. nbval compares the digits of exact numbers and no others.
            If not given, integers count as exact and floats do not.

    Returns:
        The claim, as a record.

    Raises:
        ClaimFailed: The relation does not hold, or one of the two numbers is NaN or infinite: always of a theorem, of a
            measurement under ``METAREP_CLAIMS=strict``.
        ValueError: The id or relation is not one of those above, or both a theorem and a source are named.
        TypeError: The value or bound is not a number.

    >>> made = claim("depth", 12, "<=", 16, "blocks used", theorem="thm-depth")
    >>> made.kind, made.ratio
    ('theorem', 0.75)
    >>> claim("depth", 20, "<=", 16, "blocks used", theorem="thm-depth")
    Traceback (most recent call last):
    ...
    metarep_lib.show.claims.ClaimFailed: claim depth (blocks used): 20 <= 16 is false; value / bound = 1.25
    """
    if relation not in RELATIONS:
        raise ValueError(
            f"claim {id!r}: relation {relation!r} is not one of {', '.join(RELATIONS)}"
        )
    if theorem and source:
        raise ValueError(
            f"claim {id!r}: theorem {theorem!r} and source {source!r} exclude each other; theorem= alone says that it is proved"
        )
    kind = "theorem" if theorem else "measurement"
    numbers = _number(id, value), relation, _number(id, bound)
    made = Claim(_checked(id), *numbers, kind, text, theorem or source, searched)
    _log(made)
    if not made.holds:
        if theorem or claims_are_strict():
            raise ClaimFailed(f"claim {made}")
        print(f"did not hold on this machine: {made}  # measured")
    _store(id, made.value, exact, line=made.line, claim=made.data)
    return made


def record(id: str, value: SupportsFloat, *, exact: bool | None = None) -> None:
    """Keep a number for the prose without claiming anything about it, but that it is finite.

    Args and errors are those of `claim`. A number that is not finite is a measurement that does not hold.

    >>> record("supports", 64)
    """
    number = _number(_checked(id), value)
    if _finite(number):
        _store(id, number, exact)
    else:
        claim(id, number, "<=", sys.float_info.max, "a finite number")


def _checked(id: str) -> str:
    """The id, if glue can take it: a colon would be read as the start of a format."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id):
        raise ValueError(
            f"id {id!r}: use lower-case letters and digits with single hyphens, as in 'floor-error'"
        )
    return id


def _number(id: str, value: SupportsFloat) -> int | float:
    """A Python number from any scalar."""
    number = value.item() if hasattr(value, "item") else value
    if not isinstance(number, int | float):
        raise TypeError(
            f"{id!r}: {value!r} is not a real number; pass a scalar, for example float(x.max())"
        )
    return number


def _finite(number: int | float) -> bool:
    """Finite; an integer may be too large for a float and is finite all the same."""
    return isinstance(number, int) or math.isfinite(number)


def _plain(number: int | float) -> int | float | str:
    """The number, or the string that `float` reads back: of NaN and infinities neither JSON nor a Python literal knows."""
    return number if _finite(number) else repr(number)


def _short(number: int | float) -> str:
    """An integer whole, a float to three digits, which is what a look needs."""
    return str(number) if isinstance(number, int) else f"{number:.3g}"


def _log(made: Claim) -> None:
    """Append the claim to the log of claims, if one is kept: one write to the end of the file, so that processes can share it."""
    if path := claims_log():
        ratio = None if made.ratio is None else _plain(made.ratio)
        line = json.dumps(made.data | {"ratio": ratio}, allow_nan=False) + "\n"
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(file, line.encode())
        finally:
            os.close(file)


def _store(
    id: str, number: int | float, exact: bool | None, *, line: str = "", **metadata: object
) -> None:
    """Add the number to the outputs of the running cell, with a line to be seen; do nothing outside IPython.

    Glue reads the text back with `ast.literal_eval`, which skips a comment. So a number that differs from machine to machine
    says so exactly as a printed line does, by ending in ``# measured``, and nbval ignores it by the same rule. Of NaN it reads
    the string, which every format for floats shows as nan.
    """
    # here, so that scripts do not pay for importing IPython
    from IPython import (
        display,
        get_ipython,
    )

    if get_ipython() is None:
        return
    compared = isinstance(number, int) if exact is None else exact
    tag = "" if compared else "  # measured"
    shown = {_GLUE + "text/plain": repr(_plain(number)) + tag}
    if line:
        shown["text/plain"] = line + tag
    scrapbook = {"name": id, "mime_prefix": _GLUE}
    display.display(shown, raw=True, metadata={"scrapbook": scrapbook, **metadata})
