"""The notebooks that are downloaded and opened in Colab: nothing of MyST is left in them, and they start by installing the library.

A small book with every construct is built twice, with and without addresses. The shipped notebooks are searched for leaks.
"""

import ast
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace, patch_docutils

from metarep_lib.exercises import find

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "book" / "_ext"), str(ROOT / "scripts")]

from notebook_text import Code, expanded  # noqa: E402
from notebooks import install_cell, written  # noqa: E402

SHIPPED = sorted((ROOT / "book").glob("*.ipynb"))
REPOSITORY, SITE = "https://github.com/someone/somebook", "https://someone.example/book"

# What a reader without MyST would see of it. Code and maths are taken out first.
CODE_OR_MATHS = re.compile(r"^(`{3,})[^{\n]*\n.*?^\1$|\$\$.*?\$\$|\$[^$\n]+\$|``[^\n]+?``|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LEAKS = {
    "a role": r"\{[a-z][\w:+-]*\}",  # what is left of one: Markdown takes its content for code
    "a directive": r"^\s*(>\s*)*(`{3,}|:{3,})\s*\{",
    "a colon fence": r"^\s*(>\s*)*:{3,}",
    "a target": r"^\([\w-]+\)=$",
    "an option": r"^\s*:[\w-]+:\s",
    "a comment": r"^%",
    "a dollar": r"(?<!\\)\$",
    "LaTeX in the text": r"\\[a-zA-Z]{2,}",
    "a script": r"<script",
}
MACROS = r"\\(RR|EE|norm|abs|inner|T|diag|tr|deff)(?![A-Za-z])"


def leaks(markdown: str) -> list[str]:
    """What is left of MyST in a Markdown cell."""
    found = [f"a macro: {m[0]}" for m in re.finditer(MACROS, markdown)]
    text = CODE_OR_MATHS.sub("", markdown)
    return found + [f"{what}: {m[0]!r}" for what, pattern in LEAKS.items() for m in re.finditer(pattern, text, re.MULTILINE)]


CHAPTER = r"""---
jupytext:
  text_representation: {extension: .md, format_name: myst, format_version: 0.13}
kernelspec: {display_name: Python 3, language: python, name: python3}
---

# A chapter

Text with *stress*, **weight**, `code_of(x)`, an under_score, 2 * 3 < 7, $\norm{A \T}$ and a price of 5\$ {cite}`first2001`.
See {doc}`other`, {ref}`here <a-place>`, {prf:ref}`thm-main`, {prf:ref}`def-far`, {eq}`eq-main`, {numref}`fig-line`, and {cite:t}`second2002`.

1\. Not a list. A [link](https://elsewhere.example/x).

(a-place)=
## Statements

```{prf:theorem} The main *one*
:label: thm-main

For $x \in \RR$ the equation

$$
\abs{x}
= \max(x, -x)
$$ (eq-main)

holds.

- an item with $a | b$
- another

  $$ y $$
```

```{prf:proof}
By {eq}`eq-main`.
Then

$$ 1 = 1 . $$
```

## Code

```{code-cell} ipython3
:tags: [remove-cell]
x = 6
```

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig-line
    caption: |
      A line, with $\norm{x}$ and {prf:ref}`thm-main`.
  image:
    alt: A line.
tags: [hide-input]
---
from IPython.display import display
class Picture:
    def _repr_mimebundle_(self, **_):
        return {"image/png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
                "text/plain": "<Figure size 1x1>", "application/vnd.jupyter.widget-view+json": {"model_id": "1"}}
display(Picture())
```

```{code-cell} ipython3
from myst_nb import glue
glue("answer", 7 * x, display=False)
x
```

The answer is {glue:text}`answer:.1f`.

```{list-table}
:header-rows: 1
* - a
  - b
* - $\norm{v} | w \|$
  - c|d
```

:::{note}
A note.
:::

:::{dropdown} Solution
Hidden **text**.

```python
y = {"a": 1}
```
:::

::::{grid} 1
:::{grid-item-card} Card
:link: other
:link-type: doc
Its text.
:::
::::

Term
: What it means.

> Said.

````{exercise} A title
:label: kernel-ridge-1
A task.
````

````{solution} kernel-ridge-1
A reason.
````
"""

OTHER = r"""# Another page

```{prf:definition} Far
:label: def-far
Far away, {cite}`second2002`.
```

```{bibliography}
```
"""

BIBLIOGRAPHY = """@article{first2001, title={On things}, author={First, Ann}, journal={Journal}, year={2001}}
@article{second2002, title={On more}, author={Second, Bo}, journal={Journal}, year={2002}}
"""


