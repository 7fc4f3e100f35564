"""The laws of chapter depth-laws, on random and on searched inputs, in exact arithmetic: fractions or balls, never floats.

Rounding costs conjugate gradient steps, so a run in floats may break these laws (chapter depth-frontier); what is judged here are
`exact_errors` and closed forms that `exact_errors` is held against.
"""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import certifies
from factories import prompt_of
from metarep_lib import (
    RidgeSystem,
    assemble,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    newton_schulz,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import climb, exact_errors
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.numerics.steps import (
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
    newton_schulz_step,
)
from tolerances import assert_within, floor

DIGITS = 1e-12  # the closed forms compared here are evaluated in float64, a few dozen roundings deep
seeds = st.integers(0, 10**6)
positions = st.lists(st.integers(1, 400), min_size=2, max_size=7, unique=True)


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=float))


def chebyshev_extrema(t: int, kappa: float) -> np.ndarray:
    return np.sort((kappa + 1) / 2 - (kappa - 1) / 2 * np.cos(np.arange(t + 1) * np.pi / t))


def one_over_T(t: float, kappa: float) -> float:
    """1 / T_t((kappa + 1) / (kappa - 1)), for real t too."""
    return 1 / math.cosh(t * math.log1p(2 / (math.sqrt(kappa) - 1))) if kappa > 1 else float(t == 0)


def searched(log_ratio, size: int, seeds=(0, 1, 2), spread: float = 1.0) -> float:
    """The largest ratio that climbs from random starts reach."""
    return max(climb(log_ratio, spread * np.random.default_rng(seed).standard_normal(size))[0] for seed in seeds)


def report(record_property, name: str, tightness: float) -> None:
    record_property("tightness", float(tightness))
    print(f"{name}: value / bound = {tightness:.6f}")


# ---------------------------------------------------------------- what errors are measured with


@given(positions, seeds, st.integers(0, 6))
def test_exact_errors_are_those_of_the_rational_recurrence(positions, seed, steps):
    """Shares 1 / lambda make y = (1, ..., 1), so that everything is rational but the last root."""
    A = np.array([Fraction(p) for p in positions], dtype=object)
    state = {"alpha": 0 * A, "r": 1 + 0 * A, "p": 1 + 0 * A}
    star = 1 / A
    energy = (A * star * star).sum()
    expected = [1.0]
    for _ in range(steps):
        state = conjugate_gradient_step(
            state, lambda v: A * v, lambda a, b: np.array([a @ b]), np.vectorize(lambda n, d: n / d if d else 0 * n, otypes=[object])
        )
        expected.append(math.sqrt((A * (state["alpha"] - star) ** 2).sum() / energy))
    shares = [1 / p for p in positions]
    np.testing.assert_allclose(exact_errors(list(map(float, positions)), shares, steps), expected, rtol=1e-12)


def test_equal_eigenvalues_act_as_one_and_empty_shares_as_none():
    merged = exact_errors([1.0, 2.0, 2.0, 3.0], [1.0, 0.5, 0.5, 0.0], 4)
    np.testing.assert_array_equal(merged, exact_errors([1.0, 2.0], [1.0, 1.0], 4))
    assert merged[2] == 0 < merged[1]


@pytest.mark.parametrize("wrong", [([1.0, -1.0], [1.0, 1.0]), ([1.0], [1.0, 1.0]), ([1.0], [0.0]), ([math.nan], [1.0])])
def test_exact_errors_refuse_what_is_no_spectrum(wrong):
    with pytest.raises(ValueError, match="this|e.g."):
        exact_errors(*wrong, 2)


