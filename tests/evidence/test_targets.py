"""Targets of probes, against scikit-learn and against the definitions of the algorithms."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from factories import random_prompt
from metarep_lib import ridge_system, solvers
from metarep_lib.evidence.probe import predictions, states
from metarep_lib.numerics import past_systems, primal_system


def test_states_are_those_of_their_algorithms():
    prompt = random_prompt(8, 3, 2, 0.3, batch=(5,))
    system = ridge_system(prompt)
    held = states(system, prompt.ridge, steps=3)
    K = system.A - prompt.ridge * torch.eye(8).double()
    for b in range(5):
        theirs = Ridge(alpha=0.3, fit_intercept=False).fit(prompt.phi[b].numpy(), prompt.y[b].numpy())
        np.testing.assert_allclose(held["rest"][b], prompt.y[b].numpy() - theirs.predict(prompt.phi[b].numpy()), atol=1e-10)
    for t in (1, 2, 3):  # residuals of their iterates, orthogonal to those before; directions conjugate
        assert torch.allclose(held[f"r {t}"], system.residual(held[f"alpha {t}"]), atol=1e-9)
        assert (held[f"r {t}"] * system.y).sum(-1).abs().max() < 1e-8
        if t > 1:
            assert (held[f"p {t}"] * system.matvec(held[f"p {t - 1}"])).sum(-1).abs().max() < 1e-8
    eta = 1 / np.quantile(np.linalg.eigvalsh(system.A.numpy())[:, -1], 0.9)
    step = torch.eye(8).double() - eta * system.A
    assert torch.allclose(held["gd 3"], (torch.linalg.matrix_power(step, 3) @ system.y.unsqueeze(-1)).squeeze(-1))
    assert torch.allclose(K @ held["rest"].unsqueeze(-1) / 0.3, (system.y - held["rest"]).unsqueeze(-1))


def test_random_steps_are_one_polynomial_for_all_tasks_and_another_for_another_seed():
    system = ridge_system(random_prompt(6, 6, 1, 0.3, batch=(4,)))
    held = states(system, 0.3)["any 2"]
    s, vectors = torch.linalg.eigh(system.A)
    factor = (vectors.mT @ held.unsqueeze(-1)).squeeze(-1) / (vectors.mT @ system.y.unsqueeze(-1)).squeeze(-1)  # P(s), P(0) = 1, degree two
    design = torch.stack([s.flatten(), s.flatten() ** 2], -1)
    fitted = design @ torch.linalg.lstsq(design, (factor.flatten() - 1).unsqueeze(-1)).solution
    assert torch.allclose(1 + fitted.squeeze(-1), factor.flatten(), atol=1e-8)
    assert not torch.allclose(states(system, 0.3, seed=5)["any 2"], held, atol=1e-3)


def test_predictions_are_those_of_their_families():
    prompt = random_prompt(10, 4, 3, 0.2, batch=(4,))
    system = ridge_system(prompt)
    said = predictions(system, prompt.ridge)
    for b in range(4):
        phi, y, phi_query = (x[b].numpy() for x in (prompt.phi, prompt.y, prompt.phi_query))
        for m in (1, 10, 100, 1000):
            theirs = Ridge(alpha=0.2 * m, fit_intercept=False).fit(phi, y).predict(phi_query)
            np.testing.assert_allclose(said["exact" if m == 1 else f"{m} λ"][b], theirs, atol=1e-9)
    largest = np.quantile(np.linalg.eigvalsh(system.A.numpy())[:, -1], 0.9)
    descent = solvers.gradient_descent(system, 16, 1 / largest).history["alpha"]
    assert all(torch.allclose(said[f"gd {t}"], system.predict(descent[t])) for t in (1, 4, 16))
    X = torch.eye(10).double() / system.eigenvalues[:, -1:, None]
    for t in range(1, 5):
        X = 2 * X - X @ system.A @ X
        if t in (2, 4):
            assert torch.allclose(said[f"newton {t}"], system.predict((X @ system.y.unsqueeze(-1)).squeeze(-1)))


def test_the_primal_answers_as_the_dual():
    prompt = random_prompt(9, 4, 3, 0.5, batch=(3,))
    primal, dual = primal_system(prompt), ridge_system(prompt)
    answers = [system.predict(solvers.cholesky(system).alpha) for system in (primal, dual)]
    assert torch.allclose(*answers, atol=1e-10)


@pytest.mark.parametrize("i", [1, 2, 5])
def test_the_system_of_the_past_of_a_token_is_ridge_regression_on_the_tokens_before(i):
    prompt = random_prompt(6, 3, 0, 0.5)
    past = past_systems(prompt)
    theirs = Ridge(alpha=0.5, fit_intercept=False).fit(prompt.phi[:i].numpy(), prompt.y[:i].numpy())
    np.testing.assert_allclose(solvers.cholesky(past).alpha[i], theirs.coef_, atol=1e-10)
    np.testing.assert_allclose(past.predict(solvers.cholesky(past).alpha)[i], theirs.predict(prompt.phi[i : i + 1].numpy()), atol=1e-10)
    assert torch.equal(past.y[0], torch.zeros(3).double())
