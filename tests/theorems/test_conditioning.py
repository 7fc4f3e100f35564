"""What diagonal preconditioners do, against theorems: exact where they are identities, searched where they are bounds."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from certificates import certifies
from factories import random_prompt
from metarep_lib import Prompt, RidgeSystem, ridge_system, solvers
from metarep_lib.certify import worst_case
from metarep_lib.numerics import best_projection, projected
from metarep_lib.numerics.bounds import conjugate_gradient_bound
from metarep_lib.numerics.solvers import (
    block_diagonal,
    jacobi,
    landmark_preconditioner,
    row_normalised,
    scaled,
    whitened,
)
from metarep_lib.numerics.spectrum import depth_laws as depth
from rationals import exact_solve, rational_cg, rational_pcg, rationals

U = torch.finfo(torch.float64).eps
seeds = st.integers(0, 10**6)


def spread_prompt(seed: int, k: int = 12, p: int = 8) -> Prompt:
    """Random supports of lengths spread over three orders of magnitude."""
    prompt = random_prompt(k, p, 3, ridge=1e-3, seed=seed)
    lengths = 10 ** (3 * torch.rand(k, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) - 1.5)
    return Prompt(prompt.phi * lengths, prompt.y, prompt.phi_query, prompt.ridge)


@certifies(
    "prop-preconditioned-rate",
    statement=lambda system, m: scaled(system, m).condition_number,
    mutants={"the condition number without the preconditioner": lambda system, m: system.condition_number},
)
@given(seed=seeds, spread=st.booleans())
@example(seed=0, spread=True)
def test_the_rate_is_that_of_the_scaled_matrix(statement, seed, spread):
    identity, ones = torch.eye(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    made_worse = RidgeSystem(identity, ones, identity[:0]), torch.tensor([1.0, 100.0], dtype=torch.float64)  # kappa(A) = 1 promises one step
    system = ridge_system(spread_prompt(seed) if spread else random_prompt(12, 8, 3, ridge=0.1, seed=seed))
    for system, m in (made_worse, (system, jacobi(system))):
        star = solvers.cholesky(system).alpha
        alpha = solvers.conjugate_gradient(system, 30, preconditioner=m).history["alpha"]
        error = system.norm(alpha - star) / system.norm(star)
        assert (error <= conjugate_gradient_bound(statement(system, m), torch.arange(31)) + 100 * U * system.condition_number).all()


@certifies(
    "prop-preconditioned-rate",
    statement=lambda A, y, root: (root[:, None] * A * root, root * y, root),
    mutants={
        "the preconditioner on one side only": lambda A, y, root: (root[:, None] * A, root * y, root),
        "M in the place of its root": lambda A, y, root: (root[:, None] ** 2 * A * root**2, root**2 * y, root**2),
        "the targets as they are": lambda A, y, root: (root[:, None] * A * root, y, root),
    },
    exact=True,
)
@given(seed=seeds)
@example(seed=0)
def test_preconditioned_conjugate_gradient_is_conjugate_gradient_on_the_scaled_system(statement, seed):
    rng = np.random.default_rng(seed)
    Phi, y, root = rationals(rng, 4, 4), rationals(rng, 4), abs(rationals(rng, 4)) + Fraction(1, 2)
    A = Phi @ Phi.T + np.eye(4, dtype=int)
    hat_A, hat_y, back = statement(A, y, root)
    for one, other in zip(rational_cg(hat_A, hat_y, 4), rational_pcg(A, y, root**2, 4)):
        assert (back * one["alpha"] == other["alpha"]).all()


@certifies(
    "prop-jacobi-no-op",
    statement=lambda A: A,
    mutants={
        "a diagonal that is not constant": lambda A: A + np.diag([0, 0, 0, 5]),
        "rows of one length": lambda A: A + np.diag([3, 0, 0, 3]) - np.fliplr(np.diag([3, 0, 0, 3])),
    },
    exact=True,
)
@given(seed=seeds)
@example(seed=0)
def test_a_constant_diagonal_makes_jacobi_do_nothing(statement, seed):
    c = rationals(np.random.default_rng(seed), 3) / 16
    B = np.array([[1, c[0], c[1], c[2]], [c[0], 1, c[2], c[1]], [c[1], c[2], 1, c[0]], [c[2], c[1], c[0], 1]], dtype=object)
    A, y = statement(B + Fraction(0) + 3 * np.eye(4, dtype=int)), np.arange(1, 5) ** 2
    for one, other in zip(rational_cg(A, y, 4), rational_pcg(A, y, Fraction(1) / A.diagonal(), 4)):
        assert (one["alpha"] == other["alpha"]).all()


@certifies("prop-jacobi-no-op")
@pytest.mark.parametrize("kappa", [1.0, 1.5, 1e6])
def test_a_system_with_a_constant_diagonal_has_any_condition_number(kappa):
    ones = torch.ones(2, 1, dtype=torch.float64)
    system = ridge_system(Prompt(((kappa - 1) / 4) ** 0.5 * ones, ones[:, 0], ones, ridge=0.5))
    for each in (system, scaled(system, jacobi(system))):
        assert float(each.condition_number) == pytest.approx(kappa, rel=1e-8)


@certifies(
    "prop-jacobi-hurts",
    statement=lambda k: (np.arange(1, k + 1), 2, k),
    mutants={
        "one step for plain conjugate gradient": lambda k: (np.arange(1, k + 1), 1, k),
        "k - 1 steps with Jacobi": lambda k: (np.arange(1, k + 1), 2, k - 1),
        "supports of one length": lambda k: (np.ones(k, dtype=int), 2, k),
    },
    exact=True,
)
@pytest.mark.parametrize("k", [3, 5])
def test_one_feature_takes_two_steps_and_with_jacobi_as_many_as_supports(statement, k):
    phi, plain, preconditioned = statement(k)
    A = np.outer(phi, phi).astype(object) + np.eye(k, dtype=int) + Fraction(0)
    y = np.arange(k, 0, -1) ** 2
    assert (rational_cg(A, y, plain)[plain]["r"] == 0).all()
    states = rational_pcg(A, y, np.array([1 / a for a in A.diagonal()]), preconditioned)
    assert (states[preconditioned - 1]["r"] != 0).any() and (states[preconditioned]["r"] == 0).all()
    assert (states[-1]["alpha"] == exact_solve(A, y + Fraction(0))).all()


def jacobi_against(flat: torch.Tensor, k: int) -> torch.Tensor:
    """kappa of the Jacobi-scaled matrix / kappa of another scaling, for any matrix and any scaling."""
    root, e = flat[: k * k].reshape(k, k), flat[k * k :].exp()
    A = root @ root.T + 1e-6 * torch.eye(k, dtype=torch.float64)
    d = A.diagonal().rsqrt()
    of_jacobi, of_other = (torch.linalg.eigvalsh(s[:, None] * A * s) for s in (d, e))
    return (of_jacobi[-1] / of_jacobi[0]) / (of_other[-1] / of_other[0])


@certifies("thm-van-der-sluis")
@given(seed=seeds, k=st.integers(2, 6))
def test_jacobi_is_within_k_of_any_scaling(seed, k):
    flat = torch.randn(k * k + k, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    assert jacobi_against(flat, k) <= k * (1 + 1e-9)


@cache
def jacobi_at_its_worst(k: int) -> float:
    return worst_case(lambda z: jacobi_against(z, k), k * k + k, seed=0)


@certifies("thm-van-der-sluis", statement=lambda k: k, mutants={"Jacobi is the best scaling": lambda k: 1, "two fifths of k": lambda k: 2 * k / 5})
def test_a_search_comes_near_half_of_the_factor_and_not_beyond_it(statement):
    assert 1.2 < jacobi_at_its_worst(3) <= statement(3) * (1 + 1e-6)


PYTHAGOREAN = np.array([[3, 4], [5, 12], [8, 15], [-4, 3]])  # rows of integer length


@certifies(
    "thm-norm-is-weighting",
    statement=lambda lengths: lengths**2,
    mutants={"the same ridge for every support": lambda lengths: 0 * lengths + 1, "the lengths, not their squares": lambda lengths: lengths},
    exact=True,
)
@pytest.mark.parametrize("ridge", [Fraction(1, 3), Fraction(5)])
def test_a_norm_on_the_features_is_ridge_regression_with_a_ridge_of_its_own_for_every_support(statement, ridge):
    y, query = np.array([1, -2, 3, 5]) + Fraction(0), np.array([7, 24]) + Fraction(0)
    lengths, of_query = np.array([5, 13, 17, 5]), 25
    unit = PYTHAGOREAN / (lengths[:, None] + Fraction(0))
    A = unit @ unit.T + ridge * np.eye(4, dtype=int)
    normed = (unit @ (query / of_query)) @ exact_solve(A, y / lengths) * of_query
    D = statement(lengths)
    weighted = PYTHAGOREAN @ PYTHAGOREAN.T + ridge * np.diag(D)
    alpha = exact_solve(weighted, y)
    assert normed == (PYTHAGOREAN @ query) @ alpha
    w = PYTHAGOREAN.T @ alpha  # the minimiser: here the gradient is zero
    assert (PYTHAGOREAN.T @ ((PYTHAGOREAN @ w - y) / D) + ridge * w == 0).all()
    assert (A * np.outer(lengths, lengths) == weighted).all() and (A.diagonal() == 1 + ridge).all()


@certifies(
    "thm-norm-is-weighting",
    statement=lambda lengths: len(set(lengths)) == 1,
    mutants={"for no lengths": lambda lengths: False, "as soon as two are equal": lambda lengths: len(set(lengths)) < len(lengths)},
    exact=True,
)
def test_a_norm_is_a_preconditioner_of_some_ridge_exactly_if_all_lengths_are_equal(statement):
    ridge = Fraction(1, 3)
    for lengths in ([5, 5, 5], [5, 5, 13], [5, 13, 17]):
        phi = np.array([{5: [3, 4 - 8 * i], 13: [5, 12], 17: [8, 15]}[length] for i, length in enumerate(lengths)]) + Fraction(0)
        unit = phi / np.array(lengths)[:, None]
        A = unit @ unit.T + ridge * np.eye(3, dtype=int)  # alpha of targets y solves (lengths A lengths) alpha = y
        left = A * np.outer(lengths, lengths) - phi @ phi.T  # a multiple of I if and only if it is K + lambda' I for some lambda'
        assert (left == left[0, 0] * np.eye(3, dtype=int)).all() == statement(lengths)


@given(seed=seeds)
def test_the_library_normalises_rows_as_sklearn_does(seed):
    from sklearn.preprocessing import normalize

    prompt = spread_prompt(seed)
    unit, lengths = row_normalised(prompt)
    np.testing.assert_allclose(unit.phi, normalize(prompt.phi.numpy()), rtol=1e-12)
    np.testing.assert_allclose(unit.phi_query, normalize(prompt.phi_query.numpy()), rtol=1e-12)
    np.testing.assert_allclose(lengths, np.linalg.norm(prompt.phi.numpy(), axis=1), rtol=1e-12)


@certifies(
    "prop-early-stopping",
    statement=lambda t: 1 / t,
    mutants={"a ridge of 1.05 / (eta t)": lambda t: 1.05 / t, "a ridge of 0.95 / (eta t)": lambda t: 0.95 / t, "a ridge of 1 / (eta (t + 1))": lambda t: 1 / (t + 1)},
)
def test_stopping_gradient_descent_filters_as_a_ridge_does(statement):
    """The solvers on a diagonal K, whose eigenvalues are eta mu for eta = 1: what either fits of a target of one in every direction."""
    K = torch.logspace(-6, 0, 61, dtype=torch.float64).diag()
    system = RidgeSystem(K, torch.ones(61, dtype=torch.float64), K)
    for t in (1, 2, 7, 60):
        stopped = system.predict(solvers.gradient_descent(system, t, 1.0).alpha)
        torch.testing.assert_close(stopped, 1 - (1 - K.diagonal()) ** t, rtol=1e-9, atol=0)
        ridge = RidgeSystem(K + statement(t) * torch.eye(61, dtype=torch.float64), system.y, K)
        ratio = stopped / ridge.predict(solvers.cholesky(ridge).alpha)
        assert ratio.min() >= 1 - 1e-9 and ratio.max() <= 2 + 1e-9


@certifies("prop-early-stopping")
@given(log_x=st.floats(-8, 4), t=st.integers(1, 10**4))
def test_the_two_filters_are_within_a_factor_of_two_at_any_depth(log_x, t):
    share = min(10.0**log_x, 1.0)  # eta mu
    stopped = -np.expm1(t * np.log1p(-share)) if share < 1 else 1.0
    assert 1 - 1e-12 <= stopped / (share / (share + 1 / t)) <= 2 + 1e-12


def test_bad_scalings_are_refused():
    system = ridge_system(random_prompt(3, 2, 1, ridge=0.5, seed=0))
    with pytest.raises(ValueError, match=r"jacobi\(system\)"):
        scaled(system, torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
    with pytest.raises(ValueError, match="phi = 0"):
        row_normalised(Prompt(torch.zeros(1, 2), torch.ones(1), torch.ones(1, 2), 0.5))


@certifies(
    "thm-landmark-preconditioner",
    statement=lambda share: 1 + share,
    mutants={"1 + 0.99 e / lambda": lambda share: 1 + 0.99 * share, "without the one": lambda share: share},
)
@given(seed=seeds, n=st.integers(0, 6), log_ridge=st.floats(-3, 1))
@example(seed=0, n=0, log_ridge=0.0)
def test_landmarks_bring_the_condition_number_down_to_what_they_miss(statement, seed, n, log_ridge):
    prompt = random_prompt(9, 6, 2, ridge=10.0**log_ridge, seed=seed)
    system, landmarks = ridge_system(prompt), torch.arange(n)
    P = landmark_preconditioner(prompt, landmarks) if n else prompt.ridge * torch.eye(9, dtype=torch.float64)  # which attains the bound
    missed = torch.linalg.matrix_norm(system.A - P, 2) / prompt.ridge
    made = whitened(system, P)
    assert made.condition_number <= statement(missed) * (1 + 1e-8)
    torch.testing.assert_close(made.predict(solvers.cholesky(made).alpha), system.predict(solvers.cholesky(system).alpha))


@certifies(
    "thm-landmark-preconditioner",
    statement=lambda c, dimension: (1 + c) / c * dimension,
    mutants={
        "a width of the effective dimension": lambda c, dimension: dimension,
        "a width of the effective dimension over c": lambda c, dimension: dimension / c,
    },
)
@given(seed=seeds, c=st.sampled_from([0.25, 0.5, 1.0, 4.0]))
@example(seed=0, c=0.5)
def test_a_few_more_directions_than_the_effective_dimension_bound_the_condition_number(statement, seed, c):
    prompt = random_prompt(12, 9, 2, ridge=0.5, seed=seed)
    decaying = Prompt(prompt.phi * 2.0 ** -torch.arange(9).double(), prompt.y, prompt.phi_query, 0.5)
    # nine eigenvalues just above c lambda: the effective dimension is 9 c / (1 + c), and not one of them may be missing
    level = Prompt((1.01 * c * 0.5) ** 0.5 * torch.eye(12, 9, dtype=torch.float64), prompt.y, prompt.phi_query, 0.5)
    for each in (decaying, level):
        mu = torch.linalg.svdvals(each.phi).square()
        m = int(np.ceil(statement(c, float(depth.effective_dimension(mu, 0.5)))))
        narrow = projected(each, best_projection(each, m)).phi
        P = narrow @ narrow.mT + 0.5 * torch.eye(12, dtype=torch.float64)
        assert whitened(ridge_system(each), P).condition_number <= (1 + c) * (1 + 1e-9)


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
