"""Random features for the exponential kernel: unbiased, with the variance stated, and what that does to a prediction."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import kstest

from certificates import certifies
from factories import random_prompt
from metarep_lib import (
    ExponentialKernel,
    Prompt,
    assemble,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics.kernels.random_features import (
    positive_features,
    positive_variance,
    random_directions,
    random_feature_bound,
    trigonometric_features,
    trigonometric_variance,
)

MAPS = {"positive": (positive_features, positive_variance), "trigonometric": (trigonometric_features, trigonometric_variance)}
maps = pytest.mark.parametrize("kind", MAPS)
seeds = st.integers(0, 10**6)


def scaled(variance: Callable, factor: float, *of: object) -> torch.Tensor:
    return factor * variance(*of)


def moments(feature: Callable, x: torch.Tensor, other: torch.Tensor, tau: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of one direction's estimate in two dimensions, by Gauss-Hermite quadrature with 40 nodes each way."""
    points, weights = np.polynomial.hermite_e.hermegauss(40)
    directions = torch.from_numpy(np.stack(np.meshgrid(points, points), -1).reshape(-1, 2))
    density = torch.from_numpy(np.outer(weights, weights).ravel() / (2 * np.pi))
    f, g = (feature(points, directions, tau).unflatten(-1, (-1, len(directions))) for points in (x, other))
    estimates = len(directions) * torch.einsum("icw,jcw->ijw", f, g)  # c: cosine and sine, or nothing to sum over
    mean = estimates @ density
    return mean, estimates.square() @ density - mean.square()


def without_length(feature: Callable, sign: float) -> Callable:
    """The features without what their own length multiplies them with, exp(sign |a|^2 / 2)."""
    return lambda x, directions, tau: feature(x, directions, tau) * (-sign * x.square().sum(-1, keepdim=True) / (2 * tau)).exp()


def with_the_other_square(kind: str) -> Callable:
    """The variance with |a - b| for |a + b|, or the other way round."""
    variance, sign = MAPS[kind][1], {"positive": 1, "trigonometric": -1}[kind]
    return lambda x, other, tau: variance(x, -other, tau) * (2 * (1 + sign) * x @ other.mT / tau).exp()


@certifies(
    "thm-random-features",
    statement=MAPS,
    mutants={
        "|a - b| and |a + b| exchanged": {kind: (feature, with_the_other_square(kind)) for kind, (feature, _) in MAPS.items()},
        "half the variance": {kind: (feature, partial(scaled, variance, 0.5)) for kind, (feature, variance) in MAPS.items()},
        "features without their length": {
            kind: (without_length(feature, sign), variance) for (kind, (feature, variance)), sign in zip(MAPS.items(), (-1, 1), strict=True)
        },
    },
)
@maps
@given(seed=seeds, tau=st.floats(0.7, 4.0))
@example(seed=0, tau=1.0)
def test_features_are_unbiased_with_the_variance_stated(statement, kind, seed, tau):
    rng = np.random.default_rng(seed)
    x, other = (torch.from_numpy(rng.uniform(-0.7, 0.7, (3, 2))) for _ in range(2))
    feature, stated = statement[kind]
    mean, variance = moments(feature, x, other, tau)
    torch.testing.assert_close(mean, ExponentialKernel(tau)(x, other), rtol=1e-7, atol=1e-9)
    assert (variance - stated(x, other, tau)).abs().max() <= 1e-6 * (variance + mean.square()).max()
    a, b = x[:, None] / tau**0.5, other / tau**0.5
    relative = {"positive": (a + b).square().sum(-1).expm1(), "trigonometric": 2 * ((a - b).square().sum(-1) / 2).sinh().square()}[kind]
    torch.testing.assert_close(variance / mean.square(), relative, rtol=1e-5, atol=1e-6)


@maps
def test_averaging_divides_the_variance_by_the_number_of_directions(kind):
    x = random_prompt(4, 3, 0, ridge=1.0, seed=0).phi / 2
    feature, stated = MAPS[kind]
    generator = torch.Generator().manual_seed(1)
    estimates = torch.stack([(f := feature(x, random_directions(8, 3, generator), 2.0)) @ f.mT for _ in range(4000)])
    variance, expected = estimates.var(0), stated(x, x, 2.0) / 8
    # standard error of a variance: sqrt(2 / 4000) for a normal one, four to five times that for these
    assert ((variance - expected).abs() <= 0.2 * expected + 1e-12).all()
    error = (estimates.mean(0) - ExponentialKernel(2.0)(x, x)).abs()
    assert (error <= 5 * (expected / 4000).sqrt() + 1e-12).all()


