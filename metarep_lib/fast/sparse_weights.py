"""The weights of a block as lists of the entries that are not zero."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from metarep_lib.fast.expressions import Entries
from metarep_lib.network.transformer import AttentionConfig, BlockConfig


def columns(weight: Tensor) -> list[Entries]:
    """For every column its entries: a matrix [n, m] that reads, x @ W.

    >>> import torch
    >>> columns(torch.tensor([[0.0, 2.0], [3.0, 0.0]]))
    [[(1, 3.0)], [(0, 2.0)]]
    """
    found: list[Entries] = [[] for _ in range(weight.shape[1])]
    for (row, column), value in zip(weight.nonzero().tolist(), weight[weight != 0].tolist()):
        found[column].append((row, value))
    return found


@dataclass(frozen=True)
class SparseHead:
    """One head: (query, key) entries for every channel of its score, (value, output) entries for every channel of its value."""

    score: list[tuple[Entries, Entries]]
    value: list[tuple[Entries, Entries]]

    @property
    def n_terms(self) -> int:
        return _pairs(self.score) * _pairs(self.value)


@dataclass(frozen=True)
class SparseBlock:
    """Heads group by group, and gated units as (gate, in, out) entries; parts that do nothing are left out."""

    config: BlockConfig
    groups: list[tuple[AttentionConfig, list[SparseHead]]]
    units: list[tuple[Entries, Entries, Entries]]
    n_weights: int

    @property
    def is_plain(self) -> bool:
        """No norm, no activation, and no more terms when multiplied out than there are weights."""
        terms = sum(head.n_terms for _, heads in self.groups for head in heads)
        terms += sum(len(gate) * len(into) * len(out) for gate, into, out in self.units)
        is_polynomial = self.config.norm == "none" and self.config.activation == "identity"
        return is_polynomial and terms <= self.n_weights


def sparse_block(index: int, config: BlockConfig, weights: Mapping[str, Tensor]) -> SparseBlock:
    """Block `index` of a state_dict."""
    at = f"blocks.{index}."
    groups = [
        (group, [_head(weights, f"{at}attention.{g}.", h) for h in range(group.n_heads)])
        for g, group in enumerate(config.attention)
    ]
    gates, ins = columns(weights[f"{at}mlp.W_gate"]), columns(weights[f"{at}mlp.W_in"])
    outs = columns(weights[f"{at}mlp.W_out"].mT)
    units = [unit for unit in zip(gates, ins, outs) if all(unit)]
    n_weights = sum(weight.numel() for name, weight in weights.items() if name.startswith(at))
    return SparseBlock(config, groups, units, n_weights)


def written_channels(block: SparseBlock) -> list[int]:
    """The channels of the stream that a block may change."""
    outs = [out for _, heads in block.groups for head in heads for _, out in head.value]
    outs += [out for *_, out in block.units]
    return sorted({channel for out in outs for channel, _ in out})


def _head(weights: Mapping[str, Tensor], at: str, h: int) -> SparseHead:
    """A head of normalised or softmax kind keeps channels of its score and value that are zero on one side: they are dropped by what reads them."""
    queries, keys = columns(weights[f"{at}W_Q"][h]), columns(weights[f"{at}W_K"][h])
    values, outs = columns(weights[f"{at}W_V"][h]), columns(weights[f"{at}W_O"][h].mT)
    score = [pair for pair in zip(queries, keys) if all(pair)]
    return SparseHead(score, [pair for pair in zip(values, outs) if pair[1]])


def _pairs(sides: list[tuple[Entries, Entries]]) -> int:
    return sum(len(one) * len(other) for one, other in sides)
