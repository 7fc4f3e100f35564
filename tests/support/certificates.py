"""The tie between a statement of the book and the test that certifies it: the statement must pass, its mutants must fail.

    @certifies("thm-cg-rate", statement=rate, mutants={"the factor two forgotten": lambda kappa, t: rate(kappa, t) / 2})
    def test_no_prompt_is_slower_than_the_rate(statement):
        assert error <= statement(kappa, t)

What the test takes as `statement` is the part of it that could be wrong: a bound, a formula, a recurrence, a network, a hypothesis.
pytest runs the test once with what the book states, and once with every mutant, in whose place it has to *fail an assertion*: a
mutant that passes fails the suite, and so does one that crashes. With other parameters the mutant must fail for every set of them.

`scripts/lint_book.py` reads these decorators without importing anything, so labels and the words for mutants are written out as
strings; it fails when a `prf:` label of the book has no such test, when none of its tests has a mutant, and when a test
names a label the book does not have. The Claims page prints them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps

import pytest


@dataclass(frozen=True)
class Mutant:
    """A wrong version of a statement, and what is wrong with it in a few words."""

    what: str
    statement: object


def certifies(*labels: str, statement: object = None, mutants: Mapping[str, object] | None = None, exact: bool = False) -> Callable:
    """Mark a test as a certificate of the theorems, lemmas, propositions or corollaries with these labels.

    Args:
        labels: of the book.
        statement: what the test takes under this name, as the book has it.
        mutants: what is wrong, in a few words -> the wrong version, handed to the test in its place. Without mutants the test takes
            no `statement`; another test of the label must have one.
        exact: it compares without rounding, over fractions or a prime field.

    `pytest -m certifies` runs all certificates and nothing else.
    """
    mark = pytest.mark.certifies(*labels, exact=exact)
    if mutants is None:
        return mark
    cases = [pytest.param(statement, id="stated"), *(pytest.param(Mutant(what, wrong), id=f"mutant: {what}") for what, wrong in mutants.items())]

    def decorate(test: Callable) -> Callable:
        @wraps(test)
        def run(*args: object, statement: object, **kwargs: object) -> None:
            if isinstance(statement, Mutant):
                must_fail(test, statement, *args, **kwargs)
            else:
                test(*args, statement=statement, **kwargs)

        return mark(pytest.mark.parametrize("statement", cases)(run))

    return decorate


def must_fail(test: Callable, mutant: Mutant, *args: object, **kwargs: object) -> None:
    """Run a certificate on a mutant and see an assertion fail; anything else it raises is an error of the test."""
    try:
        test(*args, statement=mutant.statement, **kwargs)
    except (AssertionError, pytest.fail.Exception):  # the latter: `pytest.raises` that saw nothing raised
        return
    pytest.fail(f"the certificate accepts a wrong version of its statement: {mutant.what}")
