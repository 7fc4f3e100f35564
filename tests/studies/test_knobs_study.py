"""The sweep over five knobs, against another library's kernel ridge regression."""

import math
from functools import cache

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge

from metarep_lib import ExponentialKernel, ridge_system
from metarep_lib.studies import knobs, load_sweep

POINTS = [("linear", "temperature", 6, 0), ("exponential", "width", 4, 2), ("exponential", "ridge", 7, 3)]
run = cache(knobs.run)


@pytest.mark.parametrize("point", POINTS)
def test_a_point_is_the_stored_row_where_rounding_leaves_it_alone(point):
    (row,) = (row for row in load_sweep("knobs").rows if (*map(row.get, ("kernel", "knob", "level", "seed")),) == point)
    found = run(*point)
    assert found.keys() == row.keys() - {"kernel", "knob", "level", "seed"}
    seen = [name for name in found if row[name] > 1e-8]
    assert set(seen) >= found.keys() - {"shift"}
    np.testing.assert_allclose([found[name] for name in seen], [row[name] for name in seen], rtol=1e-3)


def answers(kernel, knob, level, seed, growth):
    """Of scikit-learn, with the ridge grown: <x, x'> / t, and exp(<x, x'> / tau) on the sphere is a Gaussian kernel in another unit."""
    now = knobs.BASE | {knob: knobs.VALUES[knob][level]}
    prompt, _, tau = knobs.posed(kernel, knob, level, seed)
    of = {"kernel": "linear"} if tau is None else {"kernel": "rbf", "gamma": 1 / (2 * tau)}
    solver = KernelRidge(alpha=now["ridge"] * growth, **of)
    return solver.fit(prompt.phi.numpy(), prompt.y.numpy()).predict(prompt.phi_query.numpy())


@pytest.mark.parametrize("point", POINTS)
def test_the_answer_and_what_is_foretold_are_those_of_another_library(point):
    before, after = answers(*point, 1.0), answers(*point, 1.1)
    prompt, y_query, tau = knobs.posed(*point)
    system = ridge_system(prompt) if tau is None else ridge_system(prompt, ExponentialKernel(tau))
    np.testing.assert_allclose(knobs.foretold(system, 0.1 * prompt.ridge), after - before, rtol=1e-6, atol=1e-9)
    off = np.sqrt(np.mean((before - y_query.numpy()) ** 2)) / y_query.numpy().std(ddof=1)
    assert run(*point)["risk_full"] == pytest.approx(off, rel=1e-9)


def test_conjugate_gradient_ends_with_the_features_and_a_narrow_network_never():
    found, never = run(*POINTS[0]), run(*POINTS[1])
    assert found["needed"] <= 16 and found["promised"] <= 16 and found["shift"] < 1e-9
    assert never["needed"] == never["promised"] == knobs.STEPS + 1 and never["shift"] > 0.01


def test_all_knobs_but_one_stand_where_their_sweeps_meet():
    points = [("exponential", "condition", 4), ("exponential", "temperature", 4), ("exponential", "depth", 5)]
    prompts = [knobs.posed(*point, seed=1)[0] for point in points]
    assert all(prompt.ridge == pytest.approx(0.01 * math.exp(2)) for prompt in prompts)
    assert len({prompt.phi.sum().item() for prompt in prompts}) == 1
