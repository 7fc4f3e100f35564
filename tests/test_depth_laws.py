"""The laws of chapter depth-laws, on random and on searched inputs, in exact arithmetic: fractions or balls, never floats.

Rounding costs conjugate gradient steps, so a run in floats may break these laws (chapter depth-frontier); what is judged here are
`exact_errors` and closed forms that `exact_errors` is held against.
"""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.optimize
import torch
from certificates import certifies
from factories import prompt_of
from hypothesis import given, settings
from hypothesis import strategies as st
from tolerances import assert_within, floor

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
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.evidence import climb, exact_errors
from metarep_lib.numerics import depth, spectral
from metarep_lib.numerics.recurrences import (
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
    newton_schulz_step,
)

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


@certifies("lem-last-step", mutant="shares in place of their inverses", exact=True)
@settings(max_examples=40)
@given(positions, seeds)
def test_the_last_step_but_one_has_a_closed_form(positions, seed):
    """Over the rationals: the square of the error is 1 / sum l_i^2 / share_i."""
    values = [Fraction(p) for p in sorted(positions)]
    shares = [Fraction(int(s)) for s in np.random.default_rng(seed).integers(1, 9, len(values))]
    exact = exact_errors([float(v) for v in values], [float(s) for s in shares], len(values) - 1)[-1]

    ells = [math.prod((v / abs(v - w) for v in values if v != w), start=Fraction(1)) for w in values]
    omega = [share / sum(shares) for share in shares]
    assert exact == pytest.approx(math.sqrt(1 / sum(li**2 / w for li, w in zip(ells, omega, strict=True))), rel=DIGITS)
    worst = 1 / float(sum(ells))
    assert exact <= worst * (1 + DIGITS)
    assert spectral.worst_error(tensor([float(v) for v in values])).item() == pytest.approx(worst, rel=1e-10)
    at_worst = exact_errors([float(v) for v in values], [float(li) for li in ells], len(values) - 1)[-1]
    assert at_worst == pytest.approx(worst, rel=DIGITS)
    assert exact < math.sqrt(1 / sum(li**2 * w for li, w in zip(ells, omega, strict=True)))  # mutant


@certifies("thm-krylov-lower", mutant="twice the lower bound; a vector of the next Krylov space")
@pytest.mark.parametrize("kappa, t", [(1.5, 1), (4.0, 3), (100.0, 6), (1e4, 10)])
def test_on_the_hard_prompt_nobody_in_the_krylov_space_beats_the_bound(kappa, t, record_property):
    values = tensor(chebyshev_extrema(t, kappa))
    shares = spectral.lagrange_weights(values)
    errors = exact_errors(values, shares, t + 1)
    bound = one_over_T(t, kappa)
    assert errors[t] == pytest.approx(bound, rel=1e-9)  # attained by conjugate gradient
    assert errors[t + 1] == 0  # mutant: the space is one larger
    root = (math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)
    assert bound <= 2 * root**t <= 2 * bound and errors[t] < 2 * bound  # mutant: twice the bound is not a lower bound

    # any other vector of the Krylov space, searched: P(s) = 1 + sum c_j s^j in a scaled basis
    basis = (values / kappa) ** torch.arange(1, t + 1)[:, None]
    found = scipy.optimize.lsq_linear((basis * shares.sqrt()).T.numpy(), -shares.sqrt().numpy())
    least = math.sqrt(2 * found.cost / float(shares.sum()))
    report(record_property, f"krylov, kappa {kappa:g}, step {t}", bound / least)
    assert least >= bound * (1 - 1e-6)


@certifies("thm-krylov-lower", mutant="a rate with the next step's exponent")
@given(st.lists(st.floats(0, 1), min_size=1, max_size=9), st.floats(0.1, 4), seeds)
def test_no_prompt_needs_more_than_kappa_allows(positions, log_kappa, seed):
    values = 10 ** (log_kappa * np.array([0.0, *positions, 1.0]))
    shares = np.random.default_rng(seed).exponential(size=len(values))
    errors = exact_errors(values, shares, 8)
    bounds = np.array([one_over_T(t, values.max() / values.min()) for t in range(9)])
    assert (errors <= bounds * (1 + DIGITS)).all()


def test_the_search_for_a_worse_prompt_ends_at_the_bound(record_property):
    kappa, t = 50.0, 7

    def log_ratio(z):
        return spectral.worst_error(1 + (kappa - 1) * torch.sigmoid(z)).log() - math.log(one_over_T(t, kappa))

    tightness = searched(log_ratio, t + 1)
    report(record_property, "condition number", tightness)
    assert 0.999 < tightness <= 1 + 1e-9
    assert tightness * one_over_T(t, kappa) > one_over_T(t + 1, kappa)  # mutant: the exponent t + 1


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


