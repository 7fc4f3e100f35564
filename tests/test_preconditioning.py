"""What diagonal preconditioners do, against theorems: exact where they are identities, searched where they are bounds."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from certificates import certifies
from factories import random_prompt
from hypothesis import given
from hypothesis import strategies as st
from test_theorems import exact_solve, rational_cg, rationals

from metarep_lib import Prompt, RidgeSystem, conjugate_gradient_bound, ridge_system, solvers
from metarep_lib.evidence import worst_case
from metarep_lib.numerics import best_projection, block_diagonal, depth, jacobi, landmark_preconditioner, projected, row_normalised, scaled, whitened
from metarep_lib.numerics.recurrences import conjugate_gradient_step

U = torch.finfo(torch.float64).eps
seeds = st.integers(0, 10**6)


def rational_pcg(A: np.ndarray, y: np.ndarray, m: np.ndarray, steps: int) -> list[dict[str, np.ndarray]]:
    """States of CG preconditioned by the diagonal m, over the rationals."""
    y, m = y + Fraction(0), m + Fraction(0)
    states = [{"alpha": 0 * y, "r": y, "p": m * y}]
    divide = np.vectorize(lambda n, d: Fraction(0) if n == d == 0 else n / d, otypes=[object])
    for _ in range(steps):
        states.append(conjugate_gradient_step(states[-1], lambda v: A @ v, lambda a, b: np.array([a @ b]), divide, m))
    return states


def spread_prompt(seed: int, k: int = 12, p: int = 8) -> Prompt:
    """Random supports of lengths spread over three orders of magnitude."""
    prompt = random_prompt(k, p, 3, ridge=1e-3, seed=seed)
    lengths = 10 ** (3 * torch.rand(k, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1.5)
    return Prompt(prompt.phi * lengths, prompt.y, prompt.phi_query, prompt.ridge)


@certifies("prop-preconditioned-rate", mutant="the condition number without the preconditioner")
@given(seed=seeds, spread=st.booleans())
def test_the_rate_is_that_of_the_scaled_matrix(seed, spread):
    system = ridge_system(spread_prompt(seed) if spread else random_prompt(12, 8, 3, ridge=0.1, seed=seed))
    m, star = jacobi(system), solvers.cholesky(system).alpha
    kappa = scaled(system, m).condition_number
    alpha = solvers.conjugate_gradient(system, 30, preconditioner=m).history["alpha"]
    error = system.norm(alpha - star) / system.norm(star)
    assert (error <= conjugate_gradient_bound(kappa, torch.arange(31)) + 100 * U * system.condition_number).all()


def test_the_rate_of_the_plain_matrix_does_not_hold_for_the_preconditioned_iteration():  # mutant of prop-preconditioned-rate
    A = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    system = RidgeSystem(A, torch.tensor([1.0, 1.0], dtype=torch.float64), torch.zeros(0, 2, dtype=torch.float64))
    m = torch.tensor([1.0, 100.0], dtype=torch.float64)  # kappa(A) = 1 promises one step
    alpha = solvers.conjugate_gradient(system, 1, preconditioner=m).alpha
    assert system.norm(alpha - 1.0) > 0.1 > conjugate_gradient_bound(torch.tensor(1.0), torch.tensor(1))


@certifies("prop-preconditioned-rate", mutant="the preconditioner on one side only", exact=True)
@given(seed=seeds)
def test_preconditioned_conjugate_gradient_is_conjugate_gradient_on_the_scaled_system(seed):
    rng = np.random.default_rng(seed)
    Phi, y, root = rationals(rng, 4, 4), rationals(rng, 4), abs(rationals(rng, 4)) + Fraction(1, 2)
    A = Phi @ Phi.T + np.eye(4, dtype=int)
    plain = rational_cg(root[:, None] * A * root, root * y, 4)
    preconditioned = rational_pcg(A, y, root**2, 4)
    for one, other in zip(plain, preconditioned):
        assert (root * one["alpha"] == other["alpha"]).all()
    one_sided = rational_cg(root[:, None] * A, root * y, 1)
    assert (y == 0).all() or len(set(root)) == 1 or (root * one_sided[1]["alpha"] != preconditioned[1]["alpha"]).any()


@certifies("prop-jacobi-no-op", mutant="a diagonal that is not constant", exact=True)
@given(seed=seeds)
def test_a_constant_diagonal_makes_jacobi_do_nothing(seed):
    rng = np.random.default_rng(seed)
    c = rationals(rng, 3) / 16
    B = np.array([[1, c[0], c[1], c[2]], [c[0], 1, c[2], c[1]], [c[1], c[2], 1, c[0]], [c[2], c[1], c[0], 1]], dtype=object)
    y = np.arange(1, 5) ** 2
    A = B + Fraction(0) + 3 * np.eye(4, dtype=int)
    for one, other in zip(rational_cg(A, y, 4), rational_pcg(A, y, Fraction(1) / A.diagonal(), 4)):
        assert (one["alpha"] == other["alpha"]).all()
    A = A + np.diag([0, 0, 0, 5])
    changed = rational_pcg(A, y, np.array([1 / a for a in A.diagonal()]), 2)
    assert (changed[1]["alpha"] != rational_cg(A, y, 2)[1]["alpha"]).any()


@certifies("prop-jacobi-hurts", mutant="one step fewer", exact=True)
@pytest.mark.parametrize("k", [2, 3, 5])
def test_one_feature_takes_two_steps_and_with_jacobi_as_many_as_supports(k):
    phi = np.arange(1, k + 1)
    A = np.outer(phi, phi).astype(object) + np.eye(k, dtype=int) + Fraction(0)
    y = np.ones(k, dtype=object)
    plain, preconditioned = rational_cg(A, y, 2), rational_pcg(A, y, np.array([1 / a for a in A.diagonal()]), k)
    assert (plain[2]["r"] == 0).all()
    assert (preconditioned[k - 1]["r"] != 0).any() and (preconditioned[k]["r"] == 0).all()
    assert (preconditioned[-1]["alpha"] == exact_solve(A, y + Fraction(0))).all()


def jacobi_ratio(flat: torch.Tensor, k: int) -> torch.Tensor:
    """kappa of the Jacobi-scaled matrix / (k times kappa of another scaling), for any matrix and any scaling."""
    root, e = flat[: k * k].reshape(k, k), flat[k * k :].exp()
    A = root @ root.T + 1e-6 * torch.eye(k, dtype=torch.float64)
    d = A.diagonal().rsqrt()
    of_jacobi, of_other = (torch.linalg.eigvalsh(s[:, None] * A * s) for s in (d, e))
    return (of_jacobi[-1] / of_jacobi[0]) / (k * of_other[-1] / of_other[0])


@given(seed=seeds, k=st.integers(2, 6))
def test_jacobi_is_within_k_of_any_scaling(seed, k):
    flat = torch.randn(k * k + k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert jacobi_ratio(flat, k) <= 1 + 1e-9


@certifies("thm-van-der-sluis", mutant="a third of the number of supports")
def test_a_search_comes_to_half_of_the_factor_and_not_beyond_it():
    found = worst_case(lambda z: jacobi_ratio(z, 3), 12, seed=0)
    assert 1 / 3 < found <= 1 + 1e-6


PYTHAGOREAN = np.array([[3, 4], [5, 12], [8, 15], [-4, 3]])  # rows of integer length


@certifies("thm-norm-is-weighting", mutant="the same ridge for every support", exact=True)
@pytest.mark.parametrize("ridge", [Fraction(1, 3), Fraction(5)])
def test_a_norm_on_the_features_is_ridge_regression_with_a_ridge_of_its_own_for_every_support(ridge):
    y, query = np.array([1, -2, 3, 5]) + Fraction(0), np.array([7, 24]) + Fraction(0)
    lengths, of_query = np.array([5, 13, 17, 5]), 25
    unit = PYTHAGOREAN / (lengths[:, None] + Fraction(0))
    alpha = exact_solve(unit @ unit.T + ridge * np.eye(4, dtype=int), y / lengths)
    normed = (unit @ (query / of_query)) @ alpha * of_query
    K = PYTHAGOREAN @ PYTHAGOREAN.T + Fraction(0)
    weighted = (PYTHAGOREAN @ query) @ exact_solve(K + ridge * np.diag(lengths**2), y)
    assert normed == weighted
    assert normed != (PYTHAGOREAN @ query) @ exact_solve(K + ridge * np.eye(4, dtype=int), y)


@given(seed=seeds)
def test_the_library_normalises_rows_as_sklearn_does(seed):
    from sklearn.preprocessing import normalize

    prompt = spread_prompt(seed)
    unit, lengths = row_normalised(prompt)
    np.testing.assert_allclose(unit.phi, normalize(prompt.phi.numpy()), rtol=1e-12)
    np.testing.assert_allclose(unit.phi_query, normalize(prompt.phi_query.numpy()), rtol=1e-12)
    np.testing.assert_allclose(lengths, np.linalg.norm(prompt.phi.numpy(), axis=1), rtol=1e-12)


@certifies("prop-early-stopping", mutant="a ridge of 4 / (eta t)")
@given(log_x=st.floats(-8, 4), t=st.integers(1, 10**4))
def test_stopping_gradient_descent_filters_as_a_ridge_does(log_x, t):
    share = min(10.0**log_x, 1.0)  # eta mu
    stopped = -np.expm1(t * np.log1p(-share)) if share < 1 else 1.0
    ridge = share / (share + 1 / t)
    assert 1 - 1e-12 <= stopped / ridge <= 2 + 1e-12
    if t * share < 1e-3:
        assert stopped / (share / (share + 4 / t)) > 2  # mutant


def test_bad_scalings_are_refused():
    system = ridge_system(random_prompt(3, 2, 1, ridge=0.5, seed=0))
    with pytest.raises(ValueError, match=r"jacobi\(system\)"):
        scaled(system, torch.tensor([1.0, 0.0, 1.0]))
    with pytest.raises(ValueError, match="phi = 0"):
        row_normalised(Prompt(torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2), 0.5))


@certifies("thm-landmark-preconditioner", mutant="1 + e / (2 lambda)")
@given(seed=seeds, n=st.integers(0, 6), log_ridge=st.floats(-3, 1))
def test_landmarks_bring_the_condition_number_down_to_what_they_miss(seed, n, log_ridge):
    prompt = random_prompt(9, 6, 2, ridge=10.0**log_ridge, seed=seed)
    system, landmarks = ridge_system(prompt), torch.arange(n)
    P = landmark_preconditioner(prompt, landmarks) if n else prompt.ridge * torch.eye(9, dtype=torch.float64)
    missed = torch.linalg.matrix_norm(system.A - P, 2) / prompt.ridge
    made = whitened(system, P)
    assert made.condition_number <= (1 + missed) * (1 + 1e-8)
    if n == 0 and missed > 0.1:
        assert made.condition_number > 1 + missed / 2  # mutant
    torch.testing.assert_close(made.predict(solvers.cholesky(made).alpha), system.predict(solvers.cholesky(system).alpha))


@certifies("thm-landmark-preconditioner", mutant="a width of the effective dimension alone")
@given(seed=seeds, c=st.sampled_from([0.25, 1.0, 4.0]))
def test_a_few_more_directions_than_the_effective_dimension_bound_the_condition_number(seed, c):
    prompt = random_prompt(12, 9, 2, ridge=0.5, seed=seed)
    prompt = Prompt(prompt.phi * 2.0 ** -torch.arange(9).double(), prompt.y, prompt.phi_query, 0.5)
    mu = torch.linalg.svdvals(prompt.phi).square()
    m = int(torch.ceil((1 + c) / c * depth.effective_dimension(mu, 0.5)))
    narrow = projected(prompt, best_projection(prompt, m)).phi
    P = narrow @ narrow.mT + 0.5 * torch.eye(12, dtype=torch.float64)
    assert whitened(ridge_system(prompt), P).condition_number <= (1 + c) * (1 + 1e-9)
    assert depth.effective_dimension(torch.ones(4), 1.0) == 2  # mutant: four eigenvalues at lambda; with c < 1 two directions leave kappa = 2 > 1 + c


def test_blocks_are_those_of_the_matrix_and_one_block_is_everything():
    system = ridge_system(random_prompt(6, 3, 1, ridge=0.5, seed=0))
    P = block_diagonal(system, 4)
    assert P[:4, :4].equal(system.A[:4, :4]) and P[4:, 4:].equal(system.A[4:, 4:]) and (P[:4, 4:] == 0).all()
    assert block_diagonal(system, 6).equal(system.A)
    assert torch.allclose(block_diagonal(system, 1).diagonal(), 1 / jacobi(system))


@given(seed=seeds)
def test_the_whitened_iteration_is_the_textbooks(seed):
    """CG with z = P^-1 r (Saad 2003, algorithm 9.1), written out."""
    prompt = random_prompt(7, 5, 2, ridge=0.3, seed=seed)
    system, P = ridge_system(prompt), landmark_preconditioner(prompt, torch.arange(2))
    alpha, r = torch.zeros(7, dtype=torch.float64), prompt.y
    z = torch.linalg.solve(P, r)
    p = z
    made = whitened(system, P)
    expected = made.predict(solvers.conjugate_gradient(made, 3).history["alpha"])
    for t in range(1, 4):
        gamma = (r @ z) / (p @ system.A @ p)
        alpha, r_next = alpha + gamma * p, r - gamma * system.A @ p
        z_next = torch.linalg.solve(P, r_next)
        p, r, z = z_next + (r_next @ z_next) / (r @ z) * p, r_next, z_next
        torch.testing.assert_close(system.predict(alpha), expected[t], rtol=1e-6, atol=1e-7)
