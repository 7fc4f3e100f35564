"""Which heads of a trained network are exponential-kernel heads? Their logits, held against inner products of the inputs.

Letters: L blocks that run, B prompts, H heads, T tokens, r readers, k keys. Softmax does not see a number added to all logits of one
reader, so everything here is centred over the keys first.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.contents import Contents
from metarep_lib.network.levels import needs
from metarep_lib.network.masks import Mask
from metarep_lib.network.transformer import Transformer


@torch.no_grad()
@needs(Transformer, "transformer")
@asked(tokens=floats("*B T d", half=True))
def head_logits(transformer: Transformer, tokens: Tensor, mask: Mask) -> Tensor:
    """[L, *B, H, T, T] scores of all heads before the mask and before softmax, reader by key; every block has one group of H softmax heads.

    Raises:
        ValueError: blocks with several groups of heads, or heads of another kind.
    """
    config = transformer.config
    if any(
        len(block.attention) != 1 or block.attention[0].kind != "softmax" for block in config.blocks
    ):
        kinds = [[group.kind for group in block.attention] for block in config.blocks]
        raise ValueError(
            f"head_logits: the groups of heads of the blocks are {kinds}, expected one softmax group in each, as the recipes of softmax networks make"
        )
    logits = []
    for index, x in zip(config.schedule, transformer.stream(tokens, mask)):
        block = transformer.blocks[index]
        (group,) = block.attention
        normed = block.norm_attention(x).unsqueeze(-3)  # [*B, 1, T, d_model]
        logits.append(group.config.score_scale * (normed @ group.W_Q) @ (normed @ group.W_K).mT)
    return torch.stack(logits)


@dataclass(frozen=True, eq=False, repr=False)
class KernelHead(Contents):
    """How far the logits of heads are c <x, x'> plus a number of the reader's own: [...] of each.

    Args:
        share: R^2, the share of the variance over keys that c <x, x'> explains.
        inverse_tau: c, so that the head averages with the exponential kernel of temperature 1 / c; negative where it looks away.
        variance: mean variance of the logits over keys; a head without any averages uniformly.
        distance: ||P - P'|| / ||P - U||, operator norms, mean over prompts: P attends as the head does, P' by softmax of c <x, x'>, U to all keys alike.
    """

    share: Tensor
    inverse_tau: Tensor
    variance: Tensor
    distance: Tensor


@asked(
    logits=floats("*L B H r k", squared=True),
    x=floats("B r d", like="logits"),
    x_other=floats("B k d", like="logits"),
)
def kernel_heads(logits: Tensor, x: Tensor, x_other: Tensor) -> KernelHead:
    """Fit c by least squares, one number for all prompts.

    Args:
        logits: [..., B, H, r, k] of the readers at x to the keys at x_other.
        x: [B, r, d].
        x_other: [B, k, d].

    Returns:
        [..., H] of every field.

    Raises:
        ValueError: inputs for which <x, x'> is the same for every key.

    >>> x = torch.eye(3).expand(1, 3, 3)
    >>> head = kernel_heads(5 * x.unsqueeze(1) + 2, x, x)
    >>> head.share, head.inverse_tau, bool(head.distance < 1e-6)
    (tensor([1.]), tensor([5.0000]), True)
    """
    inner = centred(x @ x_other.mT).unsqueeze(-3)  # [B, 1, r, k]
    if not inner.any():
        raise ValueError(
            f"kernel_heads(x={list(x.shape)}, x_other={list(x_other.shape)}): <x, x'> is the same for"
            " every key, so that no c can be found; expected inputs that vary"
        )
    ours = centred(logits)
    over = (-4, -2, -1)  # prompts, readers, keys
    slope = (ours * inner).sum(over) / inner.square().sum((0, -2, -1))  # [..., H]
    left = ours - slope[..., None, :, None, None] * inner
    share = 1 - left.square().sum(over) / ours.square().sum(over).clamp(
        min=torch.finfo(ours.dtype).tiny
    )
    P, of_kernel = logits.softmax(-1), (slope[..., None, :, None, None] * inner).softmax(-1)
    apart, from_uniform = operator_norm(P - of_kernel), operator_norm(P - 1 / P.shape[-1])
    # a head that averages uniformly is where it should be when P' does, too
    distance = torch.where(apart == 0, apart, apart / from_uniform)
    return KernelHead(share, slope, ours.square().mean(over), distance.mean(-2))


def operator_norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix, ord=2)


def centred(logits: Tensor) -> Tensor:
    return logits - logits.mean(-1, keepdim=True)