def test_trigonometric_features_are_exact_on_the_diagonal_and_positive_ones_at_opposite_points():
    x = random_prompt(5, 3, 0, ridge=1.0, seed=2).phi
    w = random_directions(7, 3, torch.Generator().manual_seed(0))
    f, g = trigonometric_features(x, w, 2.0), positive_features(x, w, 2.0)
    K = ExponentialKernel(2.0)
    torch.testing.assert_close((f @ f.mT).diagonal(), K(x, x).diagonal())
    torch.testing.assert_close((g @ positive_features(-x, w, 2.0).mT).diagonal(), K(x, -x).diagonal())
    assert (g > 0).all()


def test_orthogonal_directions_are_orthogonal_in_blocks_and_each_is_gaussian():
    generator = torch.Generator().manual_seed(0)
    directions = torch.stack([random_directions(5, 3, generator, orthogonal=True) for _ in range(1500)])
    gram = directions @ directions.mT
    assert gram[:, :3, :3][:, ~torch.eye(3, dtype=torch.bool)].abs().max() < 1e-12
    assert gram[:, 3, 4].abs().max() < 1e-12 and gram[:, 0, 3].abs().min() > 0
    for entry in directions.flatten(1).T[:6]:
        assert kstest(entry, "norm").pvalue > 1e-3
    assert random_directions(2, 5, generator, orthogonal=True).shape == (2, 5)
    with pytest.raises(ValueError, match=r"random_directions\(0, 3\)"):
        random_directions(0, 3, generator)


@pytest.mark.parametrize(("kind", "gain"), [("positive", 0.95), ("trigonometric", 0.6)])
def test_orthogonal_directions_have_a_smaller_error(kind, gain):
    """At a temperature where the errors have light tails; at low ones a mean over draws says nothing."""
    x = random_prompt(6, 4, 0, ridge=1.0, seed=3).phi
    x, tau = x / x.norm(dim=-1, keepdim=True), 4.0
    feature, variance = MAPS[kind]
    errors = {}
    for orthogonal in (False, True):
        generator = torch.Generator().manual_seed(4)
        made = [feature(x, random_directions(16, 4, generator, orthogonal=orthogonal), tau) for _ in range(1000)]
        errors[orthogonal] = torch.stack([(f @ f.mT - ExponentialKernel(tau)(x, x)).square().sum() for f in made]).mean().item()
    assert errors[True] < gain * errors[False]
    assert errors[False] == pytest.approx(variance(x, x, tau).sum().item() / 16, rel=0.15)


# ---------------------------------------------------------------- predictions


def psd(rng: np.random.Generator, k: int) -> np.ndarray:
    root = rng.normal(size=(k, rng.integers(1, k + 1)))
    return root @ root.T * rng.exponential()


def move(K, K_hat, column, column_hat, y, ridge) -> tuple[float, tuple[torch.Tensor, ...]]:
    """|f_hat - f|, and e, d, |k| and |y|."""
    eye = np.eye(len(y))
    f, f_hat = (c @ np.linalg.solve(M + ridge * eye, y) for c, M in ((column, K), (column_hat, K_hat)))
    sizes = np.linalg.norm(K_hat - K, 2), np.linalg.norm(column_hat - column), np.linalg.norm(column), np.linalg.norm(y)
    return abs(f_hat - f), tuple(map(torch.tensor, sizes))


def attaining(diagonal: tuple[float, float]) -> tuple:
    """K, no kernel after the move, and a column and targets along the first direction: both terms of the bound add up."""
    K, along = np.diag(diagonal), np.array([1.0, 0.0])
    return K, 0 * K, along, 2 * along, along, 0.5


@certifies(
    "prop-random-feature-prediction",
    statement=(random_feature_bound, attaining((3.0, 3.0))),
    mutants={
        "e / (lambda + e)^2 in the second term": (lambda e, d, k, y, ridge: y * (d / ridge + k * e / (ridge + e) ** 2), attaining((3.0, 3.0))),
        "0.99 of d": (lambda e, d, k, y, ridge: random_feature_bound(e, 0.99 * d, k, y, ridge), attaining((3.0, 3.0))),
        "K of no definite sign": (random_feature_bound, attaining((-0.4, 1.0))),
    },
)
@given(seed=seeds, k=st.integers(1, 6), log_ridge=st.floats(-3, 2))
@example(seed=0, k=2, log_ridge=0.0)
def test_a_prediction_moves_no_further_than_the_bound(statement, seed, k, log_ridge):
    bound, extreme = statement
    rng = np.random.default_rng(seed)
    column, change, y = rng.normal(size=(3, k))
    for case in (extreme, (psd(rng, k), psd(rng, k), column, column + change, y, 10**log_ridge)):
        moved, sizes = move(*case)
        assert moved <= float(bound(*sizes, case[-1])) * (1 + 1e-9)


