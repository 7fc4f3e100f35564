"""Would the architecture do it anyway? Networks of the same shapes whose blocks have other weights."""

import copy
from dataclasses import replace

import torch

from metarep_lib.construct import ConstructedTransformer
from metarep_lib.network import Transformer

__all__ = ["random", "shuffled"]


def shuffled(network: ConstructedTransformer, seed: int) -> ConstructedTransformer:
    """The same weights, permuted within every matrix of the blocks; tokens are embedded and read as before."""
    transformer, generator = copy.deepcopy(network.transformer), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in transformer.blocks.parameters():
            order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
            weight.copy_(weight.flatten()[order].view_as(weight))
    return replace(network, transformer=transformer)


def random(network: ConstructedTransformer, seed: int) -> ConstructedTransformer:
    """Random weights of the same shapes, as a training would begin with."""
    held = network.transformer.W_E
    generator = torch.Generator().manual_seed(seed)
    transformer = Transformer(network.transformer.config, generator).to(held)
    return replace(network, transformer=transformer.requires_grad_(False))
