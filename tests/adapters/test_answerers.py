"""Functions and estimators as answerers: what they say, what is found out about them, what instruments say of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor

from factories import random_prompt
from metarep_lib.adapters import as_answerer, fitted_in_context
from metarep_lib.evidence.align import fit, prediction_and_weights
from metarep_lib.evidence.identify import additivity_gap
from metarep_lib.numerics import ridge_system

EXAMPLE = random_prompt(6, 2, 3, 0.5)
BATCH = random_prompt(6, 2, 3, 0.5, seed=1, batch=(2, 2))


def ridge(phi, y, phi_query):
    """Ridge regression of one prompt or a batch, in torch."""
    A = phi.mT @ phi + 0.5 * torch.eye(phi.shape[-1]).to(phi)
    w = torch.linalg.solve(A, phi.mT @ (y if y.ndim == phi.ndim else y.unsqueeze(-1)))
    said = phi_query @ w
    return said if y.ndim == phi.ndim else said.squeeze(-1)


def ridge_of_numpy(phi, y, phi_query):
    return phi_query @ np.linalg.solve(phi.T @ phi + 0.5 * np.eye(phi.shape[1]), phi.T @ y)


WAYS = {
    "prompt by prompt": lambda: as_answerer(ridge, EXAMPLE, differentiable=True),
    "a batch at once": lambda: as_answerer(ridge, EXAMPLE, batched=True, differentiable=True),
    "without a graph": lambda: as_answerer(lambda *parts: ridge(*parts).detach(), EXAMPLE),
    "numpy": lambda: as_answerer(ridge_of_numpy, EXAMPLE, arrays="numpy"),
    "an estimator": lambda: fitted_in_context(Ridge(alpha=0.5, fit_intercept=False), EXAMPLE),
    "kernel ridge": lambda: fitted_in_context(KernelRidge(alpha=0.5), EXAMPLE),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_ways_say_and_weigh_what_the_ridge_system_does(way):
    answerer, system = WAYS[way](), ridge_system(BATCH)
    f, s = prediction_and_weights(answerer, BATCH)
    torch.testing.assert_close(f, (system.target_weights() @ BATCH.y.unsqueeze(-1)).squeeze(-1), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(s, system.target_weights(), rtol=1e-7, atol=1e-8)
    flat = random_prompt(6, 2, 3, 0.5, seed=1, batch=(4,))
    assert additivity_gap(answerer, flat, flat.y.flip(0))[0] < 1e-20
    assert answerer.traits.is_exchangeable and answerer.traits.is_isolated and not answerer.traits.reads_ridge


@pytest.mark.parametrize("way", WAYS)
def test_shapes(way):
    answerer = WAYS[way]()
    for batch in ((), (2,), (2, 3)):
        for q in (0, 1, 3):
            assert answerer.predict(random_prompt(4, 2, q, 0.5, batch=batch)).shape == (*batch, q)
    several = replace(EXAMPLE, y=torch.stack([EXAMPLE.y, -EXAMPLE.y], -1))
    torch.testing.assert_close(answerer.predict(several), torch.stack([answerer.predict(EXAMPLE), -answerer.predict(EXAMPLE)], -1))
    assert answerer.predict(random_prompt(4, 5, 2, 0.5)).shape == (2,)  # any number of features


def test_a_kernel_family_is_recognised_from_answers_alone():
    answerer = fitted_in_context(KernelRidge(alpha=0.3, kernel="rbf", gamma=0.25), EXAMPLE)
    batch = random_prompt(8, 2, 3, 1.0, seed=3, batch=(3,))
    _, s = prediction_and_weights(answerer, batch)
    found = fit("gaussian", batch, s)
    assert found.tau == pytest.approx(2.0, rel=1e-4) and found.ridge == pytest.approx(0.3, rel=1e-4)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_what_is_found_out_of_others():
    network = fitted_in_context(MLPRegressor(hidden_layer_sizes=(4,), max_iter=5, random_state=0), EXAMPLE)
    assert network.traits.is_deterministic and network.traits.is_isolated and not network.traits.is_differentiable
    process = fitted_in_context(GaussianProcessRegressor(RBF(1.0), optimizer=None, alpha=0.1), EXAMPLE.to(torch.float32))
    assert process.traits.dtype == torch.float32 and process.predict(EXAMPLE.to(torch.float32)).dtype == torch.float32
    ordered = as_answerer(lambda phi, y, x: y[-1].expand(len(x)), EXAMPLE)
    seeing = as_answerer(lambda phi, y, x: x[:, 0] - x[:, 0].mean(), EXAMPLE)
    noisy = as_answerer(lambda phi, y, x: torch.randn(len(x), dtype=x.dtype), EXAMPLE)
    assert not ordered.traits.is_exchangeable and not seeing.traits.is_isolated and not noisy.traits.is_deterministic


def test_a_function_that_writes_into_what_it_is_given_changes_no_prompt():
    def writes(phi, y, phi_query):
        phi.zero_()
        return phi_query[:, 0]

    before = EXAMPLE.phi.clone()
    as_answerer(writes, EXAMPLE).predict(EXAMPLE)
    assert torch.equal(EXAMPLE.phi, before)


def test_neighbours_are_no_smoother_of_many():
    """Three neighbours have a third each, whatever the step."""
    _, s = prediction_and_weights(fitted_in_context(KNeighborsRegressor(3), EXAMPLE), EXAMPLE)
    torch.testing.assert_close(s.sort().values, torch.tensor([0, 0, 0, 1, 1, 1]).double().expand(3, 6) / 3)


def test_the_estimator_itself_is_never_fitted():
    estimator = Ridge(alpha=0.5)
    fitted_in_context(estimator, EXAMPLE).predict(BATCH)
    assert not hasattr(estimator, "coef_")


def test_held_out_targets_of_the_example_do_not_matter():
    prompt = random_prompt(6, 3, 2, 0.5, batch=(2,))
    told = replace(prompt, y_query=torch.ones(2, 2).double())
    one, other = (fitted_in_context(KernelRidge(alpha=0.5), asked) for asked in (prompt, told))
    assert one.traits == other.traits and torch.equal(one.predict(prompt), other.predict(told))
