"""A table in, answers out: what stands in the files and in the report, held against scikit-learn on the same rows."""

import csv
import io
import re
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Ridge, RidgeClassifier
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from metarep_lib.__main__ import main, progress
from metarep_lib.command import answers, held_out
from metarep_lib.command.answers import ask_all, left_out, note
from metarep_lib.command.csv_table import read_table
from metarep_lib.command.quality import Quality, of_left_out
from metarep_lib.command.question import pose
from metarep_lib.warned import DigitsLost, NotConverged

PLACES = ("north", "south", "east")
ANSWER = " (answer of metarep_lib)"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mixed(n=60, seed=0):
    """Rows of numbers in different units and words, and targets that depend on all."""
    rng = np.random.default_rng(seed)
    size, age, place = rng.normal(170, 10, n), rng.normal(3e-3, 1e-3, n), rng.integers(3, size=n)
    y = 5e4 + 900 * size + 4e6 * age - 6e3 * place + rng.normal(0, 3e3, n)
    return [[float(size[i]), float(age[i]), PLACES[place[i]], float(y[i])] for i in range(n)]


def write(path, rows, names=("size", "age", "place", "price")):
    with Path(path).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def features(rows):
    return np.array([[*map(float, row[:2]), row[2]] for row in rows], dtype=object)


def pipeline(estimator):
    words = OneHotEncoder(sparse_output=False, handle_unknown="ignore")
    return make_pipeline(make_column_transformer((words, [2]), remainder="passthrough", sparse_threshold=0), StandardScaler(), estimator)


def run(*arguments):
    assert main([*map(str, arguments)]) == 0


def test_answers_are_those_of_a_pipeline_and_the_report_says_how_far_off(folder, capsys):
    rows = mixed()
    write("houses.csv", rows)
    run("houses.csv", "--target", "price", "--ridge", 2.5)
    answered = read("houses.answers.csv")
    asked = {int(row["line"]) - 2 for row in answered}
    teaching = [row for i, row in enumerate(rows) if i not in asked]
    truth = np.array([rows[i][3] for i in sorted(asked)])
    peer = pipeline(Ridge(2.5)).fit(features(teaching), [row[3] for row in teaching]).predict(features([rows[i] for i in sorted(asked)]))
    said = np.array([float(row["price" + ANSWER]) for row in answered])
    assert len(asked) == 12 and [float(row["price"]) for row in answered] == truth.tolist()
    assert said == pytest.approx(peer, rel=1e-7)

    report = " ".join(capsys.readouterr().out.split())
    mean = np.full(12, np.mean([row[3] for row in teaching]))
    assert f"off by {mean_absolute_error(truth, said):,.0f} on average at the 12 rows" in report
    assert f"always the mean: off by {mean_absolute_error(truth, mean):,.0f}" in report
    assert f"better than that, by {np.mean(abs(truth - mean) - abs(truth - said)):,.0f}" in report
    assert f"'price': a number ({min(row[3] for row in teaching):,.0f} to" in report and "whole" not in report
    assert "'place' became 3 columns" in report and "ridge 2.5, as asked for" in report and "it solved the regression" in report
    explained = 1 - np.square(truth - said).sum() / np.square(truth - mean).sum()
    assert f"R^2 is {explained:.2f}" in report and explained == pytest.approx(r2_score(truth, said), abs=0.1)
    assert Path("houses.answers.png").read_bytes().startswith(b"\x89PNG")


