"""Named directions: an ordered list of names, each with its slice of a vector space."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from metarep_lib.asked import asked
from metarep_lib.asked.values import is_whole


def is_name(name: object) -> bool:
    return isinstance(name, str)


def is_width(pair: object) -> bool:
    return isinstance(pair, tuple) and len(pair) == 2 and is_name(pair[0]) and is_whole(pair[1])


@asked()
@dataclass(frozen=True)
class Basis(Mapping[str, slice]):
    """name -> slice, in the order declared (never sorted); `name[2]` is one channel of a direction.

    Args:
        widths: (name, width) pairs.
        scratch: those of the names that an algorithm leaves empty, zero on every token, between two of its steps.

    Raises:
        ValueError: a name twice, a width below one, or scratch that is no name.

    >>> basis = Basis.of(phi=3, y=1, r=1)
    >>> basis["y"], basis.size, basis.width("phi"), list(basis)
    (slice(3, 4, None), 5, 3, ['phi', 'y', 'r'])
    >>> basis["phi[2]"], basis.width("phi[2]"), "phi[3]" in basis
    (slice(2, 3, None), 1, False)
    """

    widths: tuple[tuple[str, int], ...]
    scratch: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not all(map(is_width, self.widths)) or not all(map(is_name, self.scratch)):
            raise ValueError(
                f"Basis(widths={self.widths!r}, scratch={self.scratch!r}): expected pairs of a name and"
                " a width, and names; this would work: Basis((('phi', 2), ('y', 1)), scratch=('y',))"
            )
        names = [name for name, _ in self.widths]
        twice = sorted({name for name in names if names.count(name) > 1})
        empty = [name for name, width in self.widths if width < 1]
        if twice or empty:
            raise ValueError(
                f"Basis({self.widths}): named twice: {twice}; narrower than one channel: {empty}"
            )
        if strangers := [name for name in self.scratch if name not in names]:
            raise ValueError(
                f"Basis(scratch={self.scratch}): {', '.join(map(repr, strangers))} not among {', '.join(names)}"
            )
        ends = accumulate(width for _, width in self.widths)
        places = {name: slice(end - width, end) for (name, width), end in zip(self.widths, ends)}
        object.__setattr__(self, "places", places)  # looked up some ten thousand times a network

    @classmethod
    def of(cls, **widths: int) -> "Basis":
        return cls(tuple(widths.items()))

    @property
    def size(self) -> int:
        return sum(width for _, width in self.widths)

    def width(self, name: str) -> int:
        found = self[name]
        return found.stop - found.start

    def __getitem__(self, name: str) -> slice:
        if isinstance(name, str):
            if name in self.places:
                return self.places[name]
            if channel := re.fullmatch(r"(.*)\[(\d+)\]", name, re.DOTALL):
                whole = self.places.get(channel[1], slice(0, 0))
                if (start := whole.start + int(channel[2])) < whole.stop:
                    return slice(start, start + 1)
        raise KeyError(f"no direction {name!r}; there are {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.widths)

    def __len__(self) -> int:
        return len(self.widths)
