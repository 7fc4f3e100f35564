"""What moves on the way to the answer: iterates of gradient descent and of conjugate gradient, and networks that run them."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from drifts import IDENTITY, answer, floor_of, moved_by, ridges, seeds, shapes, sizes
from factories import random_prompt, unchecked
from metarep_lib import (
    Prompt,
    RidgeSystem,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.stability import DRIFT_RATIOS
from metarep_lib.numerics import conjugate_gradient_step
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    conjugate_gradient_jacobian,
    conjugate_gradient_lipschitz,
    prediction_factor,
)
from rationals import exact_solve, rational_cg


def gradient_descent_constants(ridge):
    """Of ||l_t|| / ||phi(x)||, of ||w_t|| / ||y||, and of |f^_t - f_t| / (||phi(x)|| ||y|| ||E||)."""
    return 0.5 / math.sqrt(ridge), 0.5 / math.sqrt(ridge), 3 * math.sqrt(3) / 4 / ridge


def descended(prompt, t, eta):
    """f_t(x), l_t(x) and w_t, for one query."""
    system = ridge_system(prompt)
    alpha = solvers.gradient_descent(system, t, eta).alpha
    ell = solvers.gradient_descent(replace(system, y=system.K_query[0]), t, eta).alpha  # f_t is linear in y: its gradient is q_t(A) k(x)
    return system.predict(alpha), ell, prompt.phi.mT @ alpha


@certifies("prop-gd-stable", statement=lambda largest: 1 / largest, mutants={"up to 1.9 / lambda_max": lambda largest: 1.9 / largest})
@given(shape=shapes, seed=seeds, ridge=ridges, scale=sizes, size=sizes, t=st.integers(0, 30), part=st.floats(0.01, 1.0))
@example(shape=(1, 1), seed=0, ridge=1.0, scale=8.0, size=1e-3, t=1, part=1.0)
def test_gradient_descent_is_no_more_fragile_than_the_constants_say(statement, shape, seed, ridge, scale, size, t, part):
    made = random_prompt(*shape, 1, ridge, seed=seed)
    prompt = replace(made, phi=scale * made.phi)
    moved = moved_by(prompt, size, seed, "supports")
    eta = part * statement(max(float(ridge_system(each).eigenvalues[-1]) for each in (prompt, moved))) / (1 + 1e-12)
    (f, ell, w), (f_moved, _, _) = (descended(each, t, eta) for each in (prompt, moved))
    length, y, floor = prompt.phi_query.norm(), prompt.y.norm(), floor_of(prompt, moved)
    of_ell, of_w, of_move = gradient_descent_constants(ridge)
    assert ell.norm() <= of_ell * length * (1 + 1e-8)
    assert w.norm() <= of_w * y * (1 + 1e-8)
    assert ((f_moved - f).abs() <= of_move * size * length * y * (1 + 1e-8) + floor).all()
    tolerances.assert_within((ell @ prompt.y - f[0]), floor + 1e-12 * float(length * y) / math.sqrt(ridge))


@certifies(
    "prop-gd-stable",
    statement=gradient_descent_constants,
    mutants={
        "less for the targets than the answer has": lambda ridge: (0.49 / math.sqrt(ridge), *gradient_descent_constants(ridge)[1:]),
        "less for the query than the answer has": lambda ridge: (0.5 / math.sqrt(ridge), 0.49 / math.sqrt(ridge), 3 * math.sqrt(3) / 4 / ridge),
        "less for the supports than the answer has": lambda ridge: (*gradient_descent_constants(ridge)[:2], 0.99 / ridge),
    },
)
@pytest.mark.parametrize("ridge", [0.01, 1.0, 100.0])
def test_gradient_descent_is_as_fragile_as_the_answer_where_one_step_gives_it(statement, ridge):
    root, step = math.sqrt(ridge), 1e-4 * math.sqrt(ridge)
    of_ell, of_w, of_move = statement(ridge)
    edge, unit = torch.full((1, 1), root, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    one = Prompt(edge, unit, edge, ridge)
    _, ell, w = descended(one, 1, 0.5 / ridge)
    assert ell.norm() <= of_ell * root * (1 + 1e-9) and w.norm() <= of_w * (1 + 1e-9)
    nothing, little = (replace(one, phi=size * torch.ones_like(edge)) for size in (0.0, step))
    f, f_moved = (descended(each, 30, 0.99 / ridge)[0] for each in (nothing, little))
    assert (f_moved - f).abs() <= of_move * step * root


@dataclass(frozen=True)
class Dual:
    """a + b epsilon with epsilon^2 = 0: arithmetic that carries an exact derivative."""

    a: Fraction
    b: Fraction = Fraction(0)

    def __add__(self, other):
        return Dual(self.a + value(other).a, self.b + value(other).b)

    def __mul__(self, other):
        return Dual(self.a * value(other).a, self.a * value(other).b + self.b * value(other).a)

    def __truediv__(self, other):
        return Dual(self.a / other.a, (self.b * other.a - self.a * other.b) / other.a**2)

    def __sub__(self, other):
        return self + value(other) * Fraction(-1)

    __radd__, __rmul__ = __add__, __mul__


def value(number):
    return number if isinstance(number, Dual) else Dual(Fraction(number))


def exact_jacobian(A, y, t, factor=2):
    """q_t(A) + factor Pi_t phi_t(A) over the rationals."""
    krylov = [y]
    for _ in range(t - 1):
        krylov.append(A @ krylov[-1])
    V = np.array(krylov).T
    gram, identity = V.T @ A @ V, IDENTITY[: len(y), : len(y)]
    q, power = 0 * A, identity
    for coefficient in exact_solve(gram, V.T @ y):
        q, power = q + coefficient * power, power @ A
    right = V.T @ (identity - A @ q)
    return q + factor * V @ np.array([exact_solve(gram, column) for column in right.T]).T


@certifies(
    "thm-cg-jacobian",
    statement=exact_jacobian,
    mutants={
        "the projector once instead of twice": partial(exact_jacobian, factor=1),
        "the polynomial alone": partial(exact_jacobian, factor=0),
    },
    exact=True,
)
@settings(max_examples=40)
@given(seed=seeds, k=st.integers(2, 4))
@example(seed=0, k=4)
def test_the_jacobian_of_conjugate_gradient_is_exact(statement, seed, k):
    rng = np.random.default_rng(seed)
    Phi = rng.integers(-3, 4, (k, k)).astype(object)
    A = Phi @ Phi.T + IDENTITY[:k, :k]
    y, dy = (rng.integers(1, 5, k).astype(object) + Fraction(0), rng.integers(-3, 4, k).astype(object) + Fraction(0))
    plain = rational_cg(A, y, k)
    state = {"alpha": np.array([Dual(Fraction(0))] * k), "r": np.array([Dual(*pair) for pair in zip(y, dy, strict=True)])}
    state["p"] = state["r"]
    for t in range(1, k + 1):
        if (plain[t - 1]["r"] == 0).all():
            break
        state = conjugate_gradient_step(state, lambda v: A @ v, lambda a, b: np.array([a @ b]), lambda n, d: n / d)
        derivative = np.array([entry.b for entry in state["alpha"]])
        assert ([entry.a for entry in state["alpha"]] == plain[t]["alpha"]).all()
        assert (statement(A, y, t) @ dy == derivative).all()
        numeric = conjugate_gradient_jacobian(torch.tensor(A.astype(float)), torch.tensor(y.astype(float)), t)
        exact = torch.tensor(exact_jacobian(A, y, t).astype(float))
        spread = [float(abs(x).max()) for x in (plain[0]["r"], plain[t - 1]["r"])]
        if spread[1] > 1e-3 * spread[0]:  # near an end of the Krylov space floats are no judge
            torch.testing.assert_close(numeric, exact, rtol=1e-5, atol=1e-5 * float(exact.abs().max()))


KAPPA = torch.tensor(300.0, dtype=torch.float64)


@cache
def largest_jacobian(t):
    """The largest ||d alpha_t / d y|| that a search finds over spectra in [1, KAPPA]."""
    ratio = DRIFT_RATIOS["conjugate-gradient"][0]
    with unchecked():
        return worst_case(lambda z: ratio(z, steps=t), 2 * t + 2, seed=t, starts=6, reach=5.0) * conjugate_gradient_lipschitz(KAPPA, t)


def geometric_sum(kappa, t):
    return sum((kappa - 1) ** j for j in range(t))


@certifies(
    "thm-cg-jacobian",
    statement=conjugate_gradient_lipschitz,
    mutants={
        "the exponent t - 1": lambda kappa, t: geometric_sum(kappa, t) + 2 * max(1, (kappa - 1) ** (t - 1) / kappa.sqrt()),
        "the polynomial alone": geometric_sum,
    },
)
@pytest.mark.parametrize("t", [1, 2, 3])
def test_the_search_comes_within_a_quarter_of_the_lipschitz_bound_of_conjugate_gradient(statement, t, record_property):
    tightness = largest_jacobian(t) / statement(KAPPA, t)
    record_property("tightness", float(tightness))
    assert 0.25 < tightness <= 1


@certifies(
    "thm-cg-jacobian",
    statement=lambda t, kappa: (1 - (-1) ** t * math.comb(kappa - 1, t)) / Fraction(kappa),
    mutants={
        "the derivative of the regression": lambda t, kappa: 1 / Fraction(kappa),
        "kappa over t": lambda t, kappa: (1 - (-1) ** t * math.comb(kappa, t)) / Fraction(kappa),
        "without the one": lambda t, kappa: -((-1) ** t) * math.comb(kappa - 1, t) / Fraction(kappa),
    },
    exact=True,
)
@pytest.mark.parametrize("kappa", [5, 9, 100])
@pytest.mark.parametrize("t", [1, 2, 3])
def test_the_stubborn_example(statement, t, kappa):
    a = Fraction(3)
    A = np.diag([a * j for j in range(1, t + 1)] + [a * kappa])
    y = np.array([Fraction(1)] * t + [Fraction(0)])
    column = exact_jacobian(A, y, t)[:, -1]
    assert (column[:-1] == 0).all() and column[-1] == statement(t, kappa) / a


@certifies("thm-cg-jacobian")
@given(seed=seeds, t=st.integers(1, 4), reach=st.floats(-6, 1).map(lambda power: 10**power))
def test_conjugate_gradient_is_lipschitz_across_the_targets_where_it_ends_early(seed, t, reach):
    """Finite differences around targets with a component missing, where the Krylov space is smaller than t."""
    rng = np.random.default_rng(seed)
    eigenvalues = torch.from_numpy(np.sort(rng.uniform(1, 10, 5)))
    y = torch.from_numpy(rng.standard_normal(5) * (rng.random(5) < 0.4))
    other = y + reach * torch.from_numpy(rng.standard_normal(5))
    systems = [RidgeSystem(eigenvalues.diag(), each, torch.zeros(0, 5).double()) for each in (y, other)]
    gap = solvers.conjugate_gradient(systems[1], t).alpha - solvers.conjugate_gradient(systems[0], t).alpha
    limit = conjugate_gradient_lipschitz(eigenvalues[-1] / eigenvalues[0], t) / eigenvalues[0]
    assert gap.norm() <= limit * (other - y).norm() * (1 + 1e-6) + 1e-9 * limit


def stubborn(t, kappa, epsilon, ridge=1.0):
    """Eigenvalues ridge (1, ..., t, kappa) of A, targets (1, ..., 1, epsilon), the query along the last feature."""
    eigenvalues = torch.tensor([*range(t), kappa - 1], dtype=torch.float64) * ridge
    y = torch.tensor([1.0] * t + [epsilon], dtype=torch.float64)
    query = torch.eye(t + 1, dtype=torch.float64)[-1:]
    return Prompt(eigenvalues.sqrt().diag(), y, query, ridge)


@certifies(
    "thm-cg-jacobian",
    statement=lambda t, kappa: (1 - (-1) ** t * math.comb(kappa - 1, t)) / kappa,
    mutants={"the derivative of the regression": lambda t, kappa: 1 / kappa},
)
def test_two_steps_of_the_network_are_as_stubborn_when_targets_move(statement):
    epsilon, kappa = 1e-7, 100
    f, f_moved = (assemble(two_block_conjugate_gradient(3, 2)).predict(stubborn(2, float(kappa), size)) for size in (0.0, epsilon))
    through = math.sqrt(kappa - 1) * statement(2, kappa)  # k(x) is the root of kappa - 1 times the last unit vector
    tolerances.assert_within((f_moved - f) / epsilon / through - 1, 1e-3)
    descent = [assemble(gradient_descent(3, 2, 0.01)).predict(stubborn(2, float(kappa), size)) for size in (0.0, epsilon)]
    assert (descent[1] - descent[0]).abs() <= epsilon / 2


STEPS = 12


@cache
def network_of(program):
    return assemble(program(3, STEPS))


def unconverged(prompt):
    """c_t B(x) for t = 0, 1, ..., STEPS."""
    system = ridge_system(prompt)
    return conjugate_gradient_bound(system.condition_number, torch.arange(STEPS + 1))[:, None] * prediction_factor(system, solvers.cholesky(system).alpha)


@certifies(
    "cor-network-drift",
    statement=lambda before, after: before + after,
    mutants={
        "the network moves as its limit does": lambda before, after: 0 * before,
        "without the error after the move": lambda before, after: before,
        "without the error before the move": lambda before, after: after,
    },
)
@pytest.mark.parametrize("program", [conjugate_gradient, two_block_conjugate_gradient])
@settings(max_examples=10)
@given(seed=seeds, size=st.floats(-6, 0).map(lambda power: 10**power))
@example(seed=0, size=1.0)
def test_the_network_moves_as_the_theorem_says_up_to_its_own_error(statement, program, seed, size):
    prompt = random_prompt(8, 3, 2, 0.5, seed=seed)
    prompts = prompt, moved_by(prompt, size, seed), replace(prompt, phi=0 * prompt.phi)  # of the last every iterate is the answer
    runs = [(each, network_of(program).run(each).prediction, unconverged(each)) for each in prompts]
    for (start, f, error), (end, f_moved, error_moved) in (runs[:2], (runs[2], runs[0]), (runs[0], runs[2])):
        allowed = (answer(end) - answer(start)).abs() + statement(error, error_moved)
        assert ((f_moved - f).abs() <= allowed + floor_of(start, end)).all()
