"""The studies of the chapter on width and rank, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge

from metarep_lib.studies import learned_map, load_sweep, narrowed, truncation, width
from metarep_lib.studies.answers import answers


def test_a_point_of_the_sweep_is_the_stored_row_where_nothing_is_learned():
    stored, found = load_sweep("width"), width.run("power law, linear", 2, seed=1)
    for name in ("best_error", "random_bound", "sketch_error", "tail", "d_eff", "risk_full"):
        held = stored.values(name, law="power law, linear", level=2)[1]
        assert found[name] == pytest.approx(held, rel=6e-4)


def test_what_is_read_off_the_sweep_is_read_by_hand():
    stored, law = load_sweep("width"), "diabetes, linear"
    rows = [row for row in stored.rows if row["law"] == law and row["level"] == 7]
    assert width.widths(stored, law)[7] == rows[0]["m"] == 9
    assert width.d_eff(stored, law) == np.median([row["d_eff"] for row in rows])
    assert width.at_d_eff(stored, law, "random") == np.median([row["random_error"] for row in rows])  # 9 is the first above


def test_one_prompt_has_the_dimension_of_its_kernel_and_all_features_lose_nothing():
    prompt = narrowed.posed()
    mu = np.linalg.eigvalsh(prompt.phi @ prompt.phi.T).clip(0)
    assert narrowed.effective_dimension(prompt) == pytest.approx((mu / (mu + 0.25)).sum())
    for kind in ("best", "random"):
        said, error, bound = narrowed.through(prompt, kind, prompt.n_features)
        np.testing.assert_allclose(said, answers(prompt), rtol=1e-6, atol=1e-8)
        assert error < 1e-8
    *_, bound = narrowed.through(prompt, "sketch", 4)
    assert np.isnan(bound)


@pytest.mark.parametrize("m", [1, 3])
def test_the_loss_of_a_map_is_another_library_s_ridge_regression_on_it(m):
    W = learned_map.random(m, seed=0)
    phi, y, queries, _ = learned_map.batch(2, torch.Generator().manual_seed(5))
    for i in range(2):
        fitted = Ridge(alpha=learned_map.RIDGE, fit_intercept=False).fit(phi[i] @ W.T, y[i])
        np.testing.assert_allclose(learned_map.predicted(W, phi, y, queries)[i], fitted.predict(queries[i] @ W.T), rtol=1e-8)


def test_the_law_s_directions_are_those_of_another_library_and_a_map_learns_them():
    phi, *_ = learned_map.batch(4000, torch.Generator().manual_seed(1))
    leading = PCA(n_components=1).fit(phi.flatten(0, 1)).components_[0]
    assert abs(leading @ learned_map.basis()[:, 0].numpy()) > 0.99
    learned, law, random = learned_map.learn(2, seed=0), learned_map.basis().mT[:2], learned_map.random(2, seed=0)
    assert learned_map.error_of(learned) < 1.25 * learned_map.error_of(law) < learned_map.error_of(random)
    assert learned_map.best_of_each(learned_map.P) < 1e-9


def test_truncation_is_foretold_from_the_width_of_the_signal_on_and_not_before():
    mu = 1.0 / torch.arange(1, 9, dtype=torch.float64) ** 2
    measured, foretold = truncation.risks(mu, 1e-3, signal=3, noise=0.5, n_support=16)
    np.testing.assert_allclose(measured[2:], foretold[2:], rtol=0.1)
    assert (measured[:2] > 2 * foretold[:2]).all()  # the mutant: signal that is dropped
    quiet, _ = truncation.risks(mu, 1e-3, signal=8, noise=0.0, n_support=16)
    assert (quiet.diff() < 0).all()  # without noise every direction helps
