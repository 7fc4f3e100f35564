"""A program's record of the call that made it, and the certificates that go by it."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch

import metarep_lib.construct.algorithms as algorithms
from metarep_lib import Program, assemble
from metarep_lib.certify import RECURRENCES, certify, certify_step
from metarep_lib.certify.catalogue import UnknownRecurrence
from metarep_lib.certify.certificate import outputs_of, pose
from metarep_lib.certify.recurrences.dual import (
    conjugate_gradient_recurrence,
    gradient_descent_recurrence,
)
from metarep_lib.certify.rings import Field
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.construct.algorithms import (
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    momentum,
    richardson,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.construct.call import algorithm
from metarep_lib.construct.circuits.linear import copy as copy_of
from metarep_lib.construct.circuits.linear import times, update
from metarep_lib.construct.transforms import all_to_all, on_polynomial_features
from networks import NETWORKS, U

names = pytest.mark.parametrize("name", NETWORKS)


# ---------------------------------------------------------------- the record


def test_the_record_is_the_call_with_its_defaults():
    call = gradient_descent(3, steps=2, step_size=0.5).call
    assert call.function is gradient_descent
    assert call.arguments == {"n_features": 3, "steps": 2, "step_size": 0.5, "n_outputs": 1}


def test_replace_drops_the_record():
    made = gradient_descent(2, 2, 0.5)
    assert replace(made, layers=made.layers[:1]).call is None
    assert replace(made).call is None


def test_a_record_cannot_be_handed_in():
    made = gradient_descent(2, 2, 0.5)
    with pytest.raises(ValueError, match="call"):
        replace(made, call=made.call)
    with pytest.raises(AttributeError):
        made.call = None


def test_a_record_changes_neither_equality_nor_hash_nor_repr():
    made = gradient_descent(2, 2, 0.5)
    bare = replace(made)
    assert made == bare and hash(made) == hash(bare) and repr(made) == repr(bare)


def test_copies_and_pickles_keep_the_record():
    made = richardson(2, 2, 0.5, U)
    assert (
        copy.deepcopy(made).call
        == copy.copy(made).call
        == pickle.loads(pickle.dumps(made)).call
        == made.call
    )


def test_a_tensor_is_recorded_by_value():
    mine = U.clone()
    made = richardson(2, 2, 0.5, mine)
    mine.zero_()
    made.call.arguments["U"].zero_()
    assert torch.equal(made.call.arguments["U"], U)
    assert made.call == richardson(2, 2, 0.5, U).call and hash(made.call) == hash(
        richardson(2, 2, 0.5, U).call
    )
    assert made.call != richardson(2, 2, 0.5, 2 * U).call


def test_a_program_among_the_arguments_is_recorded_as_its_call():
    inner = conjugate_gradient(4, 2)
    assert on_polynomial_features(inner, 1).call.arguments == {"program": inner.call, "n_inputs": 1}


def test_what_is_built_on_a_program_without_a_record_has_none():
    assert all_to_all(replace(conjugate_gradient(2, 2))).call is None


def test_an_argument_that_is_not_plain_leaves_no_record():
    made = algorithm(lambda program, how: program)(gradient_descent(2, 2, 0.5), how=print)
    assert isinstance(made, Program) and made.call is None


def test_nobody_elses_program_is_marked():
    kept = gradient_descent(2, 2, 0.5)
    other = algorithm(lambda n: kept)(3)
    assert kept.call.function is gradient_descent and other.call.arguments == {"n": 3}


def test_every_public_algorithm_records():
    functions = {name: getattr(algorithms, name) for name in algorithms.__all__}
    bare = {name for name, function in functions.items() if not hasattr(function, "__wrapped__")}
    assert not [name for name in bare if functions[name].__annotations__.get("return") is Program]


@names
def test_the_recorded_call_makes_the_same_program(name):
    program = NETWORKS[name].program
    assert program.call.again() == program and program.call.again().call == program.call


# ---------------------------------------------------------------- the recurrence it says


@pytest.mark.parametrize("t", [3, 10**6])
def test_a_step_past_the_end_is_refused_and_the_last_is_certified(t):
    network = assemble(gradient_descent(2, 3, 0.5))
    weights, config = network.transformer.state_dict(), network.transformer.config
    settings = dict(stream=network.basis, recurrence=gradient_descent_recurrence(0.5), seed=0)
    assert certify_step(weights, config, **settings, t=2).holds
    with pytest.raises(ValueError, match=f"the network has 3 blocks, too few for step {t + 1}"):
        certify_step(weights, config, **settings, t=t)


@names
def test_the_record_says_what_the_case_expects(name):
    case = NETWORKS[name]
    says, expects = (
        RECURRENCES[case.program.call.function](**case.program.call.arguments),
        case.expects,
    )
    functions = {"start", "step", "known", "predict", "pose"}
    for field in set(expects.__dataclass_fields__) - functions:
        assert getattr(says, field) == getattr(expects, field), field
    stream, n_features = case.program.stream, case.program.inputs.width("phi")
    pairs = []
    for recurrence in (says, expects):
        problem = pose(recurrence, Field(seed=3), n_features, 3, 1, outputs_of(stream))
        states = recurrence.states(problem, 2)
        known = [recurrence.known(state, problem, t) for t, state in enumerate(states)]
        pairs.append([*states, *known, {"f": recurrence.predict(states[-1], problem)}])
    for ours, theirs in zip(*pairs, strict=True):
        assert ours.keys() == theirs.keys()
        assert all((ours[key] == theirs[key]).all() for key in ours)


def test_other_arguments_say_another_recurrence():
    says = RECURRENCES[gradient_descent](**gradient_descent(2, 2, 0.5).call.arguments)
    problem = pose(says, Field(seed=3), 2, 3, 1, 1)
    ours, theirs = (
        says.states(problem, 1)[-1],
        gradient_descent_recurrence(0.25).states(problem, 1)[-1],
    )
    assert not (ours["alpha"] == theirs["alpha"]).all()


@names
def test_every_network_passes_by_its_record(name):
    case = NETWORKS[name]
    made = certify(assemble(case.program), sizes=[(case.n_support, 1)], bound_error=False)
    assert made.holds, made


def test_a_certification_is_one_line_that_says_what_was_compared():
    made = certify(assemble(two_block_conjugate_gradient(2, 3)))
    line = str(made)
    assert "\n" not in line and made.log2_error < -400
    assert line.startswith("two_block_conjugate_gradient(n_features=2, steps=3, n_outputs=1) runs ")
    assert "29 names, 3 steps and each step by itself, 3 + 1 and 4 + 2 tokens" in line
    assert f"{made.n_compared} entries equal over random fields of 521-bit primes" in line


# ---------------------------------------------------------------- and what is refused


def of_other_weights(program: Program, other: Program) -> ConstructedTransformer:
    """The weights of one program under the name, and the record, of another."""
    return ConstructedTransformer(assemble(other).transformer, program)


def with_coefficients(program: Program, coefficients: list[tuple[float, float]]) -> Program:
    """Chebyshev's program with other numbers c_t, g_t in its blocks."""
    layers = []
    for layer, (c, g) in zip(program.layers, coefficients, strict=True):
        d = update(
            "d", copy_of("d", c - 1), copy_of("r", g), copy_of("w", -g), times("ridge", "d", -g)
        )
        layers.append(
            replace(layer, mlp=tuple(d if write.target == "d" else write for write in layer.mlp))
        )
    return replace(program, layers=tuple(layers))