@settings(max_examples=30)
@given(seeds, st.floats(0.6, 3))
def test_closed_forms_are_what_the_dense_solvers_do(seed, log_kappa):
    system = ridge_system(prompt_of(10**log_kappa, 12, 6, 1, seed=seed))
    eigenvalues, shares = spectral.spectral_shares(system)
    star, t = solvers.cholesky(system).alpha, torch.arange(9)
    a, b = float(eigenvalues[0]), float(eigenvalues[-1])
    tolerance = floor(torch.float64, 10**log_kappa)

    def error(solution):
        return system.norm(solution.history["alpha"] - star) / system.norm(star)

    gd = spectral.gradient_descent_errors(eigenvalues, shares, t, 2 / (a + b))
    assert_within(error(solvers.gradient_descent(system, 8, 2 / (a + b))) - gd, tolerance)
    for told in ((a, b), (1.5 * a, b), (a / 3, 0.9 * b)):
        closed = spectral.chebyshev_errors(eigenvalues, shares, t, *told)
        # an eigenvalue that is off by u kappa moves T_8 by up to 8^2 times that
        assert_within((error(solvers.chebyshev(system, 8, *told)) - closed) / closed.clamp(min=1), 64 * tolerance)
    cg = spectral.conjugate_gradient_errors(eigenvalues, shares, 2)
    assert_within(error(solvers.conjugate_gradient(system, 2)) - cg, 100 * tolerance)
    assert_within(cg - tensor(exact_errors(eigenvalues, shares, 2)), 100 * tolerance)


def test_closed_forms_take_batches():
    eigenvalues = tensor([[1.0, 2.0, 5.0], [1.0, 7.0, 9.0]])
    shares = tensor([[1.0, 1.0, 2.0], [0.5, 0.25, 0.25]])
    t = torch.arange(4)
    gd = spectral.gradient_descent_errors(eigenvalues, shares, t, tensor([0.3, 0.2]))
    cg = spectral.conjugate_gradient_errors(eigenvalues, shares, 3)
    told = spectral.chebyshev_errors(eigenvalues[0], shares, t, 1.0, 5.0)
    assert gd.shape == cg.shape == told.shape == (4, 2)
    for i, step_size in enumerate((0.3, 0.2)):
        torch.testing.assert_close(gd[:, i], spectral.gradient_descent_errors(eigenvalues[i], shares[i], t, step_size))
        torch.testing.assert_close(cg[:, i], spectral.conjugate_gradient_errors(eigenvalues[i], shares[i], 3))
        torch.testing.assert_close(told[:, i], spectral.chebyshev_errors(eigenvalues[0], shares[i], t, 1.0, 5.0))


def test_steps_are_found_by_bisection_and_by_settling():
    for accuracy in (2.0, 0.3, 1e-3, 1e-9):
        t = spectral.first_step(lambda t: 0.9**t, accuracy)
        assert 0.9**t <= accuracy and (t == 0 or 0.9 ** (t - 1) > accuracy)
        assert t == spectral.settling_step(0.9 ** torch.arange(400).double(), accuracy)
    assert spectral.settling_step(torch.tensor([1.0, math.nan, 0.0]), 0.5) == 2
    assert spectral.settling_step(torch.tensor([1.0, 1.0]), 0.5) == 2
    with pytest.raises(ArithmeticError, match="does it fall"):
        spectral.first_step(lambda t: 1.0, 0.5)
    with pytest.raises(ValueError, match="e.g."):
        spectral.chebyshev_errors(tensor([1.0]), tensor([1.0]), torch.arange(2), 2.0, 1.0)


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


def least_in_krylov(values: torch.Tensor, shares: torch.Tensor, dimension: int) -> float:
    """The smallest relative A-norm error in the Krylov space, by scipy: P(s) = 1 + sum c_j s^j in a scaled basis."""
    basis = (values / values.max()) ** torch.arange(1, dimension + 1)[:, None]
    found = scipy.optimize.lsq_linear((basis * shares.sqrt()).T.numpy(), -shares.sqrt().numpy())
    return math.sqrt(2 * found.cost / float(shares.sum()))


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

spectra_of_K = st.lists(st.floats(-3, 4), min_size=1, max_size=9)


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


# ---------------------------------------------------------------- Chebyshev and Newton


def rational_chebyshev(values, a, b, steps):
    """P_t(lambda_i) of the recurrence, over the rationals: the residual on the diagonal with targets one."""
    A = np.array([Fraction(v) for v in values], dtype=object)
    theta, delta = Fraction(a + b) / 2, Fraction(b - a) / 2
    rho, state = delta / theta, {"alpha": 0 * A, "r": 1 + 0 * A, "d": (1 + 0 * A) / theta}
    residuals = [state["r"]]
    for _ in range(steps):
        rho_old, rho = rho, 1 / (2 * theta / delta - rho)
        state = chebyshev_step(state, lambda v: A * v, rho * rho_old, 2 * rho / delta)
        residuals.append(state["r"])
    return residuals


