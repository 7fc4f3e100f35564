"""What an answer weighs its supports by: its derivatives by their targets, of anything that answers.

Letters: B prompts, q queries, k supports. Where an answer has a graph to y the derivatives are taken by it; where it has none,
by central differences,

    s_i = (f(y + h e_i) - f(y - h e_i)) / 2 h + O(h^2),

which are exact up to rounding for everything linear in y, as all smoothers are.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from metarep_lib.asked import AskedWrongly, asked
from metarep_lib.contents import shown
from metarep_lib.network.asking import Answerer
from metarep_lib.network.levels import needs
from metarep_lib.prompt import Prompt, a_prompt


@asked(prompt=a_prompt(queries=1))
def prediction_and_weights(
    predict: Callable[[Prompt], Tensor] | Answerer, prompt: Prompt
) -> tuple[Tensor, Tensor]:
    """f, [B, q], and s_i = d f / d y_i, [B, q, k], of anything that answers.

    Args:
        predict: [B, q] predictions of a batch of prompts, each from its own prompt alone and with a graph to y; or an answerer,
            whose weights are central differences where it is not differentiable.
        prompt: B prompts of one output.

    Raises:
        AskedWrongly: a function whose predictions have no graph to y.

    >>> from metarep_lib.numerics.kernels.kernels import ExponentialKernel
    >>> from metarep_lib.numerics.kernels.smoothers import nadaraya_watson
    >>> prompt = Prompt(torch.zeros(1, 2, 1), torch.tensor([[1.0, 3.0]]), torch.zeros(1, 1, 1), ridge=1.0)
    >>> prediction_and_weights(lambda prompt: nadaraya_watson(prompt, ExponentialKernel()), prompt)
    (tensor([[2.]]), tensor([[[0.5000, 0.5000]]]))
    """
    if isinstance(predict, Answerer):
        if not predict.traits.is_differentiable:
            return predict.predict(prompt).detach(), central_differences(predict, prompt)
        predict = predict.predict
    y = prompt.y.detach().clone().requires_grad_()
    f = predict(replace(prompt, y=y))
    if not isinstance(f, Tensor) or not f.requires_grad:
        raise AskedWrongly(
            f"prediction_and_weights(predict={shown(predict)}, prompt): {shown(f)} came back without a"
            " graph to y, so that nothing can be differentiated; this would work:"
            " as_answerer(predict, prompt) of the adapters, whose weights are differences"
        )
    # a prompt's prediction depends on its own targets only: one backward pass per query serves the whole batch
    weights = [
        torch.autograd.grad(of_query.sum(), y, retain_graph=True)[0] for of_query in f.unbind(-1)
    ]
    return f.detach(), torch.stack(weights, dim=-2)


@needs(Answerer, "answerer")
@asked(prompt=a_prompt(queries=1))
def central_differences(answerer: Answerer, prompt: Prompt) -> Tensor:
    """[*B, q, k] d f / d y_i by answers alone: two for every support.

    The step is a power of two near eps^(1/3) times the size of the targets, where truncation and rounding of a smooth function are
    balanced; for functions linear in y the first is nought and the second about eps^(2/3) of an answer.

    >>> from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
    >>> from metarep_lib.construct.assemble import assemble
    >>> network = assemble(gradient_descent(n_features=1, steps=1, step_size=0.25))
    >>> prompt = Prompt(torch.tensor([[1.0], [2.0]]), torch.ones(2), torch.tensor([[3.0]]), ridge=1.0).to(torch.float64)
    >>> central_differences(network, prompt)
    tensor([[0.7500, 1.5000]], dtype=torch.float64)
    """
    h, slopes = step_of(prompt.y), []
    for i in range(prompt.n_support):
        ahead, behind = prompt.y.detach().clone(), prompt.y.detach().clone()
        ahead[..., i] += h
        behind[..., i] -= h
        # the step that was made, rounding of y included
        made = ahead[..., i] - behind[..., i]
        both = torch.stack([ahead, behind])
        said = answerer.predict(replace(prompt.expand(2), y=both, y_query=None)).detach()
        slopes.append((said[0] - said[1]) / made.unsqueeze(-1))
    return torch.stack(slopes, dim=-1)


def step_of(y: Tensor) -> float:
    """A power of two near eps^(1/3) times the root mean square of the targets."""
    size = float(y.detach().square().mean().sqrt())
    exponent = math.log2(torch.finfo(y.dtype).eps) / 3 + math.log2(size if size > 0 else 1.0)
    return 2.0 ** round(exponent)
