"""How far a representation has moved."""

import math

from torch import Tensor

from metarep_lib.asked import asked, floats


@asked(phi=floats("B n p", squared=True), moved=floats("B n p2", like="phi", squared=True))
def representation_drift(phi: Tensor, moved: Tensor) -> float:
    """1 - linear CKA (Kornblith et al. 2019) of two feature matrices [B, n, p]: 0 when one is a rotation and scaling of the other.

    Raises:
        ValueError: features that are the same at every token.

    >>> import torch
    >>> phi = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]]])
    >>> round(representation_drift(phi, 3 * phi.flip(-1)), 6)
    0.0
    """
    for name, held in (("phi", phi), ("moved", moved)):
        centred = held - held.mean((0, 1))
        if not 0 < float(centred.square().sum().square()) < math.inf:
            raise ValueError(
                f"representation_drift({name} of shape {list(held.shape)}): it is the same at every"
                " token, or varies by too little or too much for its squares; expected features that vary"
            )
    first, second = (held.flatten(0, 1) - held.flatten(0, 1).mean(0) for held in (phi, moved))
    across = (first.mT @ second).square().sum()
    return 1 - (across / ((first.mT @ first).norm() * (second.mT @ second).norm())).item()