def test_rows_without_a_target_are_answered_and_rows_with_holes_are_left_out(folder, capsys):
    rows = mixed(20)
    for i in (3, 8, 17):
        rows[i][3] = ""
    rows[5][0], rows[6][2], rows[17][1] = "", "", "NA"
    write("houses.csv", rows)
    run("houses.csv", "--target", "price", "--ridge", 0.1)
    teaching = [row for i, row in enumerate(rows) if i not in (3, 5, 6, 8, 17)]
    peer = pipeline(Ridge(0.1)).fit(features(teaching), [row[3] for row in teaching]).predict(features([rows[3], rows[8]]))
    answered = read("houses.answers.csv")
    assert [row["line"] for row in answered] == ["5", "10"]
    assert [float(row["price" + ANSWER]) for row in answered] == pytest.approx(peer, rel=1e-7)
    report = " ".join(capsys.readouterr().out.split())
    assert "2 rows that cannot teach, with an empty cell (1 in 'size', 1 in 'place')" in report
    assert "1 row that cannot be answered, with an empty cell (1 in 'age')" in report
    assert "each answered from the others" in report and "2 rows without a target 15 rows teach" in report


def test_classes_of_another_file_are_those_of_a_ridge_classifier(folder, capsys):
    kinds = np.digitize([row[3] for row in mixed(90)], [2.05e5, 2.16e5]) + 9  # 9, 10, 11
    rows = [[*row[:3], kind] for row, kind in zip(mixed(90), kinds)]
    write("kinds.csv", rows[:60], names=("size", "age", "place", "kind"))
    write("more.csv", [[kind, place, age, size] for size, age, place, kind in rows[60:]], names=("kind", "place", "age", "size"))
    run("kinds.csv", "--target", "kind", "--classes", "--query", "more.csv", "--ridge", 3, "--out", "said.csv", "--figure", "seen.png")
    peer = pipeline(RidgeClassifier(3.0)).fit(features(rows[:60]), [str(row[3]) for row in rows[:60]]).predict(features(rows[60:]))
    truth = [str(row[3]) for row in rows[60:]]
    assert [row["kind" + ANSWER] for row in read("said.csv")] == peer.tolist()
    report = " ".join(capsys.readouterr().out.split())
    assert f"{accuracy_score(truth, peer, normalize=False):.0f} of the 30 rows that were asked are right ({accuracy_score(truth, peer):.1%})" in report
    assert {path.name for path in folder.iterdir()} == {"kinds.csv", "more.csv", "said.csv", "seen.png"}


def test_a_text_target_is_a_class_and_a_whole_one_a_number_with_a_word_about_labels(folder, capsys):
    write("houses.csv", [[*row[:3], round(row[3]) % 3] for row in mixed(30)])
    run("houses.csv", "--target", "place")
    run("houses.csv", "--target", "price")
    report = " ".join(capsys.readouterr().out.split())
    assert "target 'place': a class (3 different: 'east', 'north', 'south')" in report
    assert "target 'price': a number (0 to 2 where it teaches), always whole: if these are labels say --classes" in report


@pytest.mark.parametrize("target", ["price", "place"])
def test_answers_from_the_others_are_those_of_refits(folder, target):
    rows = mixed(12)
    write("houses.csv", [*rows, [*rows[0][:3], ""] if target == "price" else [*rows[0][:2], "", rows[0][3]]])
    question = pose(read_table(Path("houses.csv")), target, None, False, 0)
    answered = ask_all(question, 1.5, "linear")
    phi, y = answered.first.prompt.phi.numpy(), answered.first.prompt.y.numpy()
    others = [np.delete(np.arange(12), i) for i in range(12)]
    refits = np.array([Ridge(1.5).fit(phi[rest], y[rest]).predict(phi[[i]])[0] for i, rest in enumerate(others)])
    units = answered.first.units
    said = left_out(answered.first)
    if target == "price":
        assert said == pytest.approx(units.mean.item() + units.spread.item() * refits, rel=1e-8)
    else:
        assert said.tolist() == [units.labels[best] for best in (units.mean.numpy() + units.spread.numpy() * refits).argmax(1)]


def test_who_knows_no_features_is_judged_from_the_others_too():
    taught = np.array([1.0, 2.0, 6.0])
    assert of_left_out(taught, taught, False).baseline.tolist() == [4.0, 3.5, 1.5]
    labels = np.array(["b", "a", "a", "b", "b"], dtype=object)
    assert of_left_out(labels, labels, True).baseline.tolist() == ["a", "b", "b", "a", "a"]
    assert of_left_out(labels, labels, True).baseline_error == 1.0


