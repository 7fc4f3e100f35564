"""Claims: a theorem is always asserted, a measurement for who checks the book; both leave what glue, nbval, the Claims page and the log read."""

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import extract_glue_data_cell
from nbformat.v4 import new_code_cell, new_notebook, new_output
from nbval.plugin import get_sanitize_patterns

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import write_pairs  # noqa: E402
from metarep_lib import settings  # noqa: E402
from metarep_lib.show import Claim, ClaimFailed, claim, record  # noqa: E402

RECORD = "application/papermill.record/text/plain"
SANITIZE = Path(__file__).resolve().parents[1] / "nbval-sanitize.cfg"


@pytest.fixture(autouse=True)
def reading(monkeypatch):
    """The usual mode, whatever is set outside."""
    for variable in (settings.CLAIMS, settings.CLAIMS_LOG):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def strict(monkeypatch):
    monkeypatch.setenv(settings.CLAIMS, "strict")


@pytest.fixture
def log(monkeypatch, tmp_path):
    """The file that claims append themselves to; a function that reads it."""
    monkeypatch.setenv(settings.CLAIMS_LOG, str(tmp_path / "claims.jsonl"))
    return lambda: [json.loads(line) for line in (tmp_path / "claims.jsonl").read_text(encoding="utf-8").splitlines()]


def proved(value, relation="<=", bound=1.0, **more):
    return claim("some-id", value, relation, bound, "some text", theorem="thm-some", **more)


def measured(value, relation="<=", bound=1.0, **more):
    return claim("some-id", value, relation, bound, "some text", **more)


@pytest.fixture
def stored():
    """Run a function inside IPython and return the outputs it leaves; `said` is what it must print."""
    InteractiveShell.instance()

    def outputs(function, *args, said="", **kwargs):
        with capture_output() as captured:
            function(*args, **kwargs)
        assert captured.stdout == said
        return captured.outputs

    yield outputs
    InteractiveShell.clear_instance()


def sanitized(text):
    for regex, replacement in get_sanitize_patterns(SANITIZE.read_text(encoding="utf-8")):
        text = re.sub(regex, replacement, text)
    return text


RELATIONS = [(2, "<=", 2, 1), (2, ">=", 2, 3), (2, "==", 2, 3), (2, "<", 3, 2), (2, ">", 1, 2)]
NOT_FINITE = [(math.nan, 1.0), (1.0, math.nan), (math.inf, math.inf), (-math.inf, 1.0)]


@pytest.mark.parametrize(("value", "relation", "holds", "fails"), RELATIONS)
@pytest.mark.parametrize("made", [measured, proved])
def test_every_relation_holds_and_fails(strict, made, value, relation, holds, fails):
    assert made(value, relation, holds).holds
    with pytest.raises(ClaimFailed, match=rf"some-id \(some text\): 2 {relation} {fails} is false"):
        made(value, relation, fails)


@pytest.mark.parametrize("relation", ["<=", ">=", "==", "<", ">"])
@pytest.mark.parametrize(("value", "bound"), NOT_FINITE)
@pytest.mark.parametrize("made", [measured, proved])
def test_nan_and_infinity_satisfy_nothing(strict, made, value, relation, bound):
    with pytest.raises(ClaimFailed, match=f"{value} {relation} {bound} is not between finite numbers"):
        made(value, relation, bound)


@pytest.mark.parametrize(("value", "bound"), [(2.0, 1.0), *NOT_FINITE])
def test_a_false_theorem_stops_a_reader_too(value, bound):
    with pytest.raises(ClaimFailed):
        proved(value, "<=", bound)


@pytest.mark.parametrize(("value", "bound"), [(2.0, 1.0), *NOT_FINITE])
def test_a_false_measurement_tells_a_reader_and_does_not_stop_him(capsys, value, bound):
    made = measured(value, "<=", bound)
    assert not made.holds
    said = capsys.readouterr().out
    assert said == f"did not hold on this machine: {made}  # measured\n"
    assert sanitized(said) == "# not compared\n"


def test_what_a_reader_is_told():
    assert str(measured(3e-3, "<=", 1e-3)) == "some-id (some text): 0.003 <= 0.001 is false; value / bound = 3"
    assert str(measured(3e-3, ">=", 1e-3)) == "some-id (some text): 0.003 >= 0.001 holds; value / bound = 3"


def test_an_unknown_mode_is_refused(monkeypatch):
    monkeypatch.setenv(settings.CLAIMS, "stirct")
    with pytest.raises(ValueError, match="stirct"):
        measured(2.0)


def test_failure_states_the_ratio(strict):
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
    assert measured(2**2000, ">=", 2).ratio == math.inf


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"relation": "<<"}, ValueError),
        ({"theorem": "thm-some", "source": "thm-other"}, ValueError),
        ({"id": "with:colon"}, ValueError),
        ({"value": "0.5"}, TypeError),
        ({"bound": 1j}, TypeError),
    ],
)
def test_misuse_is_refused(change, error):
    good = {"id": "some-id", "value": 0.5, "relation": "<=", "bound": 1, "text": "some text"}
    with pytest.raises(error):
        claim(**(good | change))


def test_claim_inside_ipython_is_a_glue_output_with_a_line_to_be_seen(stored):
    (output,) = stored(measured, 0.5, source="thm-some")
    assert output.data == {RECORD: "0.5  # measured", "text/plain": "✓ some-id: 0.5 <= 1  # measured"}
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
        "holds": True,
    }


