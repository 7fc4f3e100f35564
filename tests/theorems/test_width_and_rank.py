"""Narrow features: the identities in fractions, the bound on random and searched inputs, the maps against other libraries."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import TruncatedSVD
from sklearn.kernel_ridge import KernelRidge

from certificates import certifies
from factories import answer, random_prompt
from metarep_lib import (
    ExponentialKernel,
    Prompt,
    assemble,
    conjugate_gradient,
)
from metarep_lib.certify import certify_end_to_end
from metarep_lib.certify.recurrences.dual import conjugate_gradient_recurrence
from metarep_lib.numerics import (
    best_projection,
    landmark_projection,
    projected,
    random_projection,
    spanned_features,
)
from metarep_lib.numerics.bounds import width_bound
from rationals import exact_solve, identity, rationals

seeds = st.integers(0, 10**6)


def gap(prompt: Prompt, W: torch.Tensor) -> torch.Tensor:
    return (answer(projected(prompt, W)) - answer(prompt)).abs()


@certifies("thm-width")
@given(seed=seeds, k=st.integers(1, 12), p=st.integers(2, 8), log_ridge=st.floats(-4, 2))
def test_the_width_bound_holds_for_every_projection(seed, k, p, log_ridge):
    prompt = random_prompt(k, p, 4, ridge=10.0**log_ridge, seed=seed)
    generator = torch.Generator().manual_seed(seed + 1)
    for W in (random_projection(p, p - 1, generator), random_projection(p, 1, generator), best_projection(prompt, max(1, min(k, p) - 1))):
        assert (gap(prompt, W) <= width_bound(prompt, W) * (1 + 1e-9) + 1e-11 * prompt.y.norm()).all()


def reflection(v: np.ndarray) -> np.ndarray:
    """Rational and orthogonal."""
    return identity(len(v)) - 2 * np.outer(v, v) / (v @ v)


def rational_features(rng: np.random.Generator, k: int, p: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Phi [k, p], p < k, the eigenvalues of K [k], falling, and the right singular vectors of Phi, [p, p] rows: all rational."""
    roots = np.array(sorted(abs(rationals(rng, p)) + Fraction(1, 5), reverse=True))
    U, V = (reflection(rationals(rng, n) + Fraction(1, 7)) for n in (k, p))
    return U[:, :p] * roots @ V, np.concatenate([roots**2, np.zeros(k - p, dtype=int)]), V


def exact_answer(Phi: np.ndarray, y: np.ndarray, phi_query: np.ndarray, ridge: Fraction) -> Fraction:
    return phi_query @ exact_solve(Phi.T @ Phi + ridge * identity(Phi.shape[1]), Phi.T @ y)


@certifies(
    "thm-width",
    statement=lambda z, w, H: (z @ H @ z) * (w @ H @ w),
    mutants={
        "one hundredth smaller": lambda z, w, H: Fraction(99, 100) ** 2 * (z @ H @ z) * (w @ H @ w),
        "lengths in the place of the norms of H": lambda z, w, H: (z @ z) * (w @ w),
    },
    exact=True,
)
def test_the_square_of_the_bound_holds_and_is_attained_where_one_direction_of_diagonal_features_is_dropped(statement):
    for seed in range(100):
        rng, ridge = np.random.default_rng(seed), Fraction(1, 2)
        y, phi_query = rationals(rng, 4) + Fraction(1, 7), rationals(rng, 3) + Fraction(1, 9)
        diagonal = np.concatenate([np.diag(abs(rationals(rng, 3)) + 1), np.zeros((1, 3), dtype=int)])
        maps = [reflection(rationals(rng, 3) + Fraction(1, 7))[:m] for m in (1, 2)]
        for Phi, W in ((diagonal, identity(3)[:2]), *((rationals(rng, 4, 3), W) for W in maps)):
            H, dropped = Phi.T @ Phi + ridge * identity(3), identity(3) - W.T @ W
            z, w = (dropped @ exact_solve(H, right) for right in (phi_query, Phi.T @ y))
            error = exact_answer(Phi @ W.T, y, W @ phi_query, ridge) - exact_answer(Phi, y, phi_query, ridge)
            assert error**2 <= statement(z, w, H)
            assert Phi is not diagonal or error**2 == statement(z, w, H) != 0


@certifies(
    "thm-width",
    statement=lambda e, ridge: e + ridge,
    mutants={"the ridge forgotten": lambda e, ridge: e, "half of e": lambda e, ridge: e / 2 + ridge},
)
def test_the_norm_of_what_is_dropped_is_bounded_by_what_the_kernel_matrix_loses(statement):
    for seed in range(20):
        prompt, generator = random_prompt(7, 5, 1, ridge=0.5, seed=seed), torch.Generator().manual_seed(seed)
        W = random_projection(5, 1 + seed % 4, generator)
        dropped = torch.eye(5, dtype=torch.float64) - W.mT @ W
        e = torch.linalg.matrix_norm(prompt.phi @ prompt.phi.mT - (prompt.phi @ W.mT) @ (prompt.phi @ W.mT).mT, 2)
        top = torch.linalg.svd(prompt.phi @ dropped).Vh[:1].mT
        lost = dropped @ torch.cat([top, torch.randn(5, 20, generator=generator, dtype=torch.float64)], dim=-1)
        share = ((prompt.phi @ lost).square().sum(0) / lost.square().sum(0) + prompt.ridge) / statement(e, prompt.ridge)
        assert abs(share[0] - 1) < 1e-10 and (share <= 1 + 1e-10).all()


