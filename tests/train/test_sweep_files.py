"""Stored sweeps and their journals."""

import json
import random
from functools import partial

import pytest

from metarep_lib.studies import Sweep, load_sweep, run_sweep
from metarep_lib.studies.journal import SweepError
from small_runs import LFS, SAID, numbers, sweep


def other_numbers(width, seed):
    return {"error": 2 / width + seed / 3, "path": [float("nan"), float("inf"), -float("inf"), 0.1 * width]}


def begun(folder, monkeypatch, rows=4):
    """The journal of a sweep that was stopped."""

    with monkeypatch.context() as patched:
        patched.setattr("metarep_lib.studies.sweep.write_sweep", lambda *given: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            run_sweep(sweep(), folder, **SAID)
    path = folder / "tiny.partial"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 1 + rows]))
    return path


def rows_of(path):
    return path.read_bytes().partition(b'"rows"')[2]


def test_a_journal_torn_at_any_byte_is_gone_on_from(tmp_path, monkeypatch):
    whole = rows_of(run_sweep(sweep(), tmp_path / "whole", **SAID))
    journal = begun(tmp_path, monkeypatch)
    content, last = journal.read_bytes(), journal.read_bytes().rindex(b"\n", 0, -1)
    draw = random.Random(0)
    for size in {*draw.sample(range(len(content)), 40), *range(last, len(content) + 1, 7), 0, len(content)}:
        journal.write_bytes(content[:size])
        assert rows_of(run_sweep(sweep(), tmp_path, **SAID)) == whole
        journal.write_bytes(content[:size] + b"\0" * 8)  # a file system's way to leave a file after a crash
        assert rows_of(run_sweep(sweep(), tmp_path, **SAID)) == whole


def test_only_what_is_missing_runs_again(tmp_path, monkeypatch):
    journal, ran = begun(tmp_path, monkeypatch, rows=4), []
    journal.write_bytes(journal.read_bytes()[:-5])
    monkeypatch.setattr("metarep_lib.studies.sweep.short", lambda value: ran.append(value) or value)
    run_sweep(sweep(), tmp_path, **SAID)
    assert len(ran) == 2 * 3  # two results at each of three points


@pytest.mark.parametrize("run", [other_numbers, lambda width, seed: numbers(width, seed), partial(other_numbers)], ids=["another", "lambda", "partial"])
def test_rows_of_an_older_run_are_not_stored_beside_new_ones(run, tmp_path, monkeypatch):
    journal = begun(tmp_path, monkeypatch)
    before = journal.read_bytes()
    with pytest.raises(SweepError, match=r"(?s)tiny\.partial.*made by other code.*remove it to start anew"):
        run_sweep(sweep(run), tmp_path, **SAID)
    assert journal.read_bytes() == before


def test_rows_of_another_library_are_not_stored_beside_new_ones(tmp_path, monkeypatch):
    begun(tmp_path, monkeypatch)
    monkeypatch.setattr("metarep_lib.studies.sweep.library_digest", lambda: "another")
    with pytest.raises(SweepError, match="made by other code"):
        run_sweep(sweep(), tmp_path, **SAID)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [b'{"width": 1, "seed": 0}\n', *lines[1:]], "its format is None"),
        (lambda lines: [*lines[:2], b"{torn}\n", *lines[3:]], "line 3 is no line of a journal"),
        (lambda lines: [*lines[:2], b"7\n", *lines[3:]], "line 3 is no line of a journal: it is a int"),
        (lambda lines: [*lines[:2], *lines[3:]], "line 3 is not the row of {'width': 1, 'seed': 1}"),
        (lambda lines: [*lines, *lines[1:]], "it has 8 rows, the grid 6 points"),
        (lambda lines: [LFS], "pointer of Git LFS"),
    ],
)
def test_a_journal_that_is_none_is_refused(change, said, tmp_path, monkeypatch):
    journal = begun(tmp_path, monkeypatch)
    journal.write_bytes(b"".join(change(journal.read_bytes().splitlines(keepends=True))))
    with pytest.raises(SweepError) as error:
        run_sweep(sweep(), tmp_path, **SAID)
    assert said in str(error.value) and str(journal) in str(error.value) and "remove it to start anew" in str(error.value)


def test_a_sweep_is_json_by_the_standard_and_comes_back_as_it_was(tmp_path):
    path = run_sweep(sweep(), tmp_path, **SAID)
    held = json.loads(path.read_text(encoding="utf-8"), parse_constant=lambda name: pytest.fail(name))
    assert held["rows"][0]["path"] == [None, "Infinity", "-Infinity", 0.1]
    back = load_sweep("tiny", tmp_path)
    assert repr(back.rows[0]["path"]) == "[nan, inf, -inf, 0.1]"
    assert back.values("path").shape == (3, 2, 4)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (LFS, "pointer of Git LFS"),
        (b'{"card": ', "no JSON"),
        (b'{"card": {}, "knobs": {}, "rows": [{"a": NaN}]}', "it has NaN"),
        (b"[]", "it has no card, knobs, rows"),
        (b'{"card": {}, "knobs": {"a": [1]}, "rows": [{"b": 1}]}', "row 0 has no a"),
        (b'{"card": {}, "knobs": {}, "rows": [3]}', "row 0 has no names"),
    ],
)
def test_a_stored_sweep_that_is_broken_says_how_it_is_made_again(content, said, tmp_path):
    (tmp_path / "tiny.json").write_bytes(content)
    with pytest.raises(SweepError, match=rf"(?s)tiny\.json.*{said}.*remove it and run `make sweeps`"):
        load_sweep("tiny", tmp_path)


def test_a_result_that_is_called_like_a_knob_is_refused(tmp_path):
    with pytest.raises(SweepError, match="its results have width, which are knobs"):
        run_sweep(sweep(lambda width, seed: {"width": 3.0}), tmp_path, **SAID)
    with pytest.raises(SweepError, match="'seed' is a knob"):
        run_sweep(Sweep("tiny", {"seed": [1]}, [0], numbers), tmp_path, **SAID)
    with pytest.raises(SweepError, match="width takes nan"):
        run_sweep(Sweep("tiny", {"width": [float("nan")]}, [0], numbers), tmp_path, **SAID)
