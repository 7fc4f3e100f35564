"""Whether a folded network does what the dense one does, wrong networks included: that is what proves that folding knows no algorithm.

What rounding decides is left open. The dense network is run four times, thrice with every number on its way (the stream after each half of a block, what
heads and gated units say) moved by 1e-14 of itself; a folded one may be off by 300 times what that moves, and by 1e-12 of the largest number that the channel has
held so far. A wrong term is off by the size of the term.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from metarep_lib import Prompt
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.fast import FoldedNetwork
from metarep_lib.network.question import Question
from metarep_lib.network.transformer import Transformer, TransformerConfig

N_MOVED, MOVED, ALLOWED, OF_LARGEST = 3, 1e-14, 300, 1e-12


def some_prompt(network: ConstructedTransformer) -> Prompt:
    """Four supports and two queries."""
    traits, draw = network.traits, torch.Generator().manual_seed(7)
    phi, y, x = (torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in ((4, traits.n_features), (4, traits.n_outputs), (2, traits.n_features)))
    return Prompt(phi / 2, y.squeeze(-1), x / 2, ridge=0.5)


def folded(network: ConstructedTransformer, weights: Mapping[str, Tensor], config: TransformerConfig) -> FoldedNetwork:
    return FoldedNetwork(config, weights, network.layout, network.inputs)


def largest_share(network: ConstructedTransformer, weights: Mapping[str, Tensor], config: TransformerConfig, prompt: Prompt) -> float:
    """How much of what is allowed a folded network is off, on any channel of any token after any block; 0 where the dense one is not finite.

    Args:
        network: says how it is asked.
        weights, config: of the network on trial, perhaps a mutant.
        prompt: without leading axes.
    """
    question = network.question(prompt)
    stream = dense_and_moved(weights, config, question)
    trace = folded(network, weights, config).trace(prompt, groups=tuple(question.groups))
    return max(off(trace.stream(group), question.at(stream, group)) for group in question.groups)


def dense_and_moved(weights: Mapping[str, Tensor], config: TransformerConfig, question: Question) -> Tensor:
    """[L + 1, 4, *P, T, D] the stream of the dense network, and thrice with every number moved."""
    dense = Transformer(config, torch.Generator()).requires_grad_(False)
    dense.load_state_dict(dict(weights), assign=True)
    draw = torch.Generator().manual_seed(3)

    def move(block: int, part: str, value: Tensor) -> Tensor:
        by = MOVED * torch.randn(N_MOVED, *value.shape[1:], generator=draw, dtype=value.dtype)
        return torch.cat([value[:1], value[1:] * (1 + by)])

    tokens = question.tokens.expand(1 + N_MOVED, *question.tokens.shape)
    return torch.stack(list(dense.stream(tokens, question.mask, move)))


def off(ours: Tensor, theirs: Tensor) -> float:
    """[L + 1, n, D] folded and [L + 1, 4, n, D] dense: the largest share, up to the first layer that holds what is not finite."""
    finite = torch.isfinite(theirs).flatten(1).all(1).cumprod(0).bool()
    ours, theirs = ours[finite], theirs[finite]
    right = theirs[:, 0]
    moves = (theirs[:, 1:] - theirs[:, :1]).abs().amax((1, 2))
    largest = right.abs().amax(-2).cummax(0).values
    allowed = ALLOWED * moves + OF_LARGEST * largest + torch.finfo(ours.dtype).tiny
    share = (ours - right).abs() / allowed.unsqueeze(-2)
    return float(share.nan_to_num(torch.inf).max()) if len(share) else 0.0
