"""Where the supports and the queries of a prompt stand among the tokens of a foreign module.

PREFIX        s_1 ... s_k, x_1 ... x_q            one pass for all queries
INTERLEAVED   x_1, y_1, ..., x_k, y_k, x          a pass for every query, which is its last token
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from metarep_lib.asked import AskedWrongly, asked
from metarep_lib.contents import shown
from metarep_lib.network.question import Grouped
from metarep_lib.prompt import Prompt


@dataclass(frozen=True)
class Where:
    """Which tokens of a pass are what.

    Args:
        groups: (supports, queries) of a pass to group -> its tokens, as slices. "support" are those that hold y_i, one a support,
            "query" those that answer, one a query; others are free.
        has_passes: each query is asked in a pass of its own, as a causal network has to be that answers at its last token.

    >>> INTERLEAVED.groups(3, 1)
    {'support': slice(1, 6, 2), 'support input': slice(0, 6, 2), 'query': slice(6, 7, None)}
    """

    groups: Callable[[int, int], Mapping[str, slice]]
    has_passes: bool = False

    @asked()
    def positions(self, prompt: Prompt) -> "Positions":
        """The tokens of a prompt.

        Raises:
            AskedWrongly: no slices, no supports or queries, or another number of them than the prompt has.
        """
        q = 1 if self.has_passes else prompt.n_query
        groups = self.groups(prompt.n_support, q)
        expected = {"support": prompt.n_support, "query": q}
        is_mapping = isinstance(groups, Mapping)
        reasons = [] if is_mapping else [f"{shown(groups)} came back, expected a mapping"]
        if is_mapping and (missing := expected.keys() - groups.keys()):
            reasons.append(f"no tokens for {', '.join(sorted(missing))}")
        for name, place in groups.items() if is_mapping else ():
            if not is_slice(place):
                reasons.append(f"{name!r} is at {shown(place)}, expected a slice from 0 on")
            elif name in expected and length(place) != expected[name]:
                reasons.append(f"{name!r} has {length(place)} tokens, expected {expected[name]}")
        if reasons:
            raise AskedWrongly(
                f"Where.groups({prompt.n_support}, {q})"
                + "".join(f"\n  - {reason}" for reason in reasons)
                + '\nthis would work: Where(lambda k, q: {"support": slice(0, k), "query": slice(k, k + q)})'
            )
        return Positions(dict(groups), self.has_passes, prompt.n_query)

    def asked(self, prompt: Prompt) -> Prompt:
        """The prompt as passes, with one batch axis: [N, k, p], and one query each where queries have passes of their own."""
        batch, phi, y, x = prompt.phi.shape[:-2], prompt.phi, prompt.y, prompt.phi_query
        if self.has_passes:
            at, q = len(batch), prompt.n_query
            phi, y = (part.unsqueeze(at).expand(*batch, q, *part.shape[at:]) for part in (phi, y))
            x = x.unsqueeze(-2)
        lead = phi.ndim - 2
        parts = (part.reshape(-1, *part.shape[lead:]) for part in (phi, y, x))
        return Prompt(*parts, prompt.ridge)

    def passes(self, prompt: Prompt) -> tuple[int, ...]:
        """The leading axes that `asked` made one of: *B, or (*B, q)."""
        batch = tuple(prompt.phi.shape[:-2])
        return (*batch, prompt.n_query) if self.has_passes else batch


@dataclass(frozen=True)
class Positions(Grouped):
    """The tokens of one prompt."""

    groups: Mapping[str, slice]
    has_passes: bool
    n_query: int

    def size(self, group: str) -> int:
        """How many tokens of a prompt a group has."""
        own = self.has_passes and group == "query"
        return self.n_query if own else length(self.groups[group])

    def check_inside(self, call: str, x: Tensor) -> None:
        """Refuse a stream [..., T, D] that has no tokens where some are looked for.

        Raises:
            AskedWrongly: with the number there is.
        """
        for name, place in self.groups.items():
            if length(place) and range(*place.indices(sys.maxsize))[-1] >= x.shape[-2]:
                raise AskedWrongly(
                    f"{call}: where says {name!r} is at {place}, and a pass has {x.shape[-2]} tokens; expected"
                    f" positions from 0 to {x.shape[-2] - 1}, as the tokens of the prompt are"
                )


def length(place: slice) -> int:
    return len(range(*place.indices(sys.maxsize)))


def is_slice(place: object) -> bool:
    if not isinstance(place, slice) or place.stop is None:
        return False
    parts = [part for part in (place.start, place.stop, place.step) if part is not None]
    return all(type(part) is int and part >= 0 for part in parts) and place.step != 0


PREFIX = Where(lambda k, q: {"support": slice(0, k), "query": slice(k, k + q)})
INTERLEAVED = Where(
    lambda k, q: {
        "support": slice(1, 2 * k, 2),
        "support input": slice(0, 2 * k, 2),
        "query": slice(2 * k, 2 * k + q),
    },
    has_passes=True,
)
