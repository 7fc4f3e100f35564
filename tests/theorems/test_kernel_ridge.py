"""The statements of chapter kernel-ridge, in exact arithmetic and on random inputs, with wrong versions that fail."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from certificates import certifies
from factories import random_prompt
from rationals import exact_solve, identity, rational_cg, rationals

U = torch.finfo(torch.float64).eps
SHAPES = [(1, 1), (1, 3), (4, 2), (3, 5), (12, 4)]  # (supports, features): k = 1, p > k, k > p
shapes = pytest.mark.parametrize("k, p", SHAPES)
N_SEEDS = 100


@certifies(
    "thm-krr",
    statement=lambda K, ridge: K + ridge * identity(len(K)),
    mutants={
        "twice the ridge": lambda K, ridge: K + 2 * ridge * identity(len(K)),
        "the square of the ridge": lambda K, ridge: K + ridge**2 * identity(len(K)),
    },
    exact=True,
)
@shapes
def test_the_dual_solution_is_the_only_zero_of_the_gradient(statement, k, p):
    rng, ridge = np.random.default_rng(k + 10 * p), Fraction(1, 3)
    Phi, y, phi_query = rationals(rng, k, p) + Fraction(1, 7), rationals(rng, k) + Fraction(1, 9), rationals(rng, p)
    alpha = exact_solve(statement(Phi @ Phi.T, ridge), y)
    weights = Phi.T @ alpha

    def J(w):
        return ((y - Phi @ w) ** 2).sum() + ridge * (w**2).sum()

    assert (Phi.T @ (Phi @ weights - y) + ridge * weights == 0).all()
    assert (weights == exact_solve(Phi.T @ Phi + ridge * identity(p), Phi.T @ y)).all()  # elimination ends: there is one zero only
    step = rationals(rng, p) + Fraction(1, 7)
    assert J(weights + step) > J(weights) < J(weights - step)
    assert phi_query @ weights == (Phi @ phi_query) @ alpha


@certifies(
    "prop-kappa",
    statement=lambda norm, ridge: 1 + norm / ridge,
    mutants={"without the one": lambda norm, ridge: norm / ridge, "twice the norm": lambda norm, ridge: 1 + 2 * norm / ridge},
)
def test_kappa_is_at_most_one_plus_norm_over_ridge_with_equality_iff_singular(statement):
    for k, p in SHAPES:
        phi = random_prompt(k, p, 1, ridge=0.5, seed=k * p).phi
        for supports, singular in ((phi, p < k), (torch.cat([phi, phi[:1]]), True)):
            K = supports @ supports.T
            kappa, bound = torch.linalg.cond(K + 0.5 * torch.eye(len(K))), statement(torch.linalg.matrix_norm(K, 2), 0.5)
            assert kappa <= bound * (1 + 1e-10)
            assert (kappa > bound * (1 - 1e-10)) == singular


def conjugate_gradients(A: np.ndarray, y: np.ndarray, steps: int) -> list[np.ndarray]:
    return [state["alpha"] for state in rational_cg(A, y, steps)]


def descent(A: np.ndarray, y: np.ndarray, steps: int) -> list[np.ndarray]:
    """Iterates of gradient descent over the rationals."""
    alphas = [0 * y]
    for _ in range(steps):
        alphas.append(alphas[-1] + Fraction(1, 9) * (y - A @ alphas[-1]))
    return alphas


@certifies(
    "prop-primal-dual",
    statement={descent},
    mutants={"conjugate gradients agree as well": {descent, conjugate_gradients}, "no method's iterates agree": set()},
    exact=True,
)
def test_primal_and_dual_gradient_descent_agree_and_conjugate_gradients_do_not(statement):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        Phi, y = rationals(rng, 5, 3) + Fraction(1, 7), rationals(rng, 5) + Fraction(1, 9)
        for method in (descent, conjugate_gradients):
            dual = [Phi.T @ alpha for alpha in method(Phi @ Phi.T + identity(5), y, 4)]
            primal = method(Phi.T @ Phi + identity(3), Phi.T @ y, 4)
            assert all((one == other).all() for one, other in zip(dual, primal, strict=True)) == (method in statement)
        assert (dual[-1] == primal[-1]).all()  # p + 1 steps: conjugate gradients have the same limit

    Phi, y, A = np.array([[1, 0], [0, 2]]), np.array([1, 1]), np.diag([2, 5])  # the proof's own example
    assert list(Phi.T @ conjugate_gradients(A, y, 1)[1]) == [Fraction(2, 7), Fraction(4, 7)]
    assert list(conjugate_gradients(A, Phi.T @ y, 1)[1]) == [Fraction(5, 22), Fraction(5, 11)]
