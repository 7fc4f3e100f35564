"""The assembled networks against scikit-learn, scipy and the theory of conjugate gradient."""

import numpy as np
import pytest
import scipy.sparse.linalg
import tolerances
import torch
from factories import DTYPES, prompt_of, random_prompt
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

from metarep_lib import ConstructedTransformer, Prompt, assemble, conjugate_gradient, gradient_descent, ridge_system, solvers, synthetic_prompt
from metarep_lib.construct import prefix_mask, token_groups, tokenise

CG_NAMES = {"support": ("alpha", "r", "p"), "aggregator": ("rho", "sigma", "rho_next", "gamma", "beta")}


def cg(prompt: Prompt, steps: int) -> ConstructedTransformer:
    return assemble(conjugate_gradient(prompt.n_features, steps), dtype=prompt.phi.dtype)


def best_step_size(prompt: Prompt) -> float:
    eigenvalues = ridge_system(prompt.to(torch.float64)).eigenvalues
    return float(2 / (eigenvalues[..., 0] + eigenvalues[..., -1]).max())


def gd(prompt: Prompt, steps: int) -> ConstructedTransformer:
    return assemble(gradient_descent(prompt.n_features, steps, best_step_size(prompt)), dtype=prompt.phi.dtype)


def kernel_ridge(prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """alpha and f by scikit-learn, in float64, one system of the batch at a time."""
    exact = prompt.to(torch.float64)
    *batch, k, p = exact.phi.shape
    phi, phi_query = exact.phi.reshape(-1, k, p).numpy(), exact.phi_query.reshape(-1, prompt.n_query, p).numpy()
    models = [KernelRidge(alpha=prompt.ridge).fit(features, y) for features, y in zip(phi, exact.y.reshape(-1, k).numpy())]
    alpha = np.stack([model.dual_coef_ for model in models])
    f = np.stack([model.predict(features) if len(features) else np.zeros(0) for model, features in zip(models, phi_query)])
    return torch.from_numpy(alpha).reshape(*batch, k), torch.from_numpy(f).reshape(*batch, prompt.n_query)


def steps_to_converge(prompt: Prompt, limit: int = 200) -> int:
    """When the solver, in the prompt's own dtype, reaches the tolerance for alpha in every system of the batch."""
    system = ridge_system(prompt.to(torch.float64))
    tolerance = tolerances.solution(prompt.phi.dtype, float(system.condition_number.max()))
    history = solvers.conjugate_gradient(ridge_system(prompt), limit).history["alpha"]
    errors = tolerances.relative(history, solvers.cholesky(system).alpha.expand_as(history)).reshape(limit + 1, -1).amax(1)
    return int((errors <= tolerance).nonzero()[0])


def with_target_scales(prompt: Prompt, *scales: float) -> Prompt:
    """A new leading axis: the same features (expanded, so not contiguous), targets times each scale."""
    n, factors = len(scales), torch.tensor(scales, dtype=prompt.y.dtype)
    y = prompt.y * factors.view(n, *[1] * prompt.y.ndim)
    return Prompt(prompt.phi.expand(n, *prompt.phi.shape), y, prompt.phi_query.expand(n, *prompt.phi_query.shape), prompt.ridge)


def assert_solves(network: ConstructedTransformer, prompt: Prompt) -> None:
    trace = network.run(prompt)
    assert trace.all_finite
    kappa = float(ridge_system(prompt.to(torch.float64)).condition_number.max())
    alpha, f = kernel_ridge(prompt)
    dtype = prompt.phi.dtype
    tolerances.assert_within(tolerances.relative(trace["alpha", "support"][-1], alpha), tolerances.solution(dtype, kappa), "alpha")
    tolerances.assert_within(tolerances.relative(trace.prediction[-1], f), tolerances.prediction(dtype, kappa), "f")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("feature_scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("k", "p"), [(8, 8), (24, 6), (40, 10)])
def test_cg_network_is_kernel_ridge_regression_three_times_past_convergence(dtype, kappa, feature_scale, k, p):
    prompt = prompt_of(kappa, k, p, seed=k, feature_scale=feature_scale, dtype=dtype, n_prompts=3)
    prompt = with_target_scales(prompt, 1e-3, 1.0, 1e3)
    assert_solves(cg(prompt, 3 * steps_to_converge(prompt)), prompt)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_scale", [1e-3, 1.0, 1e3])
def test_gradient_descent_network_is_kernel_ridge_regression(dtype, feature_scale):
    prompt = with_target_scales(prompt_of(10.0, feature_scale=feature_scale, dtype=dtype, n_prompts=3), 1e-3, 1.0, 1e3)
    assert_solves(gd(prompt, 550), prompt)  # (9 / 11)^184 = u: three times past convergence


def orthonormal(k, p):
    return torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).standard_normal((k, p))))[0]