def T(t, x):
    before, now = Fraction(1), x
    for _ in range(t):
        before, now = now, 2 * x * now - before
    return before


def left_by_chebyshev(t: int, s: int, a: int, b: int) -> Fraction:
    """P_t(s)"""
    return T(t, Fraction(a + b - 2 * s, b - a)) / T(t, Fraction(a + b, b - a))


@certifies(
    "prop-chebyshev-rate",
    statement=(left_by_chebyshev, lambda a, b: a + b),
    mutants={
        "the polynomial of the step before": (lambda t, s, a, b: left_by_chebyshev(max(t - 1, 0), s, a, b), lambda a, b: a + b),
        "centred at b": (lambda t, s, a, b: T(t, Fraction(b - s, b - a)) / T(t, Fraction(b, b - a)), lambda a, b: a + b),
        "convergence up to twice b": (left_by_chebyshev, lambda a, b: 2 * b),
        "convergence up to b": (left_by_chebyshev, lambda a, b: b),
    },
    exact=True,
)
def test_chebyshev_leaves_its_polynomial(statement):
    polynomial, limit = statement
    for seed in range(60):
        rng = np.random.default_rng(seed)
        a = int(rng.integers(1, 10))
        b = a + int(rng.integers(1, 21))
        values = [a, b, a + b, a + b + 1, 2 * b - 1, *rng.integers(1, 31, 4).tolist()]
        for t, residual in enumerate(rational_chebyshev(values, a, b, 6)):
            assert list(residual) == [polynomial(t, v, a, b) for v in values]
            for v, P in zip(values, map(abs, residual), strict=True):
                assert not a <= v <= b or P <= 1 / T(t, Fraction(a + b, b - a))
                assert v not in (a, b) or P == 1 / T(t, Fraction(a + b, b - a))
                assert t == 0 or ((P < 1) == (v < limit(a, b)) and (P > 1) == (v > limit(a, b)))
    assert chebyshev_coefficients(a, b, 1)[0] == pytest.approx(2 / (a + b))


@certifies(
    "prop-newton-rate",
    statement=lambda s: 2**s,
    mutants={"one gradient descent step fewer": lambda s: 2**s - 1, "as many as of Newton, and one": lambda s: s + 1, "twice as many": lambda s: 2 ** (s + 1)},
    exact=True,
)
def test_newton_predicts_what_gradient_descent_predicts_after_twice_the_doublings(statement):
    """Over the rationals: u_j = X phi_j with the ridge as supports, against the dual."""
    for seed in range(60):
        rng = np.random.default_rng(seed)
        k, p = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        Phi, y, query = (np.vectorize(Fraction, otypes=[object])(rng.integers(-3, 4, shape)) for shape in ((k, p), k, (2, p)))
        root, c = Fraction(3, 2), Fraction(1, 7)
        supports = np.concatenate([root * np.eye(p, dtype=int), Phi])
        phi, targets = np.concatenate([supports, query]), np.concatenate([0 * y[:1].repeat(p), y])
        A, descent = Phi @ Phi.T + root**2 * np.eye(k, dtype=int), [{"alpha": 0 * y, "r": y}]
        for _ in range(2**4):
            descent.append(gradient_descent_step(descent[-1], lambda v, A=A: A @ v, c))
        u = c * phi
        for s in range(4):
            assert ((u[p + k :] @ supports.T) @ targets == query @ Phi.T @ descent[statement(s)]["alpha"]).all()
            u = newton_schulz_step(u, phi, p + k) if s < 3 else u


def newton_count(kappa: float, eps: float) -> int:
    """ceil(log2 G) with the count G of gradient descent"""
    return math.ceil(math.log2(math.ceil(math.log(1 / eps) / math.log((kappa + 1) / (kappa - 1)))))


