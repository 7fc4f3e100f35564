"""The studies and statements of the chapter on silent failure, against what is known of them from elsewhere."""

import numpy as np
import pytest
from scipy.special import softmax
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics import roc_auc_score
from sklearn.metrics.pairwise import rbf_kernel

from metarep_lib.certify.statements import silent_failure as statements
from metarep_lib.evidence.align import diagnose
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.studies import load_sweep, sketch
from metarep_lib.studies import silent_failure as study
from metarep_lib.tasks import load_table, random_sphere_task


@pytest.fixture(scope="module")
def held():
    return study.Judged.of(load_sweep("silent-failure"))


def test_a_task_judged_is_its_stored_result(held):
    for i in (3, 777):
        for name, value in study.judge(i).items():
            assert value == pytest.approx(held[name][i], abs=1e-3), name


def test_a_silent_failure_is_lost_and_fine(held):
    assert (held.silent == (held.fine & held.lost)).all()
    assert (held["error_ratio"][held.silent] <= 1.1).all()
    assert (held["oracle_order"] - held["order"])[held.silent].min() >= 0.3 - 1e-12


def test_the_verdict_on_a_stored_task_is_that_of_its_diagnosis(held):
    for i in (3, 450, 777):
        task, tau = random_sphere_task(i)
        assert held.verdict[i] == diagnose(task.prompt, ExponentialKernel(tau)).silent


def test_the_area_is_another_library_s_and_its_interval_holds_it(held):
    mark = -held["agreement"]
    found, low, high = study.area_interval(held.lost, mark)
    assert found == pytest.approx(roc_auc_score(held.lost, mark)) and low < found < high
    alarms, hits = study.roc(held.lost, mark)
    assert np.trapezoid(hits, alarms) == pytest.approx(found, abs=1e-3)


def test_the_oracle_is_its_own_measure_and_the_law_s_own_solver_is_next_to_it():
    (ratios, _), linear = study.four(None, 0, tau=0.3, n_support=48, n_features=3, condition=4.0, noise=0.3), 3
    assert ratios[0] == 1 and ratios[linear] < 1.05 < ratios[1]


def test_medians_over_tasks_are_those_of_single_tasks():
    settings = dict(n_support=32, n_features=3, condition=4.0, noise=0.5, tau=0.3)
    found = study.by_knob(0.3, [settings, settings | {"noise": 2.0}], range(3))
    single = [study.four(0.3, seed, **settings) for seed in range(3)]
    np.testing.assert_allclose(found[..., 0], np.median(single, axis=0))
    assert found.shape == (2, 4, 2)


def test_a_flat_smoother_has_all_supports_and_a_sharp_one_has_one():
    n_eff, states = study.map_of(np.array([1e-3, 100.0]), np.array([4]), 32, condition=1.0, lean=0.0, noise=2.5)
    assert n_eff[0] < 1.2 and n_eff[1] > 31.9 and states.shape == (2, 1)
    assert states[1] in (0, 1)  # isotropic inputs keep their order


def test_a_table_has_a_score_for_every_column_draw_and_temperature():
    found = study.of_tables(["diabetes"], [0.3, 3.0], range(1))
    columns = load_table("diabetes").shape[1]
    assert {tau: len(scores) for tau, scores in found.items()} == {0.3: columns, 3.0: columns}
    assert all(-1 <= one.order <= 1 for scores in found.values() for one in scores)


@pytest.mark.parametrize("name", statements.SMOOTHERS)
def test_a_bound_is_hardly_used_at_random_and_nearly_used_up_by_search(name):
    n, delta = statements.SMOOTHERS[name]
    assert 0.9 < max(statements.searched(name, n, delta, seed) for seed in range(4)) <= 1 + 1e-6


