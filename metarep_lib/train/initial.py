"""The network before training, a function of recipe and seed."""

import torch

from metarep_lib.asked import asked, at_least
from metarep_lib.network.transformer import Transformer
from metarep_lib.train.recipe import Recipe


@asked(seed=at_least(0))
def initial(recipe: Recipe, seed: int) -> Transformer:
    """The untrained network of a seed."""
    network = Transformer(recipe.config, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for block in network.blocks:
            for writes in (*(group.W_O for group in block.attention), block.mlp.W_out):
                writes.mul_(recipe.schedule.output_gain)
    return network
