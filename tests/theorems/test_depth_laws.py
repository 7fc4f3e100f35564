"""The laws of depth: what must be paid, outliers, the effective dimension."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import certifies
from metarep_lib.certify import climb, exact_errors
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.numerics.steps import conjugate_gradient_step
from spectra import chebyshev_extrema, least_in_krylov, one_over_T, seeds, tensor

DIGITS = 1e-12  # the closed forms compared here are evaluated in float64, a few dozen roundings deep


def searched(log_ratio, size: int, seeds=(0, 1, 2), spread: float = 1.0) -> float:
    """The largest ratio that climbs from random starts reach."""
    return max(climb(log_ratio, spread * np.random.default_rng(seed).standard_normal(size))[0] for seed in seeds)


def report(record_property, name: str, tightness: float) -> None:
    record_property("tightness", float(tightness))
    print(f"{name}: value / bound = {tightness:.6f}")


# ---------------------------------------------------------------- what must be paid


def rational_errors(values: list[Fraction], shares: list[Fraction], steps: int) -> list[Fraction]:
    """The squares of what `exact_errors` gives, from the recurrence itself: v_i stands for v_i y_i, and y_i^2 = lambda_i share_i."""
    A, shares = np.array(values), np.array(shares)
    state = {"alpha": 0 * A, "r": 1 + 0 * A, "p": 1 + 0 * A}
    states = [state]
    for _ in range(steps):
        state = conjugate_gradient_step(
            state, lambda v: A * v, lambda a, b: np.array([(A * shares * a * b).sum()]), np.vectorize(lambda n, d: n / d if d else 0 * n, otypes=[object])
        )
        states.append(state)
    return [(shares * (1 - A * state["alpha"]) ** 2).sum() / shares.sum() for state in states]


def spectra_and_ells() -> Iterator[tuple[list[Fraction], list[Fraction], list[Fraction]]]:
    """Distinct eigenvalues, shares that sum to one, and the products l_i of the lemma."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        values = [Fraction(int(v)) for v in rng.choice(np.arange(1, 401), rng.integers(2, 8), replace=False)]
        shares = [Fraction(int(s)) for s in rng.integers(1, 9, len(values))]
        ells = [math.prod((v / abs(v - w) for v in values if v != w), start=Fraction(1)) for w in values]
        yield values, [share / sum(shares) for share in shares], ells


@certifies(
    "lem-last-step",
    statement=lambda ells, omega: 1 / sum(li**2 / w for li, w in zip(ells, omega, strict=True)),
    mutants={
        "shares in place of their inverses": lambda ells, omega: 1 / sum(li**2 * w for li, w in zip(ells, omega, strict=True)),
        "l_i not squared": lambda ells, omega: 1 / sum(li / w for li, w in zip(ells, omega, strict=True)),
        "one term of the sum dropped": lambda ells, omega: 1 / sum(sorted(li**2 / w for li, w in zip(ells, omega, strict=True))[1:]),
    },
    exact=True,
)
def test_the_last_step_but_one_has_a_closed_form(statement):
    for values, omega, ells in spectra_and_ells():
        assert rational_errors(values, omega, len(values) - 1)[-1] == statement(ells, omega)


@certifies(
    "lem-last-step",
    statement=lambda ells: 1 / sum(ells) ** 2,
    mutants={
        "the root of that, a hundredth smaller": lambda ells: Fraction(99, 100) ** 2 / sum(ells) ** 2,
        "one over the sum of squares": lambda ells: 1 / sum(li**2 for li in ells),
        "one over the largest l_i": lambda ells: 1 / max(ells) ** 2,
    },
    exact=True,
)
def test_the_worst_shares_are_those_of_the_lemma_and_no_others(statement):
    for values, omega, ells in spectra_and_ells():
        t, worst = len(values) - 1, [li / sum(ells) for li in ells]
        assert rational_errors(values, worst, t)[-1] == statement(ells)
        assert rational_errors(values, omega, t)[-1] < statement(ells) or omega == worst
        floats = tensor([float(v) for v in values])
        assert spectral.worst_error(floats).item() == pytest.approx(math.sqrt(statement(ells)), rel=1e-10)
        assert exact_errors(floats, [float(w) for w in omega], t)[-1] ** 2 == pytest.approx(float(rational_errors(values, omega, t)[-1]), rel=DIGITS)


