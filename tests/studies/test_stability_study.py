"""The studies of the chapter on stability, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from metarep_lib import assemble, diabetes_prompt, two_block_conjugate_gradient
from metarep_lib.numerics.bounds.perturbation import ridge_fit
from metarep_lib.studies import drift


@pytest.fixture(scope="module")
def network():
    return assemble(two_block_conjugate_gradient(10, 16))


def test_the_answer_for_patients_is_another_library_s():
    prompt = drift.patients(2.0, n_query=3)
    theirs = [Ridge(alpha=2.0, fit_intercept=False).fit(x, y).predict(query) for x, y, query in zip(prompt.phi, prompt.y, prompt.phi_query)]
    np.testing.assert_allclose(drift.answers(prompt), theirs, rtol=1e-9, atol=1e-11)


def test_the_worst_move_found_is_worse_than_a_random_one_and_keeps_every_promise():
    found = drift.moves(drift.patients(1.0, n_query=2), 1e-3, torch.Generator().manual_seed(0))
    assert {len(values) for values in found.values()} == {12}
    assert (found["random"] < found["worst"]).all()
    for bound in ("features", "kernel", "after"):
        assert (found["worst"] <= found[bound] * (1 + 1e-9)).all(), bound
    assert np.median(found["worst"] / found["features"]) > 0.9  # to first order the bound is attained, or nearly


def test_a_search_uses_more_of_a_bound_than_random_inputs():
    found = drift.used("resolvent", seed=0)
    assert 0.9 < found["random"] <= found["searched"] <= 1 + 1e-9


def test_the_slope_of_a_network_is_the_formula_s_and_by_differences():
    network, kappas = assemble(two_block_conjugate_gradient(4, 3)), np.array([5, 40])
    for t in (1, 2, 3):
        np.testing.assert_allclose(drift.network_slopes(network, t, kappas), drift.formula_slopes(t, kappas), rtol=1e-8)
    # one step of steepest descent, y = (1, eps): alpha = y (y . y) / (y . A y), at eps = 0, read through sqrt(kappa - 1)
    step = lambda eps, kappa: eps * (1 + eps**2) / (1 + kappa * eps**2)  # noqa: E731
    by_differences = [np.sqrt(kappa - 1) * (step(1e-6, kappa) - step(-1e-6, kappa)) / 2e-6 for kappa in kappas]
    np.testing.assert_allclose(drift.formula_slopes(1, kappas), by_differences, rtol=1e-6)


def test_numbers_are_rounded_to_what_their_format_holds():
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    step = x.abs().max()
    for name, most in (("int8", 127), ("int4", 7)):
        levels = drift.FORMATS[name](x) / (step / most)
        torch.testing.assert_close(levels, levels.round())
        assert levels.abs().max() == pytest.approx(most)
    np.testing.assert_allclose(drift.FORMATS["float16"](x), x.numpy().astype(np.float16), rtol=0)
    relative = (drift.FORMATS["bfloat16"](x) - x).abs() / x.abs()
    assert 2**-12 < relative.max() <= 2**-8


def test_coarser_formats_move_more_and_none_beyond_its_bound(network):
    prompts = drift.patients(1.0, n_query=2)
    features = {name: (change[-1], bound) for name, (change, bound) in drift.by_rounded_features(network, prompts).items()}
    for found in (features, drift.by_rounded_weights(drift.frozen_stack(seed=3), prompts)):
        medians = [change.median() for change, _ in found.values()]
        assert medians == sorted(medians)
        assert all((change <= bound).all() for change, bound in found.values())


def test_a_stack_that_is_not_rounded_says_the_same_and_reads_no_targets():
    prompts, stack = drift.patients(1.0, n_query=1), drift.frozen_stack(seed=3)
    (_, made), (_, again) = (drift.whole(stack, one) for one in (prompts, drift.replace(prompts, y=-prompts.y)))
    assert torch.equal(made.phi, again.phi) and made.n_features == 12


def test_turns_of_all_features_do_nothing_and_of_a_query_what_its_angle_says(network):
    prompt, angles = diabetes_prompt(40, 1, 1.0, seed=13), np.array([0.0, 0.4, np.pi / 2])
    found = drift.turned(network, prompt, angles)
    assert max(found["all features"]) < 1e-12
    w, x = ridge_fit(prompt).w, prompt.phi_query[0]
    along, across = (x @ w) / w.norm(), (x - (x @ w) * w / w.norm() ** 2).norm()
    expected = [abs((along * np.cos(a) + across * np.sin(a) - along) * w.norm()).item() for a in angles]  # the change of x . w*
    np.testing.assert_allclose(found["the query alone"], expected, atol=1e-10)


def test_a_query_moved_changes_by_its_cosine(network):
    prompt = diabetes_prompt(40, 1, 1.0, seed=13)
    cosine, change = drift.query_moved(network, prompt, drift.fan(prompt, np.array([0.0, 1.0, np.pi])))
    np.testing.assert_allclose(cosine, np.cos([0, 1, np.pi]), atol=1e-12)
    np.testing.assert_allclose(change, cosine * ridge_fit(prompt).w.norm(), atol=1e-10)


def test_the_worst_move_of_a_network_uses_nearly_all_of_its_bound(network):
    assert 0.9 < drift.worst_used(network, drift.patients(1.0, n_query=1), delta=1e-2) <= 1
