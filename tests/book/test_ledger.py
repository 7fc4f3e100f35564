"""The ledger sees whatever a refactoring may have changed, and nothing else."""

import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import numpy as np
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from matplotlib.figure import Figure
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook, new_output

sys.path.append(str(Path(__file__).resolve().parents[2] / "scripts"))

import commit  # noqa: E402
import ledger  # noqa: E402
from figure_data import drawn, shown  # noqa: E402
from ledger import changed, differences, figures_that_differ, main  # noqa: E402
from metarep_lib import settings  # noqa: E402
from metarep_lib.show import claim, record  # noqa: E402


@pytest.fixture(autouse=True)
def reading(monkeypatch):
    """The usual mode of claims, whatever is set outside."""
    for variable in (settings.CLAIMS, settings.CLAIMS_LOG):
        monkeypatch.delenv(variable, raising=False)


PRINTED = "a table\nof two lines\n0.31 seconds  # measured\n"


def cell(function) -> NotebookNode:
    """A cell with the outputs that a function leaves in IPython."""
    InteractiveShell.instance()
    with capture_output() as captured:
        function()
    outputs = [new_output("stream", text=captured.stdout)] if captured.stdout else []
    stored = [new_output("display_data", o.data, metadata=o.metadata) for o in captured.outputs]
    return new_code_cell(outputs=outputs + stored)


def claims(*ids: str, value=0.5, bound=1.0, relation="<=", text="an error", **more) -> NotebookNode:
    return cell(lambda: [claim(id, value, relation, bound, text, **more) for id in ids])


def prints(text: str = PRINTED) -> NotebookNode:
    return cell(lambda: print(text, end=""))


def told(old: list[NotebookNode], new: list[NotebookNode], **more) -> list[str]:
    """What the ledger says of one page with these cells before and after."""
    before, after = (ledger.ledger({"page": new_notebook(cells=cells)}) for cells in (old, new))
    return list(differences(before, after, **more))


@pytest.mark.parametrize(
    "change, said",
    [
        ({"bound": 2.0}, ["claim one: bound 1.0 -> 2.0"]),
        ({"bound": 1}, ["claim one: bound 1.0 -> 1"]),
        ({"relation": "<"}, ["claim one: relation '<=' -> '<'"]),
        ({"theorem": "thm-a"}, ["claim one: kind 'measurement' -> 'theorem'", "claim one: source None -> 'thm-a'"]),
        ({"text": "other words"}, ["claim one: text 'an error' -> 'other words'"]),
        ({"source": "thm-a"}, ["claim one: source None -> 'thm-a'"]),
        ({"searched": True}, ["claim one: searched False -> True"]),
        ({"exact": True}, ["claim one: exact False -> True"]),
        ({"value": 0.5 * (1 + 1e-12)}, []),
        ({"value": 0.5 * (1 + 1e-6)}, ["claim one: value 0.5 -> 0.5000005"]),
        ({"value": float("nan")}, [
            "claim one: holds True -> False",
            "claim one: value 0.5 -> 'nan'",
        ]),
    ],
)
def test_every_field_of_a_claim_is_compared(change, said, monkeypatch):
    monkeypatch.delenv("METAREP_CLAIMS", raising=False)
    assert told([claims("one")], [claims("one", **change)], with_printed=False) == said


def test_what_nbval_compares_is_equal_to_the_digit():
    near = 0.5 * (1 + 1e-12)
    assert told([claims("one", exact=True)], [claims("one", exact=True, value=near)])
    assert told([claims("one", value=3)], [claims("one", value=3, bound=4.0)])


def test_claims_gone_new_and_made_twice_are_listed():
    said = ["claim one is gone", "claim three is new"]
    assert told([claims("one", "two")], [claims("two", "three")]) == said
    assert told([claims("one")], [claims("one", "one")]) == ["claim one (again) is new"]


def test_records_are_compared_as_claims_are():
    before, after = (cell(lambda v=v: [record("a", v), record(f"b{v}", 1)]) for v in (64, 65))
    said = ["record b64 is gone", "record b65 is new", "record a: value 64 -> 65"]
    assert told([before], [after]) == said


def test_cells_may_move():
    cells = [claims("one"), prints("a\n"), prints("b\n"), claims("two")]
    assert told(cells, cells[::-1]) == []
    assert told([prints("a\nb\n")], [prints("a\n"), prints("b\n")]) == []


def test_printed_lines_are_compared_but_those_measured():
    assert told([prints()], [prints(PRINTED.replace("0.31", "0.42"))]) == []
    new = prints(PRINTED.replace("two", "three"))
    said = ["page, printed - of two lines", "page, printed + of three lines"]
    assert told([prints()], [new]) == said
    assert told([prints()], [new], with_printed=False) == []
    assert told([prints()], [prints("of two lines\na table\n# measured\n")])
    said = ["page, printed - # not compared"]
    assert told([prints()], [prints("a table\nof two lines\n")]) == said


