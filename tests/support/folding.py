"""Whether a folded network does what the dense one does, wrong networks included: that is what proves that folding knows no algorithm.

What rounding decides is left open: the dense network is asked four times, thrice with a prompt moved by 1e-13 of itself, and a folded one may be
off by 300 times what that moves, and by 1e-12 of the largest number that a channel holds. A wrong term is off by the size of the term.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from metarep_lib import Prompt
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.fast import FoldedNetwork
from metarep_lib.network.transformer import Transformer, TransformerConfig

MOVED, ALLOWED, OF_LARGEST = 1e-13, 300, 1e-12


def prompt_and_moved(network: ConstructedTransformer) -> Prompt:
    """[4 prompts] one, and thrice the same but for rounding; four supports and two queries."""
    traits, draw = network.traits, torch.Generator().manual_seed(7)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    tensors = normal(4, traits.n_features) / 2, normal(4, traits.n_outputs).squeeze(-1), normal(2, traits.n_features) / 2
    moved = [torch.stack([x, *(x * (1 + MOVED * normal(*x.shape)) for _ in range(3))]) for x in tensors]
    return Prompt(*moved, ridge=0.5)


def folded(network: ConstructedTransformer, weights: Mapping[str, Tensor], config: TransformerConfig) -> FoldedNetwork:
    return FoldedNetwork(config, weights, network.layout, network.inputs)


def largest_share(network: ConstructedTransformer, weights: Mapping[str, Tensor], config: TransformerConfig, prompt: Prompt) -> float:
    """How much of what is allowed a folded network is off, on any channel of any token after any block; 0 where the dense one is not finite.

    Args:
        network: says how it is asked.
        weights, config: of the network on trial, perhaps a mutant.
        prompt: as `prompt_and_moved` makes it.
    """
    dense = Transformer(config, torch.Generator()).requires_grad_(False)
    dense.load_state_dict(dict(weights), assign=True)
    question = network.question(prompt)
    stream = torch.stack(list(dense.stream(question.tokens, question.mask)))
    one = Prompt(prompt.phi[0], prompt.y[0], prompt.phi_query[0], prompt.ridge)
    trace = folded(network, weights, config).trace(one, groups=tuple(question.groups))
    return max(off(trace.stream(group), question.at(stream, group)) for group in question.groups)


def off(ours: Tensor, theirs: Tensor) -> float:
    """[L + 1, n, D] folded and [L + 1, 4, n, D] dense: the largest share, up to the first layer that holds what is not finite."""
    finite = torch.isfinite(theirs).flatten(1).all(1).cumprod(0).bool()
    ours, theirs = ours[finite], theirs[finite]
    right = theirs[:, 0]
    moves = (theirs[:, 1:] - theirs[:, :1]).abs().amax((1, 2)).unsqueeze(-2)
    allowed = ALLOWED * moves + OF_LARGEST * right.abs().amax(-2, keepdim=True) + torch.finfo(ours.dtype).tiny
    share = (ours - right).abs() / allowed
    return float(share.nan_to_num(torch.inf).max()) if len(share) else 0.0
