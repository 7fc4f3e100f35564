"""What a program declares scratch is empty between two steps; the declaration excuses nothing."""

from dataclasses import replace

import pytest
import torch

from factories import integers
from metarep_lib import Program, Prompt, assemble
from metarep_lib.certify import certify
from metarep_lib.construct.algorithms import (
    conjugate_gradient,
    gradient_descent,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.circuits.linear import clear
from metarep_lib.construct.transforms import all_to_all, on_polynomial_features
from networks import NETWORKS

names = pytest.mark.parametrize("name", NETWORKS)


def with_scratch(program: Program, *names: str) -> Program:
    return replace(program, stream=replace(program.stream, scratch=names))


@names
def test_scratch_is_zero_on_every_token_before_the_first_step_and_after_each(name):
    """In floats, without a certificate: a clearing takes away the number that is there."""
    case = NETWORKS[name]
    network, width = assemble(case.program), case.program.inputs.width("phi")
    phi = integers(3, width, seed=1)
    asked = integers(0 if case.program.causal else 2, width, seed=3)
    y = integers(3, *([m] if (m := case.program.inputs.width("y")) > 1 else []), seed=2)
    trace = network.run(Prompt(phi, y, asked, ridge=2.0))
    ends = torch.tensor(case.program.step_ends[: case.program.n_steps])
    for direction in case.program.scratch:
        assert not trace.resid[ends][..., case.program.stream[direction]].any(), direction


def test_a_direction_nobody_speaks_of_is_refused():
    program = two_block_conjugate_gradient(2, 2)
    kept = [name for name in program.scratch if name != "beta"]
    with pytest.raises(ValueError, match=r"says nothing of \['beta'\]"):
        certify(assemble(with_scratch(program, *kept)), NETWORKS["two blocks"].expects)


@pytest.mark.parametrize("live", ["alpha", "phi", "started"])
def test_a_live_direction_declared_scratch_is_refused(live):
    program = two_block_conjugate_gradient(2, 2)
    with pytest.raises(ValueError, match=rf"\['{live}'\] are declared scratch though"):
        certify(
            assemble(with_scratch(program, *program.scratch, live)), NETWORKS["two blocks"].expects
        )


def test_scratch_may_not_hide_behind_a_name_that_is_loose_on_the_registers():
    program, expects = two_block_conjugate_gradient(2, 2), NETWORKS["two blocks"].expects
    with pytest.raises(ValueError, match=r"\['beta'\] are declared scratch though"):
        certify(assemble(program), replace(expects, loose=("beta",)))


@pytest.mark.parametrize(
    "name", ["gradient descent", "two blocks", "causal", "one block", "pipelined"]
)
def test_scratch_that_is_not_cleared_is_refused(name):
    """Every direction in turn keeps what is in it."""
    case = NETWORKS[name]
    for direction in case.program.scratch:
        layers = tuple(
            replace(layer, mlp=tuple(write for write in layer.mlp if write != clear(direction)))
            for layer in case.program.layers
        )
        uncleared = assemble(replace(case.program, layers=layers))
        assert not certify(
            uncleared, case.expects, seeds=[0], sizes=[(case.n_support, 1)], bound_error=False
        ).holds, direction


def test_scratch_has_to_be_in_the_stream():
    with pytest.raises(ValueError, match=r"scratch=\('q',\).*'q' not among phi, ridge, one"):
        with_scratch(gradient_descent(2, 2, 0.5), "q")


def test_what_is_made_of_a_program_keeps_its_scratch():
    program = conjugate_gradient(4, 2)
    assert (
        all_to_all(program).scratch
        == on_polynomial_features(program, 1).scratch
        == program.scratch
        == ("w",)
    )
