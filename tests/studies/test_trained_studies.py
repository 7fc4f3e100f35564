"""What the chapters on trained networks study, against what is known of it from elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor

from metarep_lib.numerics import solvers
from metarep_lib.numerics.spectrum import Filter, Spectrum
from metarep_lib.studies import (
    Swept,
    interventions_trained,
    linear_attention,
    load_sweep,
    representation_drift,
    told,
)
from metarep_lib.studies import stored_networks as stored
from metarep_lib.tasks import Draw, ExponentialPrior, LinearPrior, bayes_risk
from metarep_lib.train import load_trained

GP = ExponentialPrior(3, tau=0.3, noise=(0.2,))


def draw_of(prior, n_prompts: int, n_tokens: int, seed: int = 0) -> Draw:
    return prior.sample(n_prompts, n_tokens, torch.Generator().manual_seed(seed))


def test_the_table_has_the_shape_of_the_networks_themselves():
    held = stored.by_recipe()["softmax-gp-depth-2"]
    facts = dict(zip(stored.FACTS, stored.facts(held), strict=True))
    network = load_trained("softmax-gp-depth-2", seed=0).transformer
    assert facts["layers"] == len(network.blocks) and facts["channels"] == network.W_E.shape[1]
    assert 1000 * facts["thousand weights"] == sum(p.numel() for p in network.parameters())
    assert facts["seed 2"] == held[2]["risks"][-1]["risk"] / held[2]["risks"][-1]["bayes"]
    assert np.isnan(stored.facts(held[:2])[-1])


def test_every_recipe_has_a_label_of_its_own_that_says_its_layers():
    cards = {name: held[0]["recipe"]["network"] for name, held in stored.by_recipe().items()}
    assert cards.keys() == stored.LABELS.keys() and len(set(stored.LABELS.values())) == len(cards)
    said = {name: int(label.split(" layer")[0].split()[-1]) for name, label in stored.LABELS.items() if " layer" in label}
    looped = said.pop("linear-attention-looped-4")
    assert looped == 1 and cards["linear-attention-looped-4"]["looped"]
    assert said == {name: cards[name]["n_layers"] for name in said} and len(said) == 7
    assert stored.readable("softmax-gp-depth-2-1").endswith("2 layers, seed 1")


def test_a_temperature_near_zero_is_the_nearest_neighbour():
    draw = draw_of(GP, 3, 12)
    risks = []
    for x, y, f in zip(draw.x, draw.y, draw.f):
        nearest = KNeighborsRegressor(1).fit(x[:8], y[:8])  # on the sphere the largest product
        risks.append(np.square(nearest.predict(x[8:]) - f[8:].numpy()).mean())
    assert told.smoother_risk(draw, 8, [1e-4]) == pytest.approx(np.mean(risks), rel=1e-5)


def test_as_many_steps_of_conjugate_gradient_as_supports_are_the_posterior_mean_and_tuned_descent_is_above():
    judged, tuning = draw_of(GP, 1000, 20), draw_of(GP, 1000, 20, seed=1)
    risks = told.solver_risks(GP, judged, tuning, 4, steps=6)
    exact = bayes_risk(GP, judged, 4)
    assert risks["conjugate gradient"] == pytest.approx(exact, rel=1e-6)
    assert exact < risks["gradient descent"] < 1.05 * exact


def test_bayes_by_length_is_what_the_supports_leave_open():
    prior = LinearPrior(2, noise=(0.01,))
    risks = told.bayes_by_length(prior, draw_of(prior, 4000, 6))
    assert risks[0] == pytest.approx(0.5, rel=0.1)  # one of two directions is known
    assert len(risks) == 5 and risks[2:].max() < 0.01


def test_the_ridge_path_is_another_library_s():
    draw = draw_of(LinearPrior(3), 2, 9)
    path = told.ridge_path(draw, 6, [0.1, 10.0])
    for r, ridge in enumerate((0.1, 10.0)):
        for b in range(2):
            theirs = Ridge(alpha=ridge, fit_intercept=False).fit(draw.x[b, :6].double(), draw.y[b, :6].double())
            np.testing.assert_allclose(path[r, b], theirs.predict(draw.x[b, 6:].double()), rtol=1e-8)


def test_prompts_are_sorted_by_their_noise():
    draw = Draw(torch.zeros(3, 2, 1), torch.zeros(3, 2), torch.zeros(3, 2), torch.tensor([[0.1], [1.0], [0.1]]))
    values = torch.tensor([[[1.0, 3.0], [10.0, 20.0], [5.0, 7.0]]])
    np.testing.assert_array_equal(told.by_level(values, draw, (0.1, 1.0)), [[4.0, 15.0]])


def test_ways_to_fine_tune_are_compared_seed_by_seed():
    rows = [{"move": "rougher", "seed": s, "risk new": [4.0 + s, 2.0, 1.0, 8.0, 1.0, 1.0]} for s in (0, 1)]
    swept = Swept({"move": ["rougher"], "seed": [0, 1]}, rows, {})
    assert representation_drift.after(swept, "risk new", "co-train").tolist() == [8.0, 8.0]
    assert representation_drift.after(swept, "risk new", "none", "before").tolist() == [0.5, 0.4]


EDITED = {row["weights"]: row for row in load_sweep("interventions").rows}


def test_what_edits_did_is_set_against_the_clean_pass():
    ratio = interventions_trained.without(EDITED, "mlp", ["softmax-gp-1", "softmax-linear-0"])
    row = EDITED["softmax-linear-0"]
    assert ratio.shape == (2, 2, 6) and ratio[1, 1, 4] == row["mlp_mean"][4] / row["clean"]
    low, value, high = interventions_trained.bands(EDITED, "query_probe", ["softmax-linear-0"])[0]
    np.testing.assert_allclose(value * row["inject_clean"], row["query_probe"])
    np.testing.assert_allclose((high - value) * row["inject_clean"], 2 * np.array(row["query_probe_se"]))
    assert (low >= 0.1 * value).all() and (low < value).all()


def test_a_part_of_the_way_is_a_projection():
    draw = torch.Generator().manual_seed(0)
    way, aside = torch.randn(2, 5, generator=draw, dtype=torch.float64)
    aside = aside - (aside @ way) / (way @ way) * way
    assert interventions_trained.part_of_way(0.3 * way + aside, way) == pytest.approx(0.3)


def test_without_a_dose_nothing_is_steered():
    row = EDITED["softmax-mixed-noise-2"]
    for how in ("steered", "random"):
        ridge, gap = interventions_trained.steered(row, how)
        assert ridge.shape == gap.shape == (5, len(interventions_trained.DOSES))
        assert set(ridge[:, 2]) == {row["clean_ridge"]} and set(gap[:, 2] * row["size"]) == {row["clean_ridge_gap"]}
        assert ridge[3, 4] == row[f"{how}_ridge"][15]  # block four, the largest dose


LINEAR_LAW = LinearPrior(5, noise=(0.1,))


def test_the_cubic_form_says_what_the_network_says():
    network, prompt = load_trained("linear-attention-1", seed=1), linear_attention.posed(LINEAR_LAW, 3, 7, seed=4).prompt
    T, model = linear_attention.cubic_form(network), network.transformer
    inputs = network.inputs
    support, query = torch.zeros(3, 7, inputs.size), torch.zeros(3, 8, inputs.size)
    support[..., inputs["phi"]], support[..., inputs["y"]] = prompt.phi, prompt.y.unsqueeze(-1)
    support[..., inputs["is_support"]], query[..., inputs["phi"]] = 1, prompt.phi_query
    query[..., inputs["is_query"]] = 1
    by_form = torch.einsum("pqa,pkb,pkc,abc->pq", query, support, support, T)  # a query reads the supports
    by_form = by_form + torch.einsum("pqa,pqb,pqc,abc->pq", query, query, query, T)  # and itself
    by_form = by_form + (query @ model.W_E @ model.W_U).squeeze(-1)
    torch.testing.assert_close(by_form, network.predict(prompt), atol=1e-5, rtol=1e-4)


def test_the_step_that_was_read_off_is_the_step_that_is_taken():
    network, one = load_trained("linear-attention-1", seed=0), linear_attention.posed(LINEAR_LAW, 50, 20, seed=5)
    entries, eta, share = linear_attention.read_step(network)
    step = Spectrum.of(one.system).predict(Filter("gradient descent", {"eta": torch.tensor([eta])}))
    gap = (network.predict(one.prompt) - step).square().mean() / step.var()
    assert 0.99 < share <= 1 and gap < 0.01 and entries.diagonal().std() < 0.02 * eta


def test_questions_are_those_of_least_squares():
    one = linear_attention.posed(LINEAR_LAW, 4, 9, seed=0)
    said = one.system.predict(solvers.conjugate_gradient(one.system, 5).alpha)
    for b in range(4):
        theirs = LinearRegression(fit_intercept=False).fit(one.prompt.phi[b].double(), one.prompt.y[b].double())
        np.testing.assert_allclose(said[b], theirs.predict(one.prompt.phi_query[b].double()), rtol=1e-6)
    assert linear_attention.risk(said, one.f) > one.bayes


def test_what_a_layer_writes_is_regressed_as_another_library_does():
    network, prompt = load_trained("linear-attention-2", seed=2), linear_attention.posed(LINEAR_LAW, 40, 20, seed=6).prompt
    explained, weights = linear_attention.written(network, prompt)
    before, after, *_ = network.trace(prompt).stream("support")
    x, y = prompt.phi, prompt.y.unsqueeze(-1)
    columns = torch.cat([x, y, torch.ones_like(y), x @ (x.mT @ y), x @ (x.mT @ x)], -1).flatten(0, 1)
    theirs = LinearRegression(fit_intercept=False).fit(columns, (after - before).flatten(0, 1))
    np.testing.assert_allclose(weights, theirs.coef_[:, -5:].T, atol=1e-4)
    assert explained["token"] < explained["and step"] < explained["and S x"] < 1


def test_the_worst_of_a_thousand_are_left_out_and_weighed():
    said = torch.tensor([[1.0]] * 1999 + [[9.0]])
    usual, tail = linear_attention.typical(said, torch.zeros(2000, 1))
    assert usual == 1.0 and tail == pytest.approx(1 - 1998 / (1999 + 81))


def test_a_filter_is_left_over_until_its_degree():
    one = linear_attention.posed(LINEAR_LAW, 60, 20, seed=7)
    spectrum, tuned = Spectrum.of(one.system), Filter("gradient descent", {"eta": torch.tensor([0.02, 0.05]).double()})
    first, second = linear_attention.left_over(spectrum, spectrum.predict(tuned), [1, 2])
    assert first > 1e-2 and second < 1e-10
    found = linear_attention.away([one], [load_trained("linear-attention-2", seed=0)], tuned)
    assert found["GD++"][0] == pytest.approx(linear_attention.risk(spectrum.predict(tuned), one.f))
    assert found["trained"].shape == (1, 1)
