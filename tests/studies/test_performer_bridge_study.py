"""The studies and statements of the bridge to Performers, against what is known of them from elsewhere."""

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from metarep_lib.certify.statements import performer_bridge as statement
from metarep_lib.studies import random_features as study


def test_the_exact_predictions_are_those_of_another_library_s_kernel_ridge():
    prompt, tau = study.posed(0.5), 0.5
    x, query = prompt.phi.numpy(), prompt.phi_query.numpy()
    theirs = KernelRidge(alpha=prompt.ridge, kernel="precomputed").fit(np.exp(x @ x.T / tau), prompt.y)
    np.testing.assert_allclose(study.exact(prompt, tau), theirs.predict(np.exp(query @ x.T / tau)), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["positive", "trigonometric"])
def test_the_mean_square_over_draws_is_the_theorem_s(name):
    prompt, tau = study.posed(2.0), 2.0  # warm: the law of the estimate has no heavy tail
    found = [study.kernel_error(prompt, tau, name, 64, seed) for seed in range(200)]
    assert np.sqrt(np.mean(np.square(found))) == pytest.approx(study.theory(prompt, tau, name, 64), rel=0.25)


@pytest.mark.parametrize("name", study.MAPS)
def test_a_prompt_has_as_many_features_as_were_asked_for_and_errors_fall(name):
    prompt, tau = study.posed(0.5), 0.5
    assert study.mapped(prompt, tau, name, 64, seed=0).phi.shape == (50, 64)
    few, many = (study.errors(prompt, tau, name, m, seed=0) for m in (16, 1024))
    assert many[0] < few[0] and many[1] < few[1]


def test_value_and_bound_by_hand():
    """K = e I, K^ = 0, k = y, k^ = (1 + t) y: attained, and more than the bound without its second term."""
    e, t, y = 2.0, 0.25, np.array([1.0, 0.0])
    change, bound = statement.change_and_bound(e * np.eye(2), 0 * np.eye(2), y, t * y, y)
    assert change == pytest.approx((1 + t) / 0.5 - 1 / 2.5) == pytest.approx(bound)
    assert change > t / 0.5 + 0.1  # the mutant: the kernel's error left out


def test_no_draw_uses_more_than_the_bound():
    draws = np.random.default_rng(3).normal(size=(300, 27))
    assert 0.05 < max(statement.share_used(flat, 3) for flat in draws) <= 1 + 1e-9
