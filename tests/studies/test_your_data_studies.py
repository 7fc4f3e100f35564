"""The studies of "Run it on your data", against scikit-learn, exact arithmetic and the stored rows."""

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score, zero_one_loss
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep_lib import ridge_system
from metarep_lib.studies import load_sweep, steps_needed, your_tables, your_temperatures


def test_the_risk_of_an_answer_is_what_scikit_learn_says_of_its_own():
    """One minus R^2 where the mean is that of the queries; here it is that of the supports, so both are given it."""
    drawn = X, y, X_query, truth = your_tables.split("diabetes", seed=1)
    answer = your_tables.answered("diabetes", "linear", drawn)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=answer.ridge)).fit(X, y).predict(X_query)
    ratio = np.square(truth - truth.mean()).mean() / np.square(truth - y.mean()).mean()
    expected = (1 - r2_score(truth, theirs)) * ratio
    assert your_tables.held_out("diabetes", answer, drawn) == pytest.approx(expected, rel=1e-6)


def test_classes_count_by_the_share_that_is_wrong():
    drawn = *_, truth = your_tables.split("iris", seed=0)
    said = np.roll(truth, 1)
    assert your_tables.risk("iris", said, drawn) == pytest.approx(zero_one_loss(truth, said))


@pytest.mark.parametrize(("name", "kernel"), [("linnerud", "linear"), ("wine", "linear")])
def test_a_point_is_the_stored_row(name, kernel):
    stored, found = load_sweep("your-tables"), your_tables.run(name, kernel, 2)
    for result in ("supports", "features", "outputs", "kappa", "ridge", "risk", "theirs"):
        held = stored.values(result, table=name, kernel=kernel)[2]
        assert found[result] == pytest.approx(held, rel=1e-3, abs=1e-3), result  # four digits are stored
    assert found["away"] < 1e-6


def test_a_temperature_s_risk_is_that_of_scikit_learn_s_kernel_ridge():
    name, times, seed = "diabetes", 0.25, 0
    X, y, X_query, truth = your_tables.split(name, seed)
    scaler = StandardScaler().fit(X)
    phi, phi_query = scaler.transform(X), scaler.transform(X_query)
    tau = times * np.square(phi).sum(1).max()
    K, K_query = np.exp(phi @ phi.T / tau), np.exp(phi_query @ phi.T / tau)
    candidates = [10.0 ** (power / 4) * K.diagonal().mean() for power in range(-24, 17)]
    risks = []
    for ridge in candidates:
        model = KernelRidge(alpha=ridge, kernel="precomputed").fit(K, y - y.mean())
        said = y.mean() + model.predict(K_query)
        risks.append(np.square(said - truth).mean() / np.square(y.mean() - truth).mean())
    found = your_temperatures.run(name, times, seed)
    assert found["exponent"] == pytest.approx((phi_query @ phi.T).max() / tau)
    assert np.abs(np.array(risks) / found["risk"] - 1).min() < 1e-5  # one of the ridges it may choose


def test_in_exact_arithmetic_as_many_steps_are_enough_as_there_are_eigenvalues():
    prompt = steps_needed.posed(3, 8.0, 0.9, 1e-2, seed=0)
    eigenvalues = ridge_system(prompt).eigenvalues
    assert len(torch.unique(eigenvalues.log().round(decimals=8))) == 4  # p, and the ridge's own
    found = steps_needed.run(3, 8.0, 0.9, 1e-2, seed=0)
    assert found["exact"] == 4 and 3 <= found["float64"] <= 6
    assert found["kappa"] == pytest.approx(float(np.linalg.cond(ridge_system(prompt).A)), rel=1e-6)