@certifies(
    "thm-krylov-lower",
    statement=(one_over_T, lambda t: t),
    mutants={
        "a lower bound one hundredth larger": (lambda t, kappa: 1.01 * one_over_T(t, kappa), lambda t: t),
        "2 c^t, which bounds from above, for 1 / T_t": (lambda t, kappa: 2 * ((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** t, lambda t: t),
        "1 / T of the next step": (lambda t, kappa: one_over_T(t + 1, kappa), lambda t: t),
        "the Krylov space of the next step": (one_over_T, lambda t: t + 1),
    },
)
@pytest.mark.parametrize("kappa, t", [(1.5, 1), (4.0, 3), (100.0, 6), (1e4, 10)])
def test_on_the_hard_prompt_nobody_in_the_krylov_space_beats_the_bound(statement, kappa, t, record_property):
    bound, dimension = statement[0](t, kappa), statement[1](t)
    values = tensor(chebyshev_extrema(t, kappa))
    shares = spectral.lagrange_weights(values)
    assert exact_errors(values, shares, t)[t] == pytest.approx(bound, rel=1e-9)  # attained by conjugate gradient
    least = least_in_krylov(values, shares, dimension)
    assert least >= bound * (1 - 1e-6)
    report(record_property, f"krylov, kappa {kappa:g}, step {t}", bound / least)


@certifies("thm-krylov-lower")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.1, 4), seeds)
def test_no_prompt_needs_more_than_kappa_allows(positions, log_kappa, seed):
    values = 10 ** (log_kappa * np.array([0.0, *positions, 1.0]))
    shares = np.random.default_rng(seed).exponential(size=len(values))
    errors = exact_errors(values, shares, 8)
    bounds = np.array([one_over_T(t, values.max() / values.min()) for t in range(9)])
    assert (errors <= bounds * (1 + DIGITS)).all()


@certifies(
    "thm-krylov-lower",
    statement=one_over_T,
    mutants={
        "the exponent of the next step": lambda t, kappa: one_over_T(t + 1, kappa),
        "one hundredth smaller": lambda t, kappa: 0.99 * one_over_T(t, kappa),
    },
)
def test_the_search_for_a_worse_prompt_ends_at_the_bound(statement, record_property):
    kappa, t = 50.0, 7

    def log_ratio(z):
        return spectral.worst_error(1 + (kappa - 1) * torch.sigmoid(z)).log() - math.log(statement(t, kappa))

    tightness = searched(log_ratio, t + 1)
    assert 0.999 < tightness <= 1 + 1e-9
    report(record_property, "condition number", tightness)


def half_root(kappa: float, eps: float, divisor: float = 2.0, of: float = 2.0) -> int:
    """The simple bound of the count."""
    return math.ceil(math.sqrt(kappa) / divisor * math.log(of / eps))


@certifies(
    "thm-krylov-lower",
    statement=(depth.krylov_steps, half_root),
    mutants={
        "one step fewer": (lambda kappa, eps: depth.krylov_steps(kappa, eps) - 1, half_root),
        "one step more": (lambda kappa, eps: depth.krylov_steps(kappa, eps) + 1, half_root),
        "at most sqrt(kappa) / 2 ln(1 / eps)": (depth.krylov_steps, lambda kappa, eps: half_root(kappa, eps, of=1.0)),
        "at most sqrt(kappa) / 2.1 ln(2 / eps)": (depth.krylov_steps, lambda kappa, eps: half_root(kappa, eps, divisor=2.1)),
    },
)
def test_the_count_is_what_the_hardest_prompts_need(statement):
    count, simple = statement
    for kappa, eps in itertools.product((1.1, 4.0, 100.0, 1e4), (0.5, 1e-2, 1e-4)):
        needed = next(t for t in itertools.count(1) if spectral.worst_error(tensor(chebyshev_extrema(t, kappa))) <= eps)
        assert count(kappa, eps) == needed <= simple(kappa, eps)


