"""Claims: assert always, and inside IPython leave the output that glue, nbval and the Claims page read."""

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.core.variables import format_plain_text
from nbval.plugin import get_sanitize_patterns

from metarep_lib.show import Claim, ClaimFailed, claim, record

RECORD = "application/papermill.record/text/plain"
SANITIZE = Path(__file__).with_name("nbval-sanitize.cfg")


def measured(value, relation="<=", bound=1.0, **more):
    return claim("some-id", value, relation, bound, kind="measurement", text="some text", **more)


@pytest.fixture
def stored():
    """Run a function inside IPython and return the outputs it leaves."""
    InteractiveShell.instance()

    def outputs(function, *args, **kwargs):
        with capture_output() as captured:
            function(*args, **kwargs)
        assert captured.stdout == ""
        return captured.outputs

    yield outputs
    InteractiveShell.clear_instance()


def sanitized(text):
    for regex, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
        text = re.sub(regex, replacement, text)
    return text


@pytest.mark.parametrize(
    ("value", "relation", "holds", "fails"),
    [(2, "<=", 2, 1), (2, ">=", 2, 3), (2, "==", 2, 3), (2, "<", 3, 2), (2, ">", 1, 2)],
)
def test_every_relation_holds_and_fails(value, relation, holds, fails):
    assert measured(value, relation, holds).holds
    with pytest.raises(ClaimFailed, match=f"some-id.*2 {relation} {fails} is false"):
        measured(value, relation, fails)


@pytest.mark.parametrize("relation", ["<=", ">=", "==", "<", ">"])
@pytest.mark.parametrize(("value", "bound"), [(math.nan, 1.0), (1.0, math.nan), (math.inf, math.inf)])
def test_nan_and_infinity_satisfy_nothing(value, relation, bound):
    with pytest.raises(ClaimFailed):
        measured(value, relation, bound)


def test_failure_states_the_ratio():
    with pytest.raises(ClaimFailed, match=r"value / bound = 2\.5"):
        measured(2.5)
    with pytest.raises(ClaimFailed, match="the bound is 0"):
        measured(2.5, bound=0)


@pytest.mark.parametrize("scalar", [np.float64(0.5), np.float32(0.5), torch.tensor(0.5), np.array(0.5)])
def test_scalars_of_any_library_become_python_numbers(scalar):
    made = measured(scalar)
    assert type(made.value) is float
    assert made == Claim("some-id", 0.5, "<=", 1.0, "measurement", "some text")


def test_integers_of_any_size_are_finite():
    assert measured(2**2000, "==", 2**2000).ratio == 1


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"relation": "<<"}, ValueError),
        ({"kind": "guess"}, ValueError),
        ({"id": "with:colon"}, ValueError),
        ({"value": "0.5"}, TypeError),
        ({"bound": 1j}, TypeError),
    ],
)
def test_misuse_is_refused(change, error):
    good = {"id": "some-id", "value": 0.5, "relation": "<=", "bound": 1, "kind": "measurement", "text": "some text"}
    with pytest.raises(error):
        claim(**(good | change))


def test_claim_inside_ipython_is_an_invisible_glue_output(stored):
    (output,) = stored(measured, 0.5, source="thm-some")
    assert list(output.data) == [RECORD]
    assert output.metadata["scrapbook"] == {"name": "some-id", "mime_prefix": "application/papermill.record/"}
    assert output.metadata["claim"] == {
        "id": "some-id",
        "value": 0.5,
        "relation": "<=",
        "bound": 1.0,
        "kind": "measurement",
        "text": "some text",
        "source": "thm-some",
        "searched": False,
    }


def test_failed_claim_leaves_no_output(stored):
    def attempt():
        with pytest.raises(ClaimFailed):
            measured(2.0)

    assert stored(attempt) == []


def test_record_is_stored_without_a_claim(stored):
    (output,) = stored(record, "supports", 64)
    assert output.data == {RECORD: "64"}
    assert "claim" not in output.metadata


@pytest.mark.parametrize(
    ("value", "exact", "compared"),
    [(12, None, True), (12, False, False), (0.25, None, False), (0.25, True, True)],
)
def test_nbval_compares_the_digits_of_exact_numbers_only(stored, value, exact, compared):
    texts = [stored(record, "number", number, exact=exact)[0].data[RECORD] for number in (value, value * 2)]
    assert (sanitized(texts[0]) != sanitized(texts[1])) == compared


@pytest.mark.parametrize(("value", "spec", "page"), [(1.25e-13, ".1e", "1.2e-13"), (-0.5, ".0%", "-50%"), (7, "d", "7")])
@pytest.mark.parametrize("exact", [True, False])
def test_glue_formats_what_is_stored(stored, value, spec, page, exact):
    (output,) = stored(record, "number", value, exact=exact)
    assert format_plain_text(output.data[RECORD], spec) == page


def test_claim_at_the_end_of_a_cell_is_not_echoed():
    assert measured(0.5)._ipython_display_() is None
