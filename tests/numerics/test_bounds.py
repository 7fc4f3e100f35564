"""The bounds hold on random and on searched inputs, and the search comes close to them: they are not vacuous."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from metarep_lib import RidgeSystem, solvers
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    gradient_descent_bound,
    prediction_factor,
)
from metarep_lib.numerics.spectrum.errors import lagrange_weights


def diagonal(eigenvalues, y, K_query=None):
    """A is diagonal: conjugate gradient and gradient descent do not care about the eigenvectors."""
    A = torch.diag_embed(eigenvalues)
    return RidgeSystem(A, y, torch.zeros(0, len(y), dtype=torch.float64) if K_query is None else K_query)


def best_step_size(eigenvalues):
    return float(2 / (eigenvalues.min() + eigenvalues.max()).detach())


RUNS = {
    "conjugate_gradient": (lambda system, eigenvalues, t: solvers.conjugate_gradient(system, t), conjugate_gradient_bound),
    "gradient_descent": (lambda system, eigenvalues, t: solvers.gradient_descent(system, t, best_step_size(eigenvalues)), gradient_descent_bound),
}


def error_and_bound(algorithm, eigenvalues, y, t):
    """||alpha_t - alpha*||_A / ||alpha*||_A for steps 0 to t, and what bounds it."""
    run, bound = RUNS[algorithm]
    system = diagonal(eigenvalues, y)
    alpha = run(system, eigenvalues, t).history["alpha"]
    star = y / eigenvalues
    # the A-norm, without a square root at zero, which has no gradient
    errors = ((alpha - star).square() @ eigenvalues / (star.square() @ eigenvalues) + 1e-300).sqrt()
    return errors, bound(eigenvalues.max() / eigenvalues.min(), torch.arange(t + 1))


spectra = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12)


@pytest.mark.parametrize("algorithm", RUNS)
@given(spectra, st.floats(0.0, 4.0), st.floats(-6.0, 6.0), st.integers(0, 99))
def test_the_bound_holds_on_random_spectra(algorithm, positions, log_kappa, log_size, seed):
    eigenvalues = 10**log_size * 10 ** (log_kappa * torch.tensor([0.0, *positions, 1.0], dtype=torch.float64))
    y = torch.from_numpy(np.random.default_rng(seed).standard_normal(len(eigenvalues)))
    errors, bounds = error_and_bound(algorithm, eigenvalues, y, 12)
    tolerances.assert_within((errors - bounds).clamp(min=0), tolerances.floor(torch.float64, 10**log_kappa))


def searched(algorithm, kappa, t, n, seed):
    """The largest value / bound at step t that L-BFGS finds over spectra in [1, kappa] and targets."""

    def ratio(flat):
        positions, log_weights = flat[: n - 2], flat[n - 2 :]
        inner = 1 + (kappa - 1) * torch.sigmoid(positions)
        ends = torch.tensor([1.0, kappa], dtype=torch.float64)
        errors, bounds = error_and_bound(algorithm, torch.cat([ends, inner]), log_weights.exp(), t)
        return errors[t] / bounds[t]

    def loss(flat):
        flat = torch.from_numpy(flat).requires_grad_()
        value = -ratio(flat).log()
        value.backward()
        return value.item(), flat.grad.numpy()

    start = np.random.default_rng(seed).standard_normal(2 * n - 2)
    found = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-15, 15)] * len(start), options={"maxiter": 300})
    return float(np.exp(-found.fun))


@pytest.mark.parametrize(
    ("algorithm", "kappa", "t", "tight"),
    [
        # for CG at most 1 / (1 + c^2t), c = (sqrt kappa - 1) / (sqrt kappa + 1): the error's polynomial is Chebyshev's at best
        ("conjugate_gradient", 25.0, 3, 0.9),
        ("conjugate_gradient", 100.0, 6, 0.9),
        ("gradient_descent", 25.0, 5, 0.99),
        ("gradient_descent", 100.0, 20, 0.99),
    ],
)
def test_the_search_comes_close_to_the_bound_and_never_passes_it(algorithm, kappa, t, tight, record_property):
    tightness = max(searched(algorithm, kappa, t, t + 1, seed) for seed in range(3))
    record_property("tightness", float(tightness))
    print(f"{algorithm}, kappa {kappa:g}, step {t}: value / bound = {tightness:.6f}")
    bound = float(RUNS[algorithm][1](torch.tensor(kappa), torch.tensor(t)))
    if algorithm == "conjugate_gradient":
        c = (kappa**0.5 - 1) / (kappa**0.5 + 1)
        tolerances.assert_within(max(0.0, tightness - 1 / (1 + c ** (2 * t))), tolerances.floor(torch.float64, kappa) / bound)
    tolerances.assert_within(max(0.0, tightness - 1), tolerances.floor(torch.float64, kappa) / bound)
    assert tightness > tight


def test_gradient_descent_attains_its_bound_on_an_extreme_eigenvector():
    errors, bounds = error_and_bound("gradient_descent", torch.tensor([1.0, 7.0]).double(), torch.tensor([1.0, 0.0]).double(), 10)
    tolerances.assert_within(errors / bounds - 1, tolerances.rounding(torch.float64, 50))


@given(st.floats(1.0, 1e8), st.integers(0, 50))
def test_cg_is_promised_twice_what_gradient_descent_is_promised_at_the_root_of_kappa(kappa, t):
    kappa, t = torch.tensor(kappa, dtype=torch.float64), torch.tensor(t)
    assert torch.equal(conjugate_gradient_bound(kappa, t), 2 * gradient_descent_bound(kappa.sqrt(), t))


def test_bounds_at_the_ends():
    one, t = torch.tensor(1.0), torch.arange(3)
    assert conjugate_gradient_bound(one, t).tolist() == [2.0, 0.0, 0.0]
    assert gradient_descent_bound(one, t).tolist() == [1.0, 0.0, 0.0]


def random_system(n, seed, q=4):
    rng = np.random.default_rng(seed)
    root = torch.from_numpy(rng.standard_normal((n, n)))
    A = root @ root.T + 0.1 * torch.eye(n, dtype=torch.float64)
    return RidgeSystem(A, torch.from_numpy(rng.standard_normal(n)), torch.from_numpy(rng.standard_normal((q, n))))


def prediction_ratio(system, t):
    """|f_t - f*| / (factor * relative error of alpha_t in the A-norm), at every query."""
    star = torch.linalg.solve(system.A, system.y)
    alpha = solvers.conjugate_gradient(system, t).alpha
    relative = system.norm(alpha - star) / system.norm(star)
    return system.predict(alpha - star).abs() / (prediction_factor(system, star) * relative)


@given(st.integers(2, 8), st.integers(0, 99), st.data())
def test_predictions_are_as_close_as_the_factor_says(n, seed, data):
    t = data.draw(st.integers(0, n - 1))
    system = random_system(n, seed)
    assert prediction_ratio(system, t).max() <= 1 + tolerances.floor(torch.float64, float(system.condition_number))


def test_the_factor_is_written_out_and_batched():
    systems = [random_system(5, seed) for seed in range(3)]
    batch = RidgeSystem(*(torch.stack([getattr(system, name) for system in systems]) for name in ("A", "y", "K_query")))
    star = torch.linalg.solve(batch.A, batch.y)
    for system, alpha, factor in zip(systems, star, prediction_factor(batch, star), strict=True):
        expected = torch.stack([(k @ torch.linalg.inv(system.A) @ k).sqrt() * (alpha @ system.A @ alpha).sqrt() for k in system.K_query])
        tolerances.assert_within(factor / expected - 1, tolerances.floor(torch.float64, float(system.condition_number)))


def hardest(kappa: float, t: int, size: float) -> RidgeSystem:
    """The targets on which t steps of CG leave the most, at the query along the error: value / bound is 1 / (1 + c^2t)."""
    eigenvalues = size * ((kappa + 1) / 2 - (kappa - 1) / 2 * torch.cos(torch.arange(t + 1, dtype=torch.float64) * torch.pi / t))
    y = (lagrange_weights(eigenvalues) * eigenvalues).sqrt()
    error = solvers.conjugate_gradient(diagonal(eigenvalues, y), t).alpha - y / eigenvalues
    return diagonal(eigenvalues, y, (eigenvalues * error).unsqueeze(0))


def identity(A: torch.Tensor) -> torch.Tensor:
    return torch.eye(len(A), dtype=A.dtype)


def prediction_bound(system: RidgeSystem, t: int, norm_of_k=torch.linalg.inv, norm_of_alpha=lambda A: A) -> torch.Tensor:
    """At every query, as the corollary has it, with the matrices of its two norms."""
    star, c = torch.linalg.solve(system.A, system.y), (system.condition_number.sqrt() - 1) / (system.condition_number.sqrt() + 1)
    squared = torch.einsum("qi,ij,qj->q", system.K_query, norm_of_k(system.A), system.K_query)
    return squared.sqrt() * 2 * c**t * (star @ norm_of_alpha(system.A) @ star).sqrt()


@certifies(
    "cor-prediction",
    statement=prediction_bound,
    mutants={
        "one hundredth smaller": lambda system, t: 0.99 * prediction_bound(system, t),
        "the exponent of the next step": lambda system, t: prediction_bound(system, t + 1),
        "the length of k(x) for its norm": lambda system, t: prediction_bound(system, t, norm_of_k=identity),
        "the length of alpha* for its norm": lambda system, t: prediction_bound(system, t, norm_of_alpha=identity),
    },
)
def test_no_prediction_is_further_off_than_the_corollary_says(statement):
    hard = [(hardest(kappa, t, size), t) for kappa, t in ((4.0, 3), (25.0, 6)) for size in (0.01, 100.0)]
    for system, t in [*hard, *((random_system(n, seed), t) for n in range(2, 9) for seed in range(5) for t in range(n))]:
        off = system.predict(solvers.conjugate_gradient(system, t).alpha - torch.linalg.solve(system.A, system.y)).abs()
        assert (off <= statement(system, t) + tolerances.floor(torch.float64, float(system.condition_number)) * prediction_bound(system, 0)).all()


@given(st.integers(2, 8), st.integers(0, 99))
def test_the_factor_is_attained_by_the_query_along_the_error(n, seed):
    system = random_system(n, seed)
    error = solvers.conjugate_gradient(system, 1).alpha - torch.linalg.solve(system.A, system.y)
    worst = RidgeSystem(system.A, system.y, (system.A @ error).unsqueeze(0))
    tolerances.assert_within(prediction_ratio(worst, 1) - 1, 1e-6)


def test_a_search_over_queries_finds_the_factor_attained(record_property):
    system = random_system(6, seed=0)

    def loss(k):
        return -float(prediction_ratio(RidgeSystem(system.A, system.y, torch.from_numpy(k).unsqueeze(0)), 2)[0])

    found = scipy.optimize.minimize(loss, np.random.default_rng(1).standard_normal(6), method="Powell")
    record_property("tightness", float(-found.fun))
    print(f"prediction factor: value / bound = {-found.fun:.6f}")
    assert 0.99 < -found.fun <= 1 + tolerances.floor(torch.float64, float(system.condition_number))
