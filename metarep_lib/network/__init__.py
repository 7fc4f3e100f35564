"""What runs: one plain decoder, the masks it reads through, its tokens, and the trace of a pass."""

from metarep_lib import moved
from metarep_lib.network.asking import Answerer, AskedWrongly, Decoder, Network, NotAvailable
from metarep_lib.network.basis import Basis
from metarep_lib.network.masks import CausalMask, Mask, PairCausalMask, PrefixMask
from metarep_lib.network.trace import Trace
from metarep_lib.network.transformer import (
    AttentionConfig,
    BlockConfig,
    Transformer,
    TransformerConfig,
)

__all__ = [
    "Answerer",
    "AskedWrongly",
    "AttentionConfig",
    "Basis",
    "BlockConfig",
    "CausalMask",
    "Decoder",
    "Mask",
    "Network",
    "NotAvailable",
    "PairCausalMask",
    "PrefixMask",
    "Trace",
    "Transformer",
    "TransformerConfig",
]

__getattr__ = moved.names(__name__)
