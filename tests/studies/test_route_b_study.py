"""The studies and statements of Route B's chapter, against what is known of them from elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from metarep_lib import RidgeSystem, assemble, conjugate_gradient, ridge_system, solvers
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements import route_b as statement
from metarep_lib.numerics.bounds import conjugate_gradient_bound, gradient_descent_bound
from metarep_lib.studies import best_step, controls, solver_history
from metarep_lib.studies.answers import answers, errors_in_norm
from metarep_lib.tasks import diabetes_prompt, geometric_spectrum, synthetic_prompt


@pytest.fixture(scope="module")
def network():
    return assemble(conjugate_gradient(10, 8))


def test_the_errors_in_norm_are_those_of_another_library_s_conjugate_gradient(network):
    """Over the first steps, which rounding leaves alone."""
    prompt = diabetes_prompt(40, 3, ridge=1.0, seed=2)
    A, y = ridge_system(prompt).A.numpy(), prompt.y.numpy()
    iterates, star = [np.zeros_like(y)], np.linalg.solve(A, y)
    cg(A, y, maxiter=5, rtol=0, atol=0, callback=lambda x: iterates.append(x.copy()))
    off = np.array(iterates) - star
    errors = np.sqrt(np.einsum("ti,ij,tj->t", off, A, off) / (star @ A @ star))
    np.testing.assert_allclose(errors_in_norm(network.run(prompt), prompt)[:6], errors, rtol=1e-7)


def test_a_value_that_is_off_is_seen_beside_the_solver_s_history(network):
    prompt = diabetes_prompt(40, 3, ridge=1.0, seed=2)
    trace, history = network.run(prompt), solvers.conjugate_gradient(ridge_system(prompt), 8).history
    names = {"alpha": "support", "sigma": "aggregator", "beta": "query"}
    assert max(solver_history.gap(trace, history, *where) for where in names.items()) < 1e-9
    wrong = history | {"sigma": 1.01 * history["sigma"]}
    assert solver_history.gap(trace, wrong, "sigma", "aggregator") == pytest.approx(0.01 / 1.01, rel=1e-6)


def test_the_best_step_size_shrinks_the_ends_of_the_spectrum_alike():
    eigenvalues = torch.tensor([0.5, 2.0, 3.5]).double()
    system = RidgeSystem(eigenvalues.diag(), torch.ones(3).double(), torch.zeros(0, 3).double())
    low, _, high = (1 - best_step.best_step(system) * eigenvalues).tolist()
    assert low == pytest.approx(-high) == pytest.approx(0.75)


def test_the_blocks_it_takes_are_read_off_the_network_s_own_errors():
    prompts = synthetic_prompt(geometric_spectrum(4, 3.0), 6, 3, 0.5, seed=0, n_prompts=2)
    errors = best_step.errors_at_best(prompts, 30)
    blocks = best_step.blocks_to(prompts, 1e-3, most=30)
    for error, n in zip(errors, blocks):
        assert error[n] <= 1e-3 < error[n - 1]
    # without a step the answer is zero, which is all wrong
    assert errors[:, 0].tolist() == [1.0, 1.0] and answers(prompts).abs().min() > 0


def test_controls_keep_the_shapes_and_change_the_blocks_alone(network):
    built = network.transformer
    shuffled = controls.shuffled(network, 0).transformer
    assert torch.equal(shuffled.W_E, built.W_E) and torch.equal(shuffled.W_U, built.W_U)
    for before, after in zip(built.blocks.parameters(), shuffled.blocks.parameters()):
        assert torch.equal(before.flatten().sort()[0], after.flatten().sort()[0])
    moved = [not torch.equal(*pair) for pair in zip(built.blocks.parameters(), shuffled.blocks.parameters())]
    assert sum(moved) > len(moved) / 2
    drawn = [controls.random(network, seed).transformer.W_E for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])
    assert drawn[0].shape == built.W_E.shape and drawn[0].dtype == built.W_E.dtype


def by_hand(kappa: Fraction, y: list[Fraction], step: Fraction) -> float:
    """The relative error, in the norm of A = diag(1, kappa), of alpha = step y."""
    eigenvalues = [Fraction(1), kappa]
    error = sum(a * (step * b - b / a) ** 2 for a, b in zip(eigenvalues, y))
    return float(error / sum(b * b / a for a, b in zip(eigenvalues, y))) ** 0.5


def test_the_values_of_one_step_by_hand():
    y = [Fraction(1), Fraction(3)]
    flat = torch.tensor([0.0, np.log(3.0), 2.0, 1.0], dtype=torch.float64)
    system = statement.any_system(flat, 4.0, 1)
    steepest = sum(b * b for b in y) / (y[0] ** 2 + 4 * y[1] ** 2)
    assert statement.cg_error(system, 1).item() == pytest.approx(by_hand(Fraction(4), y, steepest))
    assert statement.gd_error(system, 1).item() == pytest.approx(by_hand(Fraction(4), y, Fraction(2, 5)))
    off = 2 * (steepest - 1) + 1 * (3 * steepest - Fraction(3, 4))  # K_query = (2, 1)
    assert statement.prediction_gap(system, 1).item() == pytest.approx(abs(float(off)))


def test_the_bounds_of_one_step_by_hand():
    flat = torch.tensor([0.0, np.log(3.0), 2.0, 1.0], dtype=torch.float64)
    system = statement.any_system(flat, 4.0, 1)  # A = diag(1, 4), y = (1, 3), K_query = (2, 1)
    assert statement.cg_bound(system, 1).item() == pytest.approx(2 / 3)  # c = (2 - 1) / (2 + 1)
    assert statement.cg_most(4.0, 1) == pytest.approx(9 / 10)
    assert statement.gd_bound(system, 1).item() == pytest.approx(3 / 5)
    of_query, of_solution = Fraction(4) + Fraction(1, 4), Fraction(1) + Fraction(9, 4)
    factor = float(of_query * of_solution) ** 0.5
    steepest = Fraction(10, 37)
    expected = factor * by_hand(Fraction(4), [Fraction(1), Fraction(3)], steepest)
    assert statement.gap_bound(system, 1).item() == pytest.approx(expected)


def test_a_search_comes_to_what_can_be_used_of_a_bound_and_not_beyond():
    """The floors of tightness; a prediction whose bound forgets its query is passed."""

    def used(flat, value=statement.prediction_gap, bound=statement.gap_bound):
        system = statement.any_system(flat, 9.0, 2)
        return value(system, 2) / bound(system, 2)

    assert 0.99 < worst_case(used, 7, seed=0, reach=15.0) <= 1 + 1e-9
    forgets = worst_case(lambda flat: used(flat, bound=statement.cg_error), 7, seed=0, reach=15.0)
    assert forgets > 1.1
    rate = worst_case(lambda flat: used(flat, statement.cg_error, statement.cg_bound), 7, seed=0, reach=15.0)
    assert 0.99 < rate / statement.cg_most(9.0, 2) <= 1 + 1e-9


@pytest.mark.parametrize(
    ("error", "bound"),
    [(statement.cg_error, conjugate_gradient_bound), (statement.gd_error, gradient_descent_bound)],
)
def test_a_search_uses_most_of_a_rate_and_passes_that_of_a_smaller_condition_number(error, bound):
    def used(flat, kappa=9.0):
        allowed = bound(torch.tensor(kappa).double(), torch.tensor(3))
        return error(statement.any_system(flat, 9.0, 3), 3) / allowed

    assert 0.9 < worst_case(used, 10, seed=0, reach=15.0) <= 1 + 1e-9
    assert worst_case(lambda flat: used(flat, kappa=4.0), 10, seed=0, reach=15.0) > 1.1  # the mutant


def test_rounding_is_taken_off_before_a_value_is_held_against_its_bound():
    u = torch.finfo(torch.float64).eps
    value, bound = torch.tensor([0.25, 150 * u]).double(), torch.tensor([0.5, 50 * u]).double()
    assert statement.share_used(value, bound, 1.0).item() == pytest.approx(1.0)
    assert statement.share_used(value, bound, 0.0).item() == pytest.approx(3.0)
