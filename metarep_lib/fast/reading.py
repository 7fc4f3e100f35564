"""What stands on the tokens of a layout: which channels are constants, which one number for a whole segment, which one for every token.

Nobody is told: a layout is asked three times, twice with other features and targets, then with another ridge. What all answers share is a
constant; what the first two share and all tokens of a segment have in common is one number; the rest is one number for every token.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from metarep_lib.network.basis import Basis
from metarep_lib.network.layouts import Layout
from metarep_lib.network.masks import CausalMask, PrefixMask
from metarep_lib.network.question import Question
from metarep_lib.prompt import Prompt

PAST, EVERYTHING = "sequence", "tokens"
RIDGES = (0.375, 0.375, 0.625)


@dataclass(frozen=True)
class Reading:
    """Segments of tokens that are treated alike, and how they read one another.

    A prefix mask makes a segment of every group: all of them read those in front (`read_by_all`), nobody the others. A causal mask makes
    one of every register and one of all other tokens (`past`), which read those before them. Under any other mask all tokens are one segment.
    """

    layout: Layout
    inputs: Basis

    @cached_property
    def prompts(self) -> list[Prompt]:
        """Three supports and two queries each."""
        draw = torch.Generator().manual_seed(0)
        p, m = self.inputs.width("phi"), self.inputs.width("y")
        found = []
        for ridge in RIDGES:
            phi, x, y = (
                torch.randn(n, width, generator=draw, dtype=torch.float64)
                for n, width in ((3, p), (2, p), (3, m))
            )
            found.append(Prompt(phi, y.squeeze(-1), x, ridge))
        return found

    @cached_property
    def asked(self) -> list[Question]:
        return [self.layout.question(prompt, self.inputs) for prompt in self.prompts]

    @cached_property
    def is_prefix(self) -> bool:
        """A prefix mask under which no token reads itself, and groups that share out all tokens in order."""
        question = self.asked[0]
        mask, ends = question.mask, [0]
        for part in question.groups.values():
            if part.step not in (None, 1) or part.start != ends[-1]:
                return False
            ends.append(part.stop)
        fits = ends[-1] == question.tokens.shape[-2] and not question.has_passes
        return (
            fits and isinstance(mask, PrefixMask) and not mask.sees_itself and mask.n_prefix in ends
        )

    @cached_property
    def n_registers(self) -> int | None:
        """In front of a causal mask whose other tokens are read by later ones alone; None under another mask."""
        mask = self.asked[0].mask
        return mask.n_registers if isinstance(mask, CausalMask) and mask.n_registers else None

    @cached_property
    def segments(self) -> tuple[str, ...]:
        if self.is_prefix:
            return tuple(self.asked[0].groups)
        if self.n_registers is not None:
            return (*(f"register {i}" for i in range(self.n_registers)), PAST)
        return (EVERYTHING,)

    def slices(self, question: Question) -> dict[str, slice]:
        """Segment -> its tokens."""
        if self.is_prefix:
            return dict(question.groups)
        registers = {f"register {i}": slice(i, i + 1) for i in range(self.n_registers or 0)}
        last = EVERYTHING if self.n_registers is None else PAST
        return {**registers, last: slice(self.n_registers or 0, question.tokens.shape[-2])}

    @cached_property
    def read_by_all(self) -> tuple[str, ...]:
        question = self.asked[0]
        if self.is_prefix:
            return tuple(
                s for s, part in question.groups.items() if part.stop <= question.mask.n_prefix
            )
        return self.segments[:-1]

    @property
    def past(self) -> str | None:
        return PAST if self.n_registers is not None and not self.is_prefix else None

    @property
    def is_known(self) -> bool:
        """Whether it is known who reads whom; otherwise no block is folded."""
        return self.is_prefix or self.n_registers is not None

    def positions(self, hidden: tuple[int, ...]) -> set[str] | None:
        """The segments that stand at these positions alone; None where a position is in a segment with others."""
        places = {
            part.start: s for s, part in self.slices(self.asked[0]).items() if s in self.single
        }
        return {places[i] for i in hidden} if set(hidden) <= places.keys() else None

    @cached_property
    def single(self) -> set[str]:
        """Segments of one token, whatever the prompt."""
        if not self.is_known:
            return set()
        return {s for s, part in self.slices(self.asked[0]).items() if part.stop - part.start == 1}

    def counts(self, question: Question, prompt: Prompt) -> dict[str, int]:
        """Segment -> how many tokens it has; under a prefix mask the question may be a smaller one."""
        found = {
            s: len(range(*part.indices(question.tokens.shape[-2])))
            for s, part in self.slices(question).items()
        }
        own = {"support": prompt.n_support, "query": prompt.n_query} if self.is_prefix else {}
        return found | own

    @cached_property
    def kinds(self) -> dict[tuple[str, int], float | None | str]:
        """(segment, channel) -> the constant it is, None for one number, or what holds a number for every token; zeros are left out."""
        found, (first, again, other) = (
            {},
            (
                question.tokens.flatten(0, -3) if question.has_passes else question.tokens[None]
                for question in self.asked
            ),
        )
        for s, part in self.slices(self.asked[0]).items():
            for c in range(self.inputs.size):
                a, b, d = (x[:, part, c] for x in (first, again, other))
                if self.is_known and bool((a == a[:1, :1]).all()) and torch.equal(a, b):
                    if not torch.equal(a, d):
                        found[s, c] = None
                    elif float(a[0, 0]):
                        found[s, c] = float(a[0, 0])
                else:
                    found[s, c] = self._source(s, c)
        return found

    def _source(self, s: str, c: int) -> str:
        """The tensor of the prompt, and its column, that a channel is a view of; the tokens themselves where there is none."""
        if self.is_prefix:
            question, prompt = self.asked[0], self.prompts[0]
            here = question.tokens[..., question.groups[s], c]
            for name in ("phi", "y", "phi_query"):
                for column, values in enumerate(columns_of(prompt, name)):
                    if torch.equal(here, values):
                        return f"{name} {column}"
        return f"{s} {c}"


def columns_of(prompt: Prompt, name: str) -> Tensor:
    """[*B, width, n] a tensor of a prompt, channels first: a view."""
    held = getattr(prompt, name)
    return held.unsqueeze(-2) if held.ndim < prompt.phi.ndim else held.mT
