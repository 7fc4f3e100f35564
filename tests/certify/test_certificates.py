"""The tie itself: a certificate whose mutant passes is caught, and so is a mutant that never gets to an assertion."""

import pytest

from certificates import Mutant, certifies, must_fail


def square(statement):
    assert statement(3) == 9


def test_a_mutant_that_fails_an_assertion_is_what_is_wanted():
    must_fail(square, Mutant("doubles", lambda x: 2 * x))


def test_a_mutant_that_passes_fails_the_suite():
    with pytest.raises(pytest.fail.Exception, match="accepts a wrong version of its statement: cubes, nearly"):
        must_fail(square, Mutant("cubes, nearly", lambda x: x**3 / 3))


def test_a_mutant_that_crashes_has_not_been_judged():
    with pytest.raises(TypeError):
        must_fail(square, Mutant("takes nothing", lambda: 0))


def squares(statement, at):
    assert statement(at) == at * at


# not written as a decorator: the lint takes those for certificates of the book
marked = certifies("lem-of-nothing", statement=lambda x: x * x, mutants={"doubles": lambda x: 2 * x, "a cube": lambda x: x**3})(squares)


def test_the_decorator_runs_the_statement_and_every_mutant():
    parametrised = next(mark for mark in marked.pytestmark if mark.name == "parametrize" and mark.args[0] == "statement")
    stated, *mutants = parametrised.args[1]
    assert [case.id for case in parametrised.args[1]] == ["stated", "mutant: doubles", "mutant: a cube"]
    marked(statement=stated.values[0], at=3)
    for mutant in mutants:
        marked(statement=mutant.values[0], at=3)  # returns: the test failed, as it must
    with pytest.raises(pytest.fail.Exception):
        marked(statement=Mutant("the right one", lambda x: x * x), at=3)
