"""The examples of the README run as they stand, and the certificates of the release before run through their old imports."""

import re
import warnings
from pathlib import Path

import pytest
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
BEFORE = """
from metarep_lib.evidence import certify_end_to_end, certify_step, two_block_recurrence

weights, config, recurrence = network.transformer.state_dict(), network.transformer.config, two_block_recurrence()
print(certify_end_to_end(weights, config, network.basis, recurrence, seed=0))
print(certify_step(weights, config, network.basis, recurrence, seed=0))
"""


@pytest.fixture
def network(tmp_path, monkeypatch):
    """What the example of a network leaves behind, warnings being errors."""
    monkeypatch.chdir(tmp_path)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(EXAMPLES[1], names)
    return names


def test_arrays_become_an_answer(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(EXAMPLES[0], names)
    X, y, answer = names["X"], names["y"], names["answer"]
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=answer.ridge)).fit(X[:300], y[:300]).predict(X[300:])
    assert abs(answer.prediction.numpy() - theirs).max() < 1e-6 * abs(theirs).max()
    assert "solved" in capsys.readouterr().out


def test_the_examples_run_without_a_warning(network, capsys, tmp_path):
    assert len(EXAMPLES) == 4 and network["trace"].prediction.shape == (16, 20)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(EXAMPLES[2], network)
    assert "conjugate_gradient" in capsys.readouterr().out and (tmp_path / "cg.safetensors").exists()


def test_an_estimator_is_examined(capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(EXAMPLES[3], {})
    said = capsys.readouterr().out
    assert "Identified: nothing" in said and "describes the network" in said  # ridge regression, which several candidates reach


def test_the_example_of_the_release_before_runs_and_says_where_to_import_from(network, capsys):
    with pytest.warns(DeprecationWarning, match="metarep_lib.certify"):
        exec(BEFORE, network)
    assert len(capsys.readouterr().out.splitlines()) >= 2


def test_every_chapter_of_the_book_has_its_line_in_the_order_of_the_book():
    chapters = re.findall(r"file: book/(\S+)", (ROOT / "_toc.yml").read_text(encoding="utf-8").partition("numbered: true")[2])
    reference = chapters.index("notation")
    assert re.findall(r"^([a-z-]+)  +\S", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE) == chapters[:reference]