@certifies("thm-width", statement=1.0, mutants={"a constant of 0.98": 0.98})
def test_a_search_attains_the_width_bound(statement):
    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        flat = torch.from_numpy(flat).requires_grad_()
        prompt = Prompt(flat[:24].reshape(6, 4), flat[24:30], flat[30:34].reshape(1, 4), 0.5)
        W = torch.linalg.qr(flat[34:42].reshape(4, 2)).Q.mT
        value = -(gap(prompt, W) / width_bound(prompt, W)).squeeze().log()
        value.backward()
        return value.item(), flat.grad.numpy()

    starts = [np.random.default_rng(s).standard_normal(42) for s in range(2)]
    found = [scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}) for start in starts]
    assert 0.99 < max(np.exp(-one.fun) for one in found) <= statement * (1 + 1e-8)


def fitted(Phi: np.ndarray, ridge: Fraction) -> np.ndarray:
    """[k, k] what makes of targets the fitted values: K (K + lambda I)^-1, exactly."""
    K = Phi @ Phi.T
    return np.stack([exact_solve(K + ridge * identity(len(K)), column) for column in K.T])


def expected_loss(Phi: np.ndarray, W: np.ndarray, ridge: Fraction) -> Fraction:
    """The expected squared distance of fitted values, y of covariance K + lambda I, exactly."""
    difference = fitted(Phi, ridge) - fitted(Phi @ W.T, ridge)
    return (difference @ (Phi @ Phi.T + ridge * identity(len(Phi))) @ difference.T).trace()


@certifies(
    "prop-tail",
    statement=lambda mu, ridge: (mu**2 / (mu + ridge)).sum(),
    mutants={
        "the sum of the tail without its factor mu / (mu + lambda)": lambda mu, ridge: mu.sum(),
        "the factor squared": lambda mu, ridge: (mu**3 / (mu + ridge) ** 2).sum(),
        "its first eigenvalue left out": lambda mu, ridge: (mu[1:] ** 2 / (mu[1:] + ridge)).sum(),
    },
    exact=True,
)
def test_the_expected_error_on_the_supports_is_the_weighted_tail(statement):
    for seed in range(50):
        m, ridge = 1 + seed % 2, Fraction(1, 3)
        Phi, mu, V = rational_features(np.random.default_rng(seed), 4, 3)
        assert expected_loss(Phi, V[:m], ridge) == statement(mu[m:], ridge) <= mu[m:].sum()


@certifies(
    "prop-tail",
    statement=slice(1),
    mutants={"the second best direction": slice(1, 2), "the worst direction": slice(2, 3)},
    exact=True,
)
def test_the_tail_is_that_of_the_best_map_alone(statement):
    for seed in range(10):
        Phi, mu, V = rational_features(np.random.default_rng(seed), 4, 3)
        assert expected_loss(Phi, V[statement], Fraction(1, 3)) == (mu[1:] ** 2 / (mu[1:] + Fraction(1, 3))).sum()


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


def effective_dimension(mu: np.ndarray, ridge: Fraction) -> Fraction:
    return (mu / (mu + ridge)).sum()


@certifies(
    "prop-width-deff",
    statement=lambda c: (1 + c) / c,
    mutants={"as many as the effective dimension": lambda c: 1, "one hundredth fewer": lambda c: Fraction(99, 100) * (1 + c) / c},
    exact=True,
)
@pytest.mark.parametrize("c", [Fraction(n, 2) for n in range(1, 6)], ids=str)
def test_a_width_of_some_effective_dimensions_leaves_small_eigenvalues_and_no_smaller_one_does(statement, c):
    ridge = Fraction(1, 3)
    random = [abs(rationals(np.random.default_rng(seed), 12)) for seed in range(100)]
    flat = [np.full(n, c * ridge * (1 + Fraction(1, 1000))) for n in (1, 12, 300)]  # just above c lambda
    for mu in (*random, *flat):
        m = math.ceil(statement(c) * effective_dimension(mu, ridge)) - 1
        assert m >= len(mu) or sorted(mu, reverse=True)[m] <= c * ridge
    larger = c + Fraction(1, 7)
    assert statement(larger) * effective_dimension(np.full(12, larger * ridge), ridge) == 12  # m = 11 leaves an eigenvalue c' lambda
    assert all(statement(c) * m <= m + 1 for m in range(1, math.floor(c) + 1))  # up to c a width of the effective dimension is enough
    m = math.floor(c) + 1
    assert effective_dimension(np.full(m + 1, m * ridge), ridge) == m > c  # m is the effective dimension and leaves an eigenvalue m lambda


