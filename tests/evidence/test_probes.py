"""Probes and their controls: scores against other people's, penalties against a search by hand, positive controls that must be found."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.metrics.pairwise import cosine_similarity, rbf_kernel

import metarep_lib.evidence.probe.probes as probes
from factories import random_prompt
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
)
from metarep_lib.evidence.probe import (
    Split,
    activations,
    control_task,
    fit_mlp_probes,
    fit_probes,
    other_tasks,
    partial_recovery,
    random_features,
    recover,
    recovery,
    rotated,
    with_shuffled_weights,
)
from metarep_lib.evidence.probe.probes import remainder
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.train import TrainedTransformer, load_trained, untrained
from metarep_lib.train.initial import initial
from metarep_lib.train.recipe import recipe_of

TABLE = {
    "prior": {"kind": "linear", "n_inputs": 2, "noise": [0.1]},
    "network": {"attention": "softmax", "n_layers": 2, "d_model": 8, "n_heads": 2, "d_head": 4, "d_mlp": 8},
    "training": {"layout": "prefix", "n_support": [1, 6], "batch": 8, "steps": 30, "learning_rate": 1e-2},
}


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiny(layout: str = "prefix", norm: str = "layer") -> TrainedTransformer:
    table = {name: dict(part) for name, part in TABLE.items()}
    table["training"]["layout"], table["network"]["norm"] = layout, norm
    recipe = recipe_of("tiny", table)
    return TrainedTransformer(initial(recipe, 3).requires_grad_(False), recipe, {})


@settings(max_examples=30)
@given(n_tasks=st.integers(2, 6), n=st.integers(1, 5), m=st.sampled_from([None, 1, 3]), offset=st.floats(-10, 10), seed=st.integers(0, 99))
def test_scores_are_those_of_scikit_learn(n_tasks, n, m, offset, seed):
    shape = (n_tasks, n) if m is None else (n_tasks, n, m)
    truth, predicted = normal(*shape, seed=seed) + offset, normal(*shape, seed=seed + 100)
    ours = recovery(predicted, truth)
    flat = [x.reshape(n_tasks * n, -1).numpy() for x in (truth, predicted)]
    if n_tasks * n > 1:  # every column weighs by its variance, as in "variance_weighted"
        assert ours.r2 == pytest.approx(r2_score(*flat, multioutput="variance_weighted"), rel=1e-9, abs=1e-9)
    angles = cosine_similarity(predicted.flatten(1).numpy(), truth.flatten(1).numpy()).diagonal()
    np.testing.assert_allclose(ours.cosines, angles, atol=1e-9)
    assert ours.cosine == pytest.approx(angles.mean())


def test_a_probe_is_ridge_regression_with_the_best_penalty_of_a_search_by_hand():
    x, split = normal(40, 3, 30) * torch.linspace(0.1, 3, 30), Split.of(40)
    y = x @ normal(30, seed=1) + 30 * normal(40, 3, seed=2) + 7.0
    ours = fit_probes(x, {"y": y}, split)["y"]
    rows, taught = x[split.train].flatten(0, 1).numpy(), y[split.train].flatten().numpy()
    unit = np.mean(np.linalg.svd(rows - rows.mean(0), compute_uv=False) ** 2)
    theirs = {penalty: Ridge(alpha=penalty * unit, solver="svd").fit(rows, taught) for penalty in probes.PENALTIES}
    x_held, y_held = x[split.validation].flatten(0, 1).numpy(), y[split.validation].flatten().numpy()
    best = min(theirs, key=lambda penalty: np.square(theirs[penalty].predict(x_held) - y_held).sum())
    assert probes.PENALTIES[0] < best and ours.penalty == best
    np.testing.assert_allclose(ours.weights.squeeze(-1), theirs[best].coef_, rtol=1e-8)
    np.testing.assert_allclose(ours.offset.item(), theirs[best].intercept_, rtol=1e-8)


def test_the_test_tasks_are_not_looked_at():
    x, y, split = normal(20, 4, 3), normal(20, 4, seed=1), Split.of(20)
    before = fit_probes(x, {"y": y}, split)["y"]
    x[split.test], y[split.test] = 1e6, -1e6
    after = fit_probes(x, {"y": y}, split)["y"]
    assert torch.equal(before.weights, after.weights) and before.penalty == after.penalty


def test_the_parts_of_a_split_cover_all_tasks_once():
    split = Split.of(37)
    held = torch.cat([torch.arange(37)[part] for part in (split.train, split.validation, split.test)])
    assert torch.equal(held, torch.arange(37))


def test_a_rotation_of_the_stream_changes_nothing():
    x, y, split = normal(40, 5, 6), normal(40, 5, seed=1) + normal(40, 5, 6)[..., 2], Split.of(40)
    Q = torch.linalg.qr(normal(6, 6, seed=2))[0]
    ours, turned = (recover(stream, {"y": y}, split)["y"].error for stream in (x, x @ Q))
    assert torch.allclose(ours, turned, rtol=1e-8)


def test_vectors_on_tokens_are_probed_as_one_target():
    x, split = normal(40, 3, 6), Split.of(40)
    w = x @ normal(6, 4, seed=1)
    assert recover(x, {"w": w}, split)["w"].r2 > 1 - 1e-9
    assert fit_probes(x, {"w": w}, split)["w"](x).shape == (40, 3, 4)


def test_noise_is_not_recovered_and_other_tasks_are_not():
    split, x = Split.of(300), normal(300, 4, 10)
    truth = {"a": x[..., 0] + x[..., 1], "b": x[..., 2]}
    assert recover(x, {"noise": normal(300, 4, seed=5)}, split)["noise"].r2 < 0.02
    exchanged = other_tasks(truth, split, seed=0)
    assert all(found.r2 < 0.02 for found in recover(x, exchanged, split).values())
    for part in (split.train, split.validation, split.test):  # the same values, in every part, and a and b still belong together
        both = torch.stack([exchanged["a"], exchanged["b"]], -1)[part].flatten(1)
        held = torch.stack([truth["a"], truth["b"]], -1)[part].flatten(1)
        assert torch.equal(both[both[:, 0].argsort()], held[held[:, 0].argsort()])
    assert not torch.equal(exchanged["a"], truth["a"])


def test_intervals_are_those_of_scipy_and_pairs_are_kept():
    truth = normal(60, 8, seed=1)
    good, bad = recovery(truth + 0.5 * normal(60, 8, seed=2), truth), recovery(truth + 0.6 * normal(60, 8, seed=3), truth)
    low, high = good.interval()
    theirs = bootstrap(
        (good.error.numpy(), good.spread.numpy()),
        lambda error, spread, axis: 1 - error.sum(axis) / spread.sum(axis),
        paired=True, method="percentile", n_resamples=5000, rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert low < good.r2 < high and abs(low - theirs.low) < 0.01 and abs(high - theirs.high) < 0.01
    assert good.interval(than=good) == (0.0, 0.0)
    low, high = good.interval(than=bad)
    assert low < good.r2 - bad.r2 < high
    worse = replace(good, error=good.error + 0.01 * good.spread)  # by a hundredth on every task: no doubt, however wide each interval is
    assert good.interval(than=worse) == pytest.approx((0.01, 0.01)) and good.interval()[1] - good.interval()[0] > 0.05


def test_the_partial_r2_is_that_of_the_larger_regression_against_the_smaller(monkeypatch):
    monkeypatch.setattr(probes, "PENALTIES", (1e-13,))
    split, known = Split.of(60), normal(60, 5, 2, seed=1)
    x = normal(60, 5, 4) + known @ normal(2, 4, seed=3)
    y = known @ normal(2, seed=2) + x[..., 0] + normal(60, 5, seed=4)
    ours = partial_recovery(x, {"y": y}, known, split)["y"]

    def error(design):
        flat = [part.flatten(0, 1).numpy() for part in (design[split.train], design[split.test])]
        said = LinearRegression().fit(flat[0], y[split.train].flatten().numpy()).predict(flat[1])
        return np.square(said - y[split.test].flatten().numpy())

    smaller, larger = error(known), error(torch.cat([known, x], -1))
    np.testing.assert_allclose(ours.recovery.error, larger.reshape(18, 5).sum(1), rtol=1e-8)
    rest = remainder(y, known, split)[split.test]
    np.testing.assert_allclose(rest.square().sum(), smaller.sum(), rtol=1e-9)
    assert ours.left == pytest.approx(smaller.sum() / (y[split.test] - y[split.test].mean()).square().sum().item(), rel=1e-9)
    assert ours.recovery.r2 == pytest.approx(1 - larger.sum() / (rest - rest.mean()).square().sum().item(), rel=1e-9)


def test_what_is_known_leaves_nothing():
    split, known = Split.of(30), normal(30, 4, 2)
    left = partial_recovery(normal(30, 4, 3, seed=1), {"y": known[..., 0] - 2 * known[..., 1] + 5}, known, split)["y"].left
    assert left < 1e-20


@pytest.mark.parametrize("y", [normal(10), normal(10, 5), normal(9, 4), normal(10, 4, 1, 1)])
def test_targets_that_do_not_fit_are_refused_by_name(y):
    with pytest.raises(ValueError, match=r"'alpha_3' with shape .* stream of shape \[10, 4, 3\].*this would work"):
        fit_probes(normal(10, 4, 3), {"alpha_3": y}, Split.of(10))


def test_a_stream_that_overflowed_is_refused():
    x = normal(10, 4, 3)
    x[0, 0, 0] = torch.inf
    with pytest.raises(ValueError, match="overflowed"):
        fit_probes(x, {"y": normal(10, 4)}, Split.of(10))


def test_activations_end_where_the_network_reads_its_answer():
    prompt = random_prompt(4, 2, 3, 0.1, batch=(5,))
    constructed = assemble(conjugate_gradient(2, 2))
    held, trace = activations(constructed, prompt), constructed.run(prompt)
    assert torch.equal(held["support"][list(trace.step_ends), ..., constructed.basis["r"]].squeeze(-1), trace["r", "support"])
    for layout in ("prefix", "pair-causal"):
        network, asked = tiny(layout), prompt.to(torch.float32)
        held = activations(network, asked)
        assert held["support"].shape == (3, 5, 4, 8) and held["query"].shape == (3, 5, 3, 8)
        assert torch.allclose(network.transformer.read(held["query"][-1]).squeeze(-1), network.predict(asked), atol=1e-6)
        others = replace(asked, phi_query=-asked.phi_query)  # no support reads a query
        assert torch.equal(held["support"], activations(network, others)["support"])


def test_a_rotated_network_says_the_same_with_its_stream_turned():
    prompt = random_prompt(6, 3, 2, 0.1, batch=(2,))
    network = assemble(gradient_descent(3, 4, step_size=0.05)).transformer
    turned = rotated(network, torch.Generator().manual_seed(0))
    tokens, mask = tokenise(prompt), prefix_mask(prompt)
    for x, x_turned in zip(network.stream(tokens, mask), turned.stream(tokens, mask)):
        assert torch.allclose(x @ x.mT, x_turned @ x_turned.mT, atol=1e-9)  # lengths and angles stay
        assert not torch.allclose(x, x_turned, atol=0.1)
    assert torch.allclose(network(tokens, mask), turned(tokens, mask), atol=1e-10)
    with pytest.raises(ValueError, match="expected a network with norm='none'"):
        rotated(tiny().transformer, torch.Generator().manual_seed(0))


def test_networks_that_have_learnt_nothing():
    network = load_trained("softmax-gp", 0)
    draw = network.recipe.prior.sample(50, 24, torch.Generator().manual_seed(0))
    prompt = Prompt(draw.x[:, :20], draw.y[:, :20], draw.x[:, 20:], ridge=0.04)
    truth = draw.f[:, 20:]
    shuffled, fresh = with_shuffled_weights(network, 0), untrained(network, 5)
    risk = [(held.predict(prompt) - truth).square().mean() for held in (network, shuffled, fresh)]
    assert risk[0] < 0.3 and risk[1] > 0.8 and risk[2] > 0.8
    for (name, W), W_shuffled in zip(network.transformer.named_parameters(), shuffled.transformer.parameters()):
        assert torch.equal(W.flatten().sort().values, W_shuffled.flatten().sort().values), name
    assert torch.equal(fresh.transformer.W_E, initial(network.recipe, 5).W_E)
    loud = untrained(network, 5, output_gain=3.0)
    assert torch.allclose(loud.transformer.blocks[0].mlp.W_out, 3 * fresh.transformer.blocks[0].mlp.W_out)
    assert network.recipe.schedule.output_gain == 1.0


def test_random_features_approach_the_gaussian_kernel_of_standardised_tokens():
    tokens = normal(30, 4) * 5 + 2
    standard = ((tokens - tokens.mean(0)) / tokens.std(0)).numpy()
    features = random_features(tokens, 20_000, seed=1).numpy()
    np.testing.assert_allclose(2 * features @ features.T / 20_000, rbf_kernel(standard, gamma=1 / 8), atol=0.05)


def test_a_control_task_is_a_function_of_the_type_of_a_token_and_nothing_a_line_can_follow():
    tokens = normal(200, 10, 3)
    y = control_task(tokens, n_planes=4, seed=0)
    assert 8 <= y.unique().numel() <= 2**4
    assert torch.equal(y, control_task(tokens, 4, seed=0)) and not torch.equal(y, control_task(tokens, 4, seed=1))
    permuted = torch.randperm(200, generator=torch.Generator().manual_seed(1))
    assert torch.equal(control_task(tokens[permuted], 4, seed=0), y[permuted])  # nothing but the token counts
    split = Split.of(200)
    linear, mlp = (recover(tokens, {"y": y}, split, fit)["y"].r2 for fit in (fit_probes, fit_mlp_probes))
    assert linear < 0.7 and mlp > linear + 0.1


def test_a_strong_probe_computes_what_is_not_there():
    x, split = normal(200, 10, 4), Split.of(200)
    product = {"product": x[..., 0] * x[..., 1]}
    assert recover(x, product, split)["product"].r2 < 0.05
    assert recover(x, product, split, fit_mlp_probes)["product"].r2 > 0.8


@pytest.mark.parametrize("seed", range(3))
def test_the_state_of_a_constructed_network_is_found_at_its_step_and_nowhere_else(seed):
    prompt = random_prompt(12, 4, 1, 0.5, seed=seed, batch=(60,))
    steps, split = 3, Split.of(60)
    history = solvers.conjugate_gradient(ridge_system(prompt), steps).history
    network = assemble(conjugate_gradient(4, steps))
    stream = activations(network, prompt)["support"]
    Q = torch.linalg.qr(normal(stream.shape[-1], stream.shape[-1], seed=seed))[0]
    targets = {f"r_{t}": history["r"][t] for t in range(1, steps + 1)}
    for at in range(1, steps + 1):
        for name, found in recover(stream[network.program.step_ends[at]] @ Q, targets, split).items():
            assert found.r2 > 1 - 1e-8 if name == f"r_{at}" else found.r2 < 0.9


def test_a_probe_reads_the_stream_of_its_network_and_refuses_targets_that_are_not_finite():
    x, y = normal(10, 4, 6).float(), normal(10, 4)
    probe = fit_probes(x, {"y": y}, Split.of(10))["y"]
    assert torch.equal(probe(x), probe(x.double())) and probe(x).dtype == torch.float64
    with pytest.raises(ValueError, match="probe of 'y': the target holds NaN"):
        fit_probes(x, {"y": y / 0}, Split.of(10))
