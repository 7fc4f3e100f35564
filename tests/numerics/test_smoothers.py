"""The exponential kernel and its smoother against other people's libraries, at every temperature."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logsumexp
from sklearn.metrics.pairwise import rbf_kernel

from factories import random_prompt
from metarep_lib import Prompt
from metarep_lib.numerics.kernels import ExponentialKernel, nadaraya_watson, smoother_weights


@given(seed=st.integers(0, 10**6), log_tau=st.floats(-3, 3))
def test_the_smoother_is_the_softmax_average_at_every_temperature(seed, log_tau):
    prompt = random_prompt(7, 3, 4, ridge=0.5, seed=seed)
    tau = 10.0**log_tau
    logits = prompt.phi_query.numpy() @ prompt.phi.numpy().T / tau
    weights = np.exp(logits - logsumexp(logits, axis=-1, keepdims=True))
    np.testing.assert_allclose(smoother_weights(prompt, ExponentialKernel(tau)), weights, rtol=1e-9, atol=1e-300)
    np.testing.assert_allclose(nadaraya_watson(prompt, ExponentialKernel(tau)), weights @ prompt.y.numpy(), rtol=1e-9, atol=1e-9)


def test_on_the_sphere_it_is_the_gaussian_kernel_up_to_a_factor():
    phi = random_prompt(6, 4, 0, ridge=0.5, seed=0).phi
    phi = phi / phi.norm(dim=-1, keepdim=True)
    gaussian = rbf_kernel(phi.numpy(), gamma=1 / (2 * 0.7))
    np.testing.assert_allclose(ExponentialKernel(0.7)(phi, phi), np.exp(1 / 0.7) * gaussian, rtol=1e-12)


def test_a_feature_map_is_applied_to_both_sides():
    prompt = random_prompt(5, 3, 2, ridge=0.5, seed=1)
    U = torch.randn(4, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    mapped = Prompt(prompt.phi @ U.T, prompt.y, prompt.phi_query @ U.T, 0.5)
    torch.testing.assert_close(ExponentialKernel(2.0, U)(prompt.phi, prompt.phi), ExponentialKernel(2.0)(mapped.phi, mapped.phi))
    torch.testing.assert_close(nadaraya_watson(prompt, ExponentialKernel(2.0, U)), nadaraya_watson(mapped, ExponentialKernel(2.0)))


def test_batches_and_several_outputs_are_single_ones():
    prompt = random_prompt(5, 3, 2, ridge=0.5, seed=1)
    several = Prompt(prompt.phi, torch.stack([prompt.y, -2 * prompt.y], dim=-1), prompt.phi_query, 0.5)
    one = nadaraya_watson(prompt, ExponentialKernel())
    torch.testing.assert_close(nadaraya_watson(several, ExponentialKernel()), torch.stack([one, -2 * one], dim=-1))


def test_a_temperature_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match=r"tau=0.*ExponentialKernel\(tau=1.0\)"):
        ExponentialKernel(0)
