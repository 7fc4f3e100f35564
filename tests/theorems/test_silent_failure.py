"""The smoother as a network, what bounds it, what an error can hide, and what a prompt alone can tell of it."""

import math
from fractions import Fraction
from itertools import product

import flint
import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from certificates import certifies
from factories import random_prompt
from metarep_lib import ExponentialKernel, Prompt, assemble, ridge_system
from metarep_lib.construct.algorithms import softmax_smoother
from metarep_lib.evidence.align import diagnose, rank_correlation, reference_solver, score
from metarep_lib.evidence.align.silent_failure import AGREEMENT, LOSS, TOLERANCE
from metarep_lib.numerics import left_out, tuned_ridge_regression
from metarep_lib.numerics.bounds import hidden_order_bound, hiding_threshold, one_step_order_bound
from metarep_lib.numerics.kernels import (
    effective_supports,
    first_order_bound,
    flat_logits_bound,
    leading_logit_bound,
    nadaraya_watson,
    share_on_sphere,
    smoother_left_out,
    smoother_weights,
)
from metarep_lib.studies import load_sweep
from metarep_lib.tasks import column_prompt, load_table, random_sphere_task, sphere_task

FLOOR = 1e-12  # a few thousand roundings of sums of at most a few hundred terms of size one
seeds = st.integers(0, 10**6)


# ---------------------------------------------------------------- one head as a network


@given(seed=seeds, log_tau=st.floats(-2, 2), k=st.integers(1, 7), p=st.integers(1, 4))
def test_the_network_is_the_smoother_at_every_temperature(seed, log_tau, k, p):
    prompt, tau = random_prompt(k, p, 3, ridge=0.5, seed=seed), 10**log_tau
    network = assemble(softmax_smoother(p, tau))
    weights = scipy.special.softmax(prompt.phi_query.numpy() @ prompt.phi.numpy().T / tau, axis=-1)
    # 1 / tau is rounded as a weight and as a divisor: relative u in the logits, up to 1e4 of them
    np.testing.assert_allclose(network.predict(prompt), weights @ prompt.y.numpy(), rtol=0, atol=1e-11 * max(1, 1 / tau))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_batches_outputs_and_precisions(dtype):
    single = random_prompt(6, 3, 4, ridge=0.5, seed=1, batch=(2,))
    several = Prompt(single.phi, torch.stack([single.y, -2 * single.y], dim=-1), single.phi_query, 0.5).to(dtype)
    said = assemble(softmax_smoother(3, 0.7, n_outputs=2), dtype=dtype).predict(several)
    expected = nadaraya_watson(single, ExponentialKernel(0.7))
    torch.testing.assert_close(said.double(), torch.stack([expected, -2 * expected], dim=-1), rtol=0, atol=20 * torch.finfo(dtype).eps)


def test_every_weight_of_the_network_matters_and_the_registers_are_not_read():
    prompt = random_prompt(4, 2, 3, ridge=0.5, seed=2)
    network = assemble(softmax_smoother(2, 0.5))
    said = network.predict(prompt)
    unread = {"W_E": {3, 4, 5, 6, 7}}  # ridge and the flags: embedded for every program, used by others
    for name, weight in network.transformer.named_parameters():
        for index in weight.nonzero().tolist():
            held = weight[tuple(index)].item()
            weight[tuple(index)] = 3 * held
            changed = not torch.allclose(network.predict(prompt), said, rtol=1e-9)
            weight[tuple(index)] = held
            assert changed == (index[0] not in unread.get(name, set())), (name, index)
    (heads,) = network.transformer.blocks[0].attention
    assert heads.config.hidden_keys == (0, 1)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(tau):
    with pytest.raises(ValueError, match="expected a positive temperature"):
        softmax_smoother(2, tau)


# ---------------------------------------------------------------- the two regimes


def average(logits: np.ndarray, y: np.ndarray) -> float:
    return float(scipy.special.softmax(logits) @ y)


def first_order(logits: np.ndarray, y: np.ndarray) -> float:
    return float(y.mean() + ((logits - logits.mean()) * y).mean())


def searched(value, n: int, delta: float, seed: int) -> float:
    """The largest |value(logits, y)| that L-BFGS finds over logits in [0, delta] and y in [0, 1]."""
    box = [(0, delta)] * n + [(0, 1)] * n
    start = np.random.default_rng(seed).uniform(size=2 * n) * [high for _, high in box]
    found = minimize(lambda flat: -abs(value(flat[:n], flat[n:])), start, method="L-BFGS-B", bounds=box, options={"maxiter": 200})
    return float(-found.fun)


