"""Width and depth together: the joint bound on random and searched inputs, its corollary, the ridge's shift; laws and learned maps."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from certificates import certifies
from factories import random_prompt
from hypothesis import given
from hypothesis import strategies as st
from test_theorems import exact_solve, rationals
from test_width import answer

from metarep_lib import Prompt, conjugate_gradient_bound, prediction_factor, ridge_system, solvers
from metarep_lib.evidence import worst_case
from metarep_lib.evidence.capacity import LAWS, POOL, in_common_coordinates, learn_map, pool
from metarep_lib.numerics import best_projection, capacity_bound, depth, distinct_eigenvalues, projected, random_projection, spanned_features, width_bound

seeds = st.integers(0, 10**6)


def narrow_predictions(prompt: Prompt, W: torch.Tensor, steps: int) -> torch.Tensor:
    """[steps + 1, q] f_(m,t), by the textbook solver."""
    system = ridge_system(projected(prompt, W))
    return system.predict(solvers.conjugate_gradient(system, steps).history["alpha"])


@certifies("thm-capacity", mutant="the depth bound alone; the width bound alone")
@given(seed=seeds, k=st.integers(2, 12), p=st.integers(2, 7), log_ridge=st.floats(-2, 2))
def test_width_and_depth_together_are_bounded_by_their_sum(seed, k, p, log_ridge):
    prompt = random_prompt(k, p, 4, ridge=10.0**log_ridge, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for W in (random_projection(p, p - 1, generator), best_projection(prompt, 1)):
        gap = (narrow_predictions(prompt, W, 9) - answer(prompt)).abs()
        assert (gap <= capacity_bound(prompt, W, 9) * (1 + 1e-9) + 1e-10 * prompt.y.norm() / prompt.ridge).all()


def test_neither_part_of_the_bound_is_enough():  # mutants of thm-capacity
    prompt = random_prompt(9, 6, 4, ridge=0.3, seed=2)
    W = random_projection(6, 3, torch.Generator().manual_seed(1))
    gap, bound = (narrow_predictions(prompt, W, 9) - answer(prompt)).abs(), capacity_bound(prompt, W, 9)
    width_alone = bound[-1]  # after m + 1 steps nothing else is left
    assert (gap[0] > width_alone).any()
    assert (gap[-1] > (bound - width_alone)[-1] + 1e-9).all()


def test_a_search_comes_near_the_bound_and_not_beyond_it():
    def ratio(flat: torch.Tensor) -> torch.Tensor:
        prompt = Prompt(flat[:12].reshape(4, 3), flat[12:16], flat[16:19].reshape(1, 3), 0.5)
        W = torch.linalg.qr(flat[19:25].reshape(3, 2)).Q.mT
        system = ridge_system(projected(prompt, W))
        said = system.predict(solvers.conjugate_gradient(system, 1).alpha)
        kappa = system.condition_number  # after one step 1 / T_1 = (kappa - 1) / (kappa + 1)
        of_depth = (kappa - 1) / (kappa + 1) * prediction_factor(system, solvers.cholesky(system).alpha)
        return ((said - answer(prompt)).abs() / (width_bound(prompt, W) + of_depth)).squeeze()

    found = worst_case(ratio, 25, seed=0, starts=2)
    assert 0.5 < found <= 1 + 1e-8


@certifies("thm-capacity", mutant="the condition number of the narrow system is at most that of the full one", exact=True)
def test_a_narrow_system_has_a_smaller_effective_dimension_but_not_a_smaller_condition_number():
    for seed in range(20):
        prompt = random_prompt(7, 5, 0, ridge=0.4, seed=seed)
        for m in (1, 3):
            narrow = projected(prompt, random_projection(5, m, torch.Generator().manual_seed(seed)))
            mu, mu_narrow = (torch.linalg.svdvals(one.phi).square() for one in (prompt, narrow))
            assert (mu_narrow <= mu[: len(mu_narrow)] * (1 + 1e-12)).all()
            assert depth.effective_dimension(mu_narrow, 0.4) <= depth.effective_dimension(mu, 0.4)
            assert ridge_system(narrow).condition_number <= (mu[0] + 0.4) / 0.4 * (1 + 1e-12)
    mu, ridge = Fraction(9), Fraction(1)  # K = 9 I: condition number one; without one direction it is ten
    full, narrow = [mu + ridge, mu + ridge], [mu + ridge, ridge]
    assert max(full) / min(full) == 1 < max(narrow) / min(narrow) == 10


@given(seed=seeds, n=st.integers(1, 7), steps=st.integers(0, 9))
def test_the_least_bound_over_windows_is_the_curve_that_the_count_inverts(seed, n, steps):
    values = torch.from_numpy(np.exp(np.random.default_rng(seed).uniform(0, 8, n)))
    curve = depth.outlier_errors(values, steps)
    assert curve[0] == 1 and (curve.diff() <= 1e-12).all()
    kappa = values.max() / values.min()
    assert (curve <= conjugate_gradient_bound(kappa, torch.arange(steps + 1)).clamp(max=1) + 1e-12).all()
    for accuracy in (0.3, 1e-2, 1e-5):
        promised = depth.outlier_steps(values, accuracy)
        assert promised > steps or curve[promised] <= accuracy * (1 + 1e-9)
        assert promised == 0 or promised - 1 > steps or curve[promised - 1] > accuracy * (1 - 1e-9)


def test_eigenvalues_at_the_ridge_count_once():
    prompt = random_prompt(9, 4, 0, ridge=0.25, seed=0)
    whole = torch.unique(ridge_system(prompt).eigenvalues.round(decimals=9))
    torch.testing.assert_close(distinct_eigenvalues(prompt), whole, rtol=1e-7, atol=1e-7)
    wide = random_prompt(3, 5, 0, ridge=0.25, seed=0)
    torch.testing.assert_close(distinct_eigenvalues(wide), ridge_system(wide).eigenvalues)


@certifies("cor-one-count", mutant="a width one short of the count; a third of sqrt(c)")
@given(seed=seeds, log_c=st.floats(-3, 0), spare=st.integers(0, 3))
def test_one_count_serves_width_and_depth(seed, log_c, spare):
    c, prompt = 10.0**log_c, random_prompt(10, 7, 5, ridge=1.0, seed=seed)
    prompt = Prompt(prompt.phi * 3.0 ** -torch.arange(7).double(), prompt.y, prompt.phi_query, prompt.ridge)
    mu = torch.linalg.svdvals(prompt.phi).square()
    n = int((mu > c * prompt.ridge).sum())
    assert n <= (1 + c) / c * depth.effective_dimension(mu, prompt.ridge)
    rate = (math.sqrt(1 + c) - 1) / (math.sqrt(1 + c) + 1)
    assert 2 * rate <= c / 2 + 1e-15
    for m in range(max(n, 1), 8):
        said = narrow_predictions(prompt, best_projection(prompt, m), n + 1 + spare)[-1]
        bound = (math.sqrt(c) / (1 + c) + 2 * rate ** (1 + spare)) * prompt.phi_query.norm(dim=-1) * prompt.y.norm() / math.sqrt(prompt.ridge)
        assert ((said - answer(prompt)).abs() <= bound * (1 + 1e-9) + 1e-12).all()


def test_the_count_is_needed_and_so_is_the_root():  # mutants of cor-one-count
    def lost(singular_values: list[float], m: int, at: int) -> float:
        """What the best map of width m loses, relative to |phi(x)| |y| / sqrt(lambda) = 1, where query and targets lie in one direction."""
        phi, unit = torch.diag(torch.tensor(singular_values, dtype=torch.float64)), torch.eye(len(singular_values), dtype=torch.float64)[at]
        prompt = Prompt(phi, unit, unit[None], 1.0)
        return (answer(projected(prompt, best_projection(prompt, m))) - answer(prompt)).abs().item()

    c = 0.25
    assert lost([1e3, 1.0], 1, 1) > math.sqrt(c) / (1 + c)  # the second exceeds c lambda: the count is two, and one is too few
    assert math.isclose(lost([1e3, 1e2, math.sqrt(c)], 2, 2), math.sqrt(c) / (1 + c))  # attained, so above sqrt(c) / 3


@certifies("prop-ridge-shift", mutant="the derivative -k A^-1 y; twice the step", exact=True)
@given(seed=seeds)
def test_a_change_of_the_ridge_shifts_predictions_by_two_solves(seed):
    rng = np.random.default_rng(seed)
    Phi, y, query = rationals(rng, 4, 3), rationals(rng, 4) + Fraction(1, 7), rationals(rng, 3) + Fraction(1, 9)
    K, identity, ridge, h = Phi @ Phi.T + Fraction(0), np.eye(4, dtype=int) + Fraction(0), Fraction(1, 2), Fraction(1, 5)
    k = Phi @ query
    before, after = exact_solve(K + ridge * identity, y), exact_solve(K + (ridge + h) * identity, y)
    foretold = -h * (k @ exact_solve(K + (ridge + h) * identity, before))
    assert k @ after - k @ before == foretold
    if foretold != 0:
        assert k @ after - k @ before != 2 * foretold and k @ after - k @ before != -h * (k @ before)


@certifies("prop-ridge-shift", mutant="a tenth of the two depth errors")
@given(seed=seeds, t=st.integers(0, 6))
def test_a_network_shifts_as_ridge_regression_does_up_to_its_two_depth_errors(seed, t):
    prompt = random_prompt(9, 6, 4, ridge=0.2, seed=seed)
    moved = Prompt(prompt.phi, prompt.y, prompt.phi_query, 0.25)
    whole = torch.eye(6, dtype=torch.float64)
    network = narrow_predictions(moved, whole, t)[-1] - narrow_predictions(prompt, whole, t)[-1]
    allowed = sum(capacity_bound(one, whole, t)[-1] for one in (prompt, moved))
    assert ((network - (answer(moved) - answer(prompt))).abs() <= allowed + 1e-10).all()


def test_the_depth_errors_do_show_in_the_shift():  # mutant of prop-ridge-shift
    phi, y, query = torch.diag(torch.tensor([0.08, 0.32])).double(), torch.tensor([1.0, -1.2]).double(), torch.tensor([[-2.4, -0.4]]).double()
    prompt, moved, whole = Prompt(phi, y, query, 0.1), Prompt(phi, y, query, 1.0), torch.eye(2, dtype=torch.float64)
    network = narrow_predictions(moved, whole, 1)[-1] - narrow_predictions(prompt, whole, 1)[-1]
    allowed = sum(capacity_bound(one, whole, 1)[-1] for one in (prompt, moved))
    assert (network - (answer(moved) - answer(prompt))).abs() > allowed / 10


@pytest.mark.parametrize("law", LAWS)
def test_laws_draw_what_they_say_and_score_nobody_they_learn_from(law):
    made, learned_from = LAWS[law].prompt(0), pool(law)
    assert learned_from.phi.shape[0] == POOL and made.phi.shape[-1] == learned_from.phi.shape[-1]
    raw, again = LAWS[law].prompt(0), LAWS[law].prompt(1)
    assert raw.phi.equal(made.phi) and not again.phi.equal(made.phi)
    held = LAWS[law].coordinates(made)
    if LAWS[law].kernel:
        K = LAWS[law].kernel(made.phi, made.phi)
        torch.testing.assert_close(held.phi @ held.phi.mT, K, rtol=1e-9, atol=1e-9 * K.max().item())


def test_learning_beats_its_own_start_and_inducing_points_are_a_projection():
    W = learn_map("diabetes, linear", 2, seed=0, steps=60)
    torch.testing.assert_close(W @ W.mT, torch.eye(2, dtype=torch.float64))
    start = learn_map("diabetes, linear", 2, seed=0, steps=0)
    batch = pool("diabetes, linear")

    def loss(W: torch.Tensor) -> torch.Tensor:
        narrow = Prompt(batch.phi @ W.mT, batch.y, batch.phi_query @ W.mT, batch.ridge)
        return (answer(narrow) - batch.y_query).square().mean()

    assert loss(W) < loss(start)
    law = LAWS["sphere, exponential"]
    raw, landmarks = law.prompt(0), law.prompt(1).phi[:5]
    wide, W = in_common_coordinates(raw, law.kernel, landmarks)
    torch.testing.assert_close(answer(wide), answer(law.coordinates(raw)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(answer(projected(wide, W)), answer(spanned_features(raw, law.kernel, anchors=landmarks)), rtol=1e-6, atol=1e-6)
