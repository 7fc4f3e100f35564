"""Training: laws of tasks against another library, runs that resume bit for bit, cards that say what was made."""

import json

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.linear_model import Ridge

import metarep_lib.train.loop as training
from metarep_lib import Prompt
from metarep_lib.tasks import ExponentialPrior, LinearPrior, bayes, bayes_risk, bayes_untold
from metarep_lib.tasks.priors import TwoCirclesPrior
from metarep_lib.train import load_seeds, load_trained, train
from metarep_lib.train.loop import risks
from metarep_lib.train.recipe import recipe_of

TABLE = {
    "prior": {"kind": "linear", "n_inputs": 2, "noise": [0.1]},
    "network": {"attention": "softmax", "n_layers": 2, "d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 8}
    | {"activation": "gelu", "norm": "layer", "looped": False},
    "training": {"layout": "prefix", "n_support": [1, 6], "batch": 8, "steps": 30, "learning_rate": 1e-2, "warmup": 5},
}


def recipe(**changes):
    table = {name: dict(part) for name, part in TABLE.items()}
    for name, value in changes.items():
        part = next(part for part in table.values() if name in part)
        part[name] = value
    return recipe_of("tiny", table)


def test_the_bayes_predictor_of_a_linear_task_is_ridge_regression():
    prior = LinearPrior(3, condition=50.0, noise=(0.3,))
    draw = prior.sample(4, 12, torch.Generator().manual_seed(0))
    ours = bayes(prior, draw, 8)
    for b in range(4):
        x, y = draw.x[b].double().numpy(), draw.y[b].double().numpy()
        theirs = Ridge(alpha=3 * 0.3**2, fit_intercept=False).fit(x[:8], y[:8]).predict(x[8:])
        np.testing.assert_allclose(ours[b], theirs, rtol=1e-6)


def test_the_bayes_predictor_on_the_sphere_is_the_posterior_mean_of_a_gaussian_process():
    prior = ExponentialPrior(3, tau=0.4, noise=(0.2,))
    draw = prior.sample(2, 15, torch.Generator().manual_seed(1))
    assert torch.allclose(draw.x.norm(dim=-1), torch.ones(2, 15))
    ours = bayes(prior, draw, 10)
    for b in range(2):  # on the unit sphere <x, x'> - 1 = -|x - x'|^2 / 2
        process = GaussianProcessRegressor(ConstantKernel(1.0, "fixed") * RBF(0.4**0.5, "fixed"), alpha=0.2**2)
        x, y = draw.x[b].double().numpy(), draw.y[b].double().numpy()
        np.testing.assert_allclose(ours[b], process.fit(x[:10], y[:10]).predict(x[10:]), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seen", [0, 1])
def test_of_two_circles_one_is_seen_and_the_other_changes_nothing(seen):
    prior, circle = TwoCirclesPrior(seen, tau=0.4, noise=(0.2,)), slice(2 * seen, 2 * seen + 2)
    draw = prior.sample(3, 12, torch.Generator().manual_seed(4))
    kernel = ConstantKernel(1.0, "fixed") * RBF(0.4**0.5, "fixed")  # on the unit circle exp((x.x' - 1) / tau) is a Gaussian kernel
    for b in range(3):
        theirs = GaussianProcessRegressor(kernel, alpha=0.04).fit(draw.x[b, :8, circle].double(), draw.y[b, :8].double()).predict(draw.x[b, 8:, circle].double())
        np.testing.assert_allclose(bayes(prior, draw, 8)[b], theirs, rtol=1e-4, atol=1e-5)
    turned = draw.x.clone()
    turned[..., 2 - 2 * seen : 4 - 2 * seen] = turned[..., 2 - 2 * seen : 4 - 2 * seen].flip(1)
    assert torch.equal(prior.covariance(turned, turned), prior.covariance(draw.x, draw.x))
    assert (prior.covariance(draw.x, draw.x) != TwoCirclesPrior(1 - seen, tau=0.4).covariance(draw.x, draw.x)).any()


@pytest.mark.parametrize("prior", [LinearPrior(3, noise=(0.1, 0.5, 1.0)), ExponentialPrior(2, 0.4, (0.1, 0.5))])
def test_whoever_is_not_told_the_noise_weighs_the_levels_by_their_likelihood(prior):
    draw = prior.sample(5, 9, torch.Generator().manual_seed(3))
    ours = bayes_untold(prior, draw, 6)
    for b in range(5):
        x, y = draw.x[b].double(), draw.y[b, :6].double().numpy()
        K = prior.covariance(x, x).numpy()
        likelihood = np.array([multivariate_normal(cov=K[:6, :6] + level**2 * np.eye(6)).pdf(y) for level in prior.noise])
        means = np.stack([K[6:, :6] @ np.linalg.solve(K[:6, :6] + level**2 * np.eye(6), y) for level in prior.noise])
        np.testing.assert_allclose(ours[b], likelihood @ means / likelihood.sum(), rtol=1e-5, atol=1e-7)


def test_being_told_the_noise_is_better_than_not_and_that_better_than_one_ridge_for_all():
    prior = LinearPrior(4, noise=(0.1, 1.0))
    draw = prior.sample(4000, 14, torch.Generator().manual_seed(4))
    told, untold = (((said(prior, draw, 8) - draw.f[:, 8:]) ** 2).mean() for said in (bayes, bayes_untold))
    middling = type(draw)(draw.x, draw.f, draw.y, torch.full_like(draw.noise, 0.6))
    assert told < untold < ((bayes(prior, middling, 8) - draw.f[:, 8:]) ** 2).mean()


@pytest.mark.parametrize("prior", [LinearPrior(4, 30.0, (0.1, 0.5)), ExponentialPrior(3, 0.3, (0.1, 0.5)), TwoCirclesPrior(1, 0.3, (0.1, 0.5))])
def test_draws_have_variance_one_the_stated_noise_and_a_risk_that_falls(prior):
    draw = prior.sample(3000, 12, torch.Generator().manual_seed(2))
    assert abs(draw.f.square().mean() - 1) < 0.1
    for level in (0.1, 0.5):
        of_level = (draw.noise == torch.tensor(level)).squeeze(-1)
        assert 1200 < of_level.sum() < 1800
        assert abs((draw.y - draw.f)[of_level].std() / level - 1) < 0.02
    falling = [bayes_risk(prior, draw, n) for n in (0, 2, 5, 9)]
    assert falling == sorted(falling, reverse=True)
    wrong = bayes(prior, type(draw)(draw.x, draw.f, draw.y, 10 * draw.noise), 9)  # mutant: another ridge is worse
    assert (wrong - draw.f[:, 9:]).square().mean() > 1.05 * falling[-1]


@pytest.mark.parametrize("layout", ["prefix", "pair-causal"])
def test_an_interrupted_run_ends_as_an_uninterrupted_one(tmp_path, monkeypatch, layout):
    made = recipe(layout=layout)
    said = {"commit": "none", "command": "test"}
    whole = train(made, 3, tmp_path / "whole", **said)
    monkeypatch.setattr(training, "CHECKPOINT_EVERY", 10)
    real = training.batch_loss

    def interrupted(*args):
        if interrupted.left == 0:
            raise KeyboardInterrupt
        interrupted.left -= 1
        return real(*args)

    interrupted.left = 17
    monkeypatch.setattr(training, "batch_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(made, 3, tmp_path / "parts", **said)
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["tiny-3.checkpoint"]
    monkeypatch.setattr(training, "batch_loss", real)
    parts = train(made, 3, tmp_path / "parts", **said)
    assert parts.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["tiny-3.json", "tiny-3.safetensors"]


def test_a_card_says_everything_and_the_weights_come_back(tmp_path):
    made = recipe(layout="pair-causal")
    train(made, 1, tmp_path, commit="abc", command="python scripts/train.py")
    network = load_trained("tiny", 1, folder=tmp_path)
    assert network.recipe == made
    assert {"recipe", "seed", "command", "commit", "code", "device", "seconds", "torch", "python", "n_parameters", "sha256", "risks"} == set(network.card)
    assert network.card["risks"] == json.loads(json.dumps(risks(network.transformer, made)))
    draw = made.prior.sample(2, 5, torch.Generator().manual_seed(0))
    table = network.card["risks"][-1]  # network and Bayes answered the same queries
    asked = made.prior.sample(1000, 6 + 8, torch.Generator().manual_seed(training.EVALUATION_SEED))
    theirs = (bayes(made.prior, asked, 6)[:, 0] - asked.f[:, 6]).square().mean().item()
    assert table["n_support"] == 6 and abs(table["bayes"] / theirs - 1) < 1e-6
    curve = network.curve(draw.x, draw.y)
    for k in (1, 4):  # one pass for every context length is the same as asking with that context
        prompt = Prompt(draw.x[:, :k], draw.y[:, :k], draw.x[:, k:], ridge=1.0)
        torch.testing.assert_close(network.predict(prompt)[:, 0], curve[:, k], rtol=1e-4, atol=1e-5)
    with pytest.raises(FileNotFoundError, match="there are: tiny-1"):
        load_trained("tiny", 2, folder=tmp_path)


def test_all_seeds_of_one_name_come_in_order_and_no_other_name(tmp_path):
    for name, seed in (("tiny", 10), ("tiny", 2), ("tiny-2", 0)):
        train(recipe_of(name, {part: dict(held) for part, held in TABLE.items()} | {"training": TABLE["training"] | {"steps": 1}}), seed, tmp_path, commit="", command="")
    assert [network.card["seed"] for network in load_seeds("tiny", folder=tmp_path)] == [2, 10]
    assert [network.recipe.name for network in load_seeds("tiny-2", folder=tmp_path)] == ["tiny-2"]
    with pytest.raises(FileNotFoundError, match="there are: tiny-2, tiny-10, tiny-2-0"):
        load_seeds("huge", folder=tmp_path)


def test_training_learns_and_another_seed_is_another_network(tmp_path):
    made = recipe(attention="linear", d_mlp=0, norm="none", activation="identity", steps=300, batch=64)
    cards = [json.loads(train(made, seed, tmp_path, commit="", command="").with_suffix(".json").read_text(encoding="utf-8")) for seed in (0, 1)]
    for card in cards:
        last = card["risks"][-1]
        assert last["bayes"] < last["risk"] < 0.6  # 1 is the risk of saying nothing
    assert cards[0]["risks"] != cards[1]["risks"]


def test_a_looped_network_stores_one_block():
    looped, untied = recipe(looped=True).config, recipe().config
    assert (len(looped.blocks), looped.schedule) == (1, (0, 0))
    assert (len(untied.blocks), untied.schedule) == (2, (0, 1))


def test_one_pass_for_all_lengths_needs_the_pair_causal_layout(tmp_path):
    train(recipe(steps=2), 0, tmp_path, commit="", command="")
    with pytest.raises(ValueError, match="predict"):
        load_trained("tiny", 0, folder=tmp_path).curve(torch.zeros(1, 3, 2), torch.zeros(1, 3))


def test_a_run_that_diverges_stops_with_a_reason_and_writes_nothing(tmp_path):
    with pytest.raises(FloatingPointError, match=r"the loss of step \d+ is (inf|nan); lower learning_rate"):
        train(recipe(attention="linear", n_layers=6, d_mlp=0, norm="none", activation="identity", learning_rate=1e6), 0, tmp_path, commit="", command="")
    assert not list(tmp_path.iterdir())