def test_chebyshev_with_other_numbers_in_the_weights_is_refused():
    program, (_, right) = chebyshev(2, 2, 0.25, 3.0), chebyshev_coefficients(0.25, 3.0, 2)
    assert with_coefficients(program, right) == program
    for wrong in ([(g, c) for c, g in right], right[::-1], chebyshev_coefficients(0.5, 3.0, 2)[1]):
        made = certify(
            of_other_weights(program, with_coefficients(program, wrong)), bound_error=False
        )
        assert not made and not made.holds and "does NOT run chebyshev" in str(made)


def test_chebyshev_with_its_bounds_swapped_is_the_same_network():
    """delta and every rho change their sign, rho rho and rho / delta do not: nothing to be seen."""
    smallest, largest = 3.0, 0.25
    theta, delta = (largest + smallest) / 2, (largest - smallest) / 2
    rho, swapped = delta / theta, []
    for _ in range(2):
        rho_next = 1 / (2 * theta / delta - rho)
        swapped.append((rho_next * rho, 2 * rho_next / delta))
        rho = rho_next
    assert swapped == chebyshev_coefficients(0.25, 3.0, 2)[1]


def test_a_step_size_typed_wrong_in_the_weights_is_refused():
    assert not certify(
        of_other_weights(gradient_descent(2, 2, 0.25), gradient_descent(2, 2, 0.5)),
        bound_error=False,
    ).holds


def test_without_a_record_a_recurrence_has_to_be_given():
    network = assemble(replace(conjugate_gradient(2, 2)))
    with pytest.raises(UnknownRecurrence, match=r"no record .* give recurrence="):
        certify(network)
    assert certify(network, conjugate_gradient_recurrence(), bound_error=False).holds


def test_an_algorithm_without_a_recurrence_is_named():
    with pytest.raises(
        UnknownRecurrence, match="no recurrence is known for momentum, only for all_to_all, "
    ):
        certify(assemble(momentum(2, 2, 0.25, 0.5)))


def test_blocks_behind_the_last_step_are_refused():
    program = conjugate_gradient(2, 2)
    longer = replace(
        program, layers=(*program.layers, *[replace(layer, step=3) for layer in program.layers[:2]])
    )
    with pytest.raises(ValueError, match="12 blocks run, 2 steps take 10"):
        certify(assemble(longer), conjugate_gradient_recurrence())


def test_fewer_blocks_than_the_program_says_are_refused():
    with pytest.raises(ValueError, match="10 blocks run, it says 15"):
        certify(of_other_weights(conjugate_gradient(2, 3), conjugate_gradient(2, 2)))


def test_another_mask_than_the_recurrence_is_for_is_refused():
    program = NETWORKS["gram squaring"].program
    with pytest.raises(ValueError, match="causal=False, the recurrence is for True"):
        certify(assemble(program), NETWORKS["gram squaring, causal"].expects)


def test_rounded_weights_are_refused_with_the_reason():
    made = certify(assemble(chebyshev(2, 2, 0.25, 3.0), dtype=torch.float32), bound_error=False)
    assert not made.holds and "assemble it in torch.float64" in str(made)
