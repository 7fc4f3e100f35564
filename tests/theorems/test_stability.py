"""Stability: what moves when the features move. Identities in fractions; bounds on random and on searched inputs."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from drifts import (
    IDENTITY,
    SHAPES,
    answer,
    changes,
    floor_of,
    moved_by,
    norm,
    rational_pair,
    ridges,
    seeds,
    shapes,
    sizes,
)
from factories import DTYPES, random_prompt, unchecked
from metarep_lib import (
    Prompt,
    assemble,
    diabetes_prompt,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.stability import DRIFT_RATIOS, fragility
from metarep_lib.numerics.bounds import conjugate_gradient_jacobian
from metarep_lib.numerics.bounds.perturbation import (
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
from rationals import exact_solve

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
