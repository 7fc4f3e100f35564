"""A prompt as a network reads it: tokens, mask, and the way back from tokens to supports and queries.

Letters: B batch (any leading axes), k supports, q queries, T tokens of a pass, D channels.

Most networks answer all queries of a prompt in one pass. Where a query has to be the last token of a causal
sequence, every query has a pass of its own; who asks for the stream at supports or queries sees no difference.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.network.masks import Mask


class Grouped:
    """Tokens of a pass by the name of their group, and the way between passes and prompts.

    Attributes:
        groups: name -> its tokens of a pass; "support" are those that hold y_i, "query" those that answer.
        has_passes: whether each query has a pass of its own.
    """

    groups: Mapping[str, slice]
    has_passes: bool

    def at(self, x: Tensor, group: str) -> Tensor:
        """[..., *B, n, D] the part of x [..., *P, T, D] that belongs to a group; P = B, or (B, q) with passes.

        Raises:
            KeyError: no such group, with those there are.
            ValueError: tokens that differ from one query's pass to the next, where one value is asked for.
        """
        self.check(group)
        part = x[..., self.groups[group], :]
        if not self.has_passes:
            return part
        if group == "query":
            return part.squeeze(-2)
        if not part.shape[-3]:
            raise ValueError(
                f"{group!r} of a prompt without queries: this network has one pass for every query;"
                " this would work: a prompt with a query"
            )
        return part[..., 0, :, :]

    def put(self, x: Tensor, group: str, value: Tensor) -> Tensor:
        """x with the part that belongs to a group replaced, in every pass: the inverse of `at`."""
        if self.has_passes:
            value = value.unsqueeze(-2 if group == "query" else -3)
        changed = x.clone()
        changed[..., self.groups[group], :] = value
        return changed

    def check(self, group: str) -> None:
        if not isinstance(group, str) or group not in self.groups:
            raise KeyError(f"no tokens {group!r}; there are {', '.join(self.groups)}")

    def check_passes(self, resid: Tensor, group: str) -> None:
        """Refuse a group whose stream is not one and the same in the pass of every query.

        Raises:
            ValueError: naming the group.
        """
        if not self.has_passes or group == "query" or not resid.numel():
            return
        part = resid[..., self.groups[group], :]
        if not torch.allclose(part, part[..., :1, :, :], rtol=1e-3, atol=1e-5, equal_nan=True):
            raise ValueError(
                f"the stream of {group!r} differs from one query's pass to the next:"
                " this would work: prompts of one query each"
            )


@dataclass(frozen=True, eq=False, repr=False)
class Question(Grouped, Contents):
    """Tokens [*B, T, d_input], or [*B, q, T, d_input] where each query has a pass of its own.

    Args:
        tokens: what the network reads.
        mask: who reads whom.
        groups: name -> its tokens of a pass; "support" are those that hold y_i, "query" those that answer.
        has_passes: whether each query has a pass of its own.
    """

    tokens: Tensor
    mask: Mask
    groups: Mapping[str, slice]
    has_passes: bool = False

    def size(self, group: str) -> int:
        """How many tokens of a prompt a group has."""
        if self.has_passes and group == "query":
            return self.tokens.shape[-3]
        return len(range(*self.groups[group].indices(self.tokens.shape[-2])))
