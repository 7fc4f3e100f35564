"""The studies and statements of the chapter on depth against width, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from metarep_lib import (
    diabetes_prompt,
    geometric_spectrum,
    gradient_descent,
    ridge_system,
    two_block_conjugate_gradient,
)
from metarep_lib.certify.statements.depth_against_width import (
    squaring_bound,
    squaring_error,
    squaring_used,
)
from metarep_lib.numerics import look_ahead_step
from metarep_lib.numerics.steps import along
from metarep_lib.studies import blocks_needed, look_ahead, steps_at_once


def by_scipy(prompt, steps):
    """[steps + 1, k] iterates of another library's conjugate gradient."""
    system = ridge_system(prompt)
    iterates = [np.zeros(prompt.n_support)]
    cg(system.A.numpy(), system.y.numpy(), maxiter=steps, rtol=0, atol=0, callback=lambda x: iterates.append(x.copy()))
    return torch.tensor(np.array(iterates[: steps + 1]))


def one_of(prompts):
    return type(prompts)(prompts.phi[0], prompts.y[0], prompts.phi_query[0], prompts.ridge)


@pytest.mark.parametrize("change", [*look_ahead.CHANGES.values(), look_ahead.shortened])
def test_every_way_of_looking_ahead_is_another_library_s_conjugate_gradient_at_first(change):
    prompts = look_ahead.posed(10.0, n_prompts=2, seed=1)
    said = torch.stack([state["f"][0, 40:] for state in look_ahead.looking_ahead(prompts, change)[1:7]])
    expected = ridge_system(one_of(prompts)).predict(by_scipy(one_of(prompts), 5))
    torch.testing.assert_close(said, expected, rtol=1e-6, atol=1e-8)


def test_foretold_curvature_lacks_the_bracket_when_a_drift_is_planted():
    prompts = look_ahead.posed(10.0, n_prompts=3, seed=2)
    product, one = look_ahead.a_prime(prompts), torch.ones(3, 1, dtype=torch.float64)
    state = look_ahead.looking_ahead(prompts)[4]
    state |= {name: state[name] + 0.01 * state["v"].flip(-1) for name in ("Av", "Av_old")}
    after = look_ahead_step(state, product, look_ahead.inner, torch.divide, one, one)
    foretold = along(after["j_1"], after["h_1"], after["j_3"], after["theta"], after["omega"])
    due = look_ahead.inner(after["v"], after["Av"])
    lacks = look_ahead.bracket(state, after["theta"], after["omega"], product)
    torch.testing.assert_close(foretold + lacks, due, rtol=1e-8, atol=1e-10)
    assert ((foretold - due).abs() > 1e-4 * due.abs()).all()  # the mutant: no bracket


@pytest.mark.parametrize("basis", ["monomial", "newton", "chebyshev"])
def test_one_step_at_once_ends_where_another_library_s_conjugate_gradient_does(basis):
    spectrum = geometric_spectrum(24, 1e2)
    prompt = one_of(steps_at_once.posed(spectrum, n_prompts=1))
    alpha = torch.linalg.solve(ridge_system(prompt).A, prompt.y)
    theirs = ((by_scipy(prompt, 60) - alpha).norm(dim=-1) / alpha.norm()).min()
    ours = steps_at_once.floor(spectrum, torch.float64, basis, 1, n_prompts=1)
    assert ours < 20 * theirs < 1e-11
    assert steps_at_once.floor(spectrum, torch.float64, basis, 16, n_prompts=9).median() > 1e3 * ours


def test_blocks_are_steps_of_another_library_times_blocks_per_step():
    prompts = diabetes_prompt(40, 20, ridge=10.0, seed=3, n_prompts=1)
    system = ridge_system(one_of(prompts))
    f = system.predict(torch.linalg.solve(system.A, system.y))
    error = (system.predict(by_scipy(one_of(prompts), 20)) - f).norm(dim=-1) / f.norm()
    steps = int((error > 1e-6).nonzero().max()) + 1
    program = two_block_conjugate_gradient(10, 20)
    assert blocks_needed.blocks_needed(program, prompts) == 2 * steps == blocks_needed.blocks_of_each(program, prompts)
    eta, alpha = 1 / float(system.eigenvalues.max()), torch.zeros(40, dtype=torch.float64)
    for needed in range(400):
        if (system.predict(alpha) - f).norm() <= 1e-6 * f.norm():
            break
        alpha = alpha + eta * (system.y - system.A @ alpha)
    assert blocks_needed.blocks_needed(gradient_descent(10, 400, eta), prompts) == needed


def test_value_and_bound_of_squaring_by_hand_and_nearly_attained():
    eigenvalues, weights = np.array([1.0, 2.0, 4.0]), np.array([3.0, 4.0, 0.0])
    assert squaring_error(eigenvalues, weights, 1) == pytest.approx((9 * 0.75**4 + 16 * 0.5**4) ** 0.5 / 5)
    assert squaring_bound(eigenvalues, 1) == pytest.approx(np.exp(-0.5))
    lowest = np.array([1e-3, 1.0]), np.array([1.0, 0.0])
    assert 0.99 < squaring_used(*lowest, 4) <= 1
    assert squaring_error(*lowest, 4) > squaring_bound(lowest[0], 5)  # the mutant: a squaring more


def test_copies_redrawn_in_the_last_place_say_the_same_until_rounding_ends_it():
    prompts = look_ahead.posed(10.0, n_prompts=3)
    drawn = look_ahead.redrawn_errors(prompts, n_draws=3)
    assert drawn.shape == (3, 3) and drawn.unique().numel() == 9
    assert (drawn < 1e3 * 2.0**-53 * 10.0**2).all()  # the law of its floor, u kappa^2


def test_errors_are_those_of_another_library_and_end_where_single_precision_does():
    prompts = diabetes_prompt(40, 20, ridge=10.0, seed=3, n_prompts=1)
    system = ridge_system(one_of(prompts))
    f = system.predict(torch.linalg.solve(system.A, system.y))
    expected = (system.predict(by_scipy(one_of(prompts), 6)) - f).norm(dim=-1) / f.norm()
    ends = {}
    for dtype in (torch.float64, torch.float32):
        blocks, error = blocks_needed.errors(two_block_conjugate_gradient(10, 20), prompts, dtype)
        ends[dtype] = error.min()
        torch.testing.assert_close(error[:5, 0], expected[:5], rtol=1e-2, atol=0)
        assert blocks.tolist() == list(range(0, 41, 2))
    assert ends[torch.float64] < 1e-12 and 1e-9 < ends[torch.float32] < 1e-4
