"""The study behind the chapter on softmax and the exponential kernel, against what is known of it from elsewhere."""

import numpy as np
import pytest
import torch

from metarep_lib import assemble
from metarep_lib.construct.algorithms import softmax_smoother
from metarep_lib.evidence.align import Fitted
from metarep_lib.studies import alignment, drawn, load_sweep, nearest_solver, transfer
from metarep_lib.train import load_trained, untrained


@pytest.fixture(scope="module")
def swept():
    return load_sweep("alignment-gp")


@pytest.fixture(scope="module")
def prompt():
    _, prompt = drawn(load_trained("softmax-gp", 0).recipe.prior, n_prompts=4, n_support=12, n_query=3, seed=7)
    return prompt


def test_a_shift_of_no_size_is_the_law_of_the_training_under_every_name(swept):
    same = ("x-scale 1", "y-scale 1", "noise 0.2", "spread 0", "tau 0.3", "supports 30")
    at = [alignment.places(swept, shift)[0] for shift in same]
    ratios = alignment.over_predicted(swept)[at]
    np.testing.assert_allclose(ratios, ratios[:1].repeat(len(same), 0), rtol=1e-3)


def test_risks_along_a_knob_are_the_rows_and_scaled_targets_are_in_units_of_their_variance(swept):
    values, risks = alignment.values_of(swept, "y-scale"), alignment.risks(swept, "y-scale")
    assert values.tolist() == [0.1, 0.3, 1, 3, 10]
    np.testing.assert_array_equal(risks["network"][:, 2], swept.values("network_risk", shift="y-scale 1"))
    np.testing.assert_allclose(risks["oracle"] / risks["oracle"][:, [2]], 1, rtol=2e-3)  # it knows the scale
    assert alignment.cost(swept, "linear 1") > 5 > alignment.cost(swept, "supports 30") >= 1


def test_departure_and_assumption_add_up_to_the_excess_and_no_failure_is_both(swept):
    part, failed = alignment.parts(swept), alignment.failures(swept)
    shift = swept.knobs["shift"].index("linear 1")
    network, oracle, size = (swept.values(f"each_{name}", shift="linear 1") for name in ("network", "oracle", "size"))
    np.testing.assert_allclose((part["departure"] + part["assumption"])[shift], (network - oracle) / size, atol=1e-12)
    assert not (failed["departure"] & failed["assumption"]).any()
    np.testing.assert_array_equal((failed["departure"] | failed["assumption"])[shift], network > 2 * oracle)


def test_the_interval_of_the_first_seed_is_around_its_ratio(swept):
    rows = dict(zip(swept.knobs["shift"], alignment.compared(swept, "gaussian")))
    first, low, high = rows["y-scale 10"][5:]
    measured, predicted = (swept.values(name, shift="y-scale 10")[0] for name in ("network_risk", "gaussian_risk"))
    assert low < first < high and first == pytest.approx(measured / predicted, rel=2e-3)


def test_a_built_smoother_is_recognised_and_its_head_has_its_temperature(prompt):
    asked = prompt.to(torch.float64)
    network = assemble(softmax_smoother(n_features=3, tau=0.4))
    known, (near, far) = nearest_solver.recognised(network, asked, Fitted("smoother", tau=0.4, ridge=1.0), ("smoother", "linear"))
    assert known < 1e-9 and near < 1e-4 and far > 0.1
    head = nearest_solver.heads_at_supports(network, asked)
    np.testing.assert_allclose(head["inverse_tau"], 1 / 0.4, rtol=1e-6)
    np.testing.assert_allclose(head["share"], 1, rtol=1e-6)


def test_an_untrained_network_owes_inner_products_nothing_and_is_near_to_neither_family(prompt):
    network = untrained(load_trained("softmax-gp", 1), 1)
    found = nearest_solver.heads([network, network], prompt)
    assert found["share"].shape[0] == 2 and found["share"].max() < 0.3
    assert min(nearest_solver.nearness(network, prompt)) > 0.5
    assert max(nearest_solver.nearness(load_trained("softmax-gp", 1), prompt)) < 0.6


def test_a_point_of_a_shift_is_the_stored_row():
    """With a frozen smoother that was not fitted, which takes long: what is compared does not depend on it."""
    frozen = {"gaussian": Fitted("gaussian", tau=1.0, ridge=0.1)}
    found = transfer.at_shift(load_trained("softmax-linear", 1), frozen, "supports 3", 20)
    (row,) = (row for row in load_sweep("alignment-linear").rows if (row["shift"], row["seed"]) == ("supports 3", 1))
    for name in ("nonlinearity", "network_risk", "oracle_risk", "refitted_error"):
        assert found[name] == pytest.approx(row[name], rel=2e-3)
