"""Studies and statements of the two chapters on softmax attention, against what is known of them from elsewhere."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from sklearn.kernel_ridge import KernelRidge

from metarep_lib import assemble, softmax_conjugate_gradient
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.conditioning import condition, jacobi_condition
from metarep_lib.certify.statements.route_a import (
    induced_error,
    kernel_system,
    normaliser_condition,
    normaliser_error,
    normaliser_rate,
    richardson_error,
    richardson_rate,
    rounding_bound,
)
from metarep_lib.certify.statements.softmax_normaliser import normaliser_bound
from metarep_lib.numerics.kernels import ExponentialKernel, nadaraya_watson
from metarep_lib.studies import circle, kernel_heads, normaliser

PAIR = torch.tensor([[5.0, 3.0], [3.0, 5.0]], dtype=torch.float64)  # D = 8, spectrum of D^-1 A: 1/4 and 1
APART = torch.tensor([1.0, -1.0], dtype=torch.float64)


def some(seed):
    return kernel_system(normaliser.numbers(5, 2, seed), 5, 2)


def test_rounding_and_its_bound_by_hand():
    phi = torch.tensor([[1.0], [0.0]], dtype=torch.float64)
    K = torch.tensor([[math.e, 1.0], [1.0, 1.0]], dtype=torch.float64)
    norm = (math.e + 1 + math.hypot(math.e - 1, 2)) / 2
    assert induced_error(K + torch.diag(torch.tensor([0.25, 0.0])), phi) == pytest.approx(0.25)
    assert rounding_bound(phi) == pytest.approx(1.02 * ((1 + 4) * 1 + 12) * 2**-53 * norm)


def test_both_iterations_and_their_rates_by_hand():
    for t in (1, 2, 5):
        assert float(richardson_error(PAIR, APART, t)) == pytest.approx(0.75**t)
        assert float(richardson_rate(PAIR, t)) == pytest.approx(0.75**t)
    assert float(normaliser_condition(PAIR)) == pytest.approx(4)
    assert float(normaliser_rate(PAIR, 2)) == pytest.approx(2 / 3**2)
    assert float(normaliser_error(PAIR, APART, 1)) == pytest.approx(0, abs=1e-14)
    assert float(normaliser_bound(PAIR)) == pytest.approx(math.sqrt(2) * 4)


@pytest.mark.parametrize("seed", range(5))
def test_conjugate_gradient_with_the_normaliser_is_another_library_s(seed):
    A, y = (x.numpy() for x in some(seed))
    star, reached = np.linalg.solve(A, y), []
    cg(A, y, rtol=0, atol=0, maxiter=3, M=np.diag(1 / A.sum(1)), callback=lambda x: reached.append(x - star))
    ends = [math.sqrt(x @ A @ x) for x in (reached[2], star)]
    found = float(normaliser_error(torch.from_numpy(A), torch.from_numpy(y), 3))
    assert found == pytest.approx(ends[0] / ends[1], rel=1e-6, abs=1e-9)
    values = np.linalg.eigvals(A / A.sum(1)[:, None]).real
    assert float(normaliser_condition(torch.from_numpy(A))) == pytest.approx(values.max() / values.min())


def searched(ratio, k=5, p=2):
    return worst_case(lambda flat: ratio(*kernel_system(flat, k, p)), k * p + k + 1, seed=0, starts=2, reach=1.5)


def test_a_search_gets_to_the_two_rates_and_passes_those_of_a_step_ahead():
    for value, bound in ((richardson_error, richardson_rate), (normaliser_error, normaliser_rate)):
        used = searched(lambda A, y: value(A, y, 3) / bound(A, 3))
        assert 0.99 <= used <= 1 + 1e-9
        assert searched(lambda A, y: value(A, y, 3) / bound(A, 4)) > 1.01  # the mutant: a step ahead


def test_the_hub_is_made_of_features_of_length_one_and_gets_to_a_quarter_of_the_root():
    A = normaliser.hub(101)
    cosine = 1 + normaliser.TAU * (A - normaliser.RIDGE * torch.eye(101)).log()
    torch.testing.assert_close(cosine.diagonal(), torch.ones(101).double())
    assert torch.linalg.eigvalsh(cosine)[0] > -1e-12  # a Gram matrix
    assert float(jacobi_condition(A) / condition(A)) == pytest.approx(1)
    assert 0.25 < float(normaliser_condition(A) / normaliser_bound(A)) <= 1


def test_spread_lengths_are_a_factor_of_e_from_the_middle_and_the_draws_differ():
    lengths = (normaliser.spread_lengths([1.0])[:, 0] - 0.1 * torch.eye(40)).diagonal(dim1=-2, dim2=-1).log().sqrt()
    torch.testing.assert_close(lengths[:, -1] / 1.5, torch.full((10,), math.e).double())
    assert not torch.allclose(*normaliser.spread_lengths([0.5])[:2, 0])


@pytest.mark.parametrize("spread", [False, True])
def test_a_posed_system_has_about_the_condition_number_asked_for(spread):
    prompt = kernel_heads.posed(1e3, spread, seed=4)
    K = np.exp((prompt.phi @ prompt.phi.T).numpy())
    assert np.linalg.cond(K + prompt.ridge * np.eye(20)) == pytest.approx(1e3, rel=0.05)
    assert np.allclose(prompt.phi.norm(dim=-1), 1) != spread


def test_floors_are_small_when_the_network_has_converged_and_not_before():
    prompts = kernel_heads.posed(1e2, False, seed=1, batch=(3,))
    deep, shallow = (
        kernel_heads.off_in_floors(assemble(softmax_conjugate_gradient(3, steps, tau=1.0)), prompts) for steps in (60, 1)
    )
    assert deep.max() < 100 and shallow.min() > 1e6


def test_hot_and_cold_the_smoother_is_the_mean_and_the_nearest_support():
    angle, asked, prompt = circle.posed(12, tau=1e5)
    mean = prompt.y.mean(-1, keepdim=True).expand_as(prompt.y_query)
    expected = ((mean - prompt.y_query).norm(dim=-1) / prompt.y_query.norm(dim=-1)).median()
    assert circle.distances(prompt, 1e5)[1] == pytest.approx(float(expected), rel=1e-3)
    assert circle.distances(prompt, 1e5)[3] == pytest.approx(12)
    nearest = (asked[:, :, None] - angle[:, None]).cos().argmax(-1)
    torch.testing.assert_close(nadaraya_watson(prompt, ExponentialKernel(1e-6)), prompt.y.gather(-1, nearest))
    assert circle.distances(circle.posed(12, tau=0.002)[2], 0.002)[3] == pytest.approx(1, abs=0.1)  # one support in use


def test_ridge_weights_are_another_library_s_answers_to_unit_targets():
    line = torch.linspace(2.0, 3.0, 5, dtype=torch.float64)
    angle, softmax, ridge = circle.weights_along(line, tau=0.3, k=9)
    points, queries = (np.stack([np.cos(x), np.sin(x)], -1) for x in (angle.numpy(), line.numpy()))
    model = KernelRidge(alpha=0.05 * math.exp(1 / 0.3), kernel="precomputed")
    model.fit(np.exp(points @ points.T / 0.3), np.eye(9))
    np.testing.assert_allclose(ridge, model.predict(np.exp(queries @ points.T / 0.3)), atol=1e-10)
    torch.testing.assert_close(softmax.sum(-1), torch.ones(5).double())
