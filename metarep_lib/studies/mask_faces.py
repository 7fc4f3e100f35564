"""The two faces of a mask: the sum over all pairs that it lists, and the sum it computes without the list."""

import numpy as np
import torch
from torch import Tensor

from metarep_lib.network.masks import Mask

__all__ = ["apart", "drawn"]

N_TOKENS, WIDTHS = 64, (5, 5, 4)


def drawn(seed: int) -> tuple[Tensor, ...]:
    """Queries, keys and values of three prompts of 64 tokens, standard normal.

    >>> [list(x.shape) for x in drawn(0)]
    [[3, 64, 5], [3, 64, 5], [3, 64, 4]]
    """
    streams = (np.random.default_rng(len(WIDTHS) * seed + i) for i in range(len(WIDTHS)))
    normal = (rng.standard_normal((3, N_TOKENS, width)) for rng, width in zip(streams, WIDTHS))
    return tuple(map(torch.from_numpy, normal))


def listed(mask: Mask, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A linear head over all pairs that the mask lists: sum_j (q_i . k_j) v_j."""
    return ((q @ k.mT) * mask.dense(q.shape[-2]).to(q.device)) @ v


def apart(mask: Mask, q: Tensor, k: Tensor, v: Tensor) -> float:
    """How far `Mask.contract` is from that, at most, relative to the sum of absolute terms.

    >>> from metarep_lib.network import CausalMask
    >>> one = torch.ones(4, 1)
    >>> apart(CausalMask(), one, one, one)
    0.0
    """
    difference = mask.contract(q, k, v) - listed(mask, q, k, v)
    added = listed(mask, q.abs(), k.abs(), v.abs()).clamp(min=1e-300)
    return float((difference / added).abs().max())
