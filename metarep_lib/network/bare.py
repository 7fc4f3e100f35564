"""A transformer of which nothing is known but its weights and how it is asked."""

from dataclasses import dataclass

from metarep_lib.network.asking import Decoder
from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Layout
from metarep_lib.network.transformer import Transformer


@dataclass(frozen=True, repr=False)
class BareTransformer(Decoder):
    """Weights, layout and the channels of its tokens: no program, no recipe, no names in the stream.

    >>> from metarep_lib.network.layouts import Interleaved
    >>> from metarep_lib.network.tokens import input_basis
    >>> from metarep_lib.network.transformer import AttentionConfig, BlockConfig, TransformerConfig
    >>> inputs = input_basis(n_features=2)
    >>> block = BlockConfig((AttentionConfig("softmax", 2, 4, 4),), 16)
    >>> network = BareTransformer(Transformer(TransformerConfig(inputs.size, 8, 1, (block,), (0, 0))), Interleaved(), inputs)
    >>> import torch
    >>> from metarep_lib.prompt import Prompt
    >>> network.predict(Prompt(torch.ones(4, 2), torch.ones(4), torch.zeros(3, 2), ridge=1.0)).shape
    torch.Size([3])
    """

    transformer: Transformer
    layout: Layout
    inputs: Basis
    name: str = "a bare transformer"
