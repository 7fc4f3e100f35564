"""The tie between a theorem of the book and the test that certifies it.

    from certificates import certifies

    @certifies("thm-cg-in-two-blocks")
    def test_two_blocks_are_one_cg_step(): ...

`scripts/lint_book.py` reads these decorators without importing anything, so labels are written out as strings; it
fails when a `prf:` label of the book has no such test, and when a test names a label the book does not have.
"""

import pytest


def certifies(*labels: str) -> pytest.MarkDecorator:
    """Mark a test as the certificate of the theorems, lemmas, propositions or corollaries with these labels.

    `pytest -m certifies` runs all certificates and nothing else.
    """
    return pytest.mark.certifies(*labels)
