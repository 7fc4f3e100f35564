"""Edits of a forward pass as data: where, and what.

*Where* is the residual stream, the heads of a group or the gated units of an MLP: which block, which tokens, which direction.
*What* is a value to put, to add, to scale by, or what the clean pass holds there for another prompt or on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, as_tensor

from metarep_lib.contents import Contents
from metarep_lib.network.places import Heads, Stream, Units


@dataclass(frozen=True, eq=False, repr=False)
class Put(Contents):
    """The value itself; `Put(0.0)` on heads or units is zero ablation."""

    value: Tensor | float

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return as_tensor(self.value, dtype=held.dtype, device=held.device)


@dataclass(frozen=True, eq=False, repr=False)
class Add(Contents):
    """What is held plus a value."""

    value: Tensor | float

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return held + as_tensor(self.value, dtype=held.dtype, device=held.device)


@dataclass(frozen=True)
class Scale:
    """What is held times a factor."""

    factor: float

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return self.factor * held


@dataclass(frozen=True, eq=False, repr=False)
class Take(Contents):
    """What the clean pass holds there for other prompts: prompt b takes from prompt `prompts[b]` of the batch."""

    prompts: Sequence[int]

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return clean[list(self.prompts)]


@dataclass(frozen=True)
class Mean:
    """The mean over the batch of what the clean pass holds there: mean ablation."""

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return clean.mean(0, keepdim=True)


@dataclass(frozen=True, eq=False, repr=False)
class Edit(Contents):
    """One edit: what happens where."""

    where: Stream | Heads | Units
    what: Put | Add | Scale | Take | Mean


Intervention = Sequence[Edit]
"""Edits made in the order given where several meet."""