@pytest.mark.parametrize("number", [2.0, math.nan, math.inf, -math.inf])
def test_a_false_measurement_is_stored_with_its_verdict(stored, number):
    said = f"did not hold on this machine: {Claim('some-id', number, '<=', 1.0, 'measurement', 'some text')}  # measured\n"
    (output,) = stored(measured, number, said=said)
    json.dumps(output.metadata, allow_nan=False)  # else the kernel could not send it
    assert output.metadata["claim"]["holds"] is False
    assert repr(float(output.metadata["claim"]["value"])) == repr(number)


@pytest.mark.parametrize("made", [measured, proved])
def test_a_claim_that_stops_the_chapter_leaves_no_output(stored, strict, made):
    def attempt():
        with pytest.raises(ClaimFailed):
            made(2.0)

    assert stored(attempt) == []


def test_a_record_that_is_not_finite_is_a_measurement_that_does_not_hold(stored, strict, monkeypatch):
    with pytest.raises(ClaimFailed, match=r"loss \(a finite number\): nan <= "):
        record("loss", math.nan)
    monkeypatch.delenv(settings.CLAIMS)
    made = Claim("loss", math.nan, "<=", sys.float_info.max, "measurement", "a finite number")
    (output,) = stored(record, "loss", math.nan, said=f"did not hold on this machine: {made}  # measured\n")
    assert output.metadata["claim"] == made.data


@pytest.mark.parametrize(
    ("value", "bound", "line"),
    [
        (3.02e-15, 1e-10, "✓ some-id: 3.02e-15 <= 1e-10  # measured"),
        (12, 16, "✓ some-id: 12 <= 16"),
        (2**2000, 2**2001, f"✓ some-id: {2**2000} <= {2**2001}"),
        (math.inf, 2.0, "✗ some-id: inf <= 2  # measured"),
        (math.nan, 2, "✗ some-id: nan <= 2  # measured"),
    ],
)
def test_who_runs_the_cell_sees_a_line(stored, value, bound, line):
    with capture_output() as captured:
        measured(value, "<=", bound)
    assert captured.outputs[0].data["text/plain"] == line


def test_no_page_shows_the_line(stored):
    (output,) = stored(measured, 0.5)
    cell = new_code_cell("claim()", outputs=[new_output("display_data", data=dict(output.data), metadata=output.metadata)])
    ((name, glued),) = extract_glue_data_cell(cell)
    assert name == "some-id" and glued["data"]["text/plain"] == "0.5  # measured" and cell.outputs == []


@pytest.mark.parametrize(
    ("value", "bound", "kept"),
    [(0.5, 1.0, "✓ some-id: … <= 1  # measured"), (12, 16, "✓ some-id: 12 <= 16"), (math.nan, 2, "✗ some-id: … <= 2  # measured")],
)
def test_a_pair_keeps_the_line_without_a_measured_number(stored, value, bound, kept):
    with capture_output() as captured:
        measured(value, "<=", bound)
    (output,) = captured.outputs
    cell = new_code_cell("claim()", outputs=[new_output("display_data", data=dict(output.data), metadata=output.metadata)])
    (lean,) = write_pairs.lean(new_notebook(cells=[cell])).cells[0].outputs
    assert lean.data["text/plain"] == kept
    assert sanitized(kept) == sanitized(output.data["text/plain"])  # nbval sees no difference


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


@pytest.mark.parametrize(("value", "page"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")])
@pytest.mark.parametrize("spec", [".1e", ".3f", ".2g", "s", ""])
@pytest.mark.parametrize("exact", [True, False])
def test_glue_shows_numbers_that_are_not_finite_as_what_they_are(stored, value, spec, page, exact):
    said = f"did not hold on this machine: {Claim('some-id', value, '<=', 1.0, 'measurement', 'some text')}  # measured\n"
    (output,) = stored(measured, value, exact=exact, said=said)
    assert format_plain_text(output.data[RECORD], spec) == page


def test_every_claim_is_logged_whether_it_holds_or_not(log, monkeypatch):
    proved(0.5)
    measured(2.0)
    measured(math.nan, "<=", 0)
    with pytest.raises(ClaimFailed):
        proved(3)
    monkeypatch.setenv(settings.CLAIMS, "strict")
    with pytest.raises(ClaimFailed):
        measured(-math.inf)
    kept = ("id", "value", "relation", "bound", "kind", "ratio", "holds")
    assert [tuple(line[key] for key in kept) for line in log()] == [
        ("some-id", 0.5, "<=", 1.0, "theorem", 0.5, True),
        ("some-id", 2.0, "<=", 1.0, "measurement", 2.0, False),
        ("some-id", "nan", "<=", 0, "measurement", None, False),
        ("some-id", 3, "<=", 1.0, "theorem", 3.0, False),
        ("some-id", "-inf", "<=", 1.0, "measurement", "-inf", False),
    ]


def test_nothing_is_logged_without_a_log_and_nothing_of_a_misuse(log, monkeypatch, tmp_path):
    with pytest.raises(ValueError):
        measured(0.5, "<<")
    monkeypatch.delenv(settings.CLAIMS_LOG)
    measured(0.5)
    assert list(tmp_path.iterdir()) == []


def test_processes_share_a_log(log):
    script = "from metarep_lib.show import claim\nfor _ in range(200): claim('id', 1, '<=', 2, 'x' * 5000)"
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    assert len(log()) == 400


def test_claim_at_the_end_of_a_cell_is_not_echoed():
    assert measured(0.5)._ipython_display_() is None
