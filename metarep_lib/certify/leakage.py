"""Who depends on whom: the flow of information between the tokens of one prompt, found in two ways.

Letters: B blocks, T tokens.

A mask promises that token i, after b blocks, is a function of the tokens it can reach in b hops (`reach`). Two tests
hold a network to the promise; neither replaces the other.

* By change: another token is put in the place of `source`; whose stream differs, in any bit? It misses what
  rounding swallows (a weight of 1e-20).
* By gradient: d stream[reader] / d token[source], zero or not? It misses what is flat where it is taken (a floor, a
  sign, a product of two zeros).
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats
from metarep_lib.contents import Contents
from metarep_lib.network.masks import Mask
from metarep_lib.network.transformer import Transformer


@dataclass(frozen=True, eq=False, repr=False)
class Leakage(Contents):
    """What a test found.

    Args:
        how: "change" or "gradient".
        influence: [B + 1, T, T] booleans: after block b (0: the embedding) the stream of token `reader` depends on
            token `source`.
        allowed: the same shape: what the mask promises at most.
    """

    how: str
    influence: Tensor
    allowed: Tensor

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """(reader, source) for every leak, after any block."""
        return tuple(map(tuple, self.forbidden.any(0).nonzero().tolist()))

    @property
    def first_block(self) -> int | None:
        """The block after which something has leaked for the first time; None when nothing has."""
        leaky = self.forbidden.flatten(1).any(1).nonzero().flatten()
        return int(leaky[0]) if len(leaky) else None

    @property
    def forbidden(self) -> Bool[Tensor, "streams T T"]:
        return self.influence & ~self.allowed

    @property
    def holds(self) -> bool:
        return not self.pairs

    def __str__(self) -> str:
        if self.holds:
            return f"by {self.how}: nothing leaks; {int(self.influence[-1].sum())} of {int(self.allowed[-1].sum())} allowed pairs are used"
        reader, source = self.pairs[0]
        return f"by {self.how}: {len(self.pairs)} pairs leak from block {self.first_block} on, first token {reader} depends on token {source}"


@asked(tokens=floats("...", half=True, finite=False), seed=at_least(0))
def leakage_by_change(
    network: Transformer, tokens: Tensor, mask: Mask, promise: Mask | None = None, *, seed: int = 0
) -> Leakage:
    """Put random numbers in the place of one token at a time and see, bit for bit, whose stream changes.

    Args:
        network: constructed or trained.
        tokens: [T, d_input] one prompt.
        mask: what the network runs under.
        promise: what is promised; `mask` itself when None.
        seed: of the random tokens.

    Raises:
        ValueError: tokens with a batch axis, or a stream that is not finite.
        RuntimeError: two passes over the same tokens differ, so that a difference would mean nothing.

    >>> from metarep_lib.network.masks import PrefixMask
    >>> from metarep_lib.network.transformer import AttentionConfig, BlockConfig, TransformerConfig
    >>> config = TransformerConfig(3, 8, 1, (BlockConfig((AttentionConfig("softmax", 2, 4, 4),), 16, norm="rms"),), (0, 0))
    >>> network = Transformer(config, torch.Generator().manual_seed(0))
    >>> print(leakage_by_change(network, torch.ones(4, 3), PrefixMask(3)))
    by change: nothing leaks; 13 of 13 allowed pairs are used
    >>> print(leakage_by_change(network, torch.ones(4, 3), PrefixMask(4), promise=PrefixMask(3)))
    by change: 3 pairs leak from block 1 on, first token 0 depends on token 3
    """
    before = finite_streams("leakage_by_change", network, tokens, mask)
    if not torch.equal(before, streams(network, tokens, mask)):
        raise RuntimeError(
            "leakage_by_change(network, ...): two passes over the same tokens differ; use network.eval() and deterministic kernels"
        )
    drawn = torch.randn(
        tokens.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(tokens)
    by_source = []
    for source in range(
        len(tokens)
    ):  # one pass each: in a batch, another shape could round differently
        changed = tokens.clone()
        changed[source] = drawn[source]
        by_source.append((before != streams(network, changed, mask)).any(-1))
    return Leakage(
        "change",
        torch.stack(by_source, dim=-1),
        reach(promise or mask, len(before), len(tokens)).to(tokens.device),
    )


@asked(tokens=floats("...", half=True, finite=False), seed=at_least(0))
def leakage_by_gradient(
    network: Transformer, tokens: Tensor, mask: Mask, promise: Mask | None = None, *, seed: int = 0
) -> Leakage:
    """Differentiate a random combination of every token's channels, after every block, by every token.

    Arguments as for `leakage_by_change`; a gradient that is not a number counts as an influence.

    Raises:
        ValueError: tokens with a batch axis, or a stream that is not finite.
    """
    finite_streams("leakage_by_gradient", network, tokens, mask)
    tokens = tokens.detach().clone().requires_grad_()
    n_tokens = len(tokens)
    with torch.enable_grad():
        resid = list(network.stream(tokens, mask))
    direction = torch.randn(
        resid[0].shape[-1], generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    ).to(tokens)
    one_reader = torch.eye(n_tokens).to(tokens).unsqueeze(-1) * direction  # [reader, T, d_model]
    influence = []
    for x in resid:
        # [reader, source, d_input]
        (gradient,) = torch.autograd.grad(
            x, tokens, one_reader, retain_graph=True, is_grads_batched=True
        )
        influence.append((gradient != 0).any(-1))
    return Leakage(
        "gradient",
        torch.stack(influence),
        reach(promise or mask, len(resid), n_tokens).to(tokens.device),
    )


def reach(mask: Mask, n_streams: int, n_tokens: int) -> Bool[Tensor, "streams T T"]:
    """Which tokens token i reaches in 0, 1, ... hops, itself included: what its stream may depend on after as many blocks."""
    hop = mask.dense(n_tokens) | torch.eye(n_tokens, dtype=torch.bool)
    reached = [torch.eye(n_tokens, dtype=torch.bool)]
    for _ in range(n_streams - 1):
        reached.append((hop.double() @ reached[-1].double()) > 0)
    return torch.stack(reached)


def streams(network: Transformer, tokens: Tensor, mask: Mask) -> Tensor:
    """[B + 1, T, d_model] without a graph."""
    with torch.no_grad():
        return torch.stack(list(network.stream(tokens, mask)))


def finite_streams(call: str, network: Transformer, tokens: Tensor, mask: Mask) -> Tensor:
    """The streams, where a test of them can mean something: NaN hides a change and makes gradients NaN elsewhere."""
    if tokens.ndim != 2:
        raise ValueError(
            f"{call}(tokens={list(tokens.shape)}): expected one prompt, [tokens, d_input]; this would work: {call}(network, tokens[0], mask)"
        )
    resid = streams(network, tokens, mask)
    finite = torch.isfinite(resid).all(-1)
    if not finite.all():
        block, token = (~finite).nonzero()[0].tolist()
        raise ValueError(
            f"{call}(network, tokens, mask): the stream of token {token} is not finite after block {block}, so that nothing can be said of it;"
            " give every head somebody to read (registers), or other tokens"
        )
    return resid
