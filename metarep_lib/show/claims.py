"""Claims: the numbers of a chapter, asserted where they are computed and kept for its prose.

A chapter never types a number that code can compute. It writes

    claim("floor-error", error, "<=", 1e-12, kind="measurement", text="error at the floor")

in a cell and ``{glue:text}`floor-error:.1e` `` in its prose. The call asserts the relation, so a chapter whose claim has
become false does not build. Inside IPython it also stores the number as an invisible output of the cell, in the
format that myst-nb's *glue* reads; nothing of myst-nb is needed to run the notebook. The book's Claims page is a table of
all stored claims.

The bound is committed: written down beforehand or given by a theorem, never computed from the value it bounds.
"""

import math
import operator
import re
from dataclasses import asdict, dataclass
from typing import SupportsFloat

RELATIONS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "<": operator.lt, ">": operator.gt}
KINDS = ("theorem", "measurement")

_GLUE = "application/papermill.record/"  # mime prefix of an output that glue stores and does not show


class ClaimFailed(AssertionError):
    """A claim whose relation does not hold."""


@dataclass(frozen=True)
class Claim:
    """A claim that held when it was made. Its fields are those of `claim`."""

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
        return self.value / self.bound if self.bound else None

    @property
    def holds(self) -> bool:
        """Whether the relation holds between finite numbers. NaN and infinities satisfy nothing."""
        return _finite(self.value) and _finite(self.bound) and RELATIONS[self.relation](self.value, self.bound)

    def _ipython_display_(self) -> None:
        """Echo nothing when a cell ends in a claim: its place on the page is where the prose quotes it."""


def claim(
    id: str,
    value: SupportsFloat,
    relation: str,
    bound: SupportsFloat,
    *,
    kind: str,
    text: str,
    source: str | None = None,
    searched: bool = False,
    exact: bool | None = None,
) -> Claim:
    """Assert ``value relation bound`` and keep the value for the prose and the Claims page.

    Args:
        id: Name for the prose to quote, unique in the book: lower-case letters, digits and hyphens.
        value: The number computed, of Python, numpy or torch (any scalar with an `item` method).
        relation: One of ``<=  >=  ==  <  >``.
        bound: The committed number.
        kind: ``"theorem"`` if the relation is proved and the bound is the theorem's, else ``"measurement"``.
        text: The claim in a few words, as the Claims page prints it; MyST with maths is fine.
        source: Label of the theorem the bound comes from, which the Claims page then links to.
        searched: Whether an optimiser looked for the input that brings the value nearest to the bound, or beyond it.
        exact: Whether every machine finds the same digits. nbval compares the digits of exact numbers and no others.
            If not given, integers count as exact and floats do not.

    Returns:
        The claim, as a record.

    Raises:
        ClaimFailed: The relation does not hold, or one of the two numbers is NaN or infinite.
        ValueError: The id, relation or kind is not one of those above.
        TypeError: The value or bound is not a number.

    >>> made = claim("depth", 12, "<=", 16, kind="theorem", text="blocks used")
    >>> made.ratio
    0.75
    >>> claim("depth", 20, "<=", 16, kind="theorem", text="blocks used")
    Traceback (most recent call last):
    ...
    metarep_lib.show.claims.ClaimFailed: claim 'depth' (blocks used): 20 <= 16 is false; value / bound = 1.25
    """
    if relation not in RELATIONS:
        raise ValueError(f"claim {id!r}: relation {relation!r} is not one of {', '.join(RELATIONS)}")
    if kind not in KINDS:
        raise ValueError(f"claim {id!r}: kind {kind!r} is not one of {', '.join(KINDS)}")
    made = Claim(_checked(id), _number(id, value), relation, _number(id, bound), kind, text, source, searched)
    if not made.holds:
        ratio = "undefined, the bound is 0" if made.ratio is None else f"{made.ratio:.3g}"
        raise ClaimFailed(
            f"claim {id!r} ({text}): {made.value!r} {relation} {made.bound!r} is false; value / bound = {ratio}"
        )
    _store(id, made.value, exact, claim=asdict(made))
    return made


def record(id: str, value: SupportsFloat, *, exact: bool | None = None) -> None:
    """Keep a number for the prose without claiming anything about it.

    Args and errors are those of `claim`; the number must be finite.

    >>> record("supports", 64)
    >>> record("loss", float("nan"))
    Traceback (most recent call last):
    ...
    ValueError: record 'loss': nan is not finite, so no sentence can quote it
    """
    number = _number(_checked(id), value)
    if not _finite(number):
        raise ValueError(f"record {id!r}: {number!r} is not finite, so no sentence can quote it")
    _store(id, number, exact)


def _checked(id: str) -> str:
    """The id, if glue can take it: a colon would be read as the start of a format."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", id):
        raise ValueError(f"id {id!r}: use lower-case letters and digits with single hyphens, as in 'floor-error'")
    return id


def _number(id: str, value: SupportsFloat) -> int | float:
    """A Python number from any scalar."""
    number = value.item() if hasattr(value, "item") else value
    if not isinstance(number, int | float):
        raise TypeError(f"{id!r}: {value!r} is not a real number; pass a scalar, for example float(x.max())")
    return number


def _finite(number: int | float) -> bool:
    """Finite; an integer may be too large for a float and is finite all the same."""
    return isinstance(number, int) or math.isfinite(number)


def _store(id: str, number: int | float, exact: bool | None, **metadata: object) -> None:
    """Add the number to the outputs of the running cell; do nothing outside IPython.

    Glue reads the text back with `ast.literal_eval`, which skips a comment. So a number that differs from machine to machine
    says so exactly as a printed line does, by ending in ``# measured``, and nbval ignores it by the same rule.
    """
    from IPython import display, get_ipython  # here, so that scripts do not pay for importing IPython

    if get_ipython() is None:
        return
    compared = isinstance(number, int) if exact is None else exact
    text = repr(number) if compared else f"{number!r}  # measured"
    scrapbook = {"name": id, "mime_prefix": _GLUE}
    display.display({_GLUE + "text/plain": text}, raw=True, metadata={"scrapbook": scrapbook, **metadata})