def built(folder: Path) -> tuple[nbformat.NotebookNode, str]:
    """The notebook and the page of the small book's chapter."""
    source = folder / "source"
    source.mkdir()
    (source / "index.md").write_text("# Book\n\n```{toctree}\n:numbered:\nchapter\nother\n```\n", encoding="utf-8")
    for name, text in {"chapter.md": CHAPTER, "other.md": OTHER, "all.bib": BIBLIOGRAPHY, "chapter.ipynb": "{}"}.items():
        (source / name).write_text(text, encoding="utf-8")
    settings = {
        "extensions": ["myst_nb", "sphinx_proof", "sphinx_design", "sphinxcontrib.bibtex", "exercises", "notebooks"],
        "exclude_patterns": ["*.ipynb"],
        "myst_enable_extensions": ["amsmath", "colon_fence", "deflist", "dollarmath"],
        "bibtex_bibfiles": ["all.bib"],
        "bibtex_reference_style": "author_year",
        "html_theme": "sphinx_book_theme",
        "mathjax3_config": {"tex": {"macros": {"RR": r"\mathbb{R}", "norm": [r"\lVert #1 \rVert", 1], "abs": [r"\lvert #1 \rvert", 1], "T": r"^{\mathsf{T}}"}}},
        "nb_execution_mode": "cache",
        "nb_execution_cache_path": str(folder / "cache"),
        "nb_ipywidgets_js": {},
        "numfig": True,
        "math_numfig": True,
    }
    warnings = folder / "warnings"
    with warnings.open("w", encoding="utf-8") as said, patch_docutils(), docutils_namespace():
        app = Sphinx(source, None, folder / "html", folder / "trees", "html", settings, status=None, warning=said)
        app.build()
    assert not warnings.read_text(encoding="utf-8"), warnings.read_text(encoding="utf-8")
    page = (folder / "html" / "chapter.html").read_text(encoding="utf-8")
    return nbformat.read(folder / "html" / "_sources" / "chapter.ipynb", as_version=4), page


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METAREP_REPOSITORY", "")
        patch.setenv("METAREP_SITE", "")
        yield built(tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("METAREP_REPOSITORY", REPOSITORY)
        patch.setenv("METAREP_SITE", SITE)
        yield built(tmp_path_factory.mktemp("published"))


def text_of(notebook) -> str:
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


@pytest.mark.parametrize(
    "wanted",
    [
        "Text with *stress*, **weight**, `code_of(x)`, an under\\_score, 2 \\* 3 \\< 7, "
        r"$\lVert A ^{\mathsf{T}} \rVert$ and a price of 5\$ [First, 2001].",
        "See Another page, here, Theorem 1.1, Definition 2.1, (1.1), Fig. 1.1, and Second [2002].",
        "1\\. Not a list. A [link](https://elsewhere.example/x).",
        "> **Theorem 1.1** (The main *one*). For $x \\in \\mathbb{R}$ the equation\n>\n"
        "> $$ \\lvert x \\rvert = \\max(x, -x) \\tag{1.1} $$\n>\n> holds.\n>\n> - an item with $a | b$\n>\n> - another\n>\n>   $$ y $$",
        "> *Proof.* By (1.1). Then\n>\n> $$ 1 = 1 . $$\n>\n> $\\square$",
        "**Figure 1.1.** A line, with $\\lVert x \\rVert$ and Theorem 1.1.\n",
        "The answer is 42.0.",
        "| a | b |\n| --- | --- |\n| $\\lVert v \\rVert \\vert  w \\Vert $ | c\\|d |",
        "> **Note.** A note.",
        '<details><summary>Solution</summary>\n\nHidden **text**.\n\n```python\ny = {"a": 1}\n```\n\n</details>',
        "- **Card.** Its text.",
        "**Term**: What it means.",
        "> Said.",
        "> **Exercise 1: A title (●○○, 10 minutes).** A task.\n\n<details><summary>Solution</summary>\n\nA reason.\n\n```python\n" + find("kernel-ridge-1").solution.strip(),
        "**References**\n\n- Ann First. On things. *Journal*, 2001.\n- Bo Second. On more. *Journal*, 2002.",
    ],
)
def test_every_construct_becomes_plain_markdown(plain, wanted):
    assert wanted in text_of(plain[0]) + "\n", text_of(plain[0])


def test_the_small_book_leaks_nothing(plain, published):
    assert [leaks(cell.source) for cell in plain[0].cells + published[0].cells if cell.cell_type == "markdown" and leaks(cell.source)] == []


def test_cells_keep_their_order_and_their_code(plain):
    kinds = [cell.cell_type[0] + (cell.source.split("\n")[0] if cell.source.startswith("#") else "") for cell in plain[0].cells]
    hint = "c" + install_cell("").source.split("\n")[0]
    assert kinds == ["m# A chapter", hint, "m## Statements", "m## Code", "c", "c", "m", "c", "m"]
    assert [cell.execution_count for cell in plain[0].cells if cell.cell_type == "code"] == [1, 2, 3, 4]
    assert plain[0].cells[4].source == "x = 6"  # not on the page, but the next cells need it


def test_the_state_of_widgets_stays_behind():
    notebook = new_notebook(cells=[new_code_cell("x = 6")], metadata={"widgets": {"application/vnd.jupyter.widget-state+json": {}}})
    assert "widgets" not in written(notebook, ["# A chapter", Code(0)], "").metadata


def test_a_download_carries_pictures_and_no_live_widgets(plain):
    data = plain[0].cells[5].outputs[0].data
    assert "image/png" in data and "application/vnd.jupyter.widget-view+json" not in data


def test_folded_code_is_folded_in_jupyter_and_colab(plain):
    assert plain[0].cells[5].metadata["cellView"] == "form" and plain[0].cells[5].metadata["jupyter"] == {"source_hidden": True}
    assert "cellView" not in plain[0].cells[7].metadata


def test_without_an_address_no_page_offers_colab_and_the_notebook_says_what_to_do(plain):
    notebook, page = plain
    assert "colab.research.google.com" not in page
    assert "_sources/chapter.ipynb" in page
    assert "pip install --no-deps ." in notebook.cells[1].source and "%pip" not in notebook.cells[1].source


def test_with_an_address_the_page_opens_its_notebook_in_colab(published):
    notebook, page = published
    assert "https://colab.research.google.com/github/someone/somebook/blob/main/chapter.ipynb" in page
    assert f'%pip install --quiet --no-deps "git+{REPOSITORY}"' in notebook.cells[1].source
    assert "outputs" in notebook.cells[5] and "image/png" in notebook.cells[5].outputs[0].data  # the theme has not put its own in the place


def test_with_a_site_references_lead_there(published):
    assert f"[Another page]({SITE}/other.html)" in text_of(published[0])
    assert f"[Theorem 1.1]({SITE}/chapter.html#thm-main)" in text_of(published[0])


@pytest.mark.parametrize("repository", ["", REPOSITORY])
def test_the_install_cell_does_nothing_where_the_library_is(repository, monkeypatch):
    monkeypatch.setitem(sys.modules, "metarep_lib", sys)
    code = re.sub(r"%pip[^\n]*", "raise AssertionError('would install')", install_cell(repository).source)
    exec(compile(code, "install", "exec"), {})


def test_without_the_library_the_install_cell_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "metarep_lib", None)
    with pytest.raises(ModuleNotFoundError, match="pip install --no-deps"):
        exec(compile(install_cell("").source, "install", "exec"), {})


