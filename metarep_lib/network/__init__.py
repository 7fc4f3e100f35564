"""What runs, and how it is asked: one plain decoder, masks, layouts, the three ways to be asked, the trace of a pass."""

from metarep_lib.network.asking import (
    Answerer,
    AskedWrongly,
    Decoder,
    Network,
    NotAvailable,
    Traits,
)
from metarep_lib.network.bare import BareTransformer
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Causal, Interleaved, Layout, PairCausal, Prefix
from metarep_lib.network.masks import CausalMask, Mask, PairCausalMask, PrefixMask
from metarep_lib.network.question import Question
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
    "BareTransformer",
    "Basis",
    "BlockConfig",
    "Causal",
    "CausalMask",
    "Decoder",
    "Interleaved",
    "Layout",
    "Mask",
    "Network",
    "NotAvailable",
    "PairCausal",
    "PairCausalMask",
    "Prefix",
    "PrefixMask",
    "Question",
    "Trace",
    "Traits",
    "Transformer",
    "TransformerConfig",
]
