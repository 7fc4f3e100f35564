"""Kernel smoothers: what one softmax head predicts, and what it leaves to a sink. Nothing is solved."""

import math

import torch
from torch import Tensor

from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt


def smoother_weights(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """s_i(x) = k_i(x) / sum_j k_j(x), [*batch, q, k]: positive, with sum one.

    Formed from logits with the largest one subtracted, so nothing overflows at any temperature.
    """
    return kernel.logits(prompt.phi_query, prompt.phi).softmax(-1)


def nadaraya_watson(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """f(x) = sum_i s_i(x) y_i, [*batch, q] (Nadaraya 1964, Watson 1964); [*batch, q, m] for several outputs.

    >>> import torch
    >>> prompt = Prompt(torch.tensor([[0.0], [0.0]]), torch.tensor([1.0, 3.0]), torch.tensor([[5.0]]), ridge=1.0)
    >>> nadaraya_watson(prompt, ExponentialKernel())
    tensor([2.])
    """
    weights = smoother_weights(prompt, kernel)
    return (weights @ prompt.y.unsqueeze(-1)).squeeze(-1) if prompt.n_outputs == 1 else weights @ prompt.y


def log_sink_mass(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """log(lambda / (lambda + sum_j K_ij)) for supports and queries i, [*batch, k + q]: the share of a sink of logit log lambda.

    Formed from logits, so it neither over- nor underflows. A softmax head can hold the share itself only
    while this exceeds the logarithm of its dtype's smallest normal number (float32: -87, float64: -708).

    >>> prompt = Prompt(torch.zeros(3, 1), torch.zeros(3), torch.tensor([[2.0]]), ridge=1.0)
    >>> log_sink_mass(prompt, ExponentialKernel()).exp()
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    logits = kernel.logits(torch.cat([prompt.phi, prompt.phi_query], dim=-2), prompt.phi)
    log_ridge = torch.full_like(logits[..., :1], math.log(prompt.ridge))
    return math.log(prompt.ridge) - torch.cat([logits, log_ridge], dim=-1).logsumexp(-1)
