"""Solvers: their outcomes, histories and answers, against scipy and solutions chosen beforehand."""

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tolerances
from factories import DTYPES, prompt_of
from metarep_lib import RidgeSystem, ridge_system, solvers
from metarep_lib.numerics import relative_error
from metarep_lib.numerics.kernels import linear_kernel
from metarep_lib.numerics.solvers import Outcome


def system_of(A, y):
    """A system without queries; A and y nested lists or tensors."""
    A, y = torch.as_tensor(A, dtype=torch.float64), torch.as_tensor(y, dtype=torch.float64)
    return RidgeSystem(A, y, A.new_zeros(*A.shape[:-2], 0, A.shape[-1]))


def with_solution(kappa, n, seed, dtype=torch.float64):
    """alpha first, then y = A alpha."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = torch.from_numpy(Q * np.geomspace(1 / kappa, 1.0, n) @ Q.T)
    alpha = torch.from_numpy(rng.standard_normal(n))
    A = (A + A.T) / 2
    system = system_of(A, A @ alpha)
    return RidgeSystem(system.A.to(dtype), system.y.to(dtype), system.K_query.to(dtype)), alpha


SOLVERS = {
    "cholesky": lambda system, kappa: solvers.cholesky(system),
    "conjugate_gradient": lambda system, kappa: solvers.conjugate_gradient(system, 60),
    "gradient_descent": lambda system, kappa: solvers.gradient_descent(system, int(20 * kappa), 2 / (1 + 1 / kappa)),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40)
@given(st.floats(1.5, 20.0), st.integers(1, 12), st.integers(0, 99))
def test_a_solution_chosen_beforehand_is_found(solver, dtype, kappa, n, seed):
    system, alpha = with_solution(kappa, n, seed, dtype)
    solution = SOLVERS[solver](system, kappa)
    tolerances.assert_within(tolerances.relative(solution.alpha, alpha), tolerances.solution(dtype, kappa))
    assert solution.alpha.dtype == dtype


@pytest.mark.parametrize("solver", ["cholesky", "conjugate_gradient"])
@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
def test_scipy_finds_the_same(solver, kappa):
    prompt = prompt_of(kappa, n_prompts=4)
    system = ridge_system(prompt)
    theirs = np.stack([scipy.linalg.solve(A, y, assume_a="pos") for A, y in zip(system.A.numpy(), system.y.numpy())])
    solution = SOLVERS[solver](system, kappa)
    tolerances.assert_within(tolerances.relative(solution.alpha, torch.from_numpy(theirs)), tolerances.solution(torch.float64, kappa))
    assert solution.outcome == Outcome.CONVERGED


def test_the_system_of_a_prompt_is_written_out():
    prompt = prompt_of(10.0, n_prompts=2)
    system, alpha = ridge_system(prompt), prompt.y
    A = np.einsum("bip,bjp->bij", prompt.phi, prompt.phi) + prompt.ridge * np.eye(24)
    f = np.einsum("bqp,bip,bi->bq", prompt.phi_query, prompt.phi, alpha)
    close = tolerances.rounding(torch.float64, 200)
    tolerances.assert_within(system.A - torch.from_numpy(A), close)
    tolerances.assert_within(system.predict(alpha) - torch.from_numpy(f), close * float(alpha.abs().sum()))
    tolerances.assert_within(system.norm(alpha) - torch.from_numpy(np.sqrt(np.einsum("bi,bij,bj->b", alpha, A, alpha))), close * float(alpha.square().sum()))
    tolerances.assert_within(system.condition_number - torch.from_numpy(np.linalg.cond(A)), tolerances.rounding(torch.float64, 200) * 100)
    tolerances.assert_within(system.residual(alpha) - (alpha - system.matvec(alpha)), 0.0)
    assert torch.equal(system.matvec(alpha.expand(3, 2, 24))[1], system.matvec(alpha))


def test_the_linear_kernel_is_scikit_learns():
    from sklearn.metrics.pairwise import linear_kernel as theirs

    prompt = prompt_of(10.0)
    ours = linear_kernel(prompt.phi_query, prompt.phi)
    tolerances.assert_within(ours - torch.from_numpy(theirs(prompt.phi_query.numpy(), prompt.phi.numpy())), tolerances.rounding(torch.float64, 10))


def test_outcomes_say_what_happened():
    indefinite, definite = system_of([[1.0, 0.0], [0.0, -1.0]], [0.5, 1.0]), system_of([[1.0, 0.0], [0.0, 3.0]], [0.5, 1.0])
    assert solvers.conjugate_gradient(definite, 2).outcome == Outcome.CONVERGED
    assert solvers.conjugate_gradient(definite, 1).outcome == Outcome.NOT_CONVERGED
    assert solvers.conjugate_gradient(definite, 0).outcome == Outcome.NOT_CONVERGED
    assert solvers.conjugate_gradient(indefinite, 2).outcome == Outcome.BREAKDOWN
    assert solvers.cholesky(definite).outcome == Outcome.CONVERGED
    assert solvers.cholesky(indefinite).outcome == Outcome.BREAKDOWN
    assert solvers.gradient_descent(definite, 100, 0.5).outcome == Outcome.CONVERGED
    assert solvers.gradient_descent(definite, 5, 0.01).outcome == Outcome.NOT_CONVERGED
    assert solvers.gradient_descent(definite, 2000, 10.0).outcome == Outcome.NON_FINITE


def test_a_direction_of_zero_curvature_is_a_breakdown_not_a_nan():
    solution = solvers.conjugate_gradient(system_of([[1.0, 0.0], [0.0, -1.0]], [1.0, 1.0]), 3)  # sigma = p . A p = 0 at once
    assert solution.outcome == Outcome.BREAKDOWN


def test_every_outcome_of_a_batch_is_its_own():
    A = torch.stack([torch.eye(2), torch.diag(torch.tensor([1.0, -3.0])), torch.diag(torch.tensor([1.0, 9.0])), torch.eye(2)]).double()
    y = torch.tensor([[1.0, 2.0], [1.0, 1.0], [1.0, 1.0], [torch.inf, 1.0]]).double()
    solution = solvers.conjugate_gradient(system_of(A, y), 1)
    assert solution.outcomes.tolist() == [Outcome.CONVERGED, Outcome.BREAKDOWN, Outcome.NOT_CONVERGED, Outcome.NON_FINITE]
    assert solution.outcome == Outcome.NON_FINITE


def test_the_outcome_is_that_of_a_residual_recomputed():
    system = ridge_system(prompt_of(1e6))
    solution = solvers.conjugate_gradient(system, 60)
    residual = system.residual(solution.alpha).norm() / system.y.norm()
    assert solution.history["r"][-1].norm() < 1e-3 * residual * system.y.norm()  # the recurrence's own r is far smaller
    for tolerance, outcome in ((2 * float(residual), Outcome.CONVERGED), (float(residual) / 2, Outcome.NOT_CONVERGED)):
        assert solvers.conjugate_gradient(system, 60, tolerance).outcome == outcome


def test_zero_targets_converge_at_once():
    for solution in (solvers.conjugate_gradient(system_of([[2.0]], [0.0]), 3), solvers.gradient_descent(system_of([[2.0]], [0.0]), 3, 0.1)):
        assert solution.outcome == Outcome.CONVERGED
        assert not any(values.any() for values in solution.history.values())


@pytest.mark.parametrize("batch", [None, 3])
@pytest.mark.parametrize("steps", [0, 1, 4])
def test_histories_have_every_name_and_their_promised_shapes(batch, steps):
    system = ridge_system(prompt_of(10.0, n_prompts=batch))
    shape = () if batch is None else (batch,)
    history = solvers.conjugate_gradient(system, steps).history
    vectors, scalars = {"alpha", "r", "p"}, {"rho", "sigma", "gamma", "rho_next", "beta"}
    assert set(history) == vectors | (scalars if steps else set())
    assert {history[name].shape for name in vectors} == {(steps + 1, *shape, 24)}
    assert {history[name].shape for name in scalars & set(history)} <= {(steps, *shape)}
    history = solvers.gradient_descent(system, steps, 0.1).history
    assert {name: values.shape for name, values in history.items()} == dict.fromkeys(("alpha", "r"), (steps + 1, *shape, 24))
    assert solvers.cholesky(system).history["alpha"].shape == (1, *shape, 24)


def test_the_scalars_of_the_history_are_what_their_names_say():
    system, n_steps = ridge_system(prompt_of(10.0)), 4
    history = solvers.conjugate_gradient(system, n_steps).history
    r, p = history["r"], history["p"]
    expected = {
        "rho": (r * r).sum(-1)[:-1],
        "rho_next": (r * r).sum(-1)[1:],
        "sigma": (p * system.matvec(p)).sum(-1)[:-1],
        "gamma": history["rho"] / history["sigma"],
        "beta": history["rho_next"] / history["rho"],
    }
    for name, values in expected.items():
        tolerances.assert_within((history[name] - values) / values, tolerances.rounding(torch.float64, 40), name)
    for t in range(n_steps):
        tolerances.assert_within(tolerances.relative(r[t], system.residual(history["alpha"][t])), tolerances.early_steps(torch.float64, 10.0, t))


@pytest.mark.parametrize("dtype", DTYPES)
def test_steps_past_the_last_bit_change_nothing(dtype):
    prompt = prompt_of(10.0, dtype=dtype, n_prompts=5)
    history = solvers.conjugate_gradient(ridge_system(prompt), 400).history
    assert all(torch.isfinite(values).all() for values in history.values())
    assert torch.equal(history["alpha"][-1], history["alpha"][-100])


@pytest.mark.parametrize("solve", [solvers.conjugate_gradient, lambda system, steps: solvers.gradient_descent(system, steps, 0.1)])
def test_negative_steps_are_refused(solve):
    with pytest.raises(ValueError, match=r"(conjugate_gradient|gradient_descent)\(steps=-1\): expected steps >= 0, e.g. steps=10"):
        solve(system_of([[1.0]], [1.0]), -1)


def test_every_outcome_has_advice():
    assert len({outcome.advice for outcome in Outcome}) == len(Outcome)


def test_a_relative_error_is_numpys_and_nothing_is_off_by_zero_from_zero():
    rng = np.random.default_rng(0)
    value, truth = rng.standard_normal((4, 3, 7)), rng.standard_normal((3, 7))
    theirs = np.linalg.norm(value - truth, axis=-1) / np.linalg.norm(truth, axis=-1)
    ours = relative_error(torch.from_numpy(value), torch.from_numpy(truth))
    np.testing.assert_allclose(ours, theirs, rtol=1e-13)
    zero = torch.zeros(2)
    assert relative_error(zero, zero) == 0 and relative_error(zero + 1, zero) == torch.inf
    assert relative_error(zero / 0, zero + 1).isnan()
