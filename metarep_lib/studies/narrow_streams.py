"""What an embedding into few channels keeps, and random networks behind such an embedding."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from metarep_lib.network import AttentionConfig, BlockConfig, Transformer, TransformerConfig
from metarep_lib.network.tokens import input_basis
from metarep_lib.numerics import relative_error
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers

__all__ = ["fitted", "kept", "off", "off_by_width", "principal", "random_network"]

Embedding = tuple[Tensor, Tensor]  # [p + 1, m] into the stream, [m, p + 1] out of it


def random_network(
    n_features: int, width: int, seed: int, norm: str = "layer", depth: int = 6
) -> Transformer:
    """Blocks of softmax and linear heads with norms, random weights, float64.

    >>> random_network(3, 2, seed=0).W_E.shape
    torch.Size([9, 2])
    """
    heads = (AttentionConfig("softmax", 2, 4, 4), AttentionConfig("linear", 1, 4, 4))
    blocks = (BlockConfig(heads, 24, "gelu", norm),) * depth
    d_input = input_basis(n_features).size
    shape = TransformerConfig(d_input, width, 1, blocks, tuple(range(depth)))
    return Transformer(shape, torch.Generator().manual_seed(seed)).double()


def kept(prompts: Prompt, into: Tensor, out: Tensor) -> Tensor:
    """Ridge regression on what survives an embedding of (phi, y), read back.

    Args:
        prompts: p features, any batch.
        into: [p + 1, m].
        out: [m, p + 1].

    Returns:
        [*B, q] predictions.

    >>> prompt = Prompt(torch.eye(2), torch.tensor([2.0, 4.0]), torch.eye(2), ridge=1.0)
    >>> kept(prompt, torch.eye(3), torch.eye(3)).tolist()  # all of it
    [1.0, 2.0]
    """
    p, no_y = prompts.n_features, torch.zeros_like(prompts.phi_query[..., :1])
    supports = torch.cat([prompts.phi, prompts.y.unsqueeze(-1)], dim=-1) @ into @ out
    queries = torch.cat([prompts.phi_query, no_y], dim=-1) @ into @ out
    phi, y = supports[..., :p], supports[..., p:]
    S = phi.mT @ phi + prompts.ridge * torch.eye(p).to(phi)
    return (queries[..., :p] @ torch.linalg.solve(S, phi.mT @ y)).squeeze(-1)


def off(prompts: Prompt, into: Tensor, out: Tensor) -> float:
    """Its relative error, median over the prompts."""
    return relative_error(kept(prompts, into, out), answers(prompts)).median().item()


def principal(prompts: Prompt, m: int) -> Embedding:
    """y and the m - 1 principal axes of the supports' features that are longest.

    >>> prompt = Prompt(torch.tensor([[1.0, 0.0], [0.0, 3.0]]), torch.ones(2), torch.ones(1, 2), ridge=1.0)
    >>> principal(prompt, 2)[0].abs().tolist()
    [[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    """
    p, flat = prompts.n_features, prompts.phi.flatten(0, -2)
    axes = torch.linalg.eigh(flat.T @ flat)[1].flip(-1)  # largest first
    into = flat.new_zeros(p + 1, m)
    into[p, 0], into[:p, 1:] = 1.0, axes[:, : m - 1]
    return into, into.T


def fitted(prompts: Prompt, start: Embedding, steps: int = 100) -> Embedding:
    """Both matrices trained from a start on what ridge regression says; the best on the way."""
    weights = [matrix.clone().requires_grad_() for matrix in start]
    optimiser, best, right = torch.optim.Adam(weights, lr=0.01), (np.inf, start), answers(prompts)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = (kept(prompts, *weights) - right).square().mean()
        if loss.item() < best[0]:
            into, out = (weight.detach().clone() for weight in weights)
            best = loss.item(), (into, out)
        loss.backward()
        optimiser.step()
    return best[1]


def off_by_width(
    train: Prompt, held_out: Prompt, widths: Iterable[int]
) -> tuple[list[float], list[float]]:
    """Relative errors at held-out prompts for every width: of principal axes, and of embeddings trained from them."""
    starts = [principal(train, m) for m in widths]
    trained = [fitted(train, start) for start in starts]
    return [off(held_out, *start) for start in starts], [off(held_out, *best) for best in trained]
