"""No end of the book is printed on the wrong side of its number."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import roundings  # noqa: E402

NUMBERS = {"small": 0.0647, "big": 10.06, "near": 1.0004, "part": 0.1725, "far::small": 0.0647, "tiny": 3.2e-15, "count": 7}


def found(text: str) -> list[tuple[int, str]]:
    """The faults of a text; `<small:.2f>` is a quoted number."""
    return list(roundings.flattering(text.replace("<", "{glue:text}`").replace(">", "`"), NUMBERS))


@pytest.mark.parametrize(
    "text",
    [
        "The error is at most <small:.2f>.",
        "The error is at most <far.md::small:.2f>.",
        "Errors within a factor of <small:.2f> of it.",
        "They are below <near:.2f> and <small:.2f>.",
        "It is <small:.2f> of the rest or less.",
        "The largest error of five prompts is <small:.2f>.",
        "It lies between <near:.2f> and <small:.2f>.",
        "None is above <small:.2f>.",
        "| misfit | at most <part:.0%> |",
        "An error up to <small:.0e>.",
        "at least <big:.1f> times as much",
        "at least <near:.1f> on one and <big:.1f>",
        "It explains <big:.1f> and <near:.2f> of it at least.",
        "It loses <big:.1f> times that at the least.",
        "a factor of <big:.1f> or more",
        "Nobody can be below <big:.1f>.",
        "There are over <big:.1f>.",
        "caption: |\n  A line that ends in at least\n  <big:.1f>.",
        "No end is <near:.1f>; it is at most <tiny:.1e>.",
    ],
)
def test_an_end_on_the_wrong_side_is_found(text):
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "The error is at most <small:.3f>.",
        "The error is at most <near:.2f>.",
        "The error is at most about <small:.2f>.",
        "The error is <small:.2f>.",
        "At least <small:.2f>.",
        "at most <big:.1f>",
        "It is at most one. Another is <small:.2f>.",
        "at most one\n\n<small:.2f>",
        "- at most one\n- <small:.2f>",
        "<small:.2f> and at most <big:.1f>",
        "Over all eight prompts it reaches <big:.1f>.",
        "at most <count:d>",
        "at most <tiny-and-unknown:.2f>",
        "below about <tiny:.0e>",
    ],
)
def test_other_numbers_pass(text):
    assert found(text) == []


def test_a_fault_names_line_number_and_remedy():
    ((line, fault),) = found("One.\n\nAt most <small:.2f>.")
    assert line == 3 and "upper end 0.0647 as 0.06" in fault and "add a digit" in fault


def test_the_book_has_none_and_its_numbers_are_known():
    numbers = roundings.stored()
    if not numbers:
        pytest.skip("a copy without git has no committed numbers")
    assert "demo-oracle" in numbers["demo"]
    assert list(roundings.faults()) == []
