"""Kernel smoothers: what one softmax head predicts, and what it leaves to a sink. Nothing is solved.

Letters: k supports (n in bounds), q queries; s a row of weights, positive, with sum one.
"""

import math

import torch
from scipy.special import gammaln, ive
from torch import Tensor

from metarep_lib.asked import (
    asked,
    at_least,
    finite,
    floats,
    in_range,
    not_negative,
    temperature,
)
from metarep_lib.numerics.kernels.kernels import ExponentialKernel
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(single=False, half=True))
def smoother_weights(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """s_i(x) = k_i(x) / sum_j k_j(x), [*batch, q, k]: positive, with sum one.

    Formed from logits with the largest one subtracted, so nothing overflows at any temperature.
    """
    return kernel.logits(prompt.phi_query, prompt.phi).softmax(-1)


@asked(prompt=a_prompt(single=False, half=True))
def nadaraya_watson(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """f(x) = sum_i s_i(x) y_i, [*batch, q] (Nadaraya 1964, Watson 1964); [*batch, q, m] for several outputs.

    >>> import torch
    >>> prompt = Prompt(torch.tensor([[0.0], [0.0]]), torch.tensor([1.0, 3.0]), torch.tensor([[5.0]]), ridge=1.0)
    >>> nadaraya_watson(prompt, ExponentialKernel())
    tensor([2.])
    """
    weights = smoother_weights(prompt, kernel)
    return (
        (weights @ prompt.y.unsqueeze(-1)).squeeze(-1)
        if prompt.n_outputs == 1
        else weights @ prompt.y
    )


@asked(prompt=a_prompt(single=False, half=True))
def smoother_left_out(prompt: Prompt, kernel: ExponentialKernel) -> Tensor:
    """What the smoother says at every support when that support is hidden from it, [*batch, k].

    Raises:
        ValueError: fewer than two supports, or several outputs.
    """
    if prompt.n_support < 2 or prompt.n_outputs > 1:
        raise ValueError(
            f"smoother_left_out: the prompt has {prompt.n_support} supports and {prompt.n_outputs} outputs, expected at least 2 and 1;"
            " for several outputs this would work: smoother_left_out(prompt.output(0), kernel)"
        )
    logits = kernel.logits(prompt.phi, prompt.phi)
    itself = torch.eye(prompt.n_support, dtype=torch.bool, device=logits.device)
    weights = logits.masked_fill(itself, -torch.inf).softmax(-1)
    return (weights @ prompt.y.unsqueeze(-1)).squeeze(-1)


@asked(weights=floats("*B k", half=True))
def effective_supports(weights: Tensor) -> Tensor:
    """n_eff = 1 / sum_i s_i^2, between 1 (one-hot) and k (uniform), [..., k] to [...].

    Independent noise of variance sigma^2 in the targets has variance sigma^2 / n_eff in the prediction.

    >>> import torch
    >>> effective_supports(torch.tensor([[0.25, 0.25, 0.25, 0.25], [0.0, 1.0, 0.0, 0.0]]))
    tensor([4., 1.])
    """
    return 1 / weights.square().sum(-1)


@asked(delta=not_negative)
def flat_logits_bound(delta: float) -> float:
    """tanh(delta / 4): logits in an interval of length delta keep f within this part of range(y) of the mean of y.

    >>> flat_logits_bound(0.0)
    0.0
    """
    return math.tanh(delta / 4)


@asked(delta=not_negative)
def first_order_bound(delta: float) -> float:
    """delta^2 / (12 sqrt 3), as a part of range(y): the same logits keep f this close to mean(y) + cov(logits, y)."""
    return delta**2 / (12 * math.sqrt(3))


@asked(gap=finite, n=at_least(1))
def leading_logit_bound(gap: float, n: int) -> float:
    """(n - 1) / (n - 1 + e^gap): a logit ahead of all others by gap keeps f within this part of range(y) of its target.

    >>> leading_logit_bound(0.0, n=4)
    0.75
    """
    return (n - 1) / (n - 1 + math.exp(gap)) if gap < 700 else 0.0


@asked(n_features=at_least(1), tau=temperature)
def share_on_sphere(n_features: int, tau: float) -> float:
    """n_eff / n for many supports uniform on the unit sphere of R^p: E[w]^2 / E[w^2] for w = e^(u / tau), by the law of large numbers.

    u is one coordinate of a uniform point; E e^(c u) = Gamma(p / 2) (2 / c)^(p / 2 - 1) I_(p / 2 - 1)(c), a modified Bessel function.

    >>> round(share_on_sphere(2, tau=1.0), 3), round(share_on_sphere(8, tau=100.0), 3)
    (0.703, 1.0)
    """

    def log_mean(c: float) -> float:
        return float(
            gammaln(n_features / 2)
            + (n_features / 2 - 1) * math.log(2 / c)
            + math.log(ive(n_features / 2 - 1, c))
            + c
        )

    return in_range("share_on_sphere", math.exp(2 * log_mean(1 / tau) - log_mean(2 / tau)))


@asked(prompt=a_prompt(single=False, half=True))
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