def random_smoother(seed: int, n: int, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits in an interval of length delta and targets in one of length 3."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0, delta, n) + rng.normal(), 3 * rng.uniform(size=n) - 1


def two_levels(n: int, n_high: int, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits delta and targets 1 on some supports, 0 on all others: where the bounds are attained."""
    high = np.arange(n) < n_high
    return delta * high, 1.0 * high


def flat_supports_bound(n: int, delta: float) -> float:
    return n / math.cosh(delta / 2) ** 2


@certifies(
    "thm-flat-logits",
    statement=(flat_logits_bound, flat_supports_bound),
    mutants={
        "tanh(delta / 4.1)": (lambda delta: math.tanh(delta / 4.1), flat_supports_bound),
        "n / cosh^2(delta / 2.1)": (flat_logits_bound, lambda n, delta: n / math.cosh(delta / 2.1) ** 2),
        "n / cosh(delta / 2)": (flat_logits_bound, lambda n, delta: n / math.cosh(delta / 2)),
    },
)
@given(seed=seeds, n=st.integers(1, 9), delta=st.floats(0, 12))
@example(seed=0, n=5, delta=1.0)
def test_flat_logits_stay_near_the_mean(statement, seed, n, delta):
    of_f, of_supports = statement
    share, weights = 2 * math.log(4), math.log(4)  # delta for which one support of five has 1 / (1 + e^(delta / 2)), or 1 / (1 + e^delta)
    for (logits, y), length in ((two_levels(5, 1, share), share), (two_levels(5, 1, weights), weights), (random_smoother(seed, n, delta), delta)):
        assert abs(average(logits, y) - y.mean()) <= of_f(length) * np.ptp(y) + FLOOR
        assert effective_supports(torch.from_numpy(logits).softmax(-1)) >= of_supports(len(y), length) - FLOOR


@certifies("thm-flat-logits")
def test_flat_logits_bounds_are_attained_and_no_search_passes_them():
    for n in (2, 5, 9):  # one support of n, at the length that makes 1 / (1 + e^(delta / 2)) = 1 / n
        delta = 2 * math.log(n - 1) if n > 2 else 1e-9
        assert abs(average(*two_levels(n, 1, delta)) - 1 / n - flat_logits_bound(delta)) < FLOOR
    logits, _ = two_levels(5, 1, math.log(4))
    assert abs(effective_supports(torch.from_numpy(logits).softmax(-1)) - flat_supports_bound(5, math.log(4))) < FLOOR
    delta = 2 * math.log(3)
    best = max(searched(lambda logits, y: average(logits, y) - y.mean(), 4, delta, seed) for seed in range(6))
    assert 0.999 < best / flat_logits_bound(delta) <= 1 + FLOOR


@certifies(
    "prop-first-order",
    statement=first_order_bound,
    mutants={
        "delta^2 / (12 sqrt 3.1)": lambda delta: delta**2 / (12 * math.sqrt(3.1)),
        "delta^2 / 24": lambda delta: delta**2 / 24,
        "of the third order": lambda delta: delta**3 / (12 * math.sqrt(3)),
    },
)
@given(seed=seeds, n=st.integers(1, 9), delta=st.floats(0, 6))
@example(seed=0, n=5, delta=1.0)
def test_a_flat_smoother_is_one_step_of_gradient_descent(statement, seed, n, delta):
    nearly = two_levels(1000, 211, 1e-2)  # near the share (1 - 1 / sqrt 3) / 2, and nearly flat: the constant is attained for delta -> 0
    for (logits, y), length in ((nearly, 1e-2), (random_smoother(seed, n, delta), delta)):
        assert abs(average(logits, y) - first_order(logits, y)) <= statement(length) * np.ptp(y) + FLOOR


@certifies("prop-first-order")
def test_the_first_order_constant_is_sharp():
    delta = 1e-3
    used = [abs(average(*each) - first_order(*each)) / delta**2 for each in (two_levels(1000, share, delta) for share in (211, 212))]
    assert 0.999 < max(used) * 12 * math.sqrt(3) <= 1.001
    best = max(searched(lambda logits, y: average(logits, y) - first_order(logits, y), 5, 1.0, seed) for seed in range(6))
    assert 0.8 < best / first_order_bound(1.0) <= 1 + FLOOR


def first_step(phi: torch.Tensor, y: torch.Tensor, tau: float) -> torch.Tensor:
    return (phi - phi.mean(0)).T @ (y - y.mean()) / (len(y) * tau)


@certifies(
    "prop-first-order",
    statement=first_step,
    mutants={
        "without centring": lambda phi, y, tau: phi.T @ y / (len(y) * tau),
        "n - 1 supports": lambda phi, y, tau: first_step(phi, y, tau) * len(y) / (len(y) - 1),
        "without the temperature": lambda phi, y, tau: first_step(phi, y, 1.0),
    },
)
@given(seed=seeds)
@example(seed=0)
def test_the_first_order_is_the_gradient_step_at_the_query(statement, seed):
    prompt, tau = random_prompt(6, 3, 2, ridge=0.5, seed=seed), 1e4
    g = statement(prompt.phi, prompt.y, tau)
    logits = ExponentialKernel(tau).logits(prompt.phi_query, prompt.phi)
    delta = (logits.max(-1).values - logits.min(-1).values).max().item()
    size = first_order_bound(delta) * (prompt.y.max() - prompt.y.min()) + FLOOR
    smoothed = nadaraya_watson(prompt, ExponentialKernel(tau))
    assert ((smoothed - prompt.y.mean() - prompt.phi_query @ g).abs() <= size).all()
    w = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    misfit = (prompt.phi - prompt.phi.mean(0)) @ w - (prompt.y - prompt.y.mean())
    (slope,) = torch.autograd.grad(misfit.square().sum() / 2, w)
    torch.testing.assert_close(g, -slope / (6 * tau), rtol=1e-10, atol=1e-16)


def led_supports_bound(gap: float, n: int) -> float:
    return (1 + (n - 1) * math.exp(-gap)) ** 2


@certifies(
    "prop-leading-logit",
    statement=(leading_logit_bound, led_supports_bound),
    mutants={
        "n - 2 others": (lambda gap, n: leading_logit_bound(gap, n - 1), led_supports_bound),
        "without the square": (leading_logit_bound, lambda gap, n: led_supports_bound(gap, n) ** 0.5),
    },
)
@given(seed=seeds, n=st.integers(2, 9), gap=st.floats(0, 20))
@example(seed=0, n=9, gap=2.0)
def test_a_leading_logit_copies_its_target(statement, seed, n, gap):
    of_f, of_supports = statement
    rng = np.random.default_rng(seed)
    scattered, level = -gap - rng.exponential(size=n), np.full(n, -gap)
    scattered[0] = level[0] = 0
    for logits, y in ((level, 1.0 * (np.arange(n) > 0)), (scattered, 3 * rng.uniform(size=n) - 1)):
        assert abs(average(logits, y) - y[0]) <= of_f(gap, n) * np.ptp(y) + FLOOR
        assert effective_supports(torch.from_numpy(logits).softmax(-1)) <= of_supports(gap, n) + FLOOR
    assert abs(average(level, 1.0 * (np.arange(n) > 0)) - of_f(gap, n)) < FLOOR  # attained


def test_a_gap_of_any_size_is_bounded_without_overflow():
    assert leading_logit_bound(1e4, 10) == 0.0
    assert leading_logit_bound(0.0, 1) == 0.0


# ---------------------------------------------------------------- effective supports


def excess(n: int, n_eff: torch.Tensor) -> torch.Tensor:
    return (n / n_eff - 1).clamp(min=0).sqrt()


def rest(n_eff: torch.Tensor) -> torch.Tensor:
    return 1 - 1 / n_eff


@certifies(
    "prop-effective-supports",
    statement=(excess, rest),
    mutants={
        "the root of n / n_eff - 1.01": (lambda n, n_eff: (n / n_eff - 1.01).clamp(min=0).sqrt(), rest),
        "n / n_eff - 1 without the root": (lambda n, n_eff: excess(n, n_eff) ** 2, rest),
        "1 - 1.01 / n_eff": (excess, lambda n_eff: 1 - 1.01 / n_eff),
    },
)
@given(seed=seeds, n=st.integers(2, 9), sharpness=st.floats(0, 10))
@example(seed=0, n=5, sharpness=0.3)
def test_effective_supports_say_how_far_from_the_mean_and_from_one_target(statement, seed, n, sharpness):
    from_mean, from_one = statement
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(scipy.special.softmax(sharpness * rng.normal(size=n)))
    uniform = torch.full((n,), 1 / n, dtype=torch.float64)  # far from the target of any support, when all others have another one
    for s, y in ((weights, weights), (uniform, 1.0 * (torch.arange(n) != uniform.argmax())), (weights, torch.from_numpy(rng.normal(size=n)))):
        n_eff, y = effective_supports(s), y.double()  # targets along the weights attain the first
        assert (s @ y - y.mean()).abs() <= y.std(correction=0) * from_mean(n, n_eff) + FLOOR
        assert (s @ y - y[s.argmax()]).abs() <= from_one(n_eff) * (y.max() - y.min()) + FLOOR
    assert (weights @ weights - 1 / n - weights.std(correction=0) * from_mean(n, effective_supports(weights))).abs() < FLOOR


@certifies(
    "prop-effective-supports",
    statement=lambda weights: sum(s * s for s in weights),
    mutants={"divided by the number of supports": lambda weights: Fraction(1, len(weights)), "the largest weight": max},
    exact=True,
)
def test_label_noise_passes_as_one_over_the_effective_supports(statement):
    weights, h, h_query = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)], [Fraction(2), Fraction(-1), Fraction(5)], Fraction(3, 7)
    sigma2, mean = Fraction(4), sum(s * h_i for s, h_i in zip(weights, h))  # noise of 2 or -2, all of it; the last one is the query's
    noise = list(product((-2, 2), repeat=4))
    f = [sum(s * (h_i + e) for s, h_i, e in zip(weights, h, each)) for each in noise]
    assert sum((f_i - mean) ** 2 for f_i in f) / len(noise) == sigma2 * statement(weights)
    missed = sum((f_i - h_query - each[-1]) ** 2 for f_i, each in zip(f, noise)) / len(noise)
    assert missed == (mean - h_query) ** 2 + sigma2 * (1 + statement(weights))


@pytest.mark.parametrize(("p", "tau"), [(2, 0.3), (3, 0.5), (8, 0.4), (30, 0.2)])
def test_many_supports_on_the_sphere_have_the_share_of_the_law_of_large_numbers(p, tau):
    x = np.random.default_rng(p).standard_normal((400_000, p))
    u = x[:, 0] / np.linalg.norm(x, axis=1)
    n_eff = effective_supports(torch.from_numpy(u / tau).softmax(-1)).item()
    assert n_eff / len(u) == pytest.approx(share_on_sphere(p, tau), rel=0.03)


# ---------------------------------------------------------------- what an error hides


def predictions_with(r: float, slope: float, t: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Predictions of correlation r with t, the mean of t and `slope` times its spread."""
    off = np.linalg.qr(np.stack([np.ones_like(t), t, rng.normal(size=len(t))], 1))[0][:, 2] * len(t) ** 0.5
    return t.mean() + slope * (r * (t - t.mean()) + math.sqrt(1 - r**2) * t.std() * off)


@certifies(
    "prop-hidden-order",
    statement=hidden_order_bound,
    mutants={
        "one factor 1 + eps": lambda r_squared, eps: math.sqrt(max(0.0, 1 - (1 + eps) * (1 - r_squared))),
        "as good as the reference": lambda r_squared, eps: math.sqrt(r_squared),
        "1.01 times as much": lambda r_squared, eps: 1.01 * hidden_order_bound(r_squared, eps),
    },
)
@given(seed=seeds, q=st.integers(3, 12), r_squared=st.floats(0, 0.99), eps=st.floats(0, 1), scale=st.floats(0, 3))
@example(seed=0, q=6, r_squared=0.6, eps=0.2, scale=1.0)
def test_an_error_implies_a_correlation(statement, seed, q, r_squared, eps, scale):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=q)
    allowed = (1 + eps) ** 2 * (1 - r_squared) * t.var()  # of the mean squared error
    least = hidden_order_bound(r_squared, eps)
    lowest = predictions_with(least, least, t, rng)  # they attain the bound
    for f in (lowest, scale * t + rng.normal(size=q) * rng.exponential() + rng.normal()):
        r, error2 = np.corrcoef(f, t)[0, 1] if f.std() > 1e-9 else 0.0, ((f - t) ** 2).mean()
        assert error2 >= t.var() * (1 - max(r, 0) ** 2) - FLOOR
        if r_squared > hiding_threshold(eps):  # else any correlation may hide
            assert error2 > allowed * (1 + 1e-9) or r >= statement(r_squared, eps) - 1e-6
    if r_squared < hiding_threshold(eps):
        assert ((t.mean() - t) ** 2).mean() <= allowed + FLOOR  # predictions without any order


@certifies("prop-hidden-order")
def test_the_bound_on_the_correlation_is_attained_by_search():
    t = np.random.default_rng(0).normal(size=6)
    r_squared, tolerance = 0.6, 0.2
    allowed = (1 + tolerance) ** 2 * (1 - r_squared) * t.var()
    constraint = {"type": "ineq", "fun": lambda flat: allowed - ((flat - t) ** 2).mean()}
    starts = (np.random.default_rng(seed).normal(size=6) * 0.1 + t for seed in range(3))
    lowest = (minimize(lambda f: float(np.corrcoef(f, t)[0, 1]), start, method="SLSQP", constraints=constraint, options={"maxiter": 500}) for start in starts)
    bound = hidden_order_bound(r_squared, tolerance)
    assert bound - 1e-6 <= min(found.fun for found in lowest) <= bound * 1.001


@certifies(
    "prop-hidden-order",
    statement=hiding_threshold,
    mutants={"1 - 1 / (1 + eps)": lambda eps: 1 - 1 / (1 + eps), "1.01 times as much": lambda eps: 1.01 * hiding_threshold(eps)},
)
@pytest.mark.parametrize("eps", [0.05, 0.1, 1.0])
def test_predictions_without_any_order_meet_the_tolerance_up_to_a_quality_of_the_reference(statement, eps):
    rng, r_squared = np.random.default_rng(0), statement(eps)
    t = rng.normal(size=7)
    reference = predictions_with(r_squared**0.5, r_squared**0.5, t, rng)
    allowed = (1 + eps) * ((reference - t) ** 2).mean() ** 0.5
    assert 1 - ((reference - t) ** 2).mean() / t.var() == pytest.approx(r_squared)
    assert t.std() == pytest.approx(allowed, rel=1e-9)  # the error of their mean: just met, and by no better reference
    assert hidden_order_bound(r_squared, eps) == pytest.approx(0, abs=1e-7)


@certifies(
    "prop-hidden-order",
    statement=lambda v, S, E: (v**2 + S**2 - E**2) / (2 * v * S),
    mutants={
        "without the spread of the predictions": lambda v, S, E: (2 * S**2 - E**2) / (2 * v * S),
        "1.01 times as much": lambda v, S, E: 1.01 * (v**2 + S**2 - E**2) / (2 * v * S),
        "the error as it is, not squared": lambda v, S, E: (v**2 + S**2 - E) / (2 * v * S),
    },
)
@given(seed=seeds, q=st.integers(3, 12), r=st.floats(-1, 1), slope=st.floats(0.01, 3), bias=st.floats(-2, 2))
@example(seed=0, q=6, r=0.9, slope=0.5, bias=0.0)
def test_the_spread_of_predictions_says_more(statement, seed, q, r, slope, bias):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=q)
    f = predictions_with(r, slope, t, rng) + bias
    bound = statement(f.std(), t.std(), ((f - t) ** 2).mean() ** 0.5)
    assert np.corrcoef(f, t)[0, 1] >= bound - 1e-9
    if bias == 0:  # attained
        assert bound == pytest.approx(r, abs=1e-9)
    alike = predictions_with(r, 1.0, t, rng)  # as spread as the targets
    assert r >= 1 - ((alike - t) ** 2).mean() / (2 * t.var()) - 1e-9


