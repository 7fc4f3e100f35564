"""Edits of a forward pass as data: where, and what.

*Where* is the residual stream, the heads of a group or the gated units of an MLP: which block, which tokens, which direction.
*What* is a value to put, to add, to scale by, or what the clean pass holds there for another prompt or on average.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, as_tensor

from metarep_lib.construct.assemble import plan
from metarep_lib.construct.program import Program


@dataclass(frozen=True)
class Stream:
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


@dataclass(frozen=True)
class Put:
    """The value itself; `Put(0.0)` on heads or units is zero ablation."""

    value: Tensor | float

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return as_tensor(self.value, dtype=held.dtype, device=held.device)


@dataclass(frozen=True)
class Add:
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


@dataclass(frozen=True)
class Take:
    """What the clean pass holds there for other prompts: prompt b takes from prompt `prompts[b]` of the batch."""

    prompts: Sequence[int]

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return clean[list(self.prompts)]


@dataclass(frozen=True)
class Mean:
    """The mean over the batch of what the clean pass holds there: mean ablation."""

    def __call__(self, held: Tensor, clean: Tensor) -> Tensor:
        return clean.mean(0, keepdim=True)


@dataclass(frozen=True)
class Edit:
    """One edit: what happens where."""

    where: Stream | Heads | Units
    what: Put | Add | Scale | Take | Mean


Intervention = Sequence[Edit]
"""Edits made in the order given where several meet."""


def heads_into(program: Program, target: str, steps: Sequence[int] | None = None) -> list[Heads]:
    """The heads of a constructed network that write to a direction, in every block, or in those of some steps.

    Raises:
        KeyError: no head writes there, with the directions heads write to.

    >>> from metarep_lib.construct.algorithms import conjugate_gradient
    >>> heads_into(conjugate_gradient(n_features=3, steps=2), "sigma")
    [Heads(block=2, which=1, group=0, tokens=None), Heads(block=7, which=1, group=0, tokens=None)]
    """
    found, targets = [], {}
    for block, layer in enumerate(program.layers, start=1):
        for g, heads in enumerate(plan(program, layer.attention, layer.mlp)[1]):
            for h, (into, _) in enumerate(heads):
                targets[into] = None
                if into == target and (steps is None or layer.step in steps):
                    found.append(Heads(block, h, g))
    if target not in targets:
        raise KeyError(
            f"no head of {program.name} writes to {target!r}; heads write to {', '.join(targets)}"
        )
    return found
