"""From a prompt to tokens: `[aggregator, sink, supports..., queries...]`, one row each.

Every network of the book, constructed or trained, reads these channels; what it makes of them is
up to its embedding W_E. The target of a query is not among them. Networks with softmax heads read
one channel more, the logarithm of the ridge, which the sink carries.
"""

import math
from types import MappingProxyType

import torch
from torch import Tensor

from metarep_lib.network.basis import Basis
from metarep_lib.network.masks import PrefixMask
from metarep_lib.prompt import Prompt

__all__ = [
    "bare_tokens",
    "input_basis",
    "prefix_mask",
    "token_groups",
    "tokenise",
]


N_REGISTERS = 2
AGGREGATOR, SINK = 0, 1


def input_basis(n_features: int, n_outputs: int = 1, log_ridge: bool = False) -> Basis:
    """The channels of a token: features, target, ridge, and one flag for each role.

    `ridge` is carried by supports (and by the registers), so that lambda acts there and only
    there: a query has no diagonal of its own. With `log_ridge` there is a channel for log lambda,
    carried by the sink alone: the logit with which a softmax head weighs the sink by lambda.
    """
    last = {"log_ridge": 1} if log_ridge else {}
    return Basis.of(
        phi=n_features,
        y=n_outputs,
        ridge=1,
        is_aggregator=1,
        is_sink=1,
        is_support=1,
        is_query=1,
        **last,
    )


def tokenise(prompt: Prompt, inputs: Basis | None = None) -> Tensor:
    """[*batch, 2 + k + q, d_input] tokens of a prompt, in its dtype and on its device.

    Args:
        prompt: the question.
        inputs: the channels, as `input_basis` makes them; those without `log_ridge` when None.

    >>> import torch
    >>> prompt = Prompt(torch.tensor([[2.0]]), torch.tensor([3.0]), torch.tensor([[5.0]]), ridge=0.5)
    >>> tokenise(prompt).tolist()  # phi, y, ridge, then the flags
    [[0.0, 0.0, 0.5, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.5, 0.0, 1.0, 0.0, 0.0], \
[2.0, 3.0, 0.5, 0.0, 0.0, 1.0, 0.0], [5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    basis = input_basis(prompt.n_features, prompt.n_outputs) if inputs is None else inputs
    *batch, k, _ = prompt.phi.shape
    one = prompt.phi.new_ones(*batch, 1, 1)
    ridge = prompt.ridge * one
    last = {"log_ridge": math.log(prompt.ridge) * one} if "log_ridge" in basis else {}
    of_support = one.expand(*batch, k, 1)
    return torch.cat(
        [
            rows(basis, ridge=ridge, is_aggregator=one),
            rows(basis, ridge=ridge, is_sink=one, **last),
            rows(
                basis,
                phi=prompt.phi,
                y=prompt.y.reshape(*batch, k, prompt.n_outputs),
                ridge=prompt.ridge * of_support,
                is_support=of_support,
            ),
            rows(basis, phi=prompt.phi_query, is_query=one.expand(*batch, prompt.n_query, 1)),
        ],
        dim=-2,
    )


def rows(basis: Basis, **held: Tensor) -> Tensor:
    """[*batch, n, d_input] n tokens that hold what is given under its name, and zeros elsewhere.

    They are put together, not written into: under `torch.vmap` one part may be mapped over and another not.
    """
    *shape, _ = next(iter(held.values())).shape
    like = next(iter(held.values()))
    return torch.cat(
        [held.get(name, like.new_zeros(*shape, basis.width(name))) for name in basis], dim=-1
    )


def bare_tokens(phi: Tensor, y: Tensor, phi_query: Tensor) -> Tensor:
    """[*batch, k + q, d_input] supports, then queries, in the same channels, without registers and ridge: what trained networks read.

    Args:
        phi: [*batch, k, p].
        y: [*batch, k].
        phi_query: [*batch, q, p]; may be phi itself, for a mask that pairs token i with token k + i.

    >>> import torch
    >>> bare_tokens(torch.tensor([[2.0]]), torch.tensor([3.0]), torch.tensor([[5.0]])).tolist()
    [[2.0, 3.0, 0.0, 0.0, 0.0, 1.0, 0.0], [5.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]
    """
    basis = input_basis(phi.shape[-1])
    supports = rows(basis, phi=phi, y=y.unsqueeze(-1), is_support=torch.ones_like(phi[..., :1]))
    queries = rows(basis, phi=phi_query, is_query=torch.ones_like(phi_query[..., :1]))
    return torch.cat([supports, queries], dim=-2)


def token_groups(prompt: Prompt) -> MappingProxyType[str, slice]:
    """Which tokens are the aggregator, the sink, the supports and the queries."""
    first_query = N_REGISTERS + prompt.n_support
    return MappingProxyType(
        {
            "aggregator": slice(AGGREGATOR, AGGREGATOR + 1),
            "sink": slice(SINK, SINK + 1),
            "support": slice(N_REGISTERS, first_query),
            "query": slice(first_query, first_query + prompt.n_query),
        }
    )


def prefix_mask(prompt: Prompt) -> PrefixMask:
    """Everybody reads registers and supports; nobody reads a query."""
    return PrefixMask(N_REGISTERS + prompt.n_support)
