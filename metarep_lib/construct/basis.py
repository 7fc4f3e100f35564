"""Named directions: an ordered list of names, each with its slice of a vector space."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate


@dataclass(frozen=True)
class Basis(Mapping[str, slice]):
    """name -> slice, in the order declared (never sorted).

    Args:
        widths: (name, width) pairs.

    Raises:
        ValueError: a name twice, or a width below one.

    >>> basis = Basis.of(phi=3, y=1, r=1)
    >>> basis["y"], basis.size, basis.width("phi"), list(basis)
    (slice(3, 4, None), 5, 3, ['phi', 'y', 'r'])
    """

    widths: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.widths]
        twice = sorted({name for name in names if names.count(name) > 1})
        empty = [name for name, width in self.widths if width < 1]
        if twice or empty:
            raise ValueError(f"Basis({self.widths}): named twice: {twice}; narrower than one channel: {empty}")

    @classmethod
    def of(cls, **widths: int) -> "Basis":
        return cls(tuple(widths.items()))

    @property
    def size(self) -> int:
        return sum(width for _, width in self.widths)

    def width(self, name: str) -> int:
        return dict(self.widths)[name]

    def __getitem__(self, name: str) -> slice:
        ends = accumulate(width for _, width in self.widths)
        for (known, width), end in zip(self.widths, ends):
            if known == name:
                return slice(end - width, end)
        raise KeyError(f"no direction {name!r}; there are {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.widths)

    def __len__(self) -> int:
        return len(self.widths)