@certifies("thm-outliers", mutant="F without the factors of outliers below; m - 1 outliers")
@pytest.mark.parametrize(("above", "below", "j", "tight"), [(2, 0, 3, 0.999), (1, 0, 2, 0.999), (0, 1, 2, 0.1), (1, 1, 2, 0.1)])
def test_the_search_comes_close_for_outliers_above_and_stays_away_below(above, below, j, tight, record_property):
    b = 4.0

    def error_and_factors(z):
        high, low = b * (1 + torch.exp(z[:above])), torch.sigmoid(z[above : above + below])
        inside = 1 + (b - 1) * torch.sigmoid(z[above + below :])
        factors = torch.log(1 - 1 / high).sum(), torch.log(b / low - 1).sum()
        return spectral.worst_error(torch.cat([low, inside, high])).log(), *factors

    def log_ratio(z, steps=j, with_below=True):
        error, of_above, of_below = error_and_factors(z)
        return error - of_above - with_below * of_below - math.log(one_over_T(steps, b))

    size = above + below + j + 1
    tightness = searched(log_ratio, size, spread=2.0)
    report(record_property, f"outliers, {above} above and {below} below", tightness)
    assert tight < tightness <= 1 + 1e-9
    assert searched(lambda z: log_ratio(z, steps=j + 1), size, spread=2.0) > 1 or below  # mutant: one outlier fewer
    if below:  # mutant: the factors below dropped
        assert searched(lambda z: log_ratio(z, with_below=False), size, spread=2.0) > 1


@given(st.lists(st.floats(0, 6), min_size=1, max_size=10), st.floats(-8, -0.1), seeds)
def test_the_count_of_the_best_window_is_enough_and_never_worse_than_kappa(log_values, log_accuracy, seed):
    values, accuracy = 10 ** np.array(log_values), 10**log_accuracy
    shares = np.random.default_rng(seed).exponential(size=len(values))
    promised = depth.outlier_steps(tensor(values), accuracy)
    assert exact_errors(values, shares, promised)[-1] <= accuracy * (1 + 1e-9)
    assert promised <= min(len(set(values)), depth.krylov_steps(values.max() / values.min(), accuracy))


# ---------------------------------------------------------------- the effective dimension

spectra_of_K = st.lists(st.floats(-3, 4), min_size=1, max_size=9)


@certifies("thm-effective-depth")
@settings(max_examples=40)
@given(spectra_of_K, st.floats(-2, 3), st.floats(-8, -0.1), seeds)
def test_the_effective_dimension_is_deep_enough(log_mu, log_c, log_accuracy, seed):
    mu, c, accuracy = 10 ** np.array(log_mu), 10**log_c, 10**log_accuracy
    d_eff = float(depth.effective_dimension(tensor(mu), 1.0))
    assert (mu > c).sum() < (1 + c) / c * d_eff
    values = np.concatenate([[1.0], 1 + mu])
    shares = np.random.default_rng(seed).exponential(size=len(values))
    for threshold in (c, 1.0, None):
        promised = depth.effective_dimension_steps(d_eff, accuracy, threshold)
        assert exact_errors(values, shares, promised)[-1] <= accuracy * (1 + 1e-9)
    simple = math.ceil(2 * d_eff) + math.log(2 / accuracy) / (2 * math.log(1 + math.sqrt(2)))
    assert depth.effective_dimension_steps(d_eff, accuracy, 1.0) <= simple


@certifies("cor-effective-best", mutant="a cube root of one instead of 27 / 16")
@settings(max_examples=50)
@given(st.floats(1e-3, 1e5), st.floats(-14, -0.01))
def test_the_best_threshold_is_below_its_closed_form(d_eff, log_accuracy):
    L = math.log(2 / 10**log_accuracy)
    best = min(depth.effective_dimension_steps(d_eff, 10**log_accuracy, c) for c in ((4 * d_eff / L) ** (2 / 3), None))
    assert best <= d_eff + (27 / 16 * d_eff * L**2) ** (1 / 3) + L / 2 + 1


def test_the_closed_form_of_the_best_threshold_needs_its_constant():
    """Mutant: with 1 for 27 / 16 the law itself asks for more, at large effective dimensions."""
    d_eff, accuracy = 1e7, 1e-6
    L = math.log(2 / accuracy)
    assert depth.effective_dimension_steps(d_eff, accuracy) > d_eff + (d_eff * L**2) ** (1 / 3) + L / 2 + 1


