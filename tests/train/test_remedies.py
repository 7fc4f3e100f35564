"""Fine-tuning with a hold on the representation: each measure against a case that is known, each remedy does what it says."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge

from metarep_lib.evidence.align import representation_drift
from metarep_lib.train import (
    REMEDIES,
    context_stream,
    feature_alignment,
    fine_tune,
    initial,
    network_features,
    recipe_of,
)
from metarep_lib.train.fine_tune import feature_regression, probed_subspace

BLOCK = 1


def recipe(steps=10, noise=0.2, n_inputs=2):
    network = {"attention": "softmax", "n_layers": 2, "d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 8}
    training = {"layout": "prefix", "n_support": [2, 6], "n_query": 4, "batch": 16, "steps": steps, "learning_rate": 1e-2, "warmup": 3}
    return recipe_of("tiny", {"prior": {"kind": "linear", "n_inputs": n_inputs, "noise": [noise]}, "network": network, "training": training})


@pytest.fixture(scope="module")
def network():
    return fine_tune(initial(recipe(), 0), recipe(40), "none", old=recipe(), block=BLOCK, seed=0)


def draw(seed, n_prompts=40):
    return recipe().prior.sample(n_prompts, 10, torch.Generator().manual_seed(seed))


def test_features_are_of_a_token_alone(network):
    x = draw(0).x
    phi = network_features(network, x, BLOCK)
    assert phi.shape == (40, 10, 9)
    assert torch.allclose(phi[..., -1], torch.ones(40, 10))
    torch.testing.assert_close(phi[..., :-1].square().sum(-1).mean(), torch.tensor(1.0))
    turned = x.flip(1)  # nobody else is read, so the order does not matter
    torch.testing.assert_close(network_features(network, turned, BLOCK).flip(1), phi, rtol=1e-4, atol=1e-5)


def test_regression_on_features_is_ridge_regression_and_is_recognised():
    generator = torch.Generator().manual_seed(1)
    phi, y = torch.randn(3, 12, 5, generator=generator).double(), torch.randn(3, 8, generator=generator).double()
    said = feature_regression(phi, y, 0.25)
    for b in range(3):
        theirs = Ridge(alpha=0.25, fit_intercept=False).fit(phi[b, :8], y[b]).predict(phi[b, 8:])
        np.testing.assert_allclose(said[b], theirs, rtol=1e-8)
    distance, ridge = feature_alignment(said, phi, y)  # positive control
    assert (distance, ridge) == (0.0, 0.25)
    assert feature_alignment(said, torch.randn(3, 12, 5, generator=generator).double(), y)[0] > 0.3  # other features do not explain it


def test_drift_is_blind_to_rotations_and_one_minus_squared_correlation_in_one_channel():
    phi = torch.randn(4, 10, 3, generator=torch.Generator().manual_seed(0)).double()
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)).double()).Q
    assert abs(representation_drift(phi, 2 * phi @ rotation + 5)) < 1e-12
    other = phi[..., :1] + torch.randn(4, 10, 1, generator=torch.Generator().manual_seed(2)).double()
    correlation = np.corrcoef(phi[..., 0].flatten(), other.flatten())[0, 1]
    assert abs(representation_drift(phi[..., :1], other) - (1 - correlation**2)) < 1e-10


def test_a_probed_subspace_reads_what_it_was_fitted_to():
    generator = torch.Generator().manual_seed(0)
    stream = torch.randn(200, 6, generator=generator).double()
    targets = stream[:, :2] @ torch.randn(2, 2, generator=generator).double()
    directions = probed_subspace(stream, targets)
    torch.testing.assert_close(directions.T @ directions, torch.eye(2).double())
    assert LinearRegression().fit(stream @ directions, targets).score(stream @ directions, targets) > 1 - 1e-10
    assert directions[2:].abs().max() < 1e-10


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_remedy_changes_a_copy_the_same_way_twice(network, remedy):
    kept = [weight.clone() for weight in network.parameters()]
    tuned, again = (fine_tune(network, recipe(4, noise=1.0), remedy, old=recipe(), block=BLOCK, seed=3) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(kept, network.parameters()))
    for a, b in zip(tuned.parameters(), again.parameters()):  # least squares is not the same bit for bit from call to call
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-4)
    assert any(not torch.equal(a, b) for a, b in zip(kept, tuned.parameters()))


def test_remedies_hold_what_they_hold(network):
    new, judged = recipe(30, noise=1.5), draw(9)
    tuned = {remedy: fine_tune(network, new, remedy, old=recipe(), block=BLOCK, seed=3, weight=10.0) for remedy in REMEDIES}
    was, before = context_stream(network, judged, 6, BLOCK)
    old = network_features(network, judged.x, BLOCK)
    targets = torch.cat([judged.x[:, 6:], before.unsqueeze(-1)], -1)
    probed = probed_subspace(was[:, 6:].flatten(0, 1), targets.flatten(0, 1))
    moved = {name: ((context_stream(net, judged, 6, BLOCK)[0] - was) @ probed).square().mean().item() for name, net in tuned.items()}
    assert moved["freeze"] < 0.5 * moved["none"]
    near_old = {name: feature_alignment(context_stream(net, judged, 6, BLOCK)[1], old, judged.y[:, :6])[0] for name, net in tuned.items()}
    assert near_old["pull"] < near_old["none"]
    near_own = {
        name: feature_alignment(context_stream(net, judged, 6, BLOCK)[1], network_features(net, judged.x, BLOCK), judged.y[:, :6])[0] for name, net in tuned.items()
    }
    assert near_own["co-train"] < near_own["none"]


def test_a_remedy_there_is_not_is_refused(network):
    with pytest.raises(ValueError, match="'none', 'pull', 'co-train', 'freeze', 'freeze at random'"):
        fine_tune(network, recipe(), "hope", old=recipe(), block=BLOCK, seed=0)