def twice(prompt):
    return Prompt(prompt.phi.repeat(2, 1), torch.cat([prompt.y, -prompt.y / 3]), prompt.phi_query, prompt.ridge)


def of_features(phi, ridge=0.1):
    targets = random_prompt(len(phi), 1, 1, 1.0, seed=5).y
    return Prompt(phi, targets, torch.ones(2, phi.shape[-1], dtype=phi.dtype), ridge)


ODD_PROMPTS = {
    "one support": random_prompt(1, 4, 3, 0.1),
    "one feature": random_prompt(6, 1, 3, 0.1),
    "one of each": random_prompt(1, 1, 1, 0.1),
    "more features than supports": random_prompt(6, 15, 3, 0.1),
    "every support twice": twice(random_prompt(5, 8, 3, 0.5)),
    "orthonormal features": of_features(orthonormal(8, 8)),
    "orthonormal features of a subspace": of_features(orthonormal(9, 4)),
    "all supports the same": of_features(torch.ones(6, 3, dtype=torch.float64)),
    "no signal in the features": of_features(torch.zeros(4, 3, dtype=torch.float64)),
    "tiny ridge": random_prompt(3, 5, 3, 1e-6),
    "huge ridge": random_prompt(8, 4, 3, 1e6),
    "many queries": random_prompt(8, 4, 500, 0.5),
    "no queries": random_prompt(8, 4, 0, 0.5),
    "two batch axes": random_prompt(8, 4, 3, 0.5, batch=(2, 3)),
    "a batch of one": random_prompt(8, 4, 3, 0.5, batch=(1,)),
}


@pytest.mark.parametrize("case", ODD_PROMPTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build", [cg, gd])
def test_odd_prompts_are_solved_without_nan(case, dtype, build):
    prompt = ODD_PROMPTS[case].to(dtype)
    kappa = float(ridge_system(prompt.to(torch.float64)).condition_number.max())
    slow = build is gd and kappa > 1e3
    trace = build(prompt, 3 * steps_to_converge(prompt) if build is cg else min(600, int(60 * kappa))).run(prompt)
    assert trace.all_finite
    if slow:
        return  # gradient descent would need thousands of blocks: that it stays finite is all that is asked
    alpha, f = kernel_ridge(prompt)
    tolerances.assert_within(tolerances.relative(trace["alpha", "support"][-1], alpha), tolerances.solution(dtype, kappa))
    if prompt.n_query:
        size = prompt.phi_query.double().norm(dim=-1) * (prompt.phi.double().mT @ alpha.unsqueeze(-1).abs()).norm(dim=(-2, -1)).unsqueeze(-1)
        scale = torch.linalg.matrix_norm(prompt.phi.double(), 2).unsqueeze(-1) * alpha.norm(dim=-1, keepdim=True) * prompt.phi_query.double().norm(dim=-1)
        assert (size <= scale * prompt.n_support).all()
        error = (trace.prediction[-1].double() - f).abs() / scale.clamp(min=torch.finfo(torch.float64).tiny)
        tolerances.assert_within(error, tolerances.prediction(dtype, kappa))
