"""What `make portability` calls a fault: a claim that rounding decides is one, a claim that hardly moves or is far from its bound is none."""

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

from portability import SETTINGS, claims, environment, ranges, restless, used  # noqa: E402


def made(*values: float, relation: str = "<=", bound: float = 1.0, kind: str = "measurement") -> dict[str, dict[str, dict]]:
    """One claim under as many settings as there are values."""
    return {f"setting-{i}": {"one": {"id": "one", "value": value, "relation": relation, "bound": bound, "kind": kind}} for i, value in enumerate(values)}


@pytest.mark.parametrize(
    "values, relation, faulty",
    [
        ((0.2, 0.5), "<=", True),  # moves, and comes near
        ((0.5, 0.51), "<=", False),  # comes near, but stands still
        ((1e-6, 1e-3), "<=", False),  # moves, far from the bound
        ((5.0, 3.0), ">=", True),
        ((300.0, 30.0), ">=", False),
        ((1.0, 1.0), "==", False),
    ],
)
def test_a_claim_that_moves_near_its_bound_is_a_fault(values, relation, faulty):
    assert bool(list(restless(ranges(made(*values, relation=relation))))) == faulty


def test_a_tolerance_that_moves_is_a_fault_as_a_claim_is():
    found = ranges(made(0.2, 0.5, kind="tolerance"))
    assert found["one"]["used"] == 0.5 and list(restless(found))


def test_of_a_claim_made_twice_the_worse_one_counts_and_nan_is_worst(tmp_path):
    lines = [{"id": "one", "value": value, "relation": "<=", "bound": 1.0, "kind": "measurement", "holds": value != "nan"} for value in (0.5, 0.2, "nan")]
    log = tmp_path / "log"
    log.write_text("\n".join(map(json.dumps, lines[:2])), encoding="utf-8")
    assert claims(log)["one"]["value"] == 0.5
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    assert not claims(log)["one"]["holds"]
    assert claims(tmp_path / "nothing") == {}


def test_a_bound_from_below_is_used_up_from_above():
    claim = {"value": 4.0, "bound": 2.0, "relation": ">="}
    assert used(claim) == 0.5 and used(claim | {"value": 0.0}) == float("inf")


def test_every_setting_differs_from_the_machine_and_leaves_openblas_alone(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "as the machine has it")
    machine = environment("machine")
    for name in SETTINGS:
        assert environment(name)["OPENBLAS_CORETYPE"] == machine["OPENBLAS_CORETYPE"]
        assert name == "machine" or environment(name) != machine
