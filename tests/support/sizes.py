"""What a program takes as a transformer."""

from metarep_lib import assemble
from metarep_lib.construct.program import Program


def size(program: Program) -> tuple[int, int, int]:
    """Channels, blocks, and blocks that store tensors, of the transformer itself."""
    network = assemble(program).transformer
    return network.W_E.shape[-1], len(network.config.schedule), len(network.blocks)
