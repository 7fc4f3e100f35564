"""Several outputs at once: shared products, block conjugate gradient as weights, classes as targets."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch

import tolerances
from certificates import certifies
from factories import DTYPES, prompt_of, random_prompt, unchecked
from metarep_lib import Prompt, assemble, conjugate_gradient, newton_schulz, ridge_system
from metarep_lib.certify import Recurrence, certify_end_to_end, certify_same, certify_step
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.certify.problem import Problem
from metarep_lib.certify.problem import random_prompt as exact_prompt
from metarep_lib.certify.recurrences.dual import (
    block_recurrence,
    conjugate_gradient_recurrence,
    newton_schulz_recurrence,
    two_block_recurrence,
)
from metarep_lib.certify.rings import Field
from metarep_lib.construct import Program
from metarep_lib.construct.algorithms import block_conjugate_gradient, two_block_conjugate_gradient
from metarep_lib.network import Basis
from metarep_lib.network.tokens import N_REGISTERS, input_basis
from metarep_lib.numerics.steps import State, block_step
from metarep_lib.tasks import class_prompt
from systems import direct

DAMPING = {torch.float64: 2.0**-48, torch.float32: 2.0**-19}  # 16 machine epsilons


def parts(program: Program, dtype: torch.dtype = torch.float64) -> tuple:
    network = assemble(program, dtype=dtype)
    return network.transformer.state_dict(), network.transformer.config, network.basis


# ---------------------------------------------------------------- shared products


SHARED = {
    "textbook": (conjugate_gradient, lambda m: conjugate_gradient_recurrence()),
    "two blocks": (two_block_conjugate_gradient, two_block_recurrence),
}
shared = pytest.mark.parametrize("order", SHARED)


def crossed(name: str) -> Callable[[dict, Basis], dict]:
    """Weights whose heads write this name of the outputs in the reverse order."""

    def cross(weights: dict[str, torch.Tensor], basis: Basis) -> dict[str, torch.Tensor]:
        weights = {key: weight.clone() for key, weight in weights.items()}
        for key in weights:
            if key.endswith("W_O"):
                weights[key][..., basis[name]] = weights[key][..., basis[name]].flip(-1)
        return weights

    return cross


@certifies(
    "thm-shared-outputs",
    statement=lambda weights, basis: weights,
    mutants={"the step size of one output read by the other": crossed("gamma"), "the direction of one output turned by the other's beta": crossed("beta")},
    exact=True,
)
@shared
def test_every_output_runs_its_own_conjugate_gradient(statement, order):
    make, recurrence = SHARED[order]
    for m, k, p, dtype in [(2, 3, 2, torch.float64), (2, 1, 3, torch.float32), (3, 2, 1, torch.float32)]:
        weights, config, basis = parts(make(p, min(k, p + 1), n_outputs=m), dtype)
        weights, sizes = statement(weights, basis), {"seed": k, "n_support": k, "n_query": 1}
        step = certify_step(weights, config, basis, recurrence(m), **sizes)
        whole = certify_end_to_end(weights, config, basis, recurrence(m), terminates=True, **sizes)
        # and what it runs predicts what the *textbook* recurrence does, column by column, whatever the order of the network
        same = certify_same(recurrence(m), conjugate_gradient_recurrence(), n_steps=min(k, p + 1), n_features=p, n_outputs=m, **sizes)
        for certificate in (step, whole, same):
            assert certificate.holds, certificate
            assert certificate.log2_error < -400


SIZES = {
    "textbook": lambda p, m, t: (5 * t, 5, p + 4 + 12 * m),
    "two blocks": lambda p, m, t: (2 * t, 2, (m + 1) * p + 20 * m + 7),
}


@certifies(
    "thm-shared-outputs",
    statement=SIZES,
    mutants={
        "no more channels than for one output": {order: lambda p, m, t, order=order: SIZES[order](p, 1, t) for order in SIZES},
        "features carried once, not m + 1 times": SIZES | {"two blocks": lambda p, m, t: (2 * t, 2, p + 20 * m + 7)},
        "a block for every output": SIZES | {"two blocks": lambda p, m, t: (2 * t * m, 2, (m + 1) * p + 20 * m + 7)},
        "every block stored": SIZES | {"textbook": lambda p, m, t: (5 * t, 5 * t, p + 4 + 12 * m)},
    },
    exact=True,
)
def test_depth_width_and_stored_blocks_of_the_shared_networks(statement):
    for m, p in [(1, 7), (2, 1), (3, 5)]:
        for order, (make, _) in SHARED.items():
            transformer = assemble(make(p, 3, n_outputs=m)).transformer
            assert (len(transformer.config.schedule), len(transformer.blocks), transformer.W_E.shape[1]) == statement[order](p, m, 3)


@pytest.mark.parametrize("m, p", [(1, 7), (2, 1), (3, 5)])
def test_sums_in_a_step(m, p):
    assert sums(conjugate_gradient(p, 3, n_outputs=m)) == p * m + 5 * m
    assert sums(two_block_conjugate_gradient(p, 3, n_outputs=m)) == p * m + 12 * m + 1
    assert 2 * sums(block_conjugate_gradient(p, 3, m, 0.0)) == 2 * p * m + 15 * m**2 + 3 * m + 2


def sums(program: Program) -> int:
    """Products of a key with a value, summed over the tokens, in one step: d_head * d_value of every head."""
    return sum(np.prod(program.head_widths(head)) for attention, _ in program.distinct_layers for write in attention for head in write.terms)


@shared
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kappa", [1e4])
def test_shared_networks_solve_every_output_at_its_own_scale(order, dtype, kappa):
    prompt = several(prompt_of(kappa, 24, 6, 5, seed=1), 4, seed=2, scales=(1e-3, 1.0, 1e3, 0.0))
    trace = assemble(SHARED[order][0](6, 60, n_outputs=4), dtype=dtype).run(prompt.to(dtype))
    assert trace.all_finite and not trace["alpha", "support"][..., 3].any()
    error = tolerances.relative(trace["alpha", "support"][-1].mT, direct(ridge_system(prompt)).mT)
    tolerances.assert_within(error, tolerances.solution(dtype, kappa))


def several(prompt: Prompt, m: int, seed: int, scales=None) -> Prompt:
    """The same prompt with m independent normal targets, at these scales."""
    y = torch.from_numpy(np.random.default_rng(seed).standard_normal((prompt.n_support, m)))
    y = y if scales is None else y * torch.tensor(scales, dtype=y.dtype)
    return Prompt(prompt.phi, y.to(prompt.phi.dtype), prompt.phi_query, prompt.ridge)


# ---------------------------------------------------------------- block conjugate gradient as weights


def side_by_side(m: int, damping: float) -> Recurrence:
    """Every output for itself: of all products of two outputs none is counted."""

    def step(state: State, problem: Problem, t: int) -> State:
        identity = problem.zeros(m, m)
        np.fill_diagonal(identity, problem.number(1.0)[0])
        alone = lambda a, b: problem.gram(a, b) * identity  # noqa: E731
        return block_step(state, problem.matvec, alone, problem.divide, identity, problem.number(damping))

    return replace(block_recurrence(m, damping), step=step)


@certifies(
    "thm-block-network",
    statement=block_recurrence,
    mutants={
        "every output for itself": side_by_side,
        "another damping": lambda m, damping: replace(block_recurrence(m, damping), step=block_recurrence(m, 0.5).step),
    },
    exact=True,
)
def test_block_network_is_certified_through_termination(statement):
    cases = [(2, 3, 2, torch.float64, 0.0), (1, 3, 2, torch.float32, 0.0), (2, 1, 3, torch.float64, 0.25)]
    for m, k, p, dtype, damping in [*cases, (2, 3, 2, torch.float32, 0.25), (3, 2, 1, torch.float32, 0.0)]:
        weights, config, basis = parts(block_conjugate_gradient(p, 2, m, damping), dtype)
        sizes = {"seed": k, "n_support": k, "n_query": 1}
        whole = certify_end_to_end(weights, config, basis, statement(m, damping), **sizes)
        assert whole.holds and whole.log2_error < -400, whole
        step = certify_step(weights, config, basis, statement(m, damping), **sizes)
        assert step.holds and step.log2_error < -400, step
        if m * 2 >= min(k, p + 1):  # the space is exhausted: block CG is done, a damped one is not
            ended = certify_end_to_end(weights, config, basis, statement(m, damping), terminates=True, bound_error=False, **sizes)
            assert ended.holds == (damping == 0.0)


@certifies(
    "thm-block-network",
    statement=lambda p, m, t: ((m + 1) * t, m + 1, (m + 1) * p + (7 * m**2 + 19 * m) // 2 + 4),
    mutants={
        "all of Sigma held": lambda p, m, t: ((m + 1) * t, m + 1, (m + 1) * p + (8 * m**2 + 18 * m) // 2 + 4),
        "two blocks a step": lambda p, m, t: (2 * t, 2, (m + 1) * p + (7 * m**2 + 19 * m) // 2 + 4),
        "features carried m times": lambda p, m, t: ((m + 1) * t, m + 1, m * p + (7 * m**2 + 19 * m) // 2 + 4),
    },
    exact=True,
)
def test_depth_width_and_stored_blocks_of_the_block_network(statement):
    for m, p in [(1, 7), (2, 1), (3, 5)]:
        transformer, damped = (assemble(block_conjugate_gradient(p, 3, m, damping)).transformer for damping in (0.0, 0.25))
        assert (len(transformer.config.schedule), len(transformer.blocks), transformer.W_E.shape[1]) == statement(p, m, 3)
        assert damped.W_E.shape[1] == transformer.W_E.shape[1] + m and damped.config.schedule == transformer.config.schedule


@certifies("thm-block-network", statement=0.0, mutants={"with damping": 0.25}, exact=True)
def test_dependent_targets_need_no_care_in_exact_arithmetic(statement):
    """Over a prime field, with 0 / 0 = 0: the network solves targets of any rank."""
    weights, config, _ = parts(block_conjugate_gradient(2, 3, 2, statement))
    field = Field(seed=1)
    network, drawn = ExactTransformer(weights, config, field.scalar, field.divide), exact_prompt(field, 2, 3, 2, n_outputs=2)
    for Y in ([[1, 2], [2, 4], [3, 6]], [[0, 1], [0, 1], [0, 5]], [[0, 0], [0, 0], [0, 0]], [[1, 1], [1, 1], [1, 1]]):
        tokens, y = drawn.tokens.copy(), np.vectorize(lambda n: field.scalar(Fraction(n)), otypes=[object])(np.array(Y))
        tokens[N_REGISTERS : N_REGISTERS + 3, input_basis(2, 2)["y"]] = y
        problem = replace(drawn, tokens=tokens, y=y)
        *_, last = network.stream(problem.tokens, problem.mask)
        assert (network.read(last)[-2:] == problem.solution(field)).all(), Y


@pytest.mark.parametrize("m, rank", [(2, 1), (3, 2)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_damped_network_solves_dependent_targets_in_floats(m, rank, dtype):
    prompt, rng = prompt_of(100.0, 24, 6, 5, seed=3), np.random.default_rng(m)
    y = torch.from_numpy(rng.standard_normal((24, rank)) @ rng.standard_normal((rank, m)))
    prompt = Prompt(prompt.phi, y, prompt.phi_query, prompt.ridge)
    trace = assemble(block_conjugate_gradient(6, 20, m, DAMPING[dtype]), dtype=dtype).run(prompt.to(dtype))
    assert trace.all_finite
    error = tolerances.relative(trace["alpha", "support"][-1].mT, direct(ridge_system(prompt)).mT)
    tolerances.assert_within(error, 16 * tolerances.solution(dtype, 100.0))


def test_block_program_refuses_a_negative_damping():
    with pytest.raises(ValueError, match="damping=-1"):
        block_conjugate_gradient(2, 2, 2, -1.0)
    with pytest.raises(ValueError, match="at least 1"):
        block_conjugate_gradient(2, 0, 2, 0.0)


@pytest.mark.parametrize("m", [1, 2])
def test_newton_has_one_inverse_for_all_outputs(m):
    program = newton_schulz(2, 2, 0.25, n_outputs=m)
    weights, config, basis = parts(program)
    assert program.width == 2 * 2 + 2 + 2 * m
    assert certify_step(weights, config, basis, newton_schulz_recurrence(0.25), seed=1).holds
    assert certify_end_to_end(weights, config, basis, newton_schulz_recurrence(0.25), seed=2).holds


# ---------------------------------------------------------------- classes as targets


@pytest.mark.parametrize(("data", "p", "m"), [("digits", 64, 10), ("wine", 13, 3), ("iris", 4, 3)])
def test_class_prompts_are_centred_one_hot_targets_that_supports_alone_decide(data, p, m):
    prompt = class_prompt(data, 60, 20, 1.0, seed=1)
    assert (prompt.n_features, prompt.n_outputs, prompt.y_query.shape) == (p, m, (20, m))
    # sums of numbers below one, each off by a unit in its last place; eight times, since rounding errors are drawn
    tolerances.assert_within(prompt.y.sum(0), 8 * tolerances.rounding(torch.float64, 60) * 60)
    tolerances.assert_within(prompt.y.sum(1), 8 * tolerances.rounding(torch.float64, m) * m)
    assert torch.linalg.matrix_rank(prompt.y) == m - 1
    assert all(len(row.unique()) <= m + 1 and row.max() > 0 for row in prompt.y)
    tolerances.assert_within(prompt.phi.mean(0), 1e-12)
    more = class_prompt(data, 60, 30, 1.0, seed=1)
    assert torch.equal(more.phi, prompt.phi) and torch.equal(more.y, prompt.y)


def test_class_prompts_refuse_what_is_not_there():
    with unchecked(), pytest.raises(ValueError, match="one of 'digits', 'wine', 'iris'"):
        class_prompt("faces", 10, 10, 1.0, seed=0)
    with pytest.raises(ValueError, match="at most 150 examples"):
        class_prompt("iris", 140, 20, 1.0, seed=0)


def test_block_and_shared_networks_agree_on_irises():
    prompt = class_prompt("iris", 60, 20, 1.0, seed=0)
    system = ridge_system(prompt)
    f = system.K_query @ direct(system)
    for program in (two_block_conjugate_gradient(4, 12, n_outputs=3), block_conjugate_gradient(4, 6, 3, DAMPING[torch.float64])):
        error = (assemble(program).predict(prompt) - f).norm() / f.norm()
        tolerances.assert_within(error, 16 * tolerances.prediction(torch.float64, float(system.condition_number)))  # damped: slower to its floor
    assert torch.equal(f.argmax(-1), assemble(program).predict(prompt).argmax(-1))


def test_random_prompts_of_one_output_run_as_blocks_of_one():
    prompt = random_prompt(9, 4, 3, 0.5, seed=1)
    one, other = (assemble(program).predict(prompt) for program in (two_block_conjugate_gradient(4, 6), block_conjugate_gradient(4, 6, 1, 0.0)))
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-11)
