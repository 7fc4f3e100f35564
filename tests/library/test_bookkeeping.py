"""Bookkeeping is linear: twice the steps take about twice the calls. Calls are counted, of Python and of C; no clock is read."""

import sys

import numpy as np
import pytest

from factories import unchecked
from metarep_lib import Program, assemble, chebyshev, gradient_descent, synthetic_prompt
from metarep_lib.certify import certify, mutants
from metarep_lib.certify.naming import Naming
from metarep_lib.construct import describe, heads_into, wiring
from metarep_lib.construct.algorithms import gram_chebyshev
from metarep_lib.construct.as_data import data_of, program_of
from metarep_lib.network import Basis

PROGRAMS = {  # of steps: alike, each with numbers of its own, prepared
    "gradient descent": lambda steps: gradient_descent(2, steps, 0.1),
    "chebyshev": lambda steps: chebyshev(2, steps, 0.25, 3.0),
    "gram chebyshev": lambda steps: gram_chebyshev(2, steps, 0.25, 3.0),
}
OF_PROGRAM = {
    "step_ends": lambda program: program.step_ends,
    "schedule": lambda program: program.schedule,
    "n_parameters": lambda program: program.n_parameters,
    "validate": Program.validate,
    "describe": describe,
    "as data": lambda program: program_of(data_of(program)),
    "wiring": lambda program: [list(wiring(program, step)) for step in (1, program.n_steps)],
    "heads_into": lambda program: heads_into(program, "G_0" if "G_0" in program.stream else "w"),
    "equal": lambda program: program == program,
}
OF_NETWORK = {
    "assemble": lambda network: assemble(network.program),
    "trace": lambda network: network.run(synthetic_prompt(np.array([1.0, 0.5]), 6, 2, 0.1, seed=0)).prediction,
    "naming": lambda network: (Naming(network).units, Naming(network).heads),
    "mutants": lambda network: sum(1 for _ in mutants(network)),
    "repr": repr,
}


def calls(f, given) -> int:
    """How many functions are entered, generators resumed, and built-ins called; `==` of a dataclass is one of them."""
    count = 0

    def seen(frame, event, called):
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(seen)
    try:
        f(given)
    finally:
        sys.setprofile(None)
    return count


def assert_linear(f, small, large, times):
    with unchecked():
        assert calls(f, large) <= 1.15 * times * calls(f, small)


@pytest.mark.parametrize("of", OF_PROGRAM)
@pytest.mark.parametrize("name", PROGRAMS)
def test_of_programs(name, of):
    make = PROGRAMS[name]
    assert_linear(OF_PROGRAM[of], make(12), make(96), 8)


@pytest.mark.parametrize("name", PROGRAMS)
def test_making_one(name):
    assert_linear(PROGRAMS[name], 12, 96, 8)


@pytest.mark.parametrize("of", OF_NETWORK)
@pytest.mark.parametrize("name", ["gradient descent", "chebyshev"])
def test_of_networks(name, of):
    networks = [assemble(PROGRAMS[name](steps)) for steps in (4, 16)]
    assert_linear(OF_NETWORK[of], *networks, 4)


@pytest.mark.parametrize("bound_error", [True, False])
def test_certificates_of_steps_that_all_differ(bound_error):
    networks = [assemble(chebyshev(2, steps, 0.25, 3.0)) for steps in (3, 12)]
    assert_linear(lambda network: certify(network, seeds=(0,), sizes=((3, 1),), bound_error=bound_error), *networks, 4)


def test_a_long_program_is_counted_at_once():
    program = gradient_descent(2, 5000, 0.1)
    assert program.step_ends == list(range(5001))  # one block a step
    assert calls(lambda program: program.step_ends, program) < 50_000


def test_names_of_a_wide_stream():
    widths = [tuple((f"n{i}", 1) for i in range(n)) for n in (50, 400)]
    assert_linear(Basis, *widths, 8)


def test_the_count_would_notice():
    quadratic = lambda n: [sum(1 for _ in range(t)) for t in range(n)]  # noqa: E731
    with pytest.raises(AssertionError):
        assert_linear(quadratic, 25, 200, 8)
