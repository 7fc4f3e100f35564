"""Exercises: in every chapter the stub fails, the solution passes, and every planted mistake fails."""

import ast
import sys
from pathlib import Path

import pytest
import torch
import yaml

from factories import unchecked
from metarep_lib import exercises
from metarep_lib.exercises import find, grade, grading

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "scripts"))

from chapters import chapters, read  # noqa: E402

TOC = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
NUMBERED = [Path(chapter["file"]).name for part in TOC["parts"] if part.get("numbered") for chapter in part["chapters"]]
CHAPTERS = [path for path in chapters() if path.stem in NUMBERED]


def graded(cell: str) -> tuple[str, str] | None:
    """(exercise, name of the answer) of a cell that ends by grading one."""
    last = ast.parse(cell).body[-1:]
    match last:
        case [ast.Expr(ast.Call(ast.Name("grade"), [ast.Constant(id), ast.Name(answer)]))]:
            return id, answer
    return None


def stubs(chapter: Path) -> dict[str, tuple[str, str]]:
    """Exercise -> (the chapter's cell, the name of the answer in it), in the chapter's order."""
    cells = [cell.source for cell in read(chapter).cells if cell.cell_type == "code" and "grade(" in cell.source]
    return {found[0]: (cell, found[1]) for cell in cells if (found := graded(cell))}


STUBS = {id: stub for chapter in CHAPTERS for id, stub in stubs(chapter).items()}
WRONG = [(id, mistake) for id in STUBS for mistake in find(id).wrong]


def answer(id: str, code: str) -> object:
    """What a piece of code, in the place of the stub, answers."""
    space = {"torch": torch}
    exec(compile(code, id, "exec"), space)
    return space[STUBS[id][1]]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_has_two_to_four_exercises_and_all_of_them(chapter):
    ids = list(stubs(chapter))
    assert 2 <= len(ids) <= 4
    assert ids == [f"{chapter.stem}-{n}" for n in range(1, len(ids) + 1)]
    module = sys.modules[f"metarep_lib.exercises.{chapter.stem.replace('-', '_')}"]
    assert len(module.EXERCISES) == len(ids)
    text = chapter.read_text(encoding="utf-8")
    for id in ids:
        assert text.count(f":label: {id}\n") == 1 and text.count(f"{{solution}} {id}\n") == 1
    assert text.index("\n## Exercises\n") > text.index("\n## What this chapter does not show\n")


@pytest.mark.parametrize("id", STUBS)
def test_the_stub_fails_with_a_hint(id):
    space = {"torch": torch}
    cell, name = STUBS[id]
    exec(compile(cell.rsplit("\n", 1)[0], id, "exec"), space)
    verdict = grade(id, space[name])
    assert not verdict.passed and repr(verdict).startswith("not yet: ")
    assert "raised" not in repr(verdict)


@pytest.mark.parametrize("id", STUBS)
def test_the_solution_passes(id):
    assert repr(grade(id, answer(id, find(id).solution))) == "right"


@pytest.mark.parametrize("id", STUBS)
def test_stub_and_solution_ask_for_the_same(id):
    """The same name, with the same arguments if it is a function."""
    signature = lambda code: next((ast.unparse(node.args) for node in ast.parse(code).body if isinstance(node, ast.FunctionDef) and node.name == STUBS[id][1]), None)  # noqa: E731
    assert signature(STUBS[id][0]) == signature(find(id).solution)


@pytest.mark.parametrize(("id", "mistake"), WRONG)
def test_a_planted_mistake_fails(id, mistake):
    verdict = grade(id, answer(id, find(id).wrong[mistake]))
    assert not verdict.passed
    assert "raised" not in repr(verdict), verdict


@pytest.mark.parametrize("id", STUBS)
def test_exercises_are_rated_and_have_planted_mistakes(id):
    exercise = find(id)
    assert exercise.difficulty in (1, 2, 3) and 5 <= exercise.minutes <= 30 and len(exercise.wrong) >= 2


