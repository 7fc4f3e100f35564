"""What errors are measured with, Chebyshev and Newton, and the counts of steps and blocks."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
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
from metarep_lib.certify import exact_errors
from metarep_lib.construct.algorithms.chebyshev import chebyshev_coefficients
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.numerics.steps import (
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
    newton_schulz_step,
)
from spectra import chebyshev_extrema, least_in_krylov, one_over_T, positions, seeds, tensor
from tolerances import assert_within, floor

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
