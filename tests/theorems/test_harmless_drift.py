"""Drift that does nothing: turns, changes of scale, moves outside the fit and of a query alone."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from drifts import IDENTITY, SHAPES, answer, floor_of, moved_by, norm, rational_pair, seeds
from factories import random_prompt
from metarep_lib import Prompt
from metarep_lib.numerics.bounds.perturbation import aligned, drift_size, feature_drift_bound
from rationals import exact_solve, rational_cg, rationals


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