def covering(eigenvalues: np.ndarray) -> np.ndarray:
    """[2^p, p] points whose covariance is exactly that diagonal: every pattern of signs."""
    return np.array(list(product((-1.0, 1.0), repeat=len(eigenvalues)))) * np.sqrt(eigenvalues)


def step_correlation(eigenvalues: np.ndarray, w: np.ndarray) -> float:
    """Between <Sigma w, x> and <w, x>, over such points."""
    x = covering(eigenvalues)
    return float(np.corrcoef(x @ (eigenvalues * w), x @ w)[0, 1])


@certifies(
    "prop-one-step-order",
    statement=one_step_order_bound,
    mutants={
        "1.01 times as much": lambda kappa: 1.01 * one_step_order_bound(kappa),
        "4 kappa / (kappa + 1)^2 under no root": lambda kappa: one_step_order_bound(kappa) ** 0.5,
        "of the root of kappa": lambda kappa: one_step_order_bound(kappa**0.5),
    },
)
@given(seed=seeds, p=st.integers(1, 6), log_kappa=st.floats(0, 4))
@example(seed=0, p=3, log_kappa=1.0)
def test_one_step_keeps_part_of_the_order(statement, seed, p, log_kappa):
    rng = np.random.default_rng(seed)
    eigenvalues = 10 ** (log_kappa * np.r_[0.0, rng.uniform(size=p - 1)])
    kappa = eigenvalues.max() / eigenvalues.min()
    lowest = np.zeros(p)
    lowest[eigenvalues.argmin()], lowest[eigenvalues.argmax()] = kappa**0.5, 1 / kappa**0.5  # attains it: w = Sigma^-1/2 (sqrt(b) e_a + sqrt(a) e_b)
    for w in (lowest, rng.normal(size=p)):
        assert step_correlation(eigenvalues, w) >= statement(kappa) - FLOOR


