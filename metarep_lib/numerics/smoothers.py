"""Kernel smoothers: what one softmax head predicts. Nothing is solved."""

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