def test_what_colab_lacks_is_installed_and_nothing_that_would_move_torch():
    """Every package the library imports is Python's, Colab's, or named in the install cell."""
    colab = {"torch", "numpy", "scipy", "matplotlib", "sklearn", "tqdm", "IPython", "ipywidgets", "PIL", "statsmodels", "metarep_lib"}
    names = {"python-flint": "flint"}
    named = {names.get(package, package) for package in install_cell(REPOSITORY).source.splitlines()[-1].split()[3:]}
    imported = set()
    for path in (ROOT / "metarep_lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.split(".")[0])
    assert imported - set(sys.stdlib_module_names) - colab == named


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_notebooks_leak_nothing(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    assert [leak for cell in cells for leak in leaks(cell.source)] == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_notebooks_start_with_the_title_and_the_install_cell(path):
    title, install, *_ = nbformat.read(path, as_version=4).cells
    assert title.source.startswith("# ") and "import metarep_lib" in install.source


@pytest.mark.parametrize(
    "raw",
    [
        "By {prf:ref}`thm-main`.",
        "Error {glue:text}`floor:.1e`.",
        "```{prf:proof}\nSo.\n```",
        ":::{note}\nA\n:::",
        "(a-place)=",
        ":label: thm",
        r"$\norm{x}$",
        r"costs \(x\) or \frac{1}{2}",
        "a $ sign",
        "<script>1</script>",
    ],
)
def test_a_leak_would_be_noticed(raw):
    assert leaks(raw)


@pytest.mark.parametrize("fine", ["`{name}`", "```python\n:x: {y}\n```", "$a$ and $$\nb\n$$", "5\\$", "> $$ x $$"])
def test_code_and_maths_are_no_leaks(fine):
    assert not leaks(fine)


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\norm{\norm{x} + \T}", r"\lVert \lVert x \rVert + ^{\mathsf{T}} \rVert"),
        (r"\norm x + \norm\alpha", r"\lVert x \rVert + \lVert \alpha \rVert"),
        (r"\inner{a}{\{b\}}", r"\langle a, \{b\}\rangle"),
        (r"\Theta \normal \tr A \trace", r"\Theta \normal \operatorname{tr} A \trace"),
        (r"\deff x, \deff(x)", r"\d x, \d(x)"),
        ("x", "x"),
    ],
)
def test_macros_are_written_out(formula, wanted):
    macros = {"norm": [r"\lVert #1 \rVert", 1], "inner": [r"\langle #1, #2\rangle", 2], "T": r"^{\mathsf{T}}", "tr": r"\operatorname{tr}", "deff": r"\d"}
    assert expanded(formula, macros) == wanted


def test_a_macro_without_an_end_is_an_error():
    with pytest.raises(ValueError, match="not closed"):
        expanded(r"\norm{x", {"norm": [r"|#1|", 1]})
