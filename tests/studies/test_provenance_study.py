"""What the page on reproducibility lists, against the files themselves."""

import json
from math import prod
from pathlib import Path

import pytest

import metarep_lib
from metarep_lib.show import listing
from metarep_lib.studies import provenance

STORED = Path(metarep_lib.__file__).parent


def test_every_stored_network_is_listed_with_the_risk_of_its_longest_context():
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in (STORED / "weights").glob("*.json")]
    listed = {(row["network"], row["seed"]): row for row in provenance.networks()}
    assert len(listed) == len(stored)
    for card in stored:
        row, longest = listed[card["recipe"]["name"], card["seed"]], max(card["risks"], key=lambda at: at["n_support"])
        assert float(row["risk / Bayes, full context"]) == pytest.approx(longest["risk"] / longest["bayes"], abs=0.005)
        assert int(row["parameters"].replace(",", "")) == card["n_parameters"]


def test_every_stored_sweep_is_listed_with_as_many_points_as_its_grid_has():
    listed = {row["sweep"]: row for row in provenance.of_sweeps()}
    assert listed.keys() == {path.stem for path in (STORED / "sweeps").glob("*.json")}
    for name, row in listed.items():
        grid = prod(int(part.split("(")[-1].rstrip(")")) for part in row["knobs"].split(", "))
        # of the blind networks half were also read by a fitted head
        assert row["points"] == (57 if name == "blind-identification" else grid)
        assert row["command"].startswith("python s")


def test_a_record_with_other_columns_is_refused():
    with pytest.raises(ValueError, match="row 1 has the columns b; expected those of the first, a"):
        listing([{"a": 1}, {"b": 2}])
