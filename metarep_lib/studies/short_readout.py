"""Readouts that were trained for too short a time."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["short_readout"]


def short_readout(streams: Tensor, said: Tensor, steps: int) -> Callable[[Tensor, Tensor], Tensor]:
    """Affine readouts of every layer after some steps of Adam from zero, on standardised channels.

    Args:
        streams: [L + 1, B, q, D] as `query_streams` gives them.
        said: [B, q] what the network says, which the readouts are trained to say.
        steps: Of Adam.

    Returns:
        A function like that of `fitted_readout`: of streams and of what the network says, to
        predictions [L + 1, B, q].
    """
    flat = streams[:-1].flatten(1, 2)
    mean, scale = flat.mean(1, keepdim=True), flat.std(1, keepdim=True) + 1e-3

    def standardised(streams: Tensor) -> Tensor:
        x = (streams[:-1].flatten(1, 2) - mean) / scale
        return torch.cat([x, torch.ones_like(x[..., :1])], -1)

    x, target = standardised(streams), said.flatten().view(-1, 1)
    w = torch.zeros(len(x), x.shape[-1], 1, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([w], lr=3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        (x @ w - target).square().mean().backward()
        optimizer.step()

    def read(streams: Tensor, said: Tensor) -> Tensor:
        layers = (standardised(streams) @ w.detach()).view(len(x), *said.shape)
        return torch.cat([layers, said.unsqueeze(0)])

    return read
