"""Stability: what moves when the features move. Identities in fractions; bounds on random and on searched inputs."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache, partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from factories import DTYPES, random_prompt, unchecked
from metarep_lib import (
    Prompt,
    RidgeSystem,
    assemble,
    conjugate_gradient,
    diabetes_prompt,
    gradient_descent,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.stability import DRIFT_RATIOS, fragility
from metarep_lib.numerics import conjugate_gradient_step
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    conjugate_gradient_jacobian,
    conjugate_gradient_lipschitz,
    prediction_factor,
)
from metarep_lib.numerics.bounds.perturbation import (
    aligned,
    drift_gradient,
    drift_size,
    feature_drift_bound,
    from_joint,
    joint_features,
    kernel_drift_bound,
    lipschitz_constants,
    predicted_drift_bound,
    resolvent_bound,
    ridge_fit,
    worst_drift,
)
from rationals import exact_solve, rational_cg, rationals

SHAPES = [(1, 1), (1, 3), (4, 2), (3, 5), (7, 4)]  # (supports, features): k = 1, p > k, k > p
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 10**6)
ridges = st.floats(-6, 6).map(lambda power: 10**power)
sizes = st.floats(-8, 2).map(lambda power: 10**power)
IDENTITY = np.array([[Fraction(int(i == j)) for j in range(8)] for i in range(8)])


def norm(x):
    return torch.linalg.matrix_norm(x, ord=2)


def answer(prompt):
    system = ridge_system(prompt)
    return system.predict(torch.linalg.solve(system.A, system.y.unsqueeze(-1)).squeeze(-1))


def moved_by(prompt, size, seed, what="both"):
    """The prompt after a random move of that norm: of the supports, of the queries, or of both."""
    rng = np.random.default_rng(seed + 1)
    parts = [torch.from_numpy(rng.standard_normal(x.shape)).to(x) for x in (prompt.phi, prompt.phi_query)]
    total = torch.linalg.matrix_norm(torch.cat([part for part, name in zip(parts, ("supports", "query")) if what in ("both", name)], -2), ord=2)
    scales = [size / total[..., None, None] if what in ("both", name) else 0.0 for name in ("supports", "query")]
    return replace(prompt, phi=prompt.phi + scales[0] * parts[0], phi_query=prompt.phi_query + scales[1] * parts[1])


def floor_of(prompt, moved=None):
    """Rounding of a prediction: 64 u kappa ||phi(x)|| ||y|| / sqrt(lambda); |f| itself is at most half of the product without u kappa."""
    prompts = [prompt] if moved is None else [prompt, moved]
    kappa = max(float(ridge_system(each).condition_number.max()) for each in prompts)
    length = max(float(each.phi_query.norm(dim=-1).max()) for each in prompts)
    u = tolerances.unit_roundoff(prompt.phi.dtype)
    return 64 * u * kappa * length * float(prompt.y.norm(dim=-1).max()) / math.sqrt(prompt.ridge)


# ---------------------------------------------------------------- the kernel moves


def random_gram(k, rank, seed, scale=1.0):
    B = torch.from_numpy(np.random.default_rng(seed).standard_normal((k, rank)))
    return scale * B @ B.T


def resolvent_change(K, K_moved, ridge):
    identity = torch.eye(len(K), dtype=K.dtype)
    return norm(torch.linalg.inv(K + ridge * identity) - torch.linalg.inv(K_moved + ridge * identity)), norm(K - K_moved)


@certifies(
    "thm-resolvent",
    statement=resolvent_bound,
    mutants={
        "1.01 e in the denominator": lambda e, ridge: e / (ridge * (ridge + 1.01 * e)),
        "e / (lambda + e)^2": lambda e, ridge: e / (ridge + e) ** 2,
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(3, 5), seed=0, ridge=1.0, size=1.0)
def test_resolvents_move_no_more_than_the_bound(statement, shape, seed, ridge, size):
    k, rank = shape
    K = random_gram(k, rank, seed)
    for K_moved in (K + random_gram(k, rank, seed + 1, size), random_gram(k, rank, seed + 1, size), torch.zeros_like(K)):
        change, e = resolvent_change(K, K_moved, ridge)
        floor = 64 * tolerances.unit_roundoff(K.dtype) * (1 + norm(K) / ridge + norm(K_moved) / ridge) / ridge
        assert change <= statement(e, ridge) + floor
    for e in (0.01 * ridge, ridge, 100 * ridge):  # attained
        change, _ = resolvent_change(torch.zeros_like(K), e * torch.eye(k).double(), ridge)
        tolerances.assert_within(change / statement(torch.tensor(e, dtype=torch.float64), ridge) - 1, 1e-9)


def rational_pair(k, p, seed):
    """Features before and after, targets, ridge: rational, the moved features unrelated to the first."""
    rng = np.random.default_rng(seed)
    before, after = ((rationals(rng, k, p) + Fraction(1, 11), rationals(rng, p) + Fraction(1, 13)) for _ in range(2))
    return before, after, rationals(rng, k) + Fraction(1, 7), Fraction(2, 3)


def kernel_gap(A, A_moved, column, column_moved, y, ell_of=None):
    """The right-hand side; `ell_of` in the place of the moved column where ell is made."""
    alpha, ell = exact_solve(A, y), exact_solve(A_moved, column_moved if ell_of is None else ell_of)
    return (column_moved - column) @ alpha - ell @ (A_moved - A) @ alpha


@certifies(
    "prop-kernel-drift",
    statement=kernel_gap,
    mutants={
        "the old kernel column in the second term": lambda A, B, a, b, y: kernel_gap(A, B, a, b, y, ell_of=a),
        "the other sign of the second term": lambda A, B, a, b, y: 2 * (b - a) @ exact_solve(A, y) - kernel_gap(A, B, a, b, y),
        "the column after the move alone": lambda A, B, a, b, y: kernel_gap(A, B, a, b, y) + a @ exact_solve(A, y),
    },
    exact=True,
)
@pytest.mark.parametrize("k, p", SHAPES)
def test_the_kernel_identity_is_exact(statement, k, p):
    (Phi, x), (Phi_moved, x_moved), y, ridge = rational_pair(k, p, seed=k + 7 * p)
    A, A_moved = (each @ each.T + ridge * IDENTITY[:k, :k] for each in (Phi, Phi_moved))
    column, column_moved = Phi @ x, Phi_moved @ x_moved
    assert column_moved @ exact_solve(A_moved, y) - column @ exact_solve(A, y) == statement(A, A_moved, column, column_moved, y)


def kernel_bounds(system, moved, self_kernel, ridge):
    """Of |f^ - f|, and of ||l^||."""
    return kernel_drift_bound(system, moved), (self_kernel / ridge).sqrt() / 2


@certifies(
    "prop-kernel-drift",
    statement=kernel_bounds,
    mutants={
        "the move of the column left out": lambda one, two, *of_query: kernel_bounds(one, replace(two, K_query=one.K_query), *of_query),
        "the move of the matrix left out": lambda one, two, *of_query: kernel_bounds(one, replace(two, A=one.A), *of_query),
        "a third of the root in the place of its half": lambda one, two, k_xx, ridge: (kernel_drift_bound(one, two), (k_xx / ridge).sqrt() / 3),
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(4, 2), seed=0, ridge=1.0, size=1.0)
def test_predictions_move_no_more_than_the_kernel_bound(statement, shape, seed, ridge, size):
    prompt = random_prompt(*shape, 3, ridge, seed=seed)
    system, floor = ridge_system(prompt), floor_of(prompt)
    edge = replace(prompt, phi=torch.full_like(prompt.phi, math.sqrt(ridge / prompt.phi.numel())), phi_query=torch.ones_like(prompt.phi_query))
    prompts = [edge, *(moved_by(prompt, size, seed, what) for what in ("both", "query", "supports"))]
    moves = [(ridge_system(moved), moved, floor_of(prompt, moved)) for moved in prompts]
    moves += [(replace(system, A=2 * system.A), prompt, floor)]  # a kernel that moves between supports alone
    for system_moved, moved, rounding in moves:
        bound, ell = statement(system, system_moved, moved.phi_query.square().sum(-1), ridge)
        f, f_moved = (each.predict(solvers.cholesky(each).alpha) for each in (system, system_moved))
        assert ((f_moved - f).abs() <= bound + rounding).all()
        assert (torch.linalg.solve(system_moved.A, system_moved.K_query.mT).norm(dim=0) <= ell * (1 + 1e-6)).all()


# ---------------------------------------------------------------- the features move


def smoother_norm(Phi, ridge):
    """||A^-1 Phi|| by a dense solve."""
    return norm(torch.linalg.solve(Phi @ Phi.mT + ridge * torch.eye(len(Phi), dtype=Phi.dtype), Phi))


@certifies(
    "lem-smoother",
    statement=lambda ridge: (0.5 / math.sqrt(ridge), math.sqrt(ridge)),
    mutants={
        "0.499 in the place of a half": lambda ridge: (0.499 / math.sqrt(ridge), math.sqrt(ridge)),
        "1 / (1 + lambda)": lambda ridge: (1 / (1 + ridge), math.sqrt(ridge)),
        "attained at the singular value lambda": lambda ridge: (0.5 / math.sqrt(ridge), ridge),
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, scale=sizes)
@example(shape=(4, 2), seed=0, ridge=4.0, scale=1.0)
def test_the_smoother_is_at_most_half_over_the_root(statement, shape, seed, ridge, scale):
    limit, edge = statement(ridge)
    prompt = random_prompt(*shape, 3, ridge, seed=seed)
    left, singular, right = torch.linalg.svd(prompt.phi, full_matrices=False)
    with_the_edge = left @ torch.cat([torch.full_like(singular[:1], edge), singular[1:]]).diag() @ right
    tolerances.assert_within(smoother_norm(with_the_edge, ridge) / limit - 1, 1e-8)
    assert smoother_norm(2 * edge * left @ right, ridge) < 0.9 * limit  # no singular value is the root
    fit = ridge_fit(replace(prompt, phi=scale * prompt.phi))
    assert (fit.ell.norm(dim=-1) <= limit * (1 + 1e-8) * prompt.phi_query.norm(dim=-1)).all()
    assert fit.w.norm() <= limit * (1 + 1e-8) * prompt.y.norm()


def feature_gap(fit, move, Phi_moved, ridge):
    """d . w + lambda alpha . E psi^ - l^ . E w, with l^ = Phi^ psi^."""
    (alpha, w, psi), (E, d) = fit, move
    return d @ w + ridge * alpha @ E @ psi - (Phi_moved @ psi) @ E @ w


@certifies(
    "thm-feature-drift",
    statement=feature_gap,
    mutants={
        "the supports before the move in the last term": lambda fit, move, Phi, ridge: feature_gap(fit, move, Phi - move[0], ridge),
        "without lambda": lambda fit, move, Phi, ridge: feature_gap(fit, move, Phi, 1),
        "without the query's own move": lambda fit, move, Phi, ridge: feature_gap(fit, (move[0], 0 * move[1]), Phi, ridge),
    },
    exact=True,
)
@pytest.mark.parametrize("k, p", SHAPES)
def test_the_feature_identity_is_exact(statement, k, p):
    (Phi, x), (Phi_moved, x_moved), y, ridge = rational_pair(k, p, seed=3 * k + p)
    A, A_moved = (each @ each.T + ridge * IDENTITY[:k, :k] for each in (Phi, Phi_moved))
    alpha = exact_solve(A, y)
    w = Phi.T @ alpha
    ell = exact_solve(A_moved, Phi_moved @ x_moved)
    psi = exact_solve(Phi_moved.T @ Phi_moved + ridge * IDENTITY[:p, :p], x_moved)
    assert (ell == Phi_moved @ psi).all()
    gap = (Phi_moved @ x_moved) @ exact_solve(A_moved, y) - (Phi @ x) @ alpha
    assert gap == statement((alpha, w, psi), (Phi_moved - Phi, x_moved - x), Phi_moved, ridge)
    # the two names of the objective and of the variance
    assert ((y - Phi @ w) == ridge * alpha).all() and ridge * y @ alpha == ridge**2 * alpha @ alpha + ridge * w @ w
    assert x_moved @ x_moved - (Phi_moved @ x_moved) @ ell == ridge * x_moved @ psi == ridge**2 * psi @ psi + ridge * ell @ ell


def drift_factor(one, other, own=1.0, of_supports=1.0):
    """What multiplies delta; `own` is 1 when the query moves and 0 when it stays, `of_supports` likewise for the supports."""
    alpha, w, psi, ell = one.alpha.norm(), one.w.norm(), other.psi.norm(dim=-1), other.ell.norm(dim=-1)
    return of_supports * one.ridge * alpha * psi + w * (own + of_supports * ell**2).sqrt()


@certifies(
    "thm-feature-drift",
    statement=drift_factor,
    mutants={
        "the one of the query's move dropped": lambda one, other, own=1.0, of_supports=1.0: drift_factor(one, other, 0.0, of_supports),
        "the supports left out": lambda one, other, own=1.0, of_supports=1.0: drift_factor(one, other, own, 0.0),
        "without w": lambda one, other, *moving: drift_factor(replace(one, w=0 * one.w), other, *moving),
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(1, 1), seed=0, ridge=1.0, size=0.1)
def test_predictions_move_no_more_than_the_feature_bound(statement, shape, seed, ridge, size):
    prompt = random_prompt(*shape, 3, ridge, seed=seed)
    still, before = replace(prompt, phi_query=torch.zeros_like(prompt.phi_query)), ridge_fit(prompt)
    along = replace(still, phi_query=size * (before.w / before.w.norm()).expand_as(still.phi_query))  # from zero along w, as far as the bound allows
    moves = [(prompt, moved_by(prompt, size, seed)), (still, along)]
    moves += [(prompt, moved_by(prompt, size, seed, what), *moving) for what, moving in (("supports", (0.0, 1.0)), ("query", (1.0, 0.0)))]
    for start, end, *moving in moves:
        change, floor, delta = (answer(end) - answer(start)).abs(), floor_of(start, end), drift_size(start, end)
        for one, other in ((ridge_fit(start), ridge_fit(end)), (ridge_fit(end), ridge_fit(start))):
            assert (change <= delta * statement(one, other, *moving) + floor).all()
            own = moving[0] if moving else 1.0
            assert (statement(one, other, *moving) <= (1 + 1e-9) / ridge * (one.objective * (other.variance + own * ridge)).sqrt()).all()
        assert (change <= feature_drift_bound(start, end) + floor).all()


def gradient(prompt, of_w=-1.0, of_query=1.0):
    """[lambda alpha psi^T - ell w^T; w^T], with other numbers before its last two terms."""
    fit = ridge_fit(prompt)
    rows = prompt.ridge * torch.einsum("k,qp->qkp", fit.alpha, fit.psi) + of_w * torch.einsum("qk,p->qkp", fit.ell, fit.w)
    return torch.cat([rows, of_query * fit.w.expand(prompt.n_query, 1, -1)], dim=1)


@certifies(
    "thm-feature-drift",
    statement=gradient,
    mutants={
        "the two parts added": lambda prompt: gradient(prompt, of_w=1.0),
        "the row of the query left out": lambda prompt: gradient(prompt, of_query=0.0),
        "alpha psi^T alone": lambda prompt: gradient(prompt, of_w=0.0),
    },
)
@pytest.mark.parametrize("k, p", SHAPES)
def test_the_gradient_is_that_of_the_prediction(statement, k, p):
    for seed, ridge in ((0, 0.1), (1, 1.0), (2, 10.0)):
        prompt = random_prompt(k, p, 2, ridge, seed=seed)
        features = joint_features(prompt).requires_grad_()
        (found,) = torch.autograd.grad(answer(from_joint(features, prompt)).sum(), features)
        torch.testing.assert_close(statement(prompt), found, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(drift_gradient(prompt), found, rtol=1e-9, atol=1e-9)


@certifies(
    "thm-feature-drift",
    statement=lambda M: torch.linalg.matrix_norm(M, ord="nuc"),
    mutants={"the largest singular value": norm, "the Frobenius norm": torch.linalg.matrix_norm},
)
@settings(max_examples=15)
@given(shape=shapes, seed=seeds, ridge=st.floats(-2, 2).map(lambda power: 10**power))
@example(shape=(4, 2), seed=0, ridge=1.0)
def test_the_first_order_of_the_largest_change_is_the_sum_of_the_singular_values(statement, shape, seed, ridge):
    prompt = random_prompt(*shape, 2, ridge, seed=seed)
    fit, steepest = ridge_fit(prompt), statement(drift_gradient(prompt))
    assert (steepest <= drift_factor(fit, fit) * (1 + 1e-9)).all()
    delta = 1e-6 * math.sqrt(ridge)
    best = worst_drift(prompt, delta)
    change = (answer(best) - answer(from_joint(joint_features(prompt), prompt))).abs().squeeze(-1)
    assert (change >= 0.99 * delta * steepest - floor_of(prompt)).all()
    assert (delta * steepest >= 0.99 * change - floor_of(prompt)).all()


@certifies(
    "thm-feature-drift",
    statement=lambda J, v, ridge: (J * (v + ridge)).sqrt() / ridge,
    mutants={
        "one hundredth less": lambda J, v, ridge: 0.99 * (J * (v + ridge)).sqrt() / ridge,
        "without the + lambda": lambda J, v, ridge: (J * v).sqrt() / ridge,
    },
)
@given(ridges, st.floats(-2, 2).map(lambda power: 10**power))
@example(1.0, 1.0)
def test_the_feature_bound_is_attained_at_every_size_of_the_features(statement, ridge, scale):
    s = scale * math.sqrt(ridge)
    Phi, y, x = (torch.tensor([[s, 0.0], [0.0, 0.0]]), torch.tensor([1.0, 0.0]), torch.tensor([[0.0, ridge / s]]))
    prompt = Prompt(Phi.double(), y.double(), x.double(), ridge)
    fit = ridge_fit(prompt)
    steepest = torch.linalg.matrix_norm(drift_gradient(prompt), ord="nuc")
    for factor in (steepest, drift_factor(fit, fit), statement(fit.objective, fit.variance, ridge)):
        tolerances.assert_within(factor * s - 1, 1e-6)


@certifies(
    "cor-predicted-drift",
    statement=predicted_drift_bound,
    mutants={
        "without the square of delta": lambda prompt, delta: delta * drift_factor(ridge_fit(prompt), ridge_fit(prompt)),
        "a third of the square of delta": lambda prompt, delta: predicted_drift_bound(prompt, delta) / 3
        + 2 / 3 * delta * drift_factor(ridge_fit(prompt), ridge_fit(prompt)),
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(1, 1), seed=0, ridge=1.0, size=1.0)
def test_the_prompt_alone_predicts_how_far_a_move_can_go(statement, shape, seed, ridge, size):
    # at Phi = 0 and phi(x) = 0 the prediction moves by nearly half of what the term in delta^2 allows, and no first order sees it
    flat = Prompt(torch.zeros(1, 1).double(), torch.ones(1).double(), torch.zeros(1, 1).double(), 1.0)
    corner = replace(flat, phi=flat.phi + 0.1, phi_query=flat.phi_query + 0.1)
    assert answer(corner) <= statement(flat, drift_size(flat, corner))
    prompt = random_prompt(*shape, 3, ridge, seed=seed)
    moved = moved_by(prompt, size, seed)
    change, delta = (answer(moved) - answer(prompt)).abs(), drift_size(prompt, moved)
    assert (change <= statement(prompt, delta) + floor_of(prompt, moved)).all()
    assert (feature_drift_bound(prompt, moved) <= statement(prompt, delta) * (1 + 1e-8)).all()


@certifies(
    "cor-two-routes",
    statement=lambda E, d, Phi, Phi_moved, x_moved: (E * (Phi + Phi_moved), E * x_moved + Phi * d),
    mutants={
        "one norm instead of two for the matrix": lambda E, d, Phi, Phi_moved, x_moved: (E * Phi_moved, E * x_moved + Phi * d),
        "the query's own move left out": lambda E, d, Phi, Phi_moved, x_moved: (E * (Phi + Phi_moved), E * x_moved),
    },
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(4, 2), seed=0, ridge=1.0, size=1.0)
def test_the_moves_of_the_kernel_are_bounded_by_those_of_the_features(statement, shape, seed, ridge, size):
    prompt = random_prompt(*shape, 1, ridge, seed=seed)
    doubled = replace(prompt, phi=2 * prompt.phi)  # attains the first: the kernel moves by 3 ||Phi||^2
    for moved in (doubled, *(moved_by(prompt, size, seed, what) for what in ("both", "query", "supports"))):
        sizes_of = norm(moved.phi - prompt.phi), (moved.phi_query - prompt.phi_query).norm(), norm(prompt.phi), norm(moved.phi), moved.phi_query.norm()
        gram, column = statement(*sizes_of)
        floor = 1e-13 * (norm(prompt.phi) + norm(moved.phi)) * (norm(prompt.phi) + norm(moved.phi) + moved.phi_query.norm())
        assert norm(moved.phi @ moved.phi.mT - prompt.phi @ prompt.phi.mT) <= gram * (1 + 1e-8) + floor
        assert (moved.phi @ moved.phi_query.mT - prompt.phi @ prompt.phi_query.mT).norm() <= column * (1 + 1e-8) + floor


def two_routes(prompt, moved):
    """What features promise and what their kernel promises, for one query, and the norms of alpha*, E, the moved features and l^."""
    before, after = ridge_fit(prompt), ridge_fit(moved)
    alpha, w, psi, ell = before.alpha.norm(), before.w.norm(), after.psi.norm(), after.ell.norm()
    E, d = norm(moved.phi - prompt.phi), (moved.phi_query - prompt.phi_query).norm()
    through_features = d * w + E * (prompt.ridge * alpha * psi + ell * w)
    column = E * moved.phi_query.norm() + norm(prompt.phi) * d
    gram = E * (norm(prompt.phi) + norm(moved.phi))
    return through_features, alpha * (column + gram * ell), (alpha, E, norm(moved.phi), ell)


@certifies(
    "cor-two-routes",
    statement=lambda alpha, E, Phi_moved, ell: alpha * E * Phi_moved * ell,
    mutants={"1.05 times the margin": lambda alpha, E, Phi_moved, ell: 1.05 * alpha * E * Phi_moved * ell},
)
@given(shape=shapes, seed=seeds, ridge=ridges, size=sizes)
@example(shape=(4, 2), seed=0, ridge=1.0, size=1.0)
def test_knowing_the_features_is_never_worse_than_knowing_the_size_of_their_move(statement, shape, seed, ridge, size):
    prompt = random_prompt(*shape, 1, ridge, seed=seed)
    # one support, and a query nearly orthogonal to it: in the limit the margin is all there is between the routes
    narrow = Prompt(torch.tensor([[1.0, 0.0]]).double(), torch.ones(1).double(), torch.tensor([[1e-3, 1.0]]).double(), 1.0)
    for start, end in ((prompt, moved_by(prompt, size, seed)), (narrow, replace(narrow, phi=1.1 * narrow.phi))):
        through_features, through_kernel, norms = two_routes(start, end)
        assert through_features + statement(*norms) <= through_kernel * (1 + 1e-8)


def test_a_rotation_moves_features_and_no_kernel():
    prompt = random_prompt(4, 3, 2, 0.5, seed=0)
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).standard_normal((3, 3)))).Q
    turned = replace(prompt, phi=prompt.phi @ turn, phi_query=prompt.phi_query @ turn)
    tolerances.assert_within(kernel_drift_bound(ridge_system(prompt), ridge_system(turned)), 1e-12)
    assert (feature_drift_bound(prompt, turned) > 0.1).all()


# ---------------------------------------------------------------- Lipschitz constants


def changes(prompt, moved):
    """What every constant of the table bounds, for unit constants: {key: (change, size of the move)}, one query."""
    fit, length = ridge_fit(prompt), prompt.phi_query.norm() * prompt.y.norm()
    unit = ridge_fit(replace(prompt, phi_query=prompt.phi_query / prompt.phi_query.norm()))
    still_query, still_supports = (replace(moved, phi_query=prompt.phi_query), replace(moved, phi=prompt.phi))
    gap = moved.phi - prompt.phi
    return {
        "targets": (unit.ell.norm(), 1.0),  # f is linear in y: the largest change is the norm of its gradient
        "query": ((answer(still_supports) - answer(prompt)).abs(), (moved.phi_query - prompt.phi_query).norm() * prompt.y.norm()),
        "supports": ((answer(still_query) - answer(prompt)).abs(), norm(gap) * length),
        "ridge": ((fit.psi @ fit.w).abs(), length),
        "dual": ((ridge_fit(moved).alpha - fit.alpha).norm(), norm(gap) * prompt.y.norm()),
    }


@certifies("prop-lipschitz")
@given(shape=shapes, seed=seeds, ridge=ridges, scale=sizes, size=sizes)
def test_the_lipschitz_constants_hold(shape, seed, ridge, scale, size):
    made = random_prompt(*shape, 1, ridge, seed=seed)
    prompt = replace(made, phi=scale * made.phi)
    moved = moved_by(prompt, size, seed)
    constants, floor = lipschitz_constants(ridge), floor_of(prompt, moved)
    for key, (change, step) in changes(prompt, moved).items():
        room = floor if key not in ("dual", "ridge") else floor / min(ridge, math.sqrt(ridge), prompt.phi_query.norm().item())
        assert (change <= constants[key] * step * (1 + 1e-8) + room).all(), key
    for factor in (1.5, 100.0):  # a finite change of the ridge
        other = answer(replace(prompt, ridge=factor * ridge))
        reach = 2 * constants["ridge"] * ridge**1.5 * abs(ridge**-0.5 - (factor * ridge) ** -0.5) * prompt.phi_query.norm() * prompt.y.norm()
        assert ((other - answer(prompt)).abs() <= reach + floor).all()


@certifies(
    "prop-lipschitz",
    statement=lipschitz_constants,
    mutants={
        "one hundredth less": lambda ridge: {key: 0.99 * constant for key, constant in lipschitz_constants(ridge).items()},
        "of twice the ridge": lambda ridge: lipschitz_constants(2 * ridge),
    },
)
@pytest.mark.parametrize(("key", "s"), [("targets", 1.0), ("query", 1.0), ("supports", 0.0), ("ridge", 3**-0.5), ("dual", 3**-0.5)])
@given(ridge=st.floats(-3, 3).map(lambda power: 10**power))
@example(ridge=1.0)
def test_each_constant_is_attained_by_one_support_with_one_feature(statement, key, s, ridge):
    root = math.sqrt(ridge)
    prompt = Prompt(torch.full((1, 1), s * root).double(), torch.ones(1).double(), torch.full((1, 1), root).double(), ridge)
    moved = replace(prompt, phi=prompt.phi + 1e-4 * root, phi_query=prompt.phi_query + 1e-4 * root)
    change, step = changes(prompt, moved)[key]
    tolerances.assert_within(change / step / statement(ridge)[key] - 1, 1e-3)


# ---------------------------------------------------------------- iterates


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


# ---------------------------------------------------------------- drift that does nothing


@certifies(
    "prop-harmless-drift",
    statement=lambda Phi, x, turn: (Phi @ turn, x @ turn),
    mutants={
        "the query alone is turned": lambda Phi, x, turn: (Phi, x @ turn),
        "an axis is stretched": lambda Phi, x, turn: (Phi @ turn * np.array([2] + [1] * (len(x) - 1)), x @ turn * np.array([2] + [1] * (len(x) - 1))),
    },
    exact=True,
)
@pytest.mark.parametrize("k, p", SHAPES[1:])
def test_turned_features_change_no_iterate(statement, k, p):
    (Phi, x), _, y, ridge = rational_pair(k, p, seed=k)
    turn = IDENTITY[:p, :p] - 2 * np.outer(x, x) / (x @ x)  # a reflection,
    turn = turn[:, [*range(1, p), 0]] * np.array([-1] + [1] * (p - 1))  # with its columns permuted and one of them reversed

    def predictions(Phi, x):
        states = rational_cg(Phi @ Phi.T + ridge * IDENTITY[:k, :k], y, min(k, p))
        return [x @ Phi.T @ state["alpha"] for state in states]

    assert predictions(*statement(Phi, x, turn)) == predictions(Phi, x)


@certifies("prop-harmless-drift")
@given(shape=st.sampled_from(SHAPES[1:]), seed=seeds, ridge=st.floats(-3, 3).map(lambda power: 10**power))
def test_drift_may_be_measured_after_the_best_turn(shape, seed, ridge):
    prompt = random_prompt(*shape, 3, ridge, seed=seed)
    turn = torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).standard_normal((shape[1], shape[1])))).Q
    f, floor = answer(prompt), floor_of(prompt)
    turned = replace(prompt, phi=prompt.phi @ turn, phi_query=prompt.phi_query @ turn)
    tolerances.assert_within(answer(turned) - f, floor)
    moved = moved_by(turned, 1e-3, seed)
    straight = aligned(prompt, moved)
    tolerances.assert_within(answer(straight) - answer(moved), floor_of(moved))
    assert ((answer(moved) - f).abs() <= feature_drift_bound(prompt, straight) + floor).all()
    assert drift_size(prompt, aligned(prompt, turned)).max() <= 1e-12 * (1 + norm(prompt.phi))


def scaled_problem(ridge, c):
    """The ridge with which the old features answer as the scaled ones do, and how far the answer moves per ||phi(x)|| ||y||."""
    return ridge / c**2, 3 * math.sqrt(3) / 8 * abs(1 - c) / math.sqrt(ridge)


@certifies(
    "prop-harmless-drift",
    statement=scaled_problem,
    mutants={
        "the ridge over c": lambda ridge, c: (ridge / c, scaled_problem(ridge, c)[1]),
        "0.99 of the reach": lambda ridge, c: (ridge / c**2, 0.99 * scaled_problem(ridge, c)[1]),
    },
)
@given(shape=st.sampled_from(SHAPES[1:]), seed=seeds, ridge=st.floats(-3, 3).map(lambda power: 10**power))
@example(shape=(4, 2), seed=0, ridge=1.0)
def test_a_change_of_scale_is_a_change_of_the_ridge(statement, shape, seed, ridge):
    edge = Prompt(torch.full((1, 1), math.sqrt(ridge / 3)).double(), torch.ones(1).double(), torch.ones(1, 1).double(), ridge)
    for prompt, c in ((random_prompt(*shape, 3, ridge, seed=seed), 0.5), (random_prompt(*shape, 3, ridge, seed=seed), 3.0), (edge, 1.001)):
        of_scaled, reach = statement(ridge, c)
        scaled, other = replace(prompt, phi=c * prompt.phi, phi_query=c * prompt.phi_query), replace(prompt, ridge=of_scaled)
        tolerances.assert_within(answer(scaled) - answer(other), floor_of(scaled, other))
        assert ((answer(scaled) - answer(prompt)).abs() <= reach * prompt.phi_query.norm(dim=-1) * prompt.y.norm() + floor_of(scaled)).all()


def without(v):
    """The projector onto the complement of v."""
    return IDENTITY[: len(v), : len(v)] - np.outer(v, v) / (v @ v)


@certifies(
    "prop-harmless-drift",
    statement=lambda E, alpha, w: without(alpha) @ E @ without(w),
    mutants={
        "E w* = 0 alone": lambda E, alpha, w: E @ without(w),
        "E^T alpha* = 0 alone": lambda E, alpha, w: without(alpha) @ E,
    },
    exact=True,
)
@pytest.mark.parametrize("k, p", [(4, 3), (3, 5)])
def test_drift_outside_the_fit_and_the_misfit_changes_nothing_exactly(statement, k, p):
    (Phi, _), _, y, ridge = rational_pair(k, p, seed=k)
    alpha = exact_solve(Phi @ Phi.T + ridge * IDENTITY[:k, :k], y)
    w = Phi.T @ alpha
    moved = Phi + statement(rationals(np.random.default_rng(9), k, p) + Fraction(1, 5), alpha, w)
    assert (exact_solve(moved.T @ moved + ridge * IDENTITY[:p, :p], moved.T @ y) == w).all()


@certifies(
    "prop-harmless-drift",
    statement=lambda d, w: d @ w,
    mutants={"nothing moves": lambda d, w: 0, "it moves even across w*": lambda d, w: d @ (w + 1)},
    exact=True,
)
@pytest.mark.parametrize("k, p", [(4, 3), (3, 5)])
def test_a_query_that_moves_alone_moves_the_answer_by_its_share_of_the_solution(statement, k, p):
    (Phi, x), (_, x_moved), y, ridge = rational_pair(k, p, seed=k)
    alpha = exact_solve(Phi @ Phi.T + ridge * IDENTITY[:k, :k], y)
    w = exact_solve(Phi.T @ Phi + ridge * IDENTITY[:p, :p], Phi.T @ y)
    for d in (x_moved - x, without(w) @ (x_moved - x)):
        assert (Phi @ (x + d) - Phi @ x) @ alpha == statement(d, w)


@certifies(
    "prop-harmless-drift",
    statement=lambda Phi, d: not (Phi @ d).any(),
    mutants={
        "if one support does not see it": lambda Phi, d: not (Phi @ d).all(),
        "only if nothing moves": lambda Phi, d: not d.any(),
    },
    exact=True,
)
def test_a_query_that_moves_alone_is_harmless_for_all_targets_exactly_if_no_support_sees_it(statement):
    for seed in range(5):
        Phi, d = (rationals(np.random.default_rng(seed), *shape) + Fraction(1, 7) for shape in ((2, 3), (3,)))
        unseen = np.cross(*Phi)
        by_one = without(Phi[0]) @ d
        inverse = np.stack([exact_solve(Phi @ Phi.T + Fraction(1, 3) * IDENTITY[:2, :2], y) for y in IDENTITY[:2, :2]])
        for move in (0 * d, unseen, by_one, d):
            changes = (Phi @ (d + move) - Phi @ d) @ inverse.T  # of the answers to a basis of all targets
            assert (not changes.any()) == statement(Phi, move)


# ---------------------------------------------------------------- searched inputs


@certifies(
    "thm-resolvent",
    "lem-smoother",
    "prop-kernel-drift",
    "thm-feature-drift",
    "cor-predicted-drift",
    "cor-two-routes",
    "prop-lipschitz",
    "prop-gd-stable",
)
@pytest.mark.parametrize("name", [name for name in DRIFT_RATIOS if name != "conjugate-gradient"])
def test_the_search_attains_the_bounds_and_never_passes_them(name, record_property):
    ratio, size = DRIFT_RATIOS[name]
    with unchecked():  # thousands of evaluations
        tightness = worst_case(ratio, size, seed=0, starts=6 if name == "gradient-descent" else 3)
    record_property("tightness", float(tightness))
    print(f"{name}: value / bound = {tightness:.6f}")
    # gradient descent comes to 4 / (3 sqrt 3) = 0.77: whether the constant one is true there is open
    assert (0.7 if name == "gradient-descent" else 0.99) < tightness <= 1 + 1e-9


# ---------------------------------------------------------------- the functions themselves


def test_fragility_ends_at_the_nuclear_norm_of_the_answers_gradient():
    prompt = random_prompt(6, 3, 2, 0.5, seed=4, batch=(2,))
    found = fragility(assemble(two_block_conjugate_gradient(3, 6)), prompt)
    assert found.shape == (7, 2, 2) and (found[0] == 0).all()
    tolerances.assert_within(found[-1] / torch.linalg.matrix_norm(drift_gradient(prompt), ord="nuc") - 1, 1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
def test_batches_and_dtypes(dtype, batch):
    prompt = random_prompt(5, 3, 2, 0.5, seed=1, batch=batch).to(dtype)
    moved = moved_by(prompt, 0.1, 2)
    change = (answer(moved) - answer(prompt)).abs()
    for bound in (feature_drift_bound(prompt, moved), predicted_drift_bound(prompt, drift_size(prompt, moved))):
        assert bound.shape == (*batch, 2) and bound.dtype == dtype
        assert (change <= bound + floor_of(prompt, moved)).all()
    assert kernel_drift_bound(ridge_system(prompt), ridge_system(moved)).shape == (*batch, 2)
    assert drift_gradient(prompt).shape == joint_features(prompt).shape == (*batch, 2, 6, 3)
    worst = worst_drift(prompt, 0.1, steps=5)
    assert worst.phi.shape == (*batch, 2, 5, 3) and worst.phi_query.shape == (*batch, 2, 1, 3)
    start = from_joint(joint_features(prompt), prompt)
    assert (drift_size(start, worst) <= 0.1 * (1 + 1e-4)).all()
    assert ((answer(worst) - answer(start)).abs().squeeze(-1) >= change * 0.1 / drift_size(prompt, moved) * 0.5).all()


def test_edges():
    zero = Prompt(torch.ones(3, 2).double(), torch.zeros(3).double(), torch.ones(1, 2).double(), ridge=1e-9)  # zero targets, duplicate supports
    moved = replace(zero, phi=zero.phi + torch.tensor([1.0, 0.0]))
    assert feature_drift_bound(zero, moved).item() == predicted_drift_bound(zero, 1.0).item() == 0.0
    assert (answer(worst_drift(zero, 0.5)) == 0).all()
    same = random_prompt(4, 2, 1, 1.0, seed=3)
    assert feature_drift_bound(same, same).item() == kernel_drift_bound(ridge_system(same), ridge_system(same)).item() == 0.0


def test_more_moves_more():
    prompt = random_prompt(6, 3, 2, 0.3, seed=5)
    start = answer(from_joint(joint_features(prompt), prompt))
    reached = [(answer(worst_drift(prompt, delta)) - start).abs().min().item() for delta in (0.01, 0.1, 1.0)]
    assert all(less < more for less, more in pairwise(reached))


def test_bad_input_says_what_would_work():
    prompt = diabetes_prompt(5, 2, 1.0, seed=0)
    for other in (replace(prompt, ridge=2.0), replace(prompt, y=2 * prompt.y), diabetes_prompt(6, 2, 1.0, seed=0)):
        with pytest.raises(ValueError, match=r"expected prompts that differ in their features alone, e\.g\. dataclasses\.replace"):
            feature_drift_bound(prompt, other)
    with pytest.raises(ValueError, match="expected 1 <= steps <= 2"):
        conjugate_gradient_jacobian(torch.eye(2), torch.ones(2), 3)
    with pytest.raises(ValueError, match="nothing to ascend|zero or not finite"):
        worst_case(lambda z: 0 * z.sum(), 2, seed=0)
