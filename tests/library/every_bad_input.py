"""Every bad input there is, call by call: `make bad-inputs`, not part of the suite."""

import pytest

from bad_inputs import all_bad, wrong
from good_calls import calls


@pytest.mark.parametrize("name", calls())
def test_every_bad_input(name):
    assert wrong([bad for bad in all_bad() if bad.call == name]) == []