def test_a_gain_is_a_gain_only_where_its_interval_says_so():
    truth = np.arange(20.0)
    close = Quality(truth, truth + np.resize([0.5, -0.5], 20), np.full(20, 9.5), False)
    far = Quality(truth, close.baseline, close.answers, False)
    assert close.gain[1] > 0 > far.gain[2] and close.gain[0] == pytest.approx(5 - 0.5) == -far.gain[0]
    assert Quality(truth[:9], truth[:9], truth[:9], False).gain is None


def test_of_many_rows_some_are_drawn_and_many_are_answered_in_passes(folder, capsys, monkeypatch):
    monkeypatch.setattr(held_out, "MOST", 40)
    monkeypatch.setattr(answers, "MOST", 7)
    rows = mixed(80)
    write("houses.csv", rows[:60])
    write("more.csv", rows[60:])
    run("houses.csv", "--target", "price", "--query", "more.csv", "--ridge", 0.3, "--seed", 4)
    assert "40 rows teach, drawn from 60: the network reads no more" in capsys.readouterr().out
    question = pose(read_table(Path("houses.csv")), "price", read_table(Path("more.csv")), False, 4)
    teaching = [rows[i] for i in question.teaching.rows]
    peer = pipeline(Ridge(0.3)).fit(features(teaching), [row[3] for row in teaching]).predict(features(rows[60:]))
    assert [float(row["price" + ANSWER]) for row in read("houses.answers.csv")] == pytest.approx(peer, rel=1e-7)


def test_what_the_command_has_made_is_made_again_and_nothing_else(folder, capsys):
    write("houses.csv", mixed(10))
    run("houses.csv", "--target", "price")
    first = Path("houses.answers.csv").read_bytes(), Path("houses.answers.png").read_bytes()
    run("houses.csv", "--target", "price")
    assert (Path("houses.answers.csv").read_bytes(), Path("houses.answers.png").read_bytes()) == first
    Path("houses.answers.png").write_bytes(b"a holiday")
    assert main(["houses.csv", "--target", "price"]) == 2 and Path("houses.answers.png").read_bytes() == b"a holiday"
    run("houses.csv", "--target", "price", "--force")
    assert Path("houses.answers.png").read_bytes() == first[1]


def test_warnings_are_notes_of_one_line_and_what_they_advise_can_be_typed(folder, capsys):
    write("houses.csv", [*mixed(20), [5e3, 3e-3, "north", ""]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run("houses.csv", "--target", "price", "--kernel", "exponential")
    notes = [line for line in capsys.readouterr().out.splitlines() if line.startswith("note: ")]
    assert re.fullmatch(r"note: tau=.* this would work: features without outliers .*, or --kernel linear", notes[0])
    assert note(NotConverged("a: b; this would work: steps=3")) == "a: b; this would work: a larger --ridge"
    assert "\n" not in note(DigitsLost("a\nb"))


def test_names_that_a_figure_or_a_terminal_might_trip_over(folder, capsys):
    names = ("$x_{", "größe\n(m)", "{}", "a;b" * 30)
    write("odd $1.csv", mixed(12), names=names)
    run("odd $1.csv", "--target", names[3])
    run("odd $1.csv", "--target", "{}")
    assert read("odd $1.answers.csv")[0]["{}" + ANSWER] in PLACES


def test_a_bar_counts_blocks_at_a_terminal_and_is_silent_elsewhere(monkeypatch):
    for is_terminal, seen in ((True, "2/4"), (False, "")):
        screen = io.StringIO()
        screen.isatty = lambda: is_terminal
        monkeypatch.setattr("sys.stderr", screen)
        step = progress(4)
        for _ in range(4):
            time.sleep(0.06)  # a bar is drawn ten times a second
            step()
        assert seen in screen.getvalue() and bool(screen.getvalue()) == is_terminal