@certifies("prop-effective-sharp", "thm-effective-depth", mutant="a leading constant of nine tenths")
@pytest.mark.parametrize(("m", "R"), [(1, 3.0), (3, 10.0), (8, 1000.0), (12, 1000.0)])
def test_a_hierarchy_of_scales_costs_its_effective_dimension(m, R):
    mu = R ** np.arange(1.0, m + 1) - 1
    d_eff = float(depth.effective_dimension(tensor(mu), 1.0))
    assert d_eff == pytest.approx(m - (R ** -np.arange(1.0, m + 1)).sum(), rel=DIGITS) and d_eff < m
    values = tensor(np.concatenate([[1.0], 1 + mu]))
    error = exact_errors(values, spectral.lagrange_weights(values), m)[m]
    assert error >= 1 - (m + 1) / (R + m - 1)
    if R == 1000:  # accuracy 0.95 takes m + 1 steps, exactly what the law allows; mutant: with 0.9 d_eff it would allow fewer
        assert error > 0.95 and depth.effective_dimension_steps(d_eff, 0.95) == m + 1 > 0.9 * d_eff + depth.krylov_steps(2.0, 0.95)


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


@certifies("prop-chebyshev-rate", mutant="convergence up to twice b")
@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(1, 9), st.integers(1, 20))
def test_chebyshev_leaves_its_polynomial(values, a, gap):
    b = a + gap
    x = [Fraction(a + b - 2 * v, b - a) for v in values]
    for t, residual in enumerate(rational_chebyshev(values, a, b, 6)):
        expected = [T(t, xi) / T(t, Fraction(a + b, b - a)) for xi in x]
        assert list(residual) == expected
        for v, P in zip(values, residual, strict=True):
            if a <= v <= b:
                assert abs(P) <= 1 / T(t, Fraction(a + b, b - a))
            if v in (a, b):
                assert abs(P) == 1 / T(t, Fraction(a + b, b - a))
            if t:
                assert (abs(P) < 1) == (v < a + b) and (abs(P) > 1) == (v > a + b)
    assert abs(rational_chebyshev([2 * b], a, b, 1)[1][0]) > 1  # mutant: 2 b > a + b diverges
    assert chebyshev_coefficients(a, b, 1)[0] == pytest.approx(2 / (a + b))


@certifies("prop-newton-rate", mutant="one gradient descent step fewer")
@given(seeds, st.integers(1, 4), st.integers(1, 3))
def test_newton_predicts_what_gradient_descent_predicts_after_twice_the_doublings(seed, k, p):
    """Over the rationals: u_j = X phi_j with the ridge as supports, against the dual."""
    rng = np.random.default_rng(seed)
    Phi, y, query = (np.vectorize(Fraction, otypes=[object])(rng.integers(-3, 4, shape)) for shape in ((k, p), k, (2, p)))
    root, c = Fraction(3, 2), Fraction(1, 7)
    ridge = root**2
    supports = np.concatenate([root * np.eye(p, dtype=int), Phi])
    phi, targets = np.concatenate([supports, query]), np.concatenate([0 * y[:1].repeat(p), y])
    u = c * phi
    A, state = Phi @ Phi.T + ridge * np.eye(k, dtype=int), {"alpha": 0 * y, "r": y}
    done = 0
    for s in range(1, 4):
        u = newton_schulz_step(u, phi, p + k)
        while done < 2**s:
            before = state
            state = gradient_descent_step(state, lambda v: A @ v, c)
            done += 1
        said = (u[p + k :] @ supports.T) @ targets
        assert (said == query @ Phi.T @ state["alpha"]).all()
        if (query @ Phi.T @ state["r"] != 0).any():
            assert (said != query @ Phi.T @ before["alpha"]).any()  # mutant


@certifies("prop-newton-rate", mutant="a scale that is a tenth of the best needs more steps")
@pytest.mark.parametrize("kappa", [3.0, 100.0, 1e3])
def test_newton_network_keeps_its_promise(kappa):
    prompt = prompt_of(kappa, 12, 6, 5, seed=3)
    system = ridge_system(prompt)
    a, b, k = float(system.eigenvalues[0]), float(system.eigenvalues[-1]), float(system.condition_number)
    for accuracy in (1e-2, 1e-6):
        steps = depth.newton_steps(k, accuracy)
        assert steps <= max(0, math.ceil(math.log2(k) + math.log2(math.log(1 / accuracy)) - 1))
        assert steps >= math.log2(depth.krylov_steps(k, accuracy))
        f = system.predict(solvers.cholesky(system).alpha)
        from_network = assemble(newton_schulz(6, steps, 2 / (a + b))).predict(prompt.with_ridge_as_supports())
        from_descent = system.predict(solvers.gradient_descent(system, 2**steps, 2 / (a + b)).alpha)
        assert_within((from_network - from_descent) / f.norm(), 10 * floor(torch.float64, k))
    eigenvalues, shares = tensor([a, b]), tensor([1.0, 0.0])
    slow = spectral.gradient_descent_errors(eigenvalues, shares, torch.tensor([2**steps]), 0.2 / (a + b))
    assert slow > accuracy  # mutant


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
