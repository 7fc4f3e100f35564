"""What the two tests for leakage find, over networks."""

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.leakage import Leakage
from metarep_lib.network import CausalMask, PrefixMask, Transformer

__all__ = ["in_use", "poisons", "unused"]


def unused(found: Leakage) -> int:
    """How many pairs the mask allows in which the test finds no influence after the last block.

    >>> everybody = torch.ones(1, 2, 2, dtype=torch.bool)
    >>> unused(Leakage("change", torch.eye(2).bool()[None], everybody))
    2
    """
    return int((found.allowed & ~found.influence)[-1].sum())


def in_use(found: Leakage) -> np.ndarray:
    """[T, T] reader by source: 0 allowed and in use after the last block, 1 a leak after any, not a number elsewhere.

    >>> reached = torch.tensor([[[True, True], [False, True]]])
    >>> in_use(Leakage("change", reached, torch.eye(2).bool()[None])).tolist()
    [[0.0, 1.0], [nan, 0.0]]
    """
    used = (found.influence & found.allowed)[-1].cpu().numpy()
    return np.where(found.forbidden.any(0).cpu().numpy(), 1.0, np.where(used, 0.0, np.nan))


def poisons(network: Transformer, tokens: Tensor, mask: PrefixMask | CausalMask) -> bool:
    """Whether not-a-number in the last token reaches what other tokens say."""
    poisoned = tokens.clone()
    poisoned[-1] = torch.nan
    with torch.no_grad():
        return bool(network(poisoned, mask)[:-1].isnan().any())