@certifies(
    "prop-newton-rate",
    statement=(newton_count, lambda a, b: 2 / (a + b)),
    mutants={
        "one Newton step fewer": (lambda kappa, eps: newton_count(kappa, eps) - 1, lambda a, b: 2 / (a + b)),
        "a scale that is half the best": (newton_count, lambda a, b: 1 / (a + b)),
        "the eigenvalues' geometric mean in the scale": (newton_count, lambda a, b: 1 / math.sqrt(a * b)),
    },
)
@pytest.mark.parametrize("kappa", [3.0, 100.0, 1e3])
def test_newton_network_keeps_its_promise(statement, kappa):
    count, scale = statement
    prompt = prompt_of(kappa, 12, 6, 5, seed=3)
    system = ridge_system(prompt)
    a, b, k = float(system.eigenvalues[0]), float(system.eigenvalues[-1]), float(system.condition_number)
    f = system.predict(solvers.cholesky(system).alpha)
    for eps in (0.1, 1e-2, 1e-6):
        steps, c = count(k, eps), scale(a, b)
        for extreme in ([1.0, 0.0], [0.0, 1.0]):  # no targets are worse than those along an end of the spectrum
            assert spectral.gradient_descent_errors(tensor([a, b]), tensor(extreme), torch.tensor([2**steps]), c) <= eps * (1 + 1e-9)
        assert depth.newton_steps(k, eps) == steps >= math.log2(depth.krylov_steps(k, eps))
        from_network = assemble(newton_schulz(6, steps, c)).predict(prompt.with_ridge_as_supports())
        from_descent = system.predict(solvers.gradient_descent(system, 2**steps, c).alpha)
        assert_within((from_network - from_descent) / f.norm(), 10 * floor(torch.float64, k))


@certifies(
    "prop-newton-rate",
    statement=lambda kappa, eps: max(0, math.ceil(math.log2(kappa) + math.log2(math.log(1 / eps)) - 1)),
    mutants={
        "- 2 for - 1": lambda kappa, eps: max(0, math.ceil(math.log2(kappa) + math.log2(math.log(1 / eps)) - 2)),
        "the accuracy forgotten": lambda kappa, eps: math.ceil(math.log2(kappa)),
        "not cut off at zero": lambda kappa, eps: math.ceil(math.log2(kappa) + math.log2(math.log(1 / eps)) - 1),
    },
)
def test_the_count_of_newton_is_below_its_closed_form(statement):
    for kappa, eps in itertools.product((1.01, 1.5, 3.0, 40.0, 100.0, 1e3, 1e6), (0.9, 0.1, 1e-2, 1e-6, 1e-12)):
        assert newton_count(kappa, eps) <= statement(kappa, eps)


@certifies(
    "prop-newton-rate",
    statement=lambda kappa, s: one_over_T(2**s, kappa),
    mutants={
        "1 / T_s": lambda kappa, s: one_over_T(s, kappa),
        "a degree one lower": lambda kappa, s: one_over_T(2**s - 1, kappa),
        "one hundredth larger": lambda kappa, s: 1.01 * one_over_T(2**s, kappa),
    },
)
@pytest.mark.parametrize("kappa", [4.0, 100.0, 1e3])
def test_no_polynomial_in_s_blocks_beats_the_lower_bound(statement, kappa):
    """w = q(S) b with q of degree below 2^s leaves P(S) w*, P = 1 - S q: any vector of the Krylov space of S and b."""
    for s in (1, 2, 3):
        values = tensor(chebyshev_extrema(2**s, kappa))
        assert least_in_krylov(values, spectral.lagrange_weights(values), 2**s) >= statement(kappa, s) * (1 - 1e-6)


# ---------------------------------------------------------------- the counts


@given(st.floats(0, 8), st.floats(-14, -0.001))
def test_counts_are_the_least_that_their_bounds_allow(log_kappa, log_accuracy):
    kappa, accuracy = 10**log_kappa, 10**log_accuracy
    counts = {
        depth.krylov_steps: lambda t: one_over_T(t, kappa) if t * math.log1p(2 / max(math.sqrt(kappa) - 1, 1e-300)) < 700 else 0.0,
        depth.gradient_descent_steps: lambda t: math.exp(-t * math.log1p(2 / (kappa - 1))) if kappa > 1 else float(t == 0),
        depth.newton_steps: lambda s: math.exp(-(2.0**s) * math.log1p(2 / (kappa - 1))) if kappa > 1 else 0.0,
    }
    for count, bound in counts.items():
        t = count(kappa, accuracy)
        assert bound(t) <= accuracy * (1 + 1e-7)
        assert t == 0 or bound(t - 1) > accuracy * (1 - 1e-7)


