"""Sweeps: every point once, in order, resumed after an interruption, and read back by knob."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metarep_lib.studies import Cases, Sweep, Swept, load_sweep, run_sweep, won
from metarep_lib.studies.sweep import is_of
from metarep_lib.train import load_trained, read_recipe

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import identify  # noqa: E402
from sweep import definition  # noqa: E402

SAID = {"commit": "none", "command": "test"}


def made(run):
    return Sweep("tiny", {"kappa": [1.0, 10.0], "kind": ["a", "b", "c"]}, [0, 1], run)


def result(kappa, kind, seed):
    return {"error": kappa + seed / 3, "path": [kappa, float(ord(kind))]}


def test_a_sweep_is_stored_with_its_card_and_read_back_by_knob(tmp_path):
    path = run_sweep(made(result), tmp_path, **SAID)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny.json"]
    assert set(json.loads(path.read_text(encoding="utf-8"))["card"]) == {"command", "commit", "code", "seconds", "torch", "python"}
    swept = load_sweep("tiny", tmp_path)
    assert len(swept.rows) == 12
    np.testing.assert_allclose(swept.values("error", kind="b"), [[1, 1.3333], [10, 10.333]], rtol=1e-3)
    assert swept.values("path").shape == (2, 3, 2, 2)
    assert (swept.values("path", seed=1, kappa=10.0)[:, 1] == [97, 98, 99]).all()


def test_an_interrupted_sweep_goes_on_and_runs_no_point_twice(tmp_path):
    ran = []

    def fragile(**point):
        if len(ran) == 5 and "again" not in ran:
            ran.append("again")
            raise KeyboardInterrupt
        ran.append(tuple(point.values()))
        return result(**point)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(made(fragile), tmp_path, **SAID)
    run_sweep(made(fragile), tmp_path, **SAID)
    ran.remove("again")
    assert ran == [tuple(point.values()) for point in made(result).points()]
    whole = load_sweep("tiny", tmp_path)
    run_sweep(made(result), tmp_path, **SAID)
    assert load_sweep("tiny", tmp_path).rows == whole.rows


def test_a_partial_file_of_another_grid_is_not_continued(tmp_path):
    def stopped(kappa, kind, seed):
        if kind == "b":
            raise KeyboardInterrupt
        return result(kappa, kind, seed)

    with pytest.raises(KeyboardInterrupt):
        run_sweep(made(stopped), tmp_path, **SAID)
    for grid in ({"kappa": [2.0], "kind": ["a"]}, {"kappa": [1.0, 10.0]}, {"kind": ["a", "b", "c"], "kappa": [1.0, 10.0]}):
        with pytest.raises(ValueError, match=r"(?s)another grid.*remove it"):
            run_sweep(Sweep("tiny", grid, [0, 1], stopped), tmp_path, **SAID)


def test_what_is_not_there_says_what_is(tmp_path):
    run_sweep(made(result), tmp_path, **SAID)
    swept = load_sweep("tiny", tmp_path)
    with pytest.raises(KeyError, match=r"\['a', 'b', 'c'\]"):
        swept.values("error", kind="d")
    with pytest.raises(KeyError, match=r"'error', 'path'"):
        swept.values("risk")
    with pytest.raises(FileNotFoundError, match="there are: tiny"):
        load_sweep("big", tmp_path)


@pytest.mark.parametrize("name", ["conditioning", "degenerate", "knobs", "plane", "width"])  # their grids do not grow with the trained networks there are
def test_what_is_stored_is_the_grid_of_its_file(name):
    sweep, swept = definition(name), load_sweep(name)
    assert sweep.name == name and len(sweep.seeds) >= 5
    assert swept.knobs == {name: list(values) for name, values in sweep.knobs.items()} | {"seed": list(sweep.seeds)}
    assert [{name: row[name] for name in point} for row, point in zip(swept.rows, sweep.points(), strict=True)] == list(sweep.points())


@pytest.mark.parametrize("name", ["identification-trained", "interventions"])
def test_the_networks_of_a_sweep_are_those_that_recipes_state(name):
    sweep, swept = definition(name), load_sweep(name)
    (networks,) = sweep.knobs.values()
    stated = {recipe: read_recipe(ROOT / "training" / f"{recipe}.toml").seeds for recipe, _, _ in (network.rpartition("-") for network in networks)}
    assert list(networks) == sorted(f"{recipe}-{seed}" for recipe, seeds in stated.items() for seed in seeds)
    assert is_of(swept, sweep)


def test_a_blind_line_up_of_other_networks_is_noticed(monkeypatch):
    assert identify.why_missing() == ""
    stored = load_sweep("blind-identification")
    monkeypatch.setattr(identify, "load_sweep", lambda name: replace(stored, rows=stored.rows[:-1]))
    assert "another line-up" in identify.why_missing()
    monkeypatch.setattr(identify, "load_sweep", lambda name: load_sweep(name, ROOT))
    assert "no such sweep" in identify.why_missing()


def test_a_point_of_the_interventions_is_its_stored_row():
    defined = {}
    exec(compile((ROOT / "sweeps" / "interventions.py").read_text(encoding="utf-8"), "sweeps/interventions.py", "exec"), defined)
    network, swept = load_trained("linear-attention-2", 0), load_sweep("interventions")
    (stored,) = (row for row in swept.rows if row["weights"] == "linear-attention-2-0")
    found = defined["patch"](network, 0) | defined["inject"](network, 0)
    assert len(found) > 20
    for name, values in found.items():
        np.testing.assert_allclose(np.ravel(values), np.ravel(stored[name]), rtol=1e-3, atol=1e-5)


def test_cases_are_networks_times_draws_and_nothing_is_averaged_over_draws():
    rows = [
        {"network": network, "seed": seed, "misfits_prior": [0.1 * seed, 0.2], "low_prior": [0.0, 0.1 * n], "filter_prior": [1.0, 0.5][n:], "polynomial_prior": [3.0, 2.0][n:]}
        | {"equal_prior": [[1.0, 0.5 - seed, 2.0], [2.0, 1.0, 3.0], [-1.0, -2.0, -0.5], [4.0, 3.0, 5.0]]}
        for n, network in enumerate("ab")
        for seed in (0, 1, 3)
    ]
    cases = Cases(Swept({"network": ["a", "b"], "seed": [0, 1, 3]}, rows, {}), ["one", "other"], ["a", "b"])
    assert cases.count == 6
    np.testing.assert_allclose(cases.misfit("one"), [[0.0, 0.1, 0.3]] * 2)
    np.testing.assert_allclose(cases.above_best("other"), [[0.0] * 3, [0.1] * 3])
    assert not cases.steady("prior").any()  # the nearest is another one under the third draw
    np.testing.assert_allclose(cases.last("filter_prior"), np.full((2, 3), 0.5))  # of one layer and of two
    np.testing.assert_allclose(cases.beyond_one_product(), np.full((2, 3), 4.0))
    assert won(cases.equal_counts("prior", each_layer=False, kind=0)) == (2, 0)
    assert won(cases.equal_counts("prior", each_layer=True, kind=0)) == (0, 6)
    np.testing.assert_allclose(cases.equal_counts("prior", each_layer=True), [[4.0, 3.0, 5.0]] * 6)