@certifies(
    "prop-width-deff",
    statement=lambda c: c / (1 + c),
    mutants={"a tenth less": lambda c: 0.9 * c / (1 + c), "c / (2 + c)": lambda c: c / (2 + c)},
)
@pytest.mark.parametrize("c", [0.5, 1.0, 2.0])
def test_the_fitted_values_of_that_width_are_within_a_share_of_the_targets(statement, c):
    def hat(phi):
        return phi @ torch.linalg.solve(phi.mT @ phi + 0.5 * torch.eye(phi.shape[-1]), phi.mT)

    weight = 11 / 12 * c / (1 + c)  # of every eigenvalue in the effective dimension: eleven directions are just enough
    flat = torch.linalg.qr(random_prompt(12, 12, 1, ridge=0.5, seed=0).phi).Q * (0.5 * weight / (1 - weight)) ** 0.5
    for phi in (flat, *(random_prompt(12, 12, 1, ridge=0.5, seed=seed).phi * 0.5 ** torch.arange(12).double() for seed in range(20))):
        mu = torch.linalg.svdvals(phi).square()
        m = math.ceil(float((1 + c) / c * (mu / (mu + 0.5)).sum()) - 1e-9)  # eleven for the flat spectrum, however it is rounded
        W = best_projection(Prompt(phi, phi[:, 0], phi, 0.5), m)
        assert torch.linalg.matrix_norm(hat(phi) - hat(phi @ W.mT), 2) <= statement(c)


@certifies("prop-width-deff", statement=lambda rank: rank - 1, mutants={"at the rank, too": lambda rank: rank})
def test_below_the_rank_some_targets_are_lost_altogether_by_every_map(statement):
    for seed in range(100):
        prompt, generator = random_prompt(9, 5, 3, ridge=0.5, seed=seed), torch.Generator().manual_seed(seed)
        m = statement(5) - seed % 3
        for W in (random_projection(5, m, generator), best_projection(prompt, m)):
            basis = torch.linalg.qr(prompt.phi).Q
            y = basis @ torch.linalg.svd(W @ prompt.phi.mT @ basis).Vh[-1]  # in the range of Phi, as orthogonal as can be to Phi P's
            blind = Prompt(prompt.phi, y, torch.cat([prompt.phi, prompt.phi_query]), 0.5)
            assert answer(projected(blind, W)).abs().max() < 1e-10 and answer(blind).norm() > 1e-3


@certifies("prop-width-depth", statement=lambda m: m + 1, mutants={"one step fewer": lambda m: m}, exact=True)
@pytest.mark.parametrize("m", [1, 2, 3, 4])
def test_a_network_of_width_m_is_done_after_m_plus_one_steps_and_more_change_nothing(statement, m):
    for steps in (statement(m), statement(m) + 2):
        network = assemble(conjugate_gradient(m, steps))
        weights, config = network.transformer.state_dict(), network.transformer.config
        asked = {"seed": m, "n_support": 9, "n_query": 2, "terminates": True, "bound_error": False}
        certificate = certify_end_to_end(weights, config, network.basis, conjugate_gradient_recurrence(), **asked)
        assert certificate.holds, certificate


def kept_signal(w: np.ndarray, m: int) -> np.ndarray:
    return np.where(np.arange(len(w)) < m, w, 0)


def variance(mu: np.ndarray, ridge: Fraction, a: np.ndarray) -> Fraction:
    return (mu / (mu + ridge) ** 2 * a**2).sum()


@certifies(
    "prop-truncation",
    statement=(kept_signal, lambda mu, ridge, a, m: variance(mu[m:], ridge, a[m:]), 0),
    mutants={
        "noise also in what is kept counts as gain": (kept_signal, lambda mu, ridge, a, m: variance(mu, ridge, a), 0),
        "lambda left out": (kept_signal, lambda mu, ridge, a, m: variance(mu[m:], 0, a[m:]), 0),
        "a signal that is dropped with the noise": (lambda w, m: w, lambda mu, ridge, a, m: variance(mu[m:], ridge, a[m:]), 0),
        "noise that has a mean": (kept_signal, lambda mu, ridge, a, m: variance(mu[m:], ridge, a[m:]), 1),
    },
    exact=True,
)
def test_dropping_directions_without_signal_lowers_the_risk_by_their_variance(statement):
    signal, gain, mean = statement
    for seed in range(100):
        rng, m, ridge, noise = np.random.default_rng(seed), 1 + seed % 2, Fraction(1, 2), Fraction(1, 4)
        Phi, mu, V = rational_features(rng, 4, 3)
        phi_query = rationals(rng, 3) + Fraction(1, 9)
        w = V.T @ signal(rationals(rng, 3) + Fraction(1, 7), m)

        def risk(W):
            """Squared bias and variance of the answer g . y at the query; every target's noise has the mean."""
            seen = Phi @ W.T
            g = exact_solve(seen @ seen.T + ridge * identity(4), seen @ W @ phi_query)
            return (g @ (Phi @ w + mean) - phi_query @ w) ** 2 + noise * g @ g

        assert risk(V) - risk(V[:m]) == noise * gain(mu[:3], ridge, V @ phi_query, m) > 0


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
