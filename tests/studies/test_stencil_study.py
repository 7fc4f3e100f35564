"""Studies and statements of the chapter on dot products from softmax, against what is known of them from elsewhere."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from metarep_lib import assemble, conjugate_gradient, ridge_system, solvers
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.dot_products import (
    operator_bound,
    operator_error,
    six_supports,
    solution_bound,
    solution_error,
    stencil_bound,
    stencil_deviation,
)
from metarep_lib.construct.transforms import central_difference, with_softmax_products
from metarep_lib.studies import stencil
from metarep_lib.tasks import diabetes_prompt

ONE = torch.ones(1, dtype=torch.float64)


def test_the_stencil_and_its_bound_by_hand():
    """Four heads at x = 1: (8 (e - 1/e) - (e^2 - e^-2)) / 12, the classical coefficients."""
    by_hand = (8 * 2 * math.sinh(1) - 2 * math.sinh(2)) / 12
    assert float(stencil_deviation(ONE, 2)) == pytest.approx(abs(by_hand - 1))
    assert float(stencil_bound(ONE, 2)) == pytest.approx(float(Fraction(4, 120)) * math.exp(1 / 6))
    assert float(stencil_deviation(ONE, 2) / stencil_bound(ONE, 2)) > 0.9


def test_the_kernel_s_error_by_hand():
    """Equal supports of length one: sinh(x) / x - 1 times the matrix of ones, and the bound is attained."""
    K, x = torch.ones(3, 3, dtype=torch.float64), torch.tensor(0.5, dtype=torch.float64)
    expected = 3 * (math.sinh(0.5) / 0.5 - 1)
    assert float(operator_error(K, x)) == pytest.approx(expected)
    assert float(operator_bound(K, x)) == pytest.approx(expected)
    y, ridge = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64), torch.tensor(0.25, dtype=torch.float64)
    assert float(solution_error(K, y, ridge, x)) == pytest.approx(0, abs=1e-12)  # K y = 0
    assert float(solution_bound(K, ridge, x)) == pytest.approx(4 * expected)


def test_a_search_gets_to_both_bounds_and_passes_smaller_ones():
    def used(flat):
        K, y, ridge, x = six_supports(flat)
        return solution_error(K, y, ridge, x) / solution_bound(K, ridge, x)

    found = worst_case(used, 20, seed=26)
    assert 0.9 < found <= 1 + 1e-9
    assert worst_case(lambda flat: 2 * used(flat), 20, seed=26) > 1.01  # the mutant: half of the bound


def test_an_error_of_a_product_is_that_of_the_formula_where_rounding_is_small():
    x = 2.0**-3
    error = stencil.product_error(central_difference(1, x), torch.float64)
    prompts = stencil.products()
    made = (torch.sinh(x * prompts.phi_query @ prompts.phi.mT) / x * prompts.y[:, None]).sum(-1)
    exact = (prompts.phi_query @ prompts.phi.mT * prompts.y[:, None]).sum(-1)
    expected = (made - exact).abs().amax(-1) / prompts.y.abs().sum(-1)
    np.testing.assert_allclose(error, expected, rtol=1e-9)


def test_a_valley_has_its_bottom_near_the_best_spacing_and_stays_below_its_bound():
    found = stencil.valley(torch.bfloat16)
    assert (found.error[1].max(-1) <= found.bound[1]).all()
    assert found.best(1) <= found.at_the_bound_s(1) <= 16 * found.best(1)
    assert found.promised[1] <= found.bound[1].min() * (1 + 1e-9)


@pytest.fixture(scope="module")
def intact():
    return assemble(with_softmax_products(conjugate_gradient(10, 60), central_difference(1, 2.0**-6)))


def test_heads_that_are_left_alone_solve_with_sinh_and_shared_ones_say_nothing(intact):
    prompt = diabetes_prompt(40, 20, ridge=1.0, seed=24, n_prompts=2)
    system = ridge_system(prompt, lambda a, b: torch.sinh(2.0**-6 * a @ b.mT) * 2**6)
    f = system.predict(solvers.cholesky(system).alpha)
    said = stencil.edited(intact, stencil.EDITS["none"][0]).predict(prompt)
    torch.testing.assert_close(said, f, rtol=1e-8, atol=1e-10)
    shared = stencil.edited(intact, stencil.EDITS["queries and\nkeys shared"][0]).predict(prompt)
    assert shared.abs().max() < 1e-9


def test_an_edit_changes_a_copy_and_its_damage_is_foretold(intact):
    prompt = diabetes_prompt(40, 20, ridge=1.0, seed=24, n_prompts=2)
    before = intact.predict(prompt)
    damage = stencil.damage(intact, prompt, 2.0**-6)
    assert torch.equal(intact.predict(prompt), before)
    kept = [i for i, name in enumerate(stencil.EDITS) if name != stencil.LOST]
    np.testing.assert_allclose(damage["measured"][:, kept], damage["predicted"][:, kept], rtol=1e-6)
    assert (damage["measured"][:, 4] > 2 * damage["measured"][:, 0]).all()
    assert (damage["negative"][:, list(stencil.EDITS).index(stencil.LOST)] > 0).all()
