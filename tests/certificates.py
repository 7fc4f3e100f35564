"""The tie between a theorem of the book and the test that certifies it.

    from certificates import certifies

    @certifies("thm-cg-in-two-blocks", mutant="the other sign in the denominator of gamma")
    def test_two_blocks_are_one_cg_step(): ...

`scripts/lint_book.py` reads these decorators without importing anything, so labels and mutants are written out as
strings; it fails when a `prf:` label of the book has no such test, when none of its tests has a mutant, and when a test
names a label the book does not have. The Claims page prints them.
"""

import pytest


def certifies(*labels: str, mutant: str | None = None, exact: bool = False) -> pytest.MarkDecorator:
    """Mark a test as a certificate of the theorems, lemmas, propositions or corollaries with these labels.

    `mutant` says in a few words which wrong version of the statement (a constant, an exponent, a hypothesis) this test
    also runs and sees fail. `exact` says that it compares without rounding, over fractions or a prime field. `pytest -m certifies` runs all certificates and nothing else.
    """
    return pytest.mark.certifies(*labels, mutant=mutant, exact=exact)
