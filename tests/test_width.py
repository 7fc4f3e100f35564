"""Narrow features: the identities in fractions, the bound on random and searched inputs, the maps against other libraries."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import torch
from certificates import certifies
from factories import random_prompt
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.kernel_ridge import KernelRidge
from test_theorems import exact_solve, rationals

from metarep_lib import ExponentialKernel, Prompt, assemble, conjugate_gradient, ridge_system, solvers
from metarep_lib.numerics import best_projection, landmark_projection, projected, random_projection, spanned_features, width_bound

seeds = st.integers(0, 10**6)


def answer(prompt: Prompt) -> torch.Tensor:
    system = ridge_system(prompt)
    return system.predict(solvers.cholesky(system).alpha)


def gap(prompt: Prompt, W: torch.Tensor) -> torch.Tensor:
    return (answer(projected(prompt, W)) - answer(prompt)).abs()


@certifies("thm-width", mutant="the square of the omitted part of w* alone, as a spectral tail would have it")
@given(seed=seeds, k=st.integers(1, 12), p=st.integers(2, 8), log_ridge=st.floats(-4, 2))
def test_the_width_bound_holds_for_every_projection(seed, k, p, log_ridge):
    prompt = random_prompt(k, p, 4, ridge=10.0**log_ridge, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for W in (random_projection(p, p - 1, generator), random_projection(p, 1, generator), best_projection(prompt, max(1, min(k, p) - 1))):
        assert (gap(prompt, W) <= width_bound(prompt, W) * (1 + 1e-9) + 1e-11 * prompt.y.norm()).all()


def test_a_tail_of_the_spectrum_does_not_bound_the_error_of_a_random_projection():  # mutant of thm-width
    prompt = random_prompt(20, 8, 6, ridge=0.1, seed=0)
    scaled = Prompt(prompt.phi * 0.5 ** torch.arange(8.0).double(), prompt.y, prompt.phi_query * 0.5 ** torch.arange(8.0).double(), 0.1)
    W = random_projection(8, 4, torch.Generator().manual_seed(1))
    tail = torch.linalg.svdvals(scaled.phi)[4:].square().sum() * prompt.y.norm() / 20
    assert gap(scaled, W).max() > tail


@certifies("thm-width", mutant="a bound one hundredth smaller", exact=True)
@given(seed=seeds)
def test_the_bound_is_attained_where_one_direction_is_dropped(seed):
    rng = np.random.default_rng(seed)
    mu, ridge = abs(rationals(rng, 3)) + 1, Fraction(1, 2)
    y, phi_query = rationals(rng, 3) + Fraction(1, 7), rationals(rng, 3) + Fraction(1, 9)
    H = mu**2 + ridge  # Phi = diag(mu): everything is diagonal
    full, narrow = (phi_query * mu * y / H).sum(), (phi_query * mu * y / H)[:2].sum()
    z, w = phi_query[2] / H[2], mu[2] * y[2] / H[2]
    squared = (H[2] * z**2) * (H[2] * w**2)
    assert (full - narrow) ** 2 == squared != 0
    assert (full - narrow) ** 2 > Fraction(99, 100) ** 2 * squared


def test_a_search_attains_the_width_bound():
    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        flat = torch.from_numpy(flat).requires_grad_()
        prompt = Prompt(flat[:24].reshape(6, 4), flat[24:30], flat[30:34].reshape(1, 4), 0.5)
        W = torch.linalg.qr(flat[34:42].reshape(4, 2)).Q.mT
        value = -(gap(prompt, W) / width_bound(prompt, W)).squeeze().log()
        value.backward()
        return value.item(), flat.grad.numpy()

    found = [scipy.optimize.minimize(loss, np.random.default_rng(s).standard_normal(42), jac=True, method="L-BFGS-B", options={"maxiter": 200}) for s in range(2)]
    best = max(np.exp(-one.fun) for one in found)
    assert 0.99 < best <= 1 + 1e-8


@certifies("prop-tail", mutant="the sum of the tail without its factor mu / (mu + lambda)", exact=True)
@given(seed=seeds)
def test_the_expected_error_on_the_supports_is_the_weighted_tail(seed):
    rng = np.random.default_rng(seed)
    mu = np.array(sorted(abs(rationals(rng, 4)) + Fraction(1, 5), reverse=True))
    ridge, m = Fraction(1, 3), 2
    hat_full, hat_narrow = mu / (mu + ridge), np.where(np.arange(4) < m, mu / (mu + ridge), 0 * mu)
    expected = ((hat_full - hat_narrow) ** 2 * (mu + ridge)).sum()  # E of the squared distance, y ~ N(0, K + lambda I), basis of eigenvectors
    assert expected == (mu[m:] ** 2 / (mu[m:] + ridge)).sum()
    assert expected < mu[m:].sum()


def test_the_expected_error_is_what_an_average_over_targets_finds():
    prompt = random_prompt(10, 6, 1, ridge=0.5, seed=3)
    mu, U = (x.flip(-1) for x in torch.linalg.eigh(prompt.phi @ prompt.phi.mT))
    draws = (U * (mu.clamp(min=0) + 0.5).sqrt()) @ torch.randn(10, 20000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hats = []
    for phi in (prompt.phi, projected(prompt, best_projection(prompt, 3)).phi):
        K = phi @ phi.mT
        hats.append(K @ torch.linalg.solve(K + 0.5 * torch.eye(10, dtype=torch.float64), draws))
    average = (hats[0] - hats[1]).square().sum(0).mean()
    assert abs(average / (mu[3:6] ** 2 / (mu[3:6] + 0.5)).sum() - 1) < 0.05


@certifies("prop-width-deff", mutant="as many as the effective dimension", exact=True)
@given(seed=seeds, numerator=st.integers(1, 5))
def test_few_eigenvalues_are_far_above_the_ridge(seed, numerator):
    rng = np.random.default_rng(seed)
    mu, ridge, c = abs(rationals(rng, 12)), Fraction(1, 3), Fraction(numerator, 2)
    d_eff = (mu / (mu + ridge)).sum()
    assert (mu > c * ridge).sum() <= (1 + c) / c * d_eff
    larger = c + Fraction(1, 7)
    flat = np.full(12, larger * ridge)  # twelve eigenvalues just above c lambda: eleven directions leave one of them, and no smaller factor allows it
    assert (flat / (flat + ridge)).sum() * (1 + larger) / larger == 12 and flat[11] > c * ridge
    flat = np.full(12, ridge)  # mutant: twelve eigenvalues at the ridge, d_eff is six, and the seventh is the ridge
    assert (flat / (flat + ridge)).sum() == 6 and flat[6] == ridge


@certifies("prop-width-deff", mutant="a width one short of the rank")
@given(seed=seeds)
def test_below_the_rank_some_targets_are_lost_altogether(seed):
    prompt = random_prompt(9, 5, 3, ridge=0.5, seed=seed)
    W = random_projection(5, 4, torch.Generator().manual_seed(seed))
    lost = torch.linalg.svd(prompt.phi @ W.mT, full_matrices=True).U[:, 4:]  # y with W Phi^T y = 0
    y = lost @ (lost.mT @ torch.randn(9, generator=torch.Generator().manual_seed(seed + 1), dtype=torch.float64))
    blind = Prompt(prompt.phi, y, prompt.phi_query, 0.5)
    assert answer(projected(blind, W)).abs().max() < 1e-10 * y.norm()
    assert answer(blind).norm() > 1e-6 * y.norm()


@certifies("prop-width-depth", mutant="one step fewer")
@given(seed=seeds, m=st.integers(1, 4))
def test_a_network_of_width_m_is_done_after_m_plus_one_steps(seed, m):
    prompt = projected(random_prompt(9, 6, 3, ridge=0.5, seed=seed), random_projection(6, m, torch.Generator().manual_seed(seed)))
    trace = assemble(conjugate_gradient(m, m + 1)).run(prompt)
    f, star = answer(prompt), solvers.cholesky(ridge_system(prompt)).alpha
    assert (trace.prediction[-1] - f).norm() <= 1e-7 * f.norm()
    assert (trace["alpha", "support"][m] - star).norm() > 1e-7 * star.norm()


@certifies("prop-truncation", mutant="noise also in what is kept counts as gain", exact=True)
@given(seed=seeds)
def test_dropping_directions_without_signal_lowers_the_risk_by_their_variance(seed):
    rng = np.random.default_rng(seed)
    mu, ridge, sigma2 = abs(rationals(rng, 4)) + 1, Fraction(1, 2), Fraction(1, 4)
    phi, w = rationals(rng, 4) + Fraction(1, 7), np.concatenate([rationals(rng, 2), [Fraction(0)] * 2])

    def risk(kept):  # components of the eigenbasis: f = sum phi_i sqrt(mu_i) (sqrt(mu_i) w_i + noise) / (mu_i + ridge)
        shrink = np.where(kept, mu / (mu + ridge), 0 * mu)
        bias = ((1 - shrink) * phi * w).sum()
        variance = (np.where(kept, mu / (mu + ridge) ** 2, 0 * mu) * phi**2 * sigma2).sum()
        return bias**2 + variance

    kept = np.array([True, True, False, False])
    gain = (sigma2 * phi**2 * mu / (mu + ridge) ** 2)[2:].sum()
    assert risk(kept | True) - risk(kept) == gain > 0
    assert gain != (sigma2 * phi**2 * mu / (mu + ridge) ** 2).sum()


def test_the_best_projection_is_sklearns_and_landmarks_span_what_they_should():
    prompt = random_prompt(12, 6, 2, ridge=0.5, seed=4)
    ours, theirs = best_projection(prompt, 3), torch.from_numpy(TruncatedSVD(3, algorithm="arpack", random_state=0).fit(prompt.phi.numpy()).components_.copy())
    torch.testing.assert_close(ours.mT @ ours, theirs.mT @ theirs, rtol=1e-8, atol=1e-10)
    S = torch.tensor([0, 3, 7])
    W = landmark_projection(prompt, S)
    K = prompt.phi @ prompt.phi.mT
    nystrom = K[:, S] @ torch.linalg.solve(K[S][:, S], K[S])
    torch.testing.assert_close((prompt.phi @ W.mT) @ (prompt.phi @ W.mT).mT, nystrom, rtol=1e-9, atol=1e-10)
    assert len(landmark_projection(prompt, torch.tensor([0, 0, 3]))) == 2


def test_features_of_the_span_answer_as_the_kernel_does():
    prompt = random_prompt(9, 3, 4, ridge=0.1, seed=5)
    kernel = ExponentialKernel(2.0)
    theirs = KernelRidge(alpha=0.1, kernel="precomputed").fit(kernel(prompt.phi, prompt.phi).numpy(), prompt.y.numpy())
    expected = theirs.predict(kernel(prompt.phi_query, prompt.phi).numpy())
    np.testing.assert_allclose(answer(spanned_features(prompt, kernel)), expected, rtol=1e-7, atol=1e-9)


def test_bad_widths_are_refused():
    prompt = random_prompt(3, 2, 1, ridge=0.5, seed=0)
    with pytest.raises(ValueError, match=r"expected W of shape \[m, 2\]"):
        projected(prompt, torch.ones(1, 3).double())
    with pytest.raises(ValueError, match="not orthonormal"):
        width_bound(prompt, torch.ones(1, 2).double())
