"""Tasks: the spectrum is the one asked for, streams are independent, and queries do not leak."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

import tolerances
from metarep_lib import PromptError, diabetes_prompt, geometric_spectrum, synthetic_prompt
from metarep_lib.tasks.diabetes import standardise

FIELDS = ("phi", "y", "phi_query", "y_query")


def synthetic(spectrum=(1.0, 0.5, 0.1), n_support=8, n_query=4, ridge=0.1, **more):
    return synthetic_prompt(np.array(spectrum), n_support, n_query, ridge, **({"seed": 0} | more))


def equal(one, other, fields=FIELDS):
    return [torch.equal(getattr(one, field), getattr(other, field)) for field in fields]


@settings(max_examples=25)
@given(st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8), st.integers(0, 5), st.booleans(), st.sampled_from([None, 3]), st.integers(0, 99))
def test_the_spectrum_is_exactly_the_one_asked_for(spectrum, more_supports, rotated, n_prompts, seed):
    p = len(spectrum)
    prompt = synthetic(spectrum, n_support=p + more_supports, rotated=rotated, n_prompts=n_prompts, seed=seed)
    singular = np.linalg.svd(prompt.phi.numpy(), compute_uv=False)
    error = torch.from_numpy(singular**2 - np.sort(spectrum)[::-1])
    tolerances.assert_within(error, tolerances.spectrum(max(spectrum), p + more_supports))


def test_axis_aligned_features_have_a_diagonal_covariance_and_rotated_ones_do_not():
    for rotated in (True, False):
        phi = synthetic(rotated=rotated).phi
        covariance = phi.T @ phi
        off_diagonal = (covariance - covariance.diag().diag()).abs().max()
        if rotated:
            assert off_diagonal > 0.01
        else:
            tolerances.assert_within(off_diagonal, tolerances.spectrum(1.0, 8))


def test_the_same_seed_gives_the_same_prompt_and_another_seed_another():
    assert all(equal(synthetic(seed=1), synthetic(seed=1)))
    assert not any(equal(synthetic(seed=1), synthetic(seed=2)))
    assert synthetic(seed=1).phi.dtype == torch.float64


def test_features_weights_and_noise_come_from_streams_of_their_own(as_drawn):
    assert equal(synthetic(noise=0.0), synthetic(noise=1.0), ("phi", "phi_query")) == [True, True]
    # the same signal, whatever the noise: noise enters linearly
    clean, one, two = (synthetic(noise=noise) for noise in (0.0, 1.0, 2.0))
    tolerances.assert_within((two.y - clean.y) - 2 * (one.y - clean.y), tolerances.rounding(torch.float64, 10) * 10)
    # queries are drawn after everything the supports are made of: how many there are changes no support
    few, many = synthetic(n_query=2), synthetic(n_query=9)
    assert equal(few, many, ("phi", "y")) == [True, True]
    assert torch.equal(few.phi_query, many.phi_query[:2])


def test_no_two_of_the_streams_start_alike(as_drawn, monkeypatch):
    made, default_rng = [], np.random.default_rng

    def recording(*seed):
        made.append(default_rng(*seed))
        return default_rng(*seed)

    monkeypatch.setattr(np.random, "default_rng", recording)
    synthetic(seed=0), synthetic(seed=1)
    states = [repr(generator.bit_generator.state) for generator in made]
    assert len(states) == len(set(states)) == 6


def test_noise_of_a_query_does_not_correlate_with_its_features():
    # the second draw of each stream; 400 seeds, five standard deviations of a sample correlation
    clean, noisy = ([synthetic((1.0,), 1, 1, noise=noise, rotated=False, seed=seed) for seed in range(400)] for noise in (0.0, 1.0))
    features = [float(prompt.phi_query[0, 0]) for prompt in clean]
    noise = [float(after.y_query[0] - before.y_query[0]) for before, after in zip(clean, noisy)]
    assert abs(np.corrcoef(features, noise)[0, 1]) < 5 / 400**0.5


def test_noiseless_targets_are_linear_in_the_features_at_supports_and_queries():
    prompt = synthetic(noise=0.0, n_query=5)
    weights = torch.linalg.lstsq(prompt.phi, prompt.y.unsqueeze(-1)).solution
    for phi, y in ((prompt.phi, prompt.y), (prompt.phi_query, prompt.y_query)):
        tolerances.assert_within((phi @ weights).squeeze(-1) - y, tolerances.solution(torch.float64, 10.0) * 10)


def test_queries_follow_the_law_of_the_supports():
    spectrum = np.array([4.0, 1.0, 0.25])
    prompt = synthetic(spectrum, n_support=10, n_query=20000, rotated=False)
    covariance = prompt.phi_query.T @ prompt.phi_query / 20000
    error = covariance * 10 - torch.diag(torch.from_numpy(spectrum))
    tolerances.assert_within(error, 4.0 * 5 * (2 / 20000) ** 0.5)  # five standard deviations of a sample variance
    signal = synthetic(spectrum, n_support=10, n_query=0, noise=0.0, n_prompts=4000).y
    tolerances.assert_within(signal.var() - 1, 0.1)


@pytest.mark.parametrize("spectrum", [(), (1.0, 0.0), (1.0, -1.0), (1.0, np.nan), np.ones(9), np.ones((2, 2))])
def test_impossible_spectra_are_refused(spectrum):
    with pytest.raises(ValueError, match=r"synthetic_prompt\(spectrum with shape .* expected a vector of 1 to n_support positive eigenvalues"):
        synthetic(spectrum)


@given(st.integers(1, 20), st.floats(1.0, 1e8))
def test_geometric_spectra_have_constant_ratios_and_the_condition_asked_for(n, condition):
    spectrum = geometric_spectrum(n, condition)
    assert spectrum.shape == (n,) and spectrum[0] == 1.0
    ratios = spectrum[1:] / spectrum[:-1]
    np.testing.assert_allclose(ratios, condition ** (-1 / max(n - 1, 1)), rtol=1e-10)
    if n > 1:
        np.testing.assert_allclose(spectrum[0] / spectrum[-1], condition, rtol=1e-10)


def patients_of(prompt, seed, n):
    """The raw rows the prompt was made of: the seed's permutation, which the standardised features must match."""
    X, outcome = load_diabetes(return_X_y=True, scaled=False)
    order = np.random.default_rng(seed).permutation(len(outcome))[:n]
    return X[order], outcome[order]


