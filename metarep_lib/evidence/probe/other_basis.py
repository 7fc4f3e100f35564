"""The same network with another basis of its stream: no channel means what it meant."""

import torch
from torch import Tensor

from metarep_lib.network.transformer import Transformer


def in_other_basis(transformer: Transformer, R: Tensor) -> Transformer:
    """The same function with another stream: x becomes x R, so that no channel means what it meant.

    W_E and everything that writes is multiplied by R, everything that reads by R^T.

    Args:
        transformer: without norms, which see the axes of the stream.
        R: [d_model, d_model] orthogonal.

    Raises:
        ValueError: a network with norms.
    """
    config = transformer.config
    if config.final_norm != "none" or any(block.norm != "none" for block in config.blocks):
        raise ValueError(
            "in_other_basis(transformer, R): it has norms, which see the axes of the stream; expected a network with norm='none'"
        )
    turned = Transformer(config, torch.Generator()).to(transformer.W_E.dtype).requires_grad_(False)
    writes = ("W_E", "W_O", "W_out")
    weights = transformer.state_dict().items()
    turned.load_state_dict(
        {
            name: weight @ R if name.rpartition(".")[2] in writes else R.T @ weight
            for name, weight in weights
        }
    )
    return turned


def signed_permutation(size: int, generator: torch.Generator) -> Tensor:
    """[size, size] a random permutation with random signs: an orthogonal matrix that rounds nothing."""
    signs = 1.0 - 2.0 * torch.randint(2, (size, 1), generator=generator)
    return (signs * torch.eye(size)[torch.randperm(size, generator=generator)]).double()