@pytest.mark.parametrize("name", statements.SMOOTHERS)
def test_a_bound_of_nine_tenths_is_passed(monkeypatch, name):
    """The mutant of each."""
    whole = statements.bound
    monkeypatch.setattr(statements, "bound", lambda *at: 0.9 * whole(*at))
    n, delta = statements.SMOOTHERS[name]
    assert max(statements.searched(name, n, delta, seed) for seed in range(4)) > 1.05


def test_values_and_bounds_by_hand():
    """Two supports with weights 3/4 and 1/4, targets one and zero."""
    logits, y, delta = np.array([np.log(3.0), 0.0]), np.array([1.0, 0.0]), np.log(3.0)
    values = [statements.value(name, logits, y) for name in statements.SMOOTHERS]
    covariance = np.log(3) / 4
    assert values == pytest.approx([0.25, abs(0.25 - covariance), 0.25, 0.25])
    bounds = [statements.bound(name, logits, y, delta) for name in statements.SMOOTHERS]
    root = 3**0.5  # tanh(ln 3 / 4) = (sqrt 3 - 1) / (sqrt 3 + 1)
    n_eff = 1 / (9 / 16 + 1 / 16)
    expected = [(root - 1) / (root + 1), np.log(3) ** 2 / (12 * root), 1 / (1 + np.exp(2)), (2 / n_eff - 1) ** 0.5 / 2]
    assert bounds == pytest.approx(expected)


def test_one_step_uses_all_of_its_bound_in_the_worst_direction_and_none_in_an_isotropic_one():
    assert statements.one_step_used(np.log([9.0, 1.0]), np.array([1.0, 9.0])) == pytest.approx(1)
    assert statements.one_step_used(np.zeros(3), np.ones(3)) == pytest.approx(1)
    assert statements.one_step_order(np.array([1.0, 1.0]), np.array([1.0, 9.0])) == pytest.approx(82 / (10 * 730) ** 0.5)
    assert 0.999 < statements.searched_step(np.geomspace(1, 50, 4), 0) <= 1 + 1e-9


def test_the_sketch_s_oracle_is_kernel_ridge_regression_in_either_order_of_operations():
    x, y, x_query, _ = sketch.posed(12, 5, 3, seed=1, own_weights=True)
    kernel = lambda a, b: np.exp((a @ b) / 0.5)  # noqa: E731
    theirs = KernelRidge(alpha=0.01, kernel=kernel).fit(x, y).predict(x_query)
    for scaled in (False, True):
        np.testing.assert_allclose(sketch.exponential_krr(x, y, x_query, 0.5, scaled), theirs, rtol=1e-6)
    norms = lambda z: np.exp((z**2).sum(1))  # noqa: E731
    gaussian = norms(x)[:, None] * rbf_kernel(x, gamma=1.0) * norms(x)
    np.testing.assert_allclose(gaussian, np.exp(x @ x.T / 0.5))


def test_shared_generators_make_the_weights_the_first_support():
    x, _, x_query, truth = sketch.posed(48, 16, 64, seed=42, own_weights=False)
    np.testing.assert_allclose(truth, x_query @ x[0])
    found = sketch.high_dimension(42)
    assert found["shared"] > 0.99 > found["own"] and 1 <= found["supports"] <= 48


def test_pure_noise_is_no_help_and_a_signal_is():
    """With every direction: features times a square matrix, so ridge regression on all of them, but for the small ridge."""
    errors = [sketch.width_errors((8, 32), signal, seed=0) for signal in (False, True)]
    assert errors[0][0] < errors[0][1] and errors[1][1] < errors[1][0]


def test_the_error_of_a_softmax_is_its_formula():
    x, y, x_query, truth = sketch.posed(48, 16, 64, seed=43, own_weights=True)
    said = softmax(x_query @ x.T, axis=1) @ y
    worse = ((said - truth) ** 2).mean() ** 0.5 / ((y.mean() - truth) ** 2).mean() ** 0.5
    assert sketch.high_dimension(43)["worse"] == pytest.approx(worse)