# ---------------------------------------------------------------- outliers


@certifies("thm-outliers")
@settings(max_examples=50)
@given(
    inside=st.lists(st.floats(0, 1), min_size=1, max_size=6),
    above=st.lists(st.floats(0.01, 5), max_size=3, unique=True),
    below=st.lists(st.floats(0.01, 3), max_size=2, unique=True),
    log_b=st.floats(0, 2),
    seed=seeds,
)
def test_outliers_cost_one_step_each(inside, above, below, log_b, seed):
    b = 10**log_b
    window = 1 + (b - 1) * np.array(inside)
    high, low = b * 10 ** np.array(above), 10 ** -np.array(below)
    values = np.concatenate([window, high, low])
    shares = np.random.default_rng(seed).exponential(size=len(values))
    m = len(above) + len(below)
    F = math.prod(1 - 1 / high) * math.prod(b / low - 1)
    errors = exact_errors(values, shares, m + 6)
    for j in range(7):
        assert errors[m + j] <= F * one_over_T(j, b) * (1 + 1e-9) + 1e-300, (m, j)


def outlier_bound(high: torch.Tensor, low: torch.Tensor, b: float, t: int, *, counted: int = 0, of_low: float = 1.0, of_high: float = 1.0) -> torch.Tensor:
    """log F / T_(t - m) with a = 1, for outliers above b and below a."""
    log_F = torch.log(1 - of_high / high).sum() + of_low * torch.log(b / low - 1).sum()
    return log_F + math.log(one_over_T(t - len(high) - len(low) + counted, b))


@certifies(
    "thm-outliers",
    statement=outlier_bound,
    mutants={
        "F without the factors of outliers below": lambda high, low, b, t: outlier_bound(high, low, b, t, of_low=0.0),
        "one outlier fewer": lambda high, low, b, t: outlier_bound(high, low, b, t, counted=1),
        "1 - b / mu for the outliers above": lambda high, low, b, t: outlier_bound(high, low, b, t, of_high=b),
        "one hundredth smaller": lambda high, low, b, t: outlier_bound(high, low, b, t) + math.log(0.99),
    },
)
def test_the_search_comes_close_for_outliers_above_and_stays_away_below(statement, record_property):
    b = 4.0
    for above, below, j, tight in [(2, 0, 3, 0.999), (1, 0, 2, 0.999), (0, 1, 2, 0.1), (1, 1, 2, 0.1)]:

        def log_ratio(z, above=above, below=below, j=j):
            high, low = b * (1 + torch.exp(z[:above])), torch.sigmoid(z[above : above + below])
            inside = 1 + (b - 1) * torch.sigmoid(z[above + below :])
            return spectral.worst_error(torch.cat([low, inside, high])).log() - statement(high, low, b, above + below + j)

        tightness = searched(log_ratio, above + below + j + 1, spread=2.0)
        assert tight < tightness <= 1 + 1e-9
        report(record_property, f"outliers, {above} above and {below} below", tightness)


@given(st.lists(st.floats(0, 6), min_size=1, max_size=10), st.floats(-8, -0.1), seeds)
def test_the_count_of_the_best_window_is_enough_and_never_worse_than_kappa(log_values, log_accuracy, seed):
    values, accuracy = 10 ** np.array(log_values), 10**log_accuracy
    shares = np.random.default_rng(seed).exponential(size=len(values))
    promised = depth.outlier_steps(tensor(values), accuracy)
    assert exact_errors(values, shares, promised)[-1] <= accuracy * (1 + 1e-9)
    assert promised <= min(len(set(values)), depth.krylov_steps(values.max() / values.min(), accuracy))


# ---------------------------------------------------------------- the effective dimension


def scales(m: int, R: float) -> np.ndarray:
    """R^i - 1: m eigenvalues of K, each on a scale of its own; the ridge is one and K has an eigenvalue zero besides."""
    return R ** np.arange(1.0, m + 1) - 1


