"""What the chapters on trained networks study, against what is known of it from elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor

from metarep_lib.studies import Swept, interventions_trained, load_sweep, representation_drift, told
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