@certifies("prop-one-step-order")
def test_one_step_order_is_found_by_search():
    eigenvalues = np.geomspace(1, 50.0, 5)
    starts = (np.random.default_rng(seed).normal(size=5) for seed in range(4))
    found = min(minimize(lambda w: step_correlation(eigenvalues, np.exp(w)), start, method="L-BFGS-B").fun for start in starts)
    assert 1 - FLOOR <= found / one_step_order_bound(50.0) < 1.001


@certifies(
    "prop-one-step-order",
    statement=lambda n, eigenvalues, w: (n - 1) * eigenvalues * w,
    mutants={"a multiple of w": lambda n, eigenvalues, w: (n - 1) * w, "a multiple of Sigma^2 w": lambda n, eigenvalues, w: (n - 1) * eigenvalues**2 * w},
    exact=True,
)
def test_the_expected_step_is_a_multiple_of_sigma_w(statement):
    """Over all samples of two supports from points of integers with covariance diag(1, 4), whose targets have no noise."""
    points, eigenvalues, w = np.array([[1, 2], [1, -2], [-1, 2], [-1, -2]]), np.array([1, 4]), np.array([3, 1])
    steps = []
    for i, j in product(range(4), repeat=2):
        phi = points[[i, j]]
        y = phi @ w
        steps.append((2 * phi - phi.sum(0)).T @ (2 * y - y.sum()))  # four times the sum over centred pairs
    assert (sum(steps) == 4 * len(steps) * statement(2, eigenvalues, w)).all()


