"""The versions that pyproject.toml claims are those that `make floors` tries, and the tools it tries them with are the pinned ones."""

import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]


def pins(name: str) -> dict[str, Version]:
    """Package -> version of a file of pins."""
    lines = (line for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if not line.startswith("#"))
    return {package: Version(version) for package, version in (line.split("==") for line in lines)}


CLAIMED = [Requirement(line) for line in tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]]
TRIED, PINNED = pins("requirements-floors.txt"), pins("requirements.txt")


@pytest.mark.parametrize("claimed", CLAIMED, ids=lambda claimed: claimed.name)
def test_the_floor_of_a_dependency_is_tried_and_the_pin_is_above_it(claimed):
    (floor,) = claimed.specifier
    assert floor.operator == ">="
    assert TRIED[claimed.name] == Version(floor.version)
    assert PINNED[claimed.name] in claimed.specifier


def test_the_tools_are_those_of_the_book():
    tools = TRIED.keys() - {claimed.name for claimed in CLAIMED}
    assert {tool: TRIED[tool] for tool in tools} == {tool: PINNED[tool] for tool in tools}
