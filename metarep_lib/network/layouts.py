"""Layouts: how a prompt becomes tokens and a mask, and which token answers.

A layout is all in which constructed and trained networks differ when they are asked. The order of the tokens:

    Prefix       [registers] supports, then queries; nobody reads a query. One pass for all queries.
    Causal       [registers] supports; each is answered from those before it. A query is the last support of its own pass.
    PairCausal   contexts, then their twins as queries; query j reads the pairs before j. A pass for every query.
    Interleaved  x_1, y_1, x_2, y_2, ..., x: the answer is read at the last x. A pass for every query.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.network.basis import Basis
from metarep_lib.network.masks import CausalMask, PairCausalMask, PrefixMask
from metarep_lib.network.question import Question
from metarep_lib.network.tokens import (
    N_REGISTERS,
    bare_tokens,
    prefix_mask,
    rows,
    token_groups,
    tokenise,
)
from metarep_lib.prompt import Prompt

__all__ = [
    "Causal",
    "Interleaved",
    "Layout",
    "PairCausal",
    "Prefix",
]


class Layout(ABC):
    """Two questions: a prompt, and a curve of predictions along one sequence."""

    has_passes: bool = True  # each query is the last token of a pass of its own
    is_exchangeable: bool = False  # the order of the supports changes no answer
    reads_ridge: bool = False

    @abstractmethod
    def question(self, prompt: Prompt, inputs: Basis) -> Question:
        """What a network with these input channels reads of a prompt."""

    def curve(self, prompt: Prompt, inputs: Basis) -> Question:
        """One pass whose "query" tokens answer at support i from the supports before it.

        Raises:
            ValueError: a layout in which every support sees all others.
        """
        raise ValueError(
            f"curve: the supports of the layout {self} see one another;"
            " this would work: predict(Prompt(x[:n], y[:n], x[n:], ridge))"
        )


@dataclass(frozen=True)
class Prefix(Layout):
    """Supports, then queries.

    registers: whether an aggregator and a sink stand in front, and tokens carry the ridge.
    sees_itself: whether a query reads itself, as trained networks usually do.
    """

    registers: bool = True
    sees_itself: bool = False
    has_passes = False
    is_exchangeable = True

    @property
    def reads_ridge(self) -> bool:
        return self.registers

    def question(self, prompt: Prompt, inputs: Basis) -> Question:
        if self.registers:
            return Question(tokenise(prompt, inputs), prefix_mask(prompt), token_groups(prompt))
        k, q = prompt.n_support, prompt.n_query
        tokens = bare_tokens(prompt.phi, prompt.y, prompt.phi_query)
        groups = {"support": slice(0, k), "query": slice(k, k + q)}
        return Question(tokens, PrefixMask(k, self.sees_itself), groups)


@dataclass(frozen=True)
class Causal(Layout):
    """Registers, then supports, each reading those before it and not itself.

    A support carries its own target, so a curve is what `predict` says only of networks that keep it out of their answer, as the
    constructed ones do.
    """

    reads_ridge = True

    def question(self, prompt: Prompt, inputs: Basis) -> Question:
        if not prompt.n_query:
            groups = token_groups(prompt)
            return Question(tokenise(prompt, inputs), self.mask, groups)
        k = prompt.n_support
        asked = Prompt(*passes(prompt), prompt.phi_query.unsqueeze(-2)[..., :0, :], prompt.ridge)
        groups = token_groups(asked)
        support = slice(groups["support"].start, groups["support"].start + k)
        groups = dict(groups) | {"support": support, "query": slice(support.stop, support.stop + 1)}
        return Question(tokenise(asked, inputs), self.mask, groups, has_passes=True)

    def curve(self, prompt: Prompt, inputs: Basis) -> Question:
        whole = self.question(prompt, inputs)
        return Question(whole.tokens, whole.mask, {"query": whole.groups["support"]})

    @property
    def mask(self) -> CausalMask:
        return CausalMask(strict=True, n_registers=N_REGISTERS)


@dataclass(frozen=True)
class PairCausal(Layout):
    """Contexts, then their twins as queries; no registers."""

    def question(self, prompt: Prompt, inputs: Basis) -> Question:
        k = prompt.n_support
        x, y = passes(prompt)
        groups = {"support": slice(0, k), "query": slice(2 * k + 1, 2 * k + 2)}
        return Question(bare_tokens(x, y, x), PairCausalMask(k + 1), groups, has_passes=True)

    def curve(self, prompt: Prompt, inputs: Basis) -> Question:
        n, x = prompt.n_support, prompt.phi
        tokens = bare_tokens(x, prompt.y, x)
        return Question(tokens, PairCausalMask(n), {"query": slice(n, 2 * n)})


@dataclass(frozen=True)
class Interleaved(Layout):
    """x_1, y_1, x_2, y_2, ...: a support is two tokens, and what it holds of y stands on the second (Garg et al. 2022)."""

    def question(self, prompt: Prompt, inputs: Basis) -> Question:
        k = prompt.n_support
        tokens = alternating(*passes(prompt), inputs)[..., : 2 * k + 1, :]
        groups = {
            "support": slice(1, 2 * k, 2),
            "support input": slice(0, 2 * k, 2),
            "query": slice(2 * k, 2 * k + 1),
        }
        return Question(tokens, CausalMask(), groups, has_passes=True)

    def curve(self, prompt: Prompt, inputs: Basis) -> Question:
        tokens = alternating(prompt.phi, prompt.y, inputs)
        return Question(tokens, CausalMask(), {"query": slice(0, tokens.shape[-2], 2)})


def passes(prompt: Prompt) -> tuple[Tensor, Tensor]:
    """([*B, q, k + 1, p], [*B, q, k + 1(, m)]) the supports of a prompt with each query behind them, whose target is zero."""
    phi, y, x = prompt.phi, prompt.y, prompt.phi_query
    batch, at = phi.shape[:-2], phi.ndim - 2
    supports = phi.unsqueeze(at).expand(*batch, prompt.n_query, *phi.shape[at:])
    targets = y.unsqueeze(at).expand(*batch, prompt.n_query, *y.shape[at:])
    nothing = torch.zeros_like(targets[..., :1] if y.ndim == phi.ndim - 1 else targets[..., :1, :])
    return torch.cat([supports, x.unsqueeze(-2)], -2), torch.cat([targets, nothing], dim=at + 1)


def alternating(x: Tensor, y: Tensor, inputs: Basis) -> Tensor:
    """[*B, 2 n, d_input] x_1, y_1, x_2, y_2, ... of x [*B, n, p] and y [*B, n]."""
    width = inputs.width("y")
    flag = torch.ones_like(x[..., :1])
    asked = rows(inputs, phi=x, is_query=flag)
    told = rows(inputs, y=y.reshape(*x.shape[:-1], width), is_support=flag)
    return torch.stack([asked, told], dim=-2).flatten(-3, -2)