def test_counts_at_the_ends_and_misuse():
    assert depth.krylov_steps(1.0, 1e-6) == depth.gradient_descent_steps(1.0, 1e-6) == 1
    assert depth.newton_steps(1.0, 1e-6) == 0
    assert depth.krylov_steps(100.0, 1.0) == depth.gradient_descent_steps(100.0, 2.0) == depth.newton_steps(9.0, 1.0) == 0
    assert depth.effective_dimension_steps(0.0, 1e-6) == 1
    assert depth.outlier_steps(tensor([3.0]), 1e-6) == 1
    assert depth.effective_dimension(tensor([-1e-18, 1.0]), 1.0) == 0.5
    for call in (
        lambda: depth.krylov_steps(0.5, 1e-6),
        lambda: depth.newton_steps(10.0, 0.0),
        lambda: depth.effective_dimension_steps(-1.0, 1e-6),
        lambda: depth.effective_dimension_steps(3.0, 1e-6, threshold=0.0),
    ):
        with pytest.raises(ValueError, match="e.g."):
            call()
    with pytest.raises(KeyError, match="Newton"):
        depth.blocks("newton", 3)


@pytest.mark.parametrize("steps", [1, 3])
def test_blocks_are_those_of_the_programs(steps):
    programs = {
        "gradient descent": gradient_descent(2, steps, 0.1),
        "Chebyshev": chebyshev(2, steps, 0.1, 1.0),
        "conjugate gradient, textbook": conjugate_gradient(2, steps),
        "conjugate gradient, two blocks": two_block_conjugate_gradient(2, steps),
        "Newton": newton_schulz(2, steps, 0.1),
    }
    assert programs.keys() == depth.BLOCKS.keys()
    for name, program in programs.items():
        assert depth.blocks(name, steps) == program.n_blocks


@settings(max_examples=10)
@given(seeds, st.floats(0.3, 4), st.sampled_from([1e-2, 1e-6]))
def test_no_promise_is_broken_by_the_solvers(seed, log_kappa, accuracy):
    """In float64, where only the count in kappa is safe for conjugate gradient; accuracies are far above the floor."""
    system = ridge_system(prompt_of(10**log_kappa, 16, 10, 1, seed=seed))
    kappa, star = float(system.condition_number), solvers.cholesky(system).alpha
    a, b = (float(system.eigenvalues[i]) for i in (0, -1))
    promised = depth.krylov_steps(kappa, accuracy)
    for solution in (solvers.conjugate_gradient(system, promised), solvers.chebyshev(system, promised, a, b)):
        assert system.norm(solution.alpha - star) <= accuracy * (1 + 1e-6) * system.norm(star)
    if kappa < 1000:
        steps = depth.gradient_descent_steps(kappa, accuracy)
        assert system.norm(solvers.gradient_descent(system, steps, 2 / (a + b)).alpha - star) <= accuracy * (1 + 1e-6) * system.norm(star)


def test_gradient_descent_and_chebyshev_attain_their_counts():
    """The search is not needed: an extreme eigenvector is the worst there is."""
    values, worst = tensor([1.0, 40.0]), tensor([1.0, 0.0])
    for accuracy in (1e-1, 1e-5):
        t = depth.gradient_descent_steps(40.0, accuracy)
        errors = spectral.gradient_descent_errors(values, worst, torch.tensor([t - 1, t]), 2 / 41)
        assert errors[0] > accuracy >= errors[1] * (1 - 1e-12)
        t = depth.krylov_steps(40.0, accuracy)
        errors = spectral.chebyshev_errors(values, worst, torch.tensor([t - 1, t]), 1.0, 40.0)
        assert errors[0] > accuracy >= errors[1] * (1 - 1e-12)


def test_a_system_in_the_eigenbasis_is_the_system():
    system = RidgeSystem(torch.diag(tensor([1.0, 4.0, 9.0])), tensor([1.0, 2.0, 3.0]), torch.zeros(0, 3).double())
    eigenvalues, shares = spectral.spectral_shares(system)
    assert eigenvalues.tolist() == [1.0, 4.0, 9.0]
    torch.testing.assert_close(shares, tensor([1 / 3] * 3))