# ---------------------------------------------------------------- leave one out


@given(seed=seeds, k=st.integers(2, 6))
def test_left_out_predictions_are_those_of_scikit_learn_without_the_support(seed, k):
    prompt = random_prompt(k, 2, 1, ridge=0.3, seed=seed)
    system = ridge_system(prompt)
    brute = cross_val_predict(KernelRidge(alpha=0.3), prompt.phi.numpy(), prompt.y.numpy(), cv=LeaveOneOut())
    np.testing.assert_allclose(left_out(system), brute, rtol=1e-8, atol=1e-8)
    smoothed = [nadaraya_watson(without(prompt, i), ExponentialKernel(0.5)).item() for i in range(k)]
    np.testing.assert_allclose(smoother_left_out(prompt, ExponentialKernel(0.5)), smoothed, rtol=1e-10, atol=1e-12)


def without(prompt: Prompt, i: int) -> Prompt:
    keep = [j for j in range(prompt.n_support) if j != i]
    return Prompt(prompt.phi[keep], prompt.y[keep], prompt.phi[i : i + 1], prompt.ridge)


def test_the_tuned_solver_is_the_best_of_all_pairs():
    prompt = random_prompt(9, 2, 4, ridge=1.0, seed=3)
    kernels, parts = [ExponentialKernel(0.5), ExponentialKernel(4.0)], [0.01, 0.1, 1.0]
    tuned = tuned_ridge_regression(prompt, kernels, parts)
    centred = prompt.y - prompt.y.mean()
    errors = {}
    for kernel in kernels:
        K = kernel(prompt.phi, prompt.phi)
        for part in parts:
            system = ridge_system(Prompt(prompt.phi, centred, prompt.phi_query, part * K.diagonal().mean().item()), kernel)
            errors[kernel.tau, part] = (left_out(system) - centred).square().mean().item(), system, torch.linalg.solve(system.A, centred)
    (tau, _), (error, system, alpha) = min(errors.items(), key=lambda item: item[1][0])
    assert tuned.kernel.tau == tau
    assert (tuned.left_out - prompt.y).square().mean().item() == pytest.approx(error, rel=1e-8)
    torch.testing.assert_close(tuned.prediction, prompt.y.mean() + system.predict(alpha), rtol=1e-8, atol=1e-10)


