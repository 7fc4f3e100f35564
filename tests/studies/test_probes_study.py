"""The studies of the chapter on probes, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import DotProduct
from sklearn.linear_model import Ridge

from metarep_lib import ridge_system, solvers
from metarep_lib.evidence.probe import predictions
from metarep_lib.studies import probes_constructed as known
from metarep_lib.studies import probes_moved, probes_query
from metarep_lib.studies import probes_trained as study
from metarep_lib.tasks import LinearPrior

PRIOR = LinearPrior(3, condition=4.0, noise=(0.5,))


@pytest.fixture(scope="module")
def table():
    return known.step_table(known.constructed(0)["two blocks a step"], seed=0)


def test_every_step_of_a_constructed_network_is_found_and_no_residual_before_it_is_made(table):
    """Residuals are orthogonal to all before them, in every task: nothing linear says the next."""
    for rows in table.values():
        assert all(1 - rows[t][t].r2 < 1e-9 for t in range(known.STEPS))
    assert all(abs(table["r"][s][t].r2) < 0.05 for s, t in np.ndindex(4, 4) if t > s)


def test_the_basis_of_the_stream_does_not_matter(table):
    again = known.step_table(known.constructed(0)["two blocks a step"], seed=5)
    for name in table:
        ours, theirs = ([[one.r2 for one in row] for row in of[name]] for of in (table, again))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_every_recovery_has_its_place(table):
    """Of the 48 of a network that has alpha, r and p; the five-block network has three that are stale."""
    found = known.sorted_out({("two blocks a step", 0): table})
    counts = {kind: len(of) for kind, of in found.items()}
    assert counts == {"here": 12, "next iterate": 0, "ahead": 6, "elsewhere": 36}
    stale = known.sorted_out({("five blocks a step", 0): table})
    assert len(stale["elsewhere"]) == 33
    kept = {id(one) for one in stale["elsewhere"]}
    assert all(id(table["p"][t][t - 1]) not in kept and id(table["p"][t - 1][t]) in kept for t in (1, 2, 3))
    descent = known.sorted_out({("gradient descent", 0): {"alpha": table["alpha"], "r": table["r"]}})
    assert {kind: len(of) for kind, of in descent.items()} == {"here": 8, "next iterate": 3, "ahead": 0, "elsewhere": 21}


def test_only_what_is_held_to_rounding_is_written_as_one(table):
    panels = known.panels({("two blocks a step", 0): table, ("two blocks a step", 1): table})
    assert [list(panels), *(panel[0, 0] for panel in panels.values())][1:] == [1.0, 1.0, 1.0]
    assert all((panel[~np.eye(4, dtype=bool)] < 0.995).all() for panel in panels.values())


def test_the_direction_just_made_is_that_of_the_step_before():
    prompt = known.linear_prompt(seed=0, n_tasks=3)
    history = solvers.conjugate_gradient(ridge_system(prompt), 3).history
    shifted = known.just_made(history)["p"]
    assert torch.equal(shifted[0], history["p"][0]) and torch.equal(shifted[1:], history["p"][:-1])


def test_what_is_looked_for_is_the_answer_of_other_libraries():
    """The Bayes predictor of linear tasks: ridge regression, or a Gaussian process with a linear kernel."""
    prompt = study.pose(PRIOR, seed=2, n_support=12, n_tasks=2)
    system = study.system_of(prompt, PRIOR, prompt.ridge)
    ours = system.predict(solvers.cholesky(system).alpha)
    for i in range(2):
        x, y, query = prompt.phi[i].double(), prompt.y[i].double(), prompt.phi_query[i].double()
        ridge = Ridge(alpha=3 * prompt.ridge, fit_intercept=False).fit(x, y)
        np.testing.assert_allclose(ours[i], ridge.predict(query), atol=1e-9)
        kernel = DotProduct(sigma_0=0, sigma_0_bounds="fixed") * (1 / 3)
        process = GaussianProcessRegressor(kernel, alpha=prompt.ridge, optimizer=None).fit(x, y)
        np.testing.assert_allclose(ours[i], process.predict(query), atol=1e-6)


def planted() -> study.Studied:
    """Streams of two blocks: block 1 of the trained holds the target, the control's holds noise."""
    generator = torch.Generator().manual_seed(0)
    target, *noise = torch.randn(6, 400, 5, 4, generator=generator).double()
    target = target[..., 0]
    held = noise[0].clone()
    held[..., 2] = target
    streams = {"trained": [torch.stack([noise[1], held])], "untrained": [torch.stack(noise[2:4])]}
    prompt = study.pose(PRIOR, seed=0, n_tasks=400, n_support=5)
    return study.Studied([], prompt, study.system_of(prompt, PRIOR, 0.25), {"rest": target}, streams)


def test_what_is_planted_in_a_stream_is_found_there_and_nowhere_else():
    curves = study.built_up(planted())
    (first, second), (before, after) = curves["trained"][0], curves["untrained"][0]
    assert second.r2 > 1 - 1e-9 and max(abs(one.r2) for one in (first, before, after)) < 0.05
    assert study.strongest(curves) is max(before, after, key=lambda one: one.r2)
    np.testing.assert_allclose(study.scores(curves["trained"])[0], [first.r2, second.r2])


def test_probes_at_the_query_are_named_as_their_targets():
    prompt = study.pose(PRIOR, seed=3, n_support=10, n_tasks=8)
    said = predictions(study.system_of(prompt, PRIOR, prompt.ridge), prompt.ridge)
    assert list(said) == probes_query.SAID
    held = probes_query.Asked(prompt, PRIOR, [], {}, [], [], [])
    states, moment = probes_query.primal_states(held)
    assert list(states) == probes_query.PRIMAL
    by_hand = torch.einsum("ti,tip->tp", prompt.y.double(), prompt.phi.double()) / 3**0.5
    torch.testing.assert_close(moment, by_hand)
    torch.testing.assert_close(states["r 0"].squeeze(1), by_hand)


def test_a_register_moves_with_no_task():
    prior = LinearPrior(5, condition=4.0, noise=(0.5,))
    found = probes_moved.of_register(prior, {"as trained": {}, "longer": {"scale": 1.2}, "noisier": {"noise": (1.0,)}})
    assert all(one.frozen > 1 - 1e-6 and one.anew > 1 - 1e-6 for (one,) in found.values())
    numbers = probes_moved.numbers(found)
    assert numbers.shape == (3, 9) and np.isnan(numbers[:, 3:]).all()
