"""Prompts whose features move, for the tests of stability."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import torch
from hypothesis import strategies as st

import tolerances
from metarep_lib import ridge_system
from metarep_lib.numerics.bounds.perturbation import ridge_fit
from rationals import rationals

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


def rational_pair(k, p, seed):
    """Features before and after, targets, ridge: rational, the moved features unrelated to the first."""
    rng = np.random.default_rng(seed)
    before, after = ((rationals(rng, k, p) + Fraction(1, 11), rationals(rng, p) + Fraction(1, 13)) for _ in range(2))
    return before, after, rationals(rng, k) + Fraction(1, 7), Fraction(2, 3)


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
