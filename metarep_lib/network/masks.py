"""Masks as structures: who reads whom, and the linear-time form that goes with it.

Letters: B batch (any leading axes), H heads, T tokens, d query/key width, e value width.

A mask answers two questions. `dense` lists every pair (reader i, token j) as a boolean matrix;
softmax heads and readers of the book use it. `contract` sums (q_i . k_j) v_j over the visible j
without ever forming a T x T matrix; linear heads use it. Both describe the same set of pairs,
and the tests hold them equal.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from metarep_lib.asked.values import FLOATS, is_whole, unreadable
from metarep_lib.contents import describe


@runtime_checkable
class Mask(Protocol):
    """Which tokens may be read by which."""

    def dense(self, n_tokens: int) -> Tensor:
        """[T, T] booleans: entry (i, j) is True when token i may read token j."""

    def contract(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """sum over visible j of (q_i . k_j) v_j, in time linear in T."""


def count_tokens(kind: str, n: int) -> None:
    """Refuse what is no number of tokens; masks are made in a compiler's trace, too, which reads no `asked`."""
    if not torch.compiler.is_compiling() and not (is_whole(n) and n >= 0):
        raise ValueError(f"{kind}({n!r}): expected a whole number of tokens >= 0, e.g. {kind}(2)")


def check_contract(kind: str, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Refuse queries, keys and values that do not belong together; a pass is traced, too, and then its shapes are known to fit."""
    if torch.compiler.is_compiling():
        return
    if not belong_together(q, k, v):
        came = ", ".join(f"{name}={describe(x)}" for name, x in zip("qkv", (q, k, v)))
        raise ValueError(
            f"{kind}.contract({came}): expected dense tensors of one dtype of floats, q and k of shape"
            " [*B, T, d] and v [*B, T, e], e.g. torch.ones(5, 2) three times"
        )


def belong_together(q: Tensor, k: Tensor, v: Tensor) -> bool:
    if not all(isinstance(x, Tensor) for x in (q, k, v)):
        return False
    shapes_fit = q.ndim >= 2 and q.shape == k.shape and q.shape[:-1] == v.shape[:-1]
    dtypes_fit = q.dtype == k.dtype == v.dtype and q.dtype in FLOATS
    return shapes_fit and dtypes_fit and not any(map(unreadable, (q, k, v)))


@dataclass(frozen=True)
class PrefixMask:
    """Every token reads the first `n_prefix` tokens, and nobody reads the rest.

    With registers and supports in front and queries behind, no query is ever read, not even by
    itself: nothing can leak from a query to the supports or to another query. With
    `sees_itself` a token also reads itself, as trained networks usually do.

    >>> PrefixMask(2).dense(3).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 0]]
    >>> PrefixMask(2, sees_itself=True).dense(3).int().tolist()
    [[1, 1, 0], [1, 1, 0], [1, 1, 1]]
    """

    n_prefix: int
    sees_itself: bool = False

    def __post_init__(self) -> None:
        count_tokens("PrefixMask", self.n_prefix)

    def dense(self, n_tokens: int) -> Bool[Tensor, "T T"]:
        count_tokens("PrefixMask.dense", n_tokens)
        visible = torch.zeros(n_tokens, n_tokens, dtype=torch.bool)
        visible[:, : self.n_prefix] = True
        if self.sees_itself:
            visible.fill_diagonal_(True)
        return visible

    def contract(
        self, q: Float[Tensor, "*B T d"], k: Float[Tensor, "*B T d"], v: Float[Tensor, "*B T e"]
    ) -> Float[Tensor, "*B T e"]:
        check_contract("PrefixMask", q, k, v)
        n = self.n_prefix
        memory = k[..., :n, :].mT @ v[..., :n, :]  # [*B, d, e]: the whole prefix, once
        out = q @ memory
        if self.sees_itself:
            own = (q[..., n:, :] * k[..., n:, :]).sum(-1, keepdim=True) * v[..., n:, :]
            out = torch.cat([out[..., :n, :], out[..., n:, :] + own], dim=-2)
        return out


@dataclass(frozen=True)
class CausalMask:
    """Token i reads tokens j <= i, or j < i when `strict`; the first `n_registers` are read by all.

    >>> CausalMask().dense(3).int().tolist()
    [[1, 0, 0], [1, 1, 0], [1, 1, 1]]
    >>> CausalMask(strict=True, n_registers=1).dense(3).int().tolist()
    [[1, 0, 0], [1, 0, 0], [1, 1, 0]]
    """

    strict: bool = False
    n_registers: int = 0

    def __post_init__(self) -> None:
        count_tokens("CausalMask", self.n_registers)

    def dense(self, n_tokens: int) -> Bool[Tensor, "T T"]:
        count_tokens("CausalMask.dense", n_tokens)
        visible = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril(-1 if self.strict else 0)
        visible[:, : self.n_registers] = True
        return visible

    def contract(
        self, q: Float[Tensor, "*B T d"], k: Float[Tensor, "*B T d"], v: Float[Tensor, "*B T e"]
    ) -> Float[Tensor, "*B T e"]:
        check_contract("CausalMask", q, k, v)
        n = self.n_registers
        written = k.unsqueeze(-1) * v.unsqueeze(-2)  # [*B, T, d, e]
        past = written[..., n:, :, :]
        if (
            self.strict
        ):  # shifted by one rather than "sum minus own term", which would round differently
            past = torch.cat([torch.zeros_like(past[..., :1, :, :]), past[..., :-1, :, :]], dim=-3)
        memory = torch.cat([torch.zeros_like(written[..., :n, :, :]), past], dim=-3).cumsum(-3)
        memory = memory + written[..., :n, :, :].sum(-3, keepdim=True)
        return (q.unsqueeze(-2) @ memory).squeeze(-2)


@dataclass(frozen=True)
class PairCausalMask:
    """`n_pairs` context tokens, then `n_pairs` queries; query j reads pairs before j and itself.

    One pass gives a prediction at every context length. Context token j reads contexts i <= j.

    >>> PairCausalMask(2).dense(4).int().tolist()
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 0, 1]]
    """

    n_pairs: int

    def __post_init__(self) -> None:
        count_tokens("PairCausalMask", self.n_pairs)

    def dense(self, n_tokens: int) -> Bool[Tensor, "T T"]:
        count_tokens("PairCausalMask.dense", n_tokens)
        n = self.n_pairs
        self.check("dense", n_tokens)
        visible = torch.zeros(n_tokens, n_tokens, dtype=torch.bool)
        visible[:n, :n] = CausalMask().dense(n)
        visible[n:, :n] = CausalMask(strict=True).dense(n)
        return visible.fill_diagonal_(True)

    def contract(
        self, q: Float[Tensor, "*B T d"], k: Float[Tensor, "*B T d"], v: Float[Tensor, "*B T e"]
    ) -> Float[Tensor, "*B T e"]:
        check_contract("PairCausalMask", q, k, v)
        n = self.n_pairs
        self.check("contract", q.shape[-2])
        context = CausalMask().contract(q[..., :n, :], k[..., :n, :], v[..., :n, :])
        past = CausalMask(strict=True).contract(q[..., n:, :], k[..., :n, :], v[..., :n, :])
        own = (q[..., n:, :] * k[..., n:, :]).sum(-1, keepdim=True) * v[..., n:, :]
        return torch.cat([context, past + own], dim=-2)

    def check(self, call: str, n_tokens: int) -> None:
        if n_tokens != 2 * self.n_pairs:
            raise ValueError(
                f"PairCausalMask({self.n_pairs}).{call}({n_tokens}): {self.n_pairs} pairs need {2 * self.n_pairs} tokens, contexts then"
                f" queries; PairCausalMask(n_pairs={n_tokens // 2}) fits {n_tokens // 2 * 2} tokens"
            )
