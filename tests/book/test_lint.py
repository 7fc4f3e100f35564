"""The rules about what a cell leaves in its notebook: what keeps them passes, what is planted is found."""

import sys
from pathlib import Path

import jupytext
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

import check_pairs  # noqa: E402
import lint_book  # noqa: E402


def result(text: str) -> nbformat.NotebookNode:
    """A cell that has echoed this."""
    return new_code_cell("f()", outputs=[new_output("execute_result", {"text/plain": text})])


@pytest.mark.parametrize(
    "echoed",
    [
        "0.9999999999972337",
        "-1e-15",
        "3.2e-05",
        "nan",
        "np.float64(0.5)",
        "tensor(2., dtype=torch.float64)",
        "tensor([1, 2],\n       [0.25, 1])",
        "array([1., 2.])",
        "{'error': inf}",
        "(1, 0.5)  # measured?",
        "0.5  # measured\n0.25",
    ],
)
def test_an_echoed_float_is_found(echoed):
    assert list(lint_book.echoed_floats(result(echoed)))


@pytest.mark.parametrize(
    "echoed",
    [
        "3",
        "'softmax-gp-0'",
        "tensor([1, 2, 3])",
        "torch.float64",
        "Fraction(1, 3)",
        "0.9999999999972337  # measured",
        "not yet: there is no answer in the place of the dots",
        "A figure with a slider: temperature from 0.003 to 1. Run the cell to move it.",
    ],
)
def test_other_results_pass(echoed):
    assert not list(lint_book.echoed_floats(result(echoed)))


def test_what_a_cell_prints_is_no_result():
    assert not list(lint_book.echoed_floats(new_code_cell("", outputs=[new_output("stream", text="0.5\n")])))


@pytest.mark.parametrize("source", ["error", "x = 1\nx / 3", "errors[-1]", "0.5", "a, b", "f(x)\n(f(x) - y) / y"])
def test_a_cell_that_ends_in_an_expression_is_found(source):
    assert lint_book.bare(new_code_cell(source))


@pytest.mark.parametrize("source", ["", "f(x)", "trace.show()", "x = error", "_ = error", "for x in y:\n    x", "%matplotlib inline\nx"])
def test_a_cell_that_ends_otherwise_passes(source):
    assert not lint_book.bare(new_code_cell(source))


def test_both_are_looked_for_in_every_cell_of_a_chapter(tmp_path):
    chapter = tmp_path / "chapter.md"
    jupytext.write(new_notebook(cells=[new_code_cell("f()"), new_code_cell("error")]), chapter, fmt="md:myst")
    nbformat.write(new_notebook(cells=[result("1"), result("0.5")]), tmp_path / "chapter.ipynb")
    typed, echoed = lint_book.echo_faults(chapter)
    assert "chapter.md: cell 1 echoes 'error'" in typed
    assert "chapter.ipynb: cell 1 echoed a float, '0.5'" in echoed and "make book" in echoed


@pytest.mark.parametrize("holds", [True, False])
def test_a_pair_with_a_claim_that_did_not_hold_is_found(holds):
    stored = new_output("display_data", {}, metadata={"claim": {"id": "some-id", "holds": holds}})
    cell = new_code_cell("claim()", outputs=[stored], execution_count=1)
    assert list(check_pairs.cell_faults(cell)) == ([] if holds else ["has stored a claim that did not hold, some-id"])