def picture(scale=1.0, curves=2, axis="linear", word="here") -> Figure:
    """Curves with a legend on the left, words on the right."""
    figure = Figure()
    left, right = figure.subplots(1, 2)
    x = np.linspace(1, 2, 5) * scale
    for degree in range(curves):
        left.plot(x, x**degree, label=f"degree {degree}")
    left.legend()
    left.set(yscale=axis, title="powers", xlabel="x")
    left.text(1, 1, word)
    right.set_xticks([0, 1], ["none", word])
    return figure


def difference(old: Figure, new: Figure) -> list[str]:
    return list(changed("fig", shown(old), shown(new)))


def test_a_dropped_curve_is_seen():
    lost_line, lost_entry = difference(picture(), picture(curves=1))[::-1]
    assert lost_line.startswith("fig - panel 1: lines 'degree 1', 10 numbers")
    assert lost_entry == "fig - panel 1: legend 'degree 1'"


def test_curves_differ_from_the_sixth_digit_on():
    assert difference(picture(), picture(1 + 1e-12)) == []
    assert len(difference(picture(), picture(1 + 1e-4))) == 4


def test_scales_and_words_are_seen():
    assert len(difference(picture(), picture(axis="log"))) == 2
    changes = difference(picture(), picture(word="there"))
    assert len(changes) == 4 and "fig + panel 2: x ticks ['none', 'there']" in changes


@pytest.mark.parametrize(
    "draw",
    [
        lambda axes, x: axes.scatter(x, x),
        lambda axes, x: axes.scatter(range(3), range(3), c=x),
        lambda axes, x: axes.bar(range(3), x),
        lambda axes, x: axes.fill_between(range(3), 0, x),
        lambda axes, x: axes.errorbar(range(3), range(3), yerr=x),
        lambda axes, x: axes.imshow([x, x]),
        lambda axes, x: axes.pcolormesh(np.outer(x, x)),
        lambda axes, x: axes.contour(np.outer(x, x), levels=[1, 2]),
        lambda axes, x: axes.hlines(x, 0, 1),
        lambda axes, x: axes.annotate("a", (x[2], 0)),
        lambda axes, x: axes.inset_axes([0, 0, 1, 1]).plot(x),
    ],
)
def test_one_other_number_is_seen_in_every_kind_of_artist(draw):
    figures = []
    for x in ([0.5, 1.0, 2.0], [0.5, 1.0, 2.0], [0.5, 1.0, 2.001]):
        draw((figure := Figure()).subplots(), x)
        figures.append(figure)
    assert difference(figures[0], figures[1]) == []
    assert difference(figures[0], figures[2])


def test_order_and_colour_are_not_compared():
    one, other = Figure(), Figure()
    for figure, order in ((one, (1, 2)), (other, (2, 1))):
        axes = figure.subplots()
        for power in order:
            axes.plot([0, power], color=f"C{order.index(power)}")
    assert difference(one, other) == []


def test_figures_of_cells_are_found_by_name_and_sliders_picture_by_picture():
    def drawing(source: str, name: str) -> NotebookNode:
        return new_code_cell(source, metadata={"mystnb": {"figure": {"name": name}}})

    cells = [
        new_code_cell("from matplotlib import pyplot as plt\nfrom metarep_lib.show import explore"),
        drawing("plt.plot([1, 2])\nplt.show()", "fig-plain"),
        new_code_cell("def draw(n):\n    plt.subplots()[1].plot([0, n])\n    return 'A line.'"),
        drawing("explore(draw, n=[1, 2, 3])", "fig-slider"),
    ]
    before = drawn(new_notebook(cells=cells))
    curves = [line.split(":")[0] for line in before["fig-slider"] if "lines" in line]
    assert curves == [f"picture {i}, panel 1" for i in (1, 2, 3)]
    cells[1].source, cells[3].source = "plt.show()", "explore(draw, n=[1, 2, 4])"
    found = list(figures_that_differ(before, drawn(new_notebook(cells=cells))))
    assert len([line for line in found if line.startswith("figure fig-slider")]) == 2
    assert all(line.startswith("figure fig-plain -") for line in found[:3])
    gone = ["figure fig-plain is gone", "figure fig-slider is gone"]
    assert list(figures_that_differ(before, {})) == gone


@pytest.mark.skipif(shutil.which("git") is None, reason="there is no git")
def test_the_command_compares_the_working_tree_with_a_revision(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(ledger, "BOOK", tmp_path / "book")
    monkeypatch.setattr(commit, "ROOT", tmp_path)
    page = tmp_path / "book" / "page.ipynb"
    page.parent.mkdir()
    nbformat.write(new_notebook(cells=[claims("one"), prints()]), page)
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "A page"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)

    assert main(["diff", "HEAD"]) == 0
    assert "from HEAD: nothing differs in 1 chapters" in capsys.readouterr().out
    nbformat.write(new_notebook(cells=[claims("one", bound=2.0), prints("")]), page)
    assert main(["diff", "HEAD", "page", "--rewritten"]) == 1
    said = "claim one: bound 1.0 -> 2.0\nDifferences from HEAD: 1 found in"
    assert capsys.readouterr().out.startswith(said)
    with pytest.raises(SystemExit, match="no chapter other"):
        main(["diff", "HEAD", "other"])
    with pytest.raises(SystemExit, match="try: diff HEAD"):
        main(["diff", "nowhere"])