def test_duplicate_supports_and_ridges_of_any_size_are_solved():
    prompt = random_prompt(4, 2, 3, ridge=1.0, seed=4)
    twice = Prompt(torch.cat([prompt.phi, prompt.phi]), torch.cat([prompt.y, prompt.y]), prompt.phi_query, 1.0)
    for part in (1e-12, 1e12):
        tuned = tuned_ridge_regression(twice, [ExponentialKernel(1.0)], [part])
        assert torch.isfinite(tuned.prediction).all() and torch.isfinite(tuned.left_out).all()
    assert tuned.prediction.std() < 1e-6  # a huge ridge leaves the mean


def test_misuse_is_refused_with_what_would_work():
    prompt = random_prompt(5, 2, 4, ridge=1.0, seed=0)
    batch = random_prompt(5, 2, 4, ridge=1.0, seed=0, batch=(2,))
    with pytest.raises(ValueError, match=r"tuned_ridge_regression.*\n.*expected one prompt, \[k, p\] without a batch axis"):
        tuned_ridge_regression(batch, [ExponentialKernel(1.0)], [1.0])
    with pytest.raises(ValueError, match=r"overflows on this prompt; scale the features"):
        tuned_ridge_regression(Prompt(100 * prompt.phi, prompt.y, prompt.phi_query, 1.0), [ExponentialKernel(1.0)], [1.0])
    with pytest.raises(ValueError, match=r"for a batch call it for every prompt"):
        diagnose(batch, ExponentialKernel(1.0))
    with pytest.raises(ValueError, match=r"expected at least 2 and 1"):
        smoother_left_out(random_prompt(1, 2, 4, ridge=1.0, seed=0), ExponentialKernel(1.0))
    with pytest.raises(ValueError, match=r"four vectors of one length"):
        score(prompt.y, prompt.y[:3], prompt.y, prompt.y)
    with pytest.raises(ValueError, match=r"sphere_task\(noise=0\)"):
        sphere_task(5, 3, 2, noise=0, seed=0)