JUNK = {
    "None": None,
    "a word": "a word",
    "a whole number": 7,
    "a negative number": -1.5,
    "nan": float("nan"),
    "an empty list": [],
    "returns None": lambda *_: None,
    "returns a word": lambda *_: "a word",
    "divides by zero": lambda *_: 1 / 0,
    "zeros": torch.zeros(2),
    "an object": object(),
}


@pytest.mark.parametrize("id", STUBS)
@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_grading_never_raises_and_passes_no_junk(id, junk):
    assert not grade(id, junk).passed


def tracked(found: object) -> object:
    """The same with a graph behind every tensor of floats, as an answer has that differentiates."""
    if isinstance(found, torch.Tensor) and found.is_floating_point():
        return found.detach().clone().requires_grad_() * 1
    if isinstance(found, tuple | list):
        return type(found)(map(tracked, found))
    if isinstance(found, dict):
        return {name: tracked(value) for name, value in found.items()}
    return found


@pytest.mark.parametrize("id", STUBS)
def test_an_answer_may_have_a_graph(id):
    right = answer(id, find(id).solution)
    with_graph = (lambda *given: tracked(right(*given))) if callable(right) else tracked(right)
    assert repr(grade(id, with_graph)) == "right"


def test_an_answer_may_differentiate():
    def ridge(phi, y, ridge):
        w = torch.zeros(phi.shape[1], dtype=phi.dtype, requires_grad=True)
        loss = lambda w: ((phi @ w - y).square().sum() + ridge * w.square().sum()) / 2  # noqa: E731
        slope = torch.autograd.grad(loss(w), w)[0]
        curvature = torch.autograd.functional.hessian(loss, w)
        return torch.linalg.solve(curvature, -slope)

    def check(found):
        phi, y = torch.eye(3).double()[:, :2], torch.arange(3.0).double()
        grading.same(found(phi, y, 1.0), phi.T @ y / 2, "no")

    with pytest.MonkeyPatch.context() as patched, torch.no_grad():
        patched.setattr(grading, "find", lambda id: grading.Exercise(1, 5, check, ""))
        assert grade("any", ridge).passed


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no word")


class Cancelled(BaseException):
    """As asyncio has it: no Exception."""


def endless(*given):
    return endless(*given)


def raising(error):
    def answered(*_):
        raise error

    return answered


@pytest.mark.parametrize(
    "ending",
    [lambda *_: exit(), lambda *_: sys.exit("bye"), endless, lambda *_: print("only said"), lambda *_: 1j, lambda *_: 10**400]
    + [raising(error) for error in (SystemExit(0), GeneratorExit(), Cancelled(), Unspeakable(), MemoryError(), AssertionError(), StopIteration())],
)  # fmt: skip
@pytest.mark.parametrize("id", ["kernel-ridge-1", "route-b-1", "limits-2"])
def test_an_answer_that_ends_everything_ends_alone(id, ending):
    verdict = grade(id, ending)
    assert not verdict.passed and repr(verdict).startswith("not yet: ") and len(repr(verdict).splitlines()) == 1


def test_the_readers_own_interrupt_is_obeyed():
    with pytest.raises(KeyboardInterrupt):
        grade("kernel-ridge-1", raising(KeyboardInterrupt()))


@pytest.mark.parametrize("id", [None, 1, "route-z-1", "kernel-ridge-9", "kernel-ridge", "", "grading-1"])
def test_an_unknown_exercise_is_an_error_that_helps(id):
    with unchecked(), pytest.raises(ValueError, match="exercise"):
        grade(id, 1)


def test_every_module_of_exercises_belongs_to_a_chapter():
    modules = {path.stem for path in Path(exercises.__file__).parent.glob("*.py")} - {"__init__", "grading"}
    assert modules == {path.stem.replace("-", "_") for path in CHAPTERS}
