"""Where in a forward pass: the stream, the heads of a group, the units of an MLP; which block, which tokens."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from metarep_lib.contents import Contents


@dataclass(frozen=True, eq=False, repr=False)
class Stream(Contents):
    """The residual stream after `block` blocks (0: the embedding), or of that block after its attention.

    direction: a name of the stream, a matrix [d_model, s] with orthonormal columns that span a subspace, or None for all channels.
    tokens: a group ("support", "query", "aggregator", "sink"), or None for all tokens.
    """

    block: int
    direction: str | Tensor | None = None
    tokens: str | None = None
    half: Literal["attention", "mlp"] = "mlp"

    @property
    def part(self) -> str:
        return "stream" if self.half == "mlp" else self.half


@dataclass(frozen=True)
class Heads:
    """What one head of a group writes (None: what all of them write), for the tokens that read it."""

    block: int
    which: int | None = None
    group: int = 0
    tokens: str | None = None

    @property
    def part(self) -> str:
        return f"heads {self.group}"


@dataclass(frozen=True)
class Units:
    """What one gated unit of the MLP writes (None: what all of them write)."""

    block: int
    which: int | None = None
    tokens: str | None = None
    part = "units"