# ---------------------------------------------------------------- tasks, scores, diagnoses


@pytest.mark.parametrize("law_tau", [None, 0.3])
def test_the_oracle_of_a_sphere_task_is_a_gaussian_process_of_scikit_learn(law_tau):
    task = sphere_task(30, 20, 3, noise=0.4, seed=5, law_tau=law_tau)
    prompt = task.prompt
    x, x_query = prompt.phi.numpy(), prompt.phi_query.numpy()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-12)
    both = np.r_[x, x_query]
    C = both @ both.T if law_tau is None else RBF(law_tau**0.5)(both)
    variance = np.diag(C).mean() - C.mean()
    if law_tau is None:
        expected = KernelRidge(alpha=0.16 * variance).fit(x, prompt.y.numpy()).predict(x_query)
    else:
        process = GaussianProcessRegressor(RBF(law_tau**0.5, "fixed"), alpha=0.16 * variance, optimizer=None)
        expected = process.fit(x, prompt.y.numpy()).predict(x_query)
    np.testing.assert_allclose(task.oracle, expected, rtol=1e-6, atol=1e-8)


def test_a_column_of_a_table_is_told_from_the_others_on_the_sphere():
    table = load_table("wine")
    prompt = column_prompt("wine", 3, 40, 60, seed=7)
    rows = table[np.random.default_rng(7).permutation(178)[:100]]
    scaled = (rows - rows[:40].mean(0)) / rows[:40].std(0)
    np.testing.assert_allclose(np.r_[prompt.y, prompt.y_query], scaled[:, 3], rtol=1e-10, atol=1e-12)
    others = np.delete(scaled, 3, axis=1)
    np.testing.assert_allclose(np.r_[prompt.phi, prompt.phi_query], others / np.linalg.norm(others, axis=1, keepdims=True), rtol=1e-10)
    with pytest.raises(ValueError, match=r"at most 178 rows together, e.g. n_support=80"):
        column_prompt("wine", 0, 100, 79, seed=0)
    with pytest.raises(ValueError, match=r"there are 'wine' and 'diabetes'"):
        load_table("iris")


def test_inputs_function_and_noise_of_a_task_are_drawn_apart():
    quiet, loud = (sphere_task(20, 10, 4, noise=noise, seed=1) for noise in (0.1, 2.0))
    assert torch.equal(quiet.prompt.phi, loud.prompt.phi) and torch.equal(quiet.f_query, loud.f_query)
    errors = [(task.prompt.y_query - task.f_query) / noise for task, noise in ((quiet, 0.1), (loud, 2.0))]
    torch.testing.assert_close(*errors, rtol=1e-10, atol=1e-12)
    flat, leaning = (sphere_task(20, 10, 4, noise=0.1, seed=1, condition=100.0, lean=lean) for lean in (0.0, 2.0))
    assert torch.equal(flat.prompt.phi, leaning.prompt.phi) and not torch.equal(flat.f_query, leaning.f_query)
    one, other = (random_sphere_task(seed) for seed in (3, 4))
    assert one[1] != other[1] and one[0].prompt.phi.shape != other[0].prompt.phi.shape


def test_a_score_is_what_scipy_and_numpy_say():
    rng = np.random.default_rng(0)
    f, g, t, truth = (torch.from_numpy(rng.normal(size=50)) for _ in range(4))
    scored = score(f, g, t, truth)
    assert scored.order == pytest.approx(spearmanr(f, truth).statistic)
    assert scored.correlation == pytest.approx(np.corrcoef(f, t)[0, 1])
    assert scored.slope == pytest.approx(np.polyfit(truth, f, 1)[0])
    assert scored.error_ratio == pytest.approx(float((f - t).norm() / (g - t).norm()))
    assert scored.r_squared == pytest.approx(1 - float((g - t).square().mean()) / t.numpy().var())
    assert rank_correlation(torch.ones(5), t[:5].float()) == 0.0
    assert score(torch.zeros(50).double(), g, t, truth).order == 0.0


def judged(task, kernel):
    return score(nadaraya_watson(task.prompt, kernel), task.oracle, task.prompt.y_query, task.f_query)


