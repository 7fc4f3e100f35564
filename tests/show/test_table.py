"""Tables of numbers, cell by cell."""

import pytest

from metarep_lib.show import table


def test_columns_of_different_kinds_have_formats_of_their_own():
    shown = repr(table([[266.0, 2e7]], rows=["a"], columns=["supports", "kappa"], formats=[".0f", ".0e"]))
    assert shown.splitlines()[1].split() == ["a", "266", "2e+07", "#", "measured"]
    with pytest.raises(ValueError, match="expected one for each of 2 columns"):
        table([[266.0, 2e7]], rows=["a"], columns=["supports", "kappa"], formats=[".0f"])