def worst_shares(mu: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """The eigenvalues of A, and the shares that leave most after as many steps as K has eigenvalues."""
    values = tensor(np.concatenate([[1.0], 1 + mu]))
    return values, spectral.lagrange_weights(values)


@certifies(
    "thm-effective-depth",
    statement=depth.effective_dimension_steps,
    mutants={
        "one step fewer": lambda d_eff, eps, c: depth.effective_dimension_steps(d_eff, eps, c) - 1,
        "without the factor (1 + c) / c": lambda d_eff, eps, c: math.ceil(d_eff) - 1 + depth.krylov_steps(1 + c, eps),
        "nine tenths of the effective dimension": lambda d_eff, eps, c: depth.effective_dimension_steps(0.9 * d_eff, eps, c),
        "the condition number c of the rest": lambda d_eff, eps, c: math.ceil((1 + c) / c * d_eff) - 1 + depth.krylov_steps(max(c, 1.0), eps),
    },
)
def test_the_effective_dimension_is_deep_enough(statement):
    """On random spectra; on twelve scales, all of which must be found; on eigenvalues spread over [0, c lambda], of which none exceeds it."""
    spread = (chebyshev_extrema(6, 1.2)[1:] - 1, 0.2, 1e-6)
    cases = [(scales(12, 1000.0), 20.0, 0.95), spread, *(random_spectrum(seed) for seed in range(40))]
    for seed, (mu, c, eps) in enumerate(cases):
        d_eff = float(depth.effective_dimension(tensor(mu), 1.0))
        values, shares = worst_shares(mu) if seed < 2 else (np.concatenate([[1.0], 1 + mu]), np.random.default_rng(seed).exponential(size=len(mu) + 1))
        for threshold in (c, 1.0):
            assert exact_errors(values, shares, statement(d_eff, eps, threshold))[-1] <= eps * (1 + 1e-9)


def random_spectrum(seed: int) -> tuple[np.ndarray, float, float]:
    """Up to nine eigenvalues of K, a threshold and an accuracy."""
    rng = np.random.default_rng(seed)
    return 10 ** rng.uniform(-3, 4, rng.integers(1, 10)), 10 ** rng.uniform(-2, 3), 10 ** rng.uniform(-8, -0.1)


@certifies(
    "thm-effective-depth",
    statement=lambda c: (1 + c) / c,
    mutants={"1 / c": lambda c: 1 / c, "one": lambda c: 1.0, "one hundredth smaller": lambda c: 0.99 * (1 + c) / c},
)
def test_few_eigenvalues_exceed_a_threshold(statement):
    for mu, c, _ in [(np.full(5, 0.3 * (1 + 1e-9)), 0.3, 0.5), *(random_spectrum(seed) for seed in range(100))]:  # the first five are as small as can be
        assert (mu > c).sum() < statement(c) * depth.effective_dimension(tensor(mu), 1.0)


@certifies(
    "thm-effective-depth",
    statement=lambda d_eff, L: math.ceil(2 * d_eff) + L / (2 * math.log(1 + math.sqrt(2))),
    mutants={
        "a denominator of 2 ln 3": lambda d_eff, L: math.ceil(2 * d_eff) + L / (2 * math.log(3)),
        "twice the effective dimension, rounded down": lambda d_eff, L: math.floor(2 * d_eff) - 1 + L / (2 * math.log(1 + math.sqrt(2))),
    },
)
def test_at_a_threshold_of_one_the_count_is_simple(statement):
    for d_eff, log_eps in itertools.product(np.geomspace(1e-3, 1e4, 30), np.linspace(-14, -0.01, 30)):
        assert depth.effective_dimension_steps(d_eff, 10**log_eps, 1.0) <= statement(d_eff, math.log(2 / 10**log_eps))


def best_threshold(d_eff: float, eps: float, *, of_d: float = 1.0, cubed: float = 27 / 16, more: float = 1.0) -> float:
    L = math.log(2 / eps)
    return of_d * d_eff + (cubed * d_eff * L**2) ** (1 / 3) + L / 2 + more


@certifies(
    "cor-effective-best",
    statement=best_threshold,
    mutants={
        "nine tenths of the effective dimension": lambda d_eff, eps: best_threshold(d_eff, eps, of_d=0.9),
        "without the one": lambda d_eff, eps: best_threshold(d_eff, eps, more=0.0),
    },
)
def test_a_hundred_scales_take_a_step_each_and_a_single_one_takes_one(statement):
    """The worst targets leave more than eps one step earlier: by lem-last-step, since 101 eigenvalues are left one; and all before the first step."""
    hundred, single = scales(100, 1000.0), np.array([1e-3])
    left = spectral.worst_error(worst_shares(hundred)[0]).item()
    for mu, eps, left, needed in [(hundred, 0.9, left, 101), (single, 0.999, 1.0, 1)]:
        assert left > eps
        assert math.floor(statement(float(depth.effective_dimension(tensor(mu), 1.0)), eps)) >= needed


@certifies(
    "cor-effective-best",
    statement=best_threshold,
    mutants={
        "a cube root of one instead of 27 / 16, which the theorem does not give": lambda d_eff, eps: best_threshold(d_eff, eps, cubed=1.0),
        "without the one": lambda d_eff, eps: best_threshold(d_eff, eps, more=0.0),
    },
)
def test_the_best_threshold_is_below_its_closed_form(statement):
    draws, corners = np.random.default_rng(0).uniform((1e-3, -14), (1e5, -0.01), (50, 2)), itertools.product((1e-3, 1.0, 30.0), (-14, -4, -0.01))
    for d_eff, log_eps in [(1e7, -6.0), *draws, *corners]:
        L = math.log(2 / 10**log_eps)
        best = min(depth.effective_dimension_steps(d_eff, 10**log_eps, c) for c in ((4 * d_eff / L) ** (2 / 3), None))
        assert best <= statement(d_eff, 10**log_eps)


@certifies(
    "prop-effective-sharp",
    statement=(lambda m, R: m - sum(R**-i for i in range(1, m + 1)), lambda m, R: 1 - (m + 1) / (R + m - 1)),
    mutants={
        "an effective dimension of m": (lambda m, R: m, lambda m, R: 1 - (m + 1) / (R + m - 1)),
        "a sum over all but the last scale": (lambda m, R: m - sum(R**-i for i in range(1, m)), lambda m, R: 1 - (m + 1) / (R + m - 1)),
        "an error of at least 1 - m / (R + m - 1)": (lambda m, R: m - sum(R**-i for i in range(1, m + 1)), lambda m, R: 1 - m / (R + m - 1)),
    },
)
def test_a_hierarchy_of_scales_costs_its_effective_dimension(statement):
    d_eff, error = statement
    for m, R in [(1, 2.5), (1, 3.0), (3, 10.0), (8, 1000.0), (12, 1000.0)]:
        mu = scales(m, R)
        assert float(depth.effective_dimension(tensor(mu), 1.0)) == pytest.approx(d_eff(m, R), rel=DIGITS)
        assert exact_errors(*worst_shares(mu), m)[m] >= error(m, R)


def test_the_search_finds_the_law_nearly_attained(record_property):
    thresholds = torch.logspace(-2, 4, 200, dtype=torch.float64)
    start = torch.linspace(-9, 6, 13, dtype=torch.float64)

    def log_ratio(z):
        mu = torch.exp(start + 3 * z)
        rate = torch.log1p(2 / ((1 + thresholds).sqrt() - 1))
        inside = torch.acosh((1 / spectral.worst_error(1 + mu)).clamp(min=1 + 1e-14)) / rate
        law = (depth.effective_dimension(mu, 1.0) * (1 + thresholds) / thresholds + inside).min()
        return (12 / law).log()

    tightness = searched(log_ratio, 13)
    report(record_property, "effective dimension", tightness)
    assert 0.9 < tightness <= 1