def test_flat_logits_are_silent_where_the_function_lives_in_weak_directions_and_harmless_where_in_strong_ones():
    weak, strong = (sphere_task(400, 200, 6, noise=2.5, seed=2, condition=100.0, lean=lean) for lean in (2.0, 0.0))
    kernel = ExponentialKernel(1.0)
    assert judged(weak, kernel).silent and not judged(strong, kernel).lost
    assert diagnose(weak.prompt, kernel).effective_supports == diagnose(strong.prompt, kernel).effective_supports
    scored = judged(weak, kernel)
    assert scored.error_ratio <= 1 + TOLERANCE and scored.order <= scored.reference_order - LOSS
    assert scored.r_squared <= hiding_threshold(TOLERANCE)


def test_a_silent_failure_is_told_from_the_prompt_alone():
    task, tau = random_sphere_task(450)
    kernel = ExponentialKernel(tau)
    assert judged(task, kernel).silent
    told = diagnose(task.prompt, kernel)
    assert told.silent and told.agreement < AGREEMENT == 1 - LOSS
    unseen = Prompt(task.prompt.phi, task.prompt.y, task.prompt.phi_query, task.prompt.ridge)
    assert diagnose(unseen, kernel) == told  # no target of a query is read
    assert diagnose(task.prompt, kernel, reference_solver(task.prompt)) == told


def test_the_diagnosis_does_not_see_the_order_of_the_prompt():
    prompt, kernel = sphere_task(80, 50, 6, noise=0.5, seed=2).prompt, ExponentialKernel(0.3)
    supports, queries = (torch.from_numpy(np.random.default_rng(0).permutation(n)) for n in (prompt.n_support, prompt.n_query))
    shuffled = diagnose(Prompt(prompt.phi[supports], prompt.y[supports], prompt.phi_query[queries], prompt.ridge), kernel)
    for name, value in vars(diagnose(prompt, kernel)).items():
        assert getattr(shuffled, name) == pytest.approx(value, rel=1e-3)  # the eigenvectors of tiny eigenvalues are rounding


def test_effective_supports_lie_between_one_and_all():
    prompt = random_prompt(7, 3, 5, ridge=1.0, seed=0)
    for tau in (1e-3, 1.0, 1e3):
        n_eff = effective_supports(smoother_weights(prompt, ExponentialKernel(tau)))
        assert ((n_eff >= 1 - FLOOR) & (n_eff <= 7 + FLOOR)).all()


# ---------------------------------------------------------------- the stored sweep


def test_the_stored_sweep_is_what_the_code_gives_and_keeps_its_bound():
    swept = load_sweep("silent-failure")
    for batch, i in ((0, 0), (20, 7), (47, 49)):
        task, tau = random_sphere_task(50 * batch + i)
        scored = score(nadaraya_watson(task.prompt, ExponentialKernel(tau)), task.oracle, task.prompt.y_query, task.f_query)
        for name in ("error_ratio", "order", "r_squared", "correlation"):
            assert swept.values(name, batch=batch)[0, i] == pytest.approx(getattr(scored, name), abs=2e-3)
    ratio, r_squared, r = (swept.values(name).ravel() for name in ("error_ratio", "r_squared", "correlation"))
    hidden = np.array([hidden_order_bound(*pair) for pair in zip(r_squared, ratio - 1)])
    assert (r >= hidden - 5e-3)[hidden > 0.1].all()  # results are stored with four digits


# ---------------------------------------------------------------- what the sketch took for rounding


def test_the_exploding_oracle_of_the_sketch_has_right_digits():
    """Exponential-kernel ridge regression off the sphere, in two thousand bits: huge, ill-conditioned, and right in float64."""
    rng = np.random.default_rng(42)
    x = np.linalg.qr(rng.standard_normal((64, 8)))[0] * np.sqrt(np.geomspace(1, 500, 8))
    supports, queries = x[:32], x[32:]
    y = supports @ rng.standard_normal(8)
    logits, asked = supports @ supports.T / 0.5, queries @ supports.T / 0.5
    said = np.exp(asked) @ np.linalg.solve(np.exp(logits) + 0.01 * np.eye(32), y)
    precision, flint.ctx.prec = flint.ctx.prec, 2000
    try:
        A = flint.arb_mat([[flint.arb(logits[i, j]).exp() + (0.01 if i == j else 0) for j in range(32)] for i in range(32)])
        exact = flint.arb_mat([[flint.arb(value).exp() for value in row] for row in asked]) * A.solve(flint.arb_mat([[value] for value in y]))
        exact = np.array([float(exact[i, 0].mid()) for i in range(32)])
    finally:
        flint.ctx.prec = precision
    assert np.abs(exact).max() > 1e9 and np.linalg.cond(np.exp(logits) + 0.01 * np.eye(32)) > 1e16
    np.testing.assert_allclose(said, exact, rtol=1e-4, atol=1e-6 * np.abs(exact).max())
