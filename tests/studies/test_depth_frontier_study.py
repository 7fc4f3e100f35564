"""The studies and statements of the chapter on the depth frontier, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from sklearn.linear_model import Ridge

from metarep_lib import ridge_system
from metarep_lib.certify import exact_errors
from metarep_lib.certify.statements.depth_frontier import FLOOR, excess, krylov_rate
from metarep_lib.studies import delay, floors, frontier, load_sweep
from metarep_lib.tasks import SPECTRA, crowded


def test_steps_are_those_of_another_library_on_the_diagonal():
    values = SPECTRA["one outlier"](frontier.KAPPAS[2], frontier.N)
    steps = []
    for shares in frontier.shares(values).numpy():
        y, star, iterates = np.sqrt(shares * values), np.sqrt(shares / values), []
        cg(np.diag(values), y, maxiter=30, rtol=0, atol=0, callback=lambda x: iterates.append(x.copy()))
        off = np.sqrt(((np.array(iterates) - star) ** 2 * values).sum(1) / shares.sum())
        steps.append(2 + int(np.nonzero(off > 1e-6)[0].max()))
    found = frontier.conjugate_gradient_steps("one outlier", [1e-6])[1e-6]
    assert found[:, 2].tolist() == steps
    assert frontier.blocks("one outlier", 1e-6, found)["conjugate gradient, two blocks"][2] == 2 * np.median(steps)


def test_gradient_descent_and_newton_take_what_powers_of_the_contraction_take():
    values = SPECTRA["geometric"](30.0, frontier.N)
    shares, eta = frontier.shares(values).numpy(), 2 / (values[0] + values[-1])
    errors = np.array([[np.sqrt(s @ (1 - eta * values) ** (2 * t) / s.sum()) for s in shares] for t in range(400)])
    steps = (errors > 1e-2).sum(0)
    found = frontier.needed(values, 1e-2, np.zeros(5))
    assert found["gradient descent"] == np.median(steps)
    assert found["Newton"] == 1 + np.median(np.ceil(np.log2(steps)))


def test_a_hard_prompt_has_the_crowded_spectrum_and_the_solution_that_is_said():
    prompt, star = delay.rotated(seed=1)
    system = ridge_system(prompt)
    np.testing.assert_allclose(np.linalg.eigvalsh(system.A), crowded(1e4, 48), rtol=1e-10)
    np.testing.assert_allclose(system.A @ star, prompt.y, atol=1e-8)
    assert delay.error_of(system, star) < 1e-10


def test_the_primal_says_the_weights_of_another_library():
    prompt = delay.white_prompt("geometric")
    system, _ = delay.in_the_primal(prompt)
    theirs = Ridge(alpha=prompt.ridge, fit_intercept=False).fit(prompt.phi, prompt.y)
    np.testing.assert_allclose(torch.linalg.solve(system.A, system.y), theirs.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("case", ["spread, float64", "crowded, float32"])
def test_a_point_of_the_sweep_is_the_stored_row_but_for_roundings(case):
    """Which step is the last above the accuracy is decided by them, so in the median over twenty prompts."""
    stored, found = load_sweep("delay"), delay.run(case, seed=2)
    for who in ("solver", "textbook", "two_blocks"):
        ratio = np.array(found[who]) / stored.values(who, case=case)[2]
        assert abs(np.median(ratio) - 1) <= 0.1


def test_networks_take_as_many_steps_as_expected_of_them():
    found = delay.steps_of_networks("spread", 1e-6)
    assert len(set(found["Chebyshev"])) == len(set(found["Newton"])) == 1
    expected, took = found["conjugate gradient, textbook"]
    assert abs(took / expected - 1) <= 0.2


def test_the_floor_is_not_reached_without_rounding_and_seen_when_it_is_planted():
    values = SPECTRA["spread"](100.0, 20)
    exact = torch.from_numpy(exact_errors(values, np.ones(20), 15))
    assert excess(exact, 100.0, torch.float64) <= 1e-6
    lifted = krylov_rate(100.0, 15) + (FLOOR + 1) * 2.0**-24 * 100
    assert excess(lifted, 100.0, torch.float32) == pytest.approx(FLOOR + 1)  # the mutant: a floor too high by one


def test_a_search_climbs_from_the_worst_of_the_random_points():
    random, highest = floors.random_and_searched(20, climbs=10)
    assert random.max() <= highest <= FLOOR and len(random) == 20
