"""What runs: one plain decoder, the masks it reads through, and the trace of a pass. Imports torch alone."""

from metarep_lib.network.masks import CausalMask, Mask, PairCausalMask, PrefixMask
from metarep_lib.network.trace import Trace
from metarep_lib.network.transformer import (
    AttentionConfig,
    BlockConfig,
    Transformer,
    TransformerConfig,
)

__all__ = [
    "AttentionConfig",
    "BlockConfig",
    "CausalMask",
    "Mask",
    "PairCausalMask",
    "PrefixMask",
    "Trace",
    "Transformer",
    "TransformerConfig",
]