@certifies("prop-random-feature-prediction")
def test_the_bound_on_predictions_is_attained_and_found_by_search():
    def used(case: tuple) -> float:
        moved, sizes = move(*case)
        return moved / float(random_feature_bound(*sizes, case[-1]))

    def loss(flat: np.ndarray) -> float:
        roots, vectors = flat[:8].reshape(2, 2, 2), flat[8:].reshape(3, 2)
        return -used((roots[0] @ roots[0].T, roots[1] @ roots[1].T, *vectors, 0.5))

    assert used(attaining((3.0, 3.0))) == pytest.approx(1, abs=1e-12)
    found = max(-minimize(loss, np.random.default_rng(seed).normal(size=14), method="L-BFGS-B").fun for seed in range(4))
    assert 0.9 < found <= 1 + 1e-9


def expected_bound(of_matrix, of_column, m, column, y, ridge) -> float:
    """From variances [k, k] and [k] of one direction, for m of them."""
    s = (of_matrix.sum() / m).sqrt()
    return float(y.norm() * ((of_column.sum() / m).sqrt() / ridge + column.norm() * s / (ridge * (ridge + s))))


@certifies(
    "prop-random-feature-prediction",
    statement=expected_bound,
    mutants={
        "divided by the square of m": lambda matrix, column, m, *rest: expected_bound(matrix, column, m**2, *rest),
        "half the variances": lambda matrix, column, m, *rest: expected_bound(matrix / 2, column / 2, m, *rest),
        "the query's variances left out": lambda matrix, column, m, *rest: expected_bound(matrix, 0 * column, m, *rest),
    },
)
def test_the_expected_move_of_a_prediction_is_within_the_bound_of_the_variances(statement):
    """One support, whose kernel value trigonometric features get right, and a large ridge: then the bound is nearly what happens."""
    m, tau, generator = 4, 1.0, torch.Generator().manual_seed(0)
    for n_support, ridge, draws in ((1, 100.0, 1500), (3, 0.5, 200)):
        prompt = random_prompt(n_support, 2, 1, ridge, seed=1)
        K, column = (ExponentialKernel(tau)(points, prompt.phi) for points in (prompt.phi, prompt.phi_query))
        exact = ridge_system(prompt, ExponentialKernel(tau))
        f = exact.predict(solvers.cholesky(exact).alpha)
        moves = []
        for _ in range(draws):
            w = random_directions(m, 2, generator)
            mapped = ridge_system(replace(prompt, **{name: trigonometric_features(getattr(prompt, name), w, tau) for name in ("phi", "phi_query")}))
            moves.append((mapped.predict(torch.linalg.solve(mapped.A, mapped.y)) - f).abs())
        of_matrix, of_column = (trigonometric_variance(points, prompt.phi, tau) for points in (prompt.phi, prompt.phi_query))
        bound = statement(of_matrix, of_column, m, column, prompt.y, ridge)
        assert torch.stack(moves).mean() <= bound


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_route_b_network_on_random_features_is_ridge_regression_with_their_kernel(dtype):
    prompt = random_prompt(12, 3, 5, ridge=0.1, seed=6)
    directions = random_directions(9, 3, torch.Generator().manual_seed(7))
    mapped = replace(prompt, phi=positive_features(prompt.phi / 2, directions, 2.0), phi_query=positive_features(prompt.phi_query / 2, directions, 2.0))
    system = ridge_system(mapped)
    said = assemble(two_block_conjugate_gradient(9, 40), dtype=dtype).predict(mapped.to(dtype))
    expected = system.predict(solvers.cholesky(system).alpha)
    kappa = float(system.condition_number)
    torch.testing.assert_close(said.double(), expected, rtol=0, atol=32 * torch.finfo(dtype).eps * kappa * float(expected.abs().max()))


def test_many_features_approach_the_exponential_kernel():
    prompt = random_prompt(10, 3, 6, ridge=0.5, seed=8)
    unit = Prompt(prompt.phi / prompt.phi.norm(dim=-1, keepdim=True), prompt.y, prompt.phi_query / prompt.phi_query.norm(dim=-1, keepdim=True), 0.5)
    system = ridge_system(unit, ExponentialKernel(1.0))
    exact = system.predict(solvers.cholesky(system).alpha)
    errors = []
    for m in (64, 65536):
        w = random_directions(m, 3, torch.Generator().manual_seed(9))
        mapped = ridge_system(replace(unit, phi=positive_features(unit.phi, w, 1.0), phi_query=positive_features(unit.phi_query, w, 1.0)))
        errors.append((mapped.predict(solvers.cholesky(mapped).alpha) - exact).norm() / exact.norm())
    assert errors[1] < 0.1 and errors[1] < errors[0] / math.sqrt(65536 / 64) * 4