@pytest.mark.parametrize("seed", range(3))
def test_diabetes_is_standardised_on_the_supports_alone(seed):
    prompt = diabetes_prompt(30, 12, 1.0, seed=seed)
    X, outcome = patients_of(prompt, seed, 42)
    scaler, target = StandardScaler().fit(X[:30]), StandardScaler().fit(outcome[:30, None])
    close = dict(rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(prompt.phi, scaler.transform(X[:30]), **close)
    np.testing.assert_allclose(prompt.phi_query, scaler.transform(X[30:]), **close)
    np.testing.assert_allclose(prompt.y, target.transform(outcome[:30, None])[:, 0], **close)
    np.testing.assert_allclose(prompt.y_query, target.transform(outcome[30:, None])[:, 0], **close)


def test_queries_are_other_patients_and_leave_the_supports_alone():
    whole = diabetes_prompt(400, 42, 1.0, seed=0)
    rows = torch.cat([whole.phi, whole.phi_query])
    assert len(torch.unique(rows, dim=0)) == 442  # every patient once, none as support and query
    assert equal(diabetes_prompt(30, 2, 1.0, seed=0), diabetes_prompt(30, 100, 1.0, seed=0), ("phi", "y")) == [True, True]


def test_diabetes_seeds_and_batches(as_drawn):
    assert all(equal(diabetes_prompt(20, 5, 1.0, seed=3), diabetes_prompt(20, 5, 1.0, seed=3)))
    assert not any(equal(diabetes_prompt(20, 5, 1.0, seed=3), diabetes_prompt(20, 5, 1.0, seed=4)))
    batch = diabetes_prompt(20, 5, 1.0, seed=3, n_prompts=4)
    assert batch.phi.shape == (4, 20, 10) and batch.y_query.shape == (4, 5)
    assert torch.equal(batch.phi[0], diabetes_prompt(20, 5, 1.0, seed=3).phi)
    assert not torch.equal(batch.phi[0], batch.phi[1])
    assert batch.phi.dtype == torch.float64


@pytest.mark.parametrize("constant", [1.0, 0.1])
def test_a_measurement_constant_over_the_supports_is_only_shifted(constant):
    values = np.array([[[constant]] * 3 + [[constant + 1]]])
    np.testing.assert_allclose(standardise(values, 3)[0, :, 0], [0, 0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(("k", "q"), [(1, 5), (0, 5), (440, 3), (10, -1)])
def test_more_patients_than_there_are_are_refused(k, q):
    with pytest.raises(ValueError, match=rf"diabetes_prompt\(n_support={k}, n_query={q}\).*at most 442 patients"):
        diabetes_prompt(k, q, 1.0, seed=0)


@pytest.mark.parametrize("make", [lambda ridge: synthetic(ridge=ridge), lambda ridge: diabetes_prompt(5, 2, ridge, seed=0)])
def test_a_ridge_that_is_not_positive_is_refused(make):
    with pytest.raises(PromptError, match="ridge is 0.0"):
        make(0.0)
