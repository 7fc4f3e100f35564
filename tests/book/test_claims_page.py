"""What the site makes of claims: a small book is built for a reader, with measurements that do not hold, and again by who checks it."""

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest
from myst_nb.core.execute.base import ExecutionError
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from metarep_lib import settings

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "scripts")]

from claims_table import count  # noqa: E402
from line_tags import TAG  # noqa: E402

CHAPTER = """---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

```{prf:theorem} The rate
:label: thm-rate

It is at most two.
```

```{code-cell} ipython3
from metarep_lib.show import claim, record
claim("holds", 0.5, "<=", 1, "a half")
claim("proved", THEOREM, "<=", 2, "a theorem", theorem="thm-rate")
```

```{code-cell} ipython3
print("an error of 1.5e-15  # measured", "on a device  # environment", "a count of 3", sep="\\n")
claim("too-large", 3e-3, "<=", 1e-3, "an *error*")
claim("no-number", float("nan"), "<=", 0, "NaN")
record("no-end", float("inf"))
```

The errors are {glue:text}`too-large:.0e`, {glue:text}`no-number:.2f` and {glue:text}`no-end:.1e`.
"""
PAGES = {
    "chapter.md": CHAPTER.replace("THEOREM", "2"),
    "claims.md": "# Claims\n\nOf `no-number` there: {glue:text}`chapter.md::no-number:.1f`.\n\n```{claims-table}\n```\n",
    "index.md": "# Book\n",
    "_toc.yml": "root: index\nentries: [{file: claims}, {file: chapter}]\n",
}


@dataclass
class Built:
    """A build: its exit code, what it printed at its end, and where the pages are."""

    status: int
    said: str
    html: Path

    def page(self, name: str) -> str:
        return (self.html / f"{name}.html").read_text(encoding="utf-8")


def built(folder: Path, pages: dict[str, str] = PAGES) -> Built:
    """The small book, built with warnings as errors; another call in the same folder finds the outputs in the cache."""
    source = folder / "source"
    source.mkdir(exist_ok=True)
    for name, text in pages.items():
        (source / name).write_text(text, encoding="utf-8")
    config = {
        "extensions": ["myst_nb", "sphinx_external_toc", "sphinx_proof", "claims_table", "line_tags"],
        "nb_execution_mode": "cache",
        "nb_execution_raise_on_error": True,
        "nb_execution_show_tb": True,
        "nb_execution_cache_path": str(folder / "cache"),
    }
    warnings, printed = folder / "warnings", folder / "printed"
    with warnings.open("w", encoding="utf-8") as said, printed.open("w", encoding="utf-8") as out, patch_docutils(), docutils_namespace(), redirect_stdout(out):
        app = Sphinx(source, None, folder / "html", folder / "trees", "html", config, status=None, warning=said, freshenv=True)
        app.build()
    assert not warnings.read_text(encoding="utf-8"), warnings.read_text(encoding="utf-8")
    return Built(app.statuscode, printed.read_text(encoding="utf-8"), folder / "html")


@pytest.fixture(scope="module", autouse=True)
def reading():
    """The usual mode, whatever is set outside."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in (settings.CLAIMS, settings.CLAIMS_LOG, settings.ROUNDING):
            patch.delenv(variable, raising=False)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("book")


@pytest.fixture(scope="module")
def book(folder, reading) -> Built:
    """As a reader builds it."""
    return built(folder)


def test_a_book_with_false_measurements_is_built_for_a_reader_and_fails_the_strict(folder, book, monkeypatch):
    assert book.status == 0
    assert "5 claims: 3 measurements did not hold on this machine: too-large, no-number, no-end\n" in book.said

    chapter = book.page("chapter")
    assert "did not hold on this machine: too-large (an *error*): 0.003 &lt;= 0.001 is false; value / bound = 3\n" in chapter
    assert "did not hold on this machine: no-number (NaN): nan &lt;= 0 is not between finite numbers" in chapter
    shown = ">{}</span>".format
    assert all(shown(number) in chapter for number in ("3e-03", "nan", "inf"))
    assert shown("nan") in book.page("claims")

    table = book.page("claims")
    assert table.count("<strong>did not hold on this machine</strong>") == 3
    for row in table.split("<tr")[1:]:
        assert ("did not hold" in row) == any(text in row for text in ("<em>error</em>", "NaN", "a finite number"))

    monkeypatch.setenv(settings.CLAIMS, "strict")
    again = built(folder)
    assert again.status == 1
    assert "5 claims: 3 measurements did not hold" in again.said


def test_tags_of_printed_lines_are_not_on_the_page(book):
    chapter = book.page("chapter")
    output = chapter.split('class="output stream')[1].split("</pre>")[0]
    assert "an error of 1.5e-15\non a device\na count of 3\ndid not hold" in output
    assert "# measured" not in output and "# environment" not in output
    assert "# measured" in chapter  # in the code of the cell


def test_a_false_measurement_stops_the_chapter_of_the_strict(tmp_path, monkeypatch):
    monkeypatch.setenv(settings.CLAIMS, "strict")
    with pytest.raises(ExecutionError):
        built(tmp_path)
    assert "claim too-large (an *error*): 0.003 <= 0.001 is false" in (tmp_path / "warnings").read_text(encoding="utf-8")
    assert "claims:" not in (tmp_path / "printed").read_text(encoding="utf-8")


def test_a_false_theorem_stops_the_chapter_of_a_reader(tmp_path):
    with pytest.raises(ExecutionError):
        built(tmp_path, PAGES | {"chapter.md": CHAPTER.replace("THEOREM", "3")})
    assert "claim proved (a theorem): 3 <= 2 is false" in (tmp_path / "warnings").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ([], "0 claims: all held"),
        ([True, True], "2 claims: all held"),
        ([True, False], "2 claims: 1 measurement did not hold on this machine: claim-1"),
        ([False, True, False], "3 claims: 2 measurements did not hold on this machine: claim-0, claim-2"),
    ],
)
def test_the_count(held, said):
    assert count([{"id": f"claim-{i}", "holds": holds} for i, holds in enumerate(held)]) == said


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("error 1e-15  # measured", "error 1e-15"),
        ("a # measured \nb\nc\t# environment\n", "a\nb\nc\n"),
        ("a # measured thing", "a # measured thing"),
        ("# measured\n\nx", "\n\nx"),
    ],
)
def test_which_tags_are_dropped(printed, shown):
    assert TAG.sub("", printed) == shown
