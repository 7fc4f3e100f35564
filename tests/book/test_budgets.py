"""A chapter may shrink, and not grow again."""

import sys
from pathlib import Path

import jupytext
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import budgets  # noqa: E402

BUDGET = dict.fromkeys(budgets.NAMES, 10)
BIG = dict.fromkeys(budgets.NAMES, 50)
COMMITTED = {"budget": BUDGET, "pages": {"big": BIG, "small": dict.fromkeys(budgets.NAMES, 5)}}
SMALL = COMMITTED["pages"]["small"]
CELL = """\
import math
from math import (
    pi,
)

# Why.
error = [
    pi,

    math.tau,
]
claim(
    "a", 1,
)
for x in error:
    claim("b", x)
    record("c", x)
    print(claim)
"""


def faults(**pages: budgets.Figures) -> list[str]:
    """What is said of these pages."""
    return list(budgets.faults(pages, COMMITTED))


def test_the_chapters_are_within_their_limits():
    assert list(budgets.faults(budgets.measured_today(), budgets.committed())) == []


@pytest.mark.parametrize("name", budgets.NAMES)
def test_a_rise_is_refused_and_says_where_how_much_and_what_helps(name):
    (fault,) = faults(big=BIG | {name: 51}, small=SMALL)
    assert f"big: {name} is 51, the limit 50" in fault
    assert "python scripts/budgets.py --raise big" in fault


def test_what_is_within_the_budget_may_rise_up_to_it():
    assert faults(big=BIG, small=SMALL | {"code": 10}) == []
    assert "small: code is 11, the limit 10" in faults(big=BIG, small=SMALL | {"code": 11})[0]


def test_a_fall_passes():
    assert faults(big=dict.fromkeys(budgets.NAMES, 49), small=SMALL) == []


def test_a_page_without_a_line_is_refused_and_so_is_a_line_without_a_page():
    missing, left = faults(big=BIG, new=SMALL)
    assert "new: no line in book/budgets.toml" in missing and "--raise new" in missing
    assert "no chapter small" in left and "--lower" in left


def test_the_file_is_only_lowered_unless_one_page_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(budgets, "FILE", tmp_path / "budgets.toml")
    budgets.FILE.write_text(budgets.shown(BUDGET, COMMITTED["pages"]), encoding="utf-8")
    today = {"big": BIG | {"code": 60, "cell": 40}, "new": SMALL}
    budgets.rewrite(today, raised=None)
    assert budgets.committed() == {"budget": BUDGET, "pages": {"big": BIG | {"cell": 40}}}
    budgets.rewrite(today, raised="big")
    assert budgets.committed()["pages"] == {"big": today["big"]}
    budgets.rewrite(today, raised="new")
    assert budgets.committed()["pages"] == today


def test_what_is_counted(tmp_path):
    folded = new_code_cell("x = 1\ny = 2", metadata={"tags": ["hide-input"]})
    free = new_code_cell("import torch\nclaim('a-b', 1, '<=', 2, 'three')", metadata={"tags": ["hide-input"]})
    prose = new_markdown_cell("Two words, $x$ and `code`, with {ref}`fig-a`: *seven*.")
    chapter = tmp_path / "chapter.md"
    page = new_notebook(cells=[new_code_cell(CELL), folded, free, prose])
    jupytext.write(page, chapter, fmt="md:myst")
    counted = budgets.figures(chapter)
    assert counted["code"] == 4 + 2 + 2 and counted["cell"] == 6  # the list, the loop; folded
    assert counted["folded"] == round(100 * 2 / 8)  # of what counts as code: imports and claims may be folded freely
    assert counted["claims"] == 3 and counted["words"] == 5
    assert counted["source"] == len(chapter.read_text(encoding="utf-8").splitlines())


@pytest.mark.parametrize(
    ("name", "faulty", "value", "sound"),
    [
        ("wide", "x = 1\n# " + "a" * 87, 1, "# " + "a" * 86),
        ("def", "if True:\n    def f(x):\n        'Half.'\n\n        return x", 4, "f = abs"),
        ("hex", "red = '#D55E00'\ngrey = \"#888\"", 2, "x = 1  # 888 of '#12'"),
    ],
    ids=["wide", "def", "hex"],
)
def test_the_form_of_a_cell_is_counted(tmp_path, name, faulty, value, sound):
    for source, expected in ((faulty, value), (sound, 0)):
        chapter = tmp_path / "chapter.md"
        jupytext.write(new_notebook(cells=[new_code_cell(source)]), chapter, fmt="md:myst")
        assert budgets.figures(chapter)[name] == expected
