"""The report: one table, and the same in words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from metarep_lib.contents import Contents
from metarep_lib.examine.controls import Control
from metarep_lib.examine.marks import Mark
from metarep_lib.examine.ranges import Range
from metarep_lib.examine.verdicts import Word

VERDICTS = ("identified", "excluded", "cannot be told")
SOME = 8  # pairs that are named


@dataclass(frozen=True)
class Finding:
    """A row of the report: one candidate.

    Args:
        candidate: its name.
        verdict: identified, excluded, or cannot be told, on these prompts.
        why: the reason, in words.
        numbers: how many real numbers were fitted, a scale for each layer aside.
        misfit: the part of the layers that were judged which it leaves unexplained; of the answers alone where layers cannot be read.
        low, high: the 95 % interval of that, over prompts.
        last: the same of the last layer alone.
        verdict_last: the verdict there.
        lens: the same of a fitted readout ("tuned lens") of the layers; None where there is none. It looks ahead, and decides nothing.
    """

    candidate: str
    verdict: Word
    why: str
    numbers: int
    misfit: float
    low: float
    high: float
    last: float
    verdict_last: Word
    lens: float | None = None


@dataclass(frozen=True, eq=False, repr=False)
class Report(Contents):
    """What can be said of a network on some prompts; `print(report)` says it in words.

    Args:
        network, prompts: what was examined, in words.
        rows: one for every candidate.
        nearest: the candidate of the smallest misfit, which is no finding by itself.
        read: which layers were judged, and what their head is deaf to, in words.
        pairs: (truth, rival) -> whether these prompts would tell them apart at the accuracy at hand.
        marks: what needs no candidate.
        ranges: of parameters, for what is identified, else for the nearest candidate and the simplest open one.
        controls: each beside the network's own number.
        not_tried: (what, why).
    """

    network: str
    prompts: str
    rows: Sequence[Finding]
    nearest: str
    read: str = field(repr=False)
    pairs: dict[tuple[str, str], bool] = field(repr=False)
    marks: Sequence[Mark] = field(repr=False)
    ranges: Sequence[Range] = field(repr=False)
    controls: Sequence[Control] = field(repr=False)
    not_tried: Sequence[tuple[str, str]] = field(repr=False)

    @property
    def identified(self) -> str | None:
        """The name of the candidate that the network runs, or None."""
        return next(iter(self.called("identified")), None)

    def called(self, verdict: Word) -> list[str]:
        """The candidates of one verdict.

        >>> report = Report("it", "them", [Finding("Newton", "excluded", "", 2, 1.0, 1.0, 1.0, 1.0, "excluded")], "", "", {}, [], [], [], [])
        >>> report.called("excluded"), report.identified
        (['Newton'], None)
        """
        return [row.candidate for row in self.rows if row.verdict == verdict]

    def __getitem__(self, candidate: str) -> Finding:
        """The row of one candidate.

        Raises:
            KeyError: no such candidate, with those there are.
        """
        held = {row.candidate: row for row in self.rows}
        if candidate not in held:
            raise KeyError(f"report[{candidate!r}]: it has {', '.join(held)}")
        return held[candidate]

    def __str__(self) -> str:
        parts = [
            f"{self.network}\n{self.prompts}\n{self.read}",
            self.of_identified(),
            listed(
                "Excluded on these prompts (in brackets what each leaves)", self.grouped("excluded")
            ),
            listed("Cannot be told on these prompts", self.grouped("cannot be told")),
            self.of_power(),
            self.of_last(),
            self.of_lens(),
            listed("Marks", (f"{one.name}: {one.value:.2g}; {one.says}" for one in self.marks)),
            listed("Parameters that fit as well as the best", self.of_ranges()),
            listed("Controls", self.of_controls()),
            listed("Not tried", (f"{what}: {why}" for what, why in self.not_tried)),
        ]
        return "\n\n".join(part for part in parts if part)

    def of_identified(self) -> str:
        """What is identified, or what is nearest, and that this names nobody."""
        near, name = self[self.nearest], self.identified
        if name:
            return f"Identified: {name}, which leaves {self[name].misfit:.1g}."
        return (
            f"Identified: nothing. The nearest candidate, {near.candidate}, leaves {near.misfit:.2g}"
            f" ({near.low:.2g} to {near.high:.2g}); to be nearest names nobody."
        )

    def grouped(self, verdict: Word) -> list[str]:
        """The candidates of one verdict, those with the same reason in one line."""
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.verdict == verdict:
                reasons.setdefault(row.why, []).append(f"{row.candidate} ({row.misfit:.2g})")
        return [f"{why}: {', '.join(names)}" for why, names in reasons.items()]

    def of_power(self) -> str:
        """How many pairs these prompts tell apart, whichever of the two is true, and which not."""
        if not self.pairs:
            return ""
        every = {frozenset(pair) for pair in self.pairs}
        blind = {
            frozenset(pair): " and ".join(pair) for pair, told in self.pairs.items() if not told
        }
        head = f"Power: at this accuracy these prompts would tell {len(every) - len(blind)} of {len(every)} pairs of candidates apart"
        some = [*blind.values()][:SOME]
        return (
            head
            + (f"; not {'; '.join(some)}" if blind else "")
            + (f"; and {len(blind) - SOME} more (report.pairs)." if len(blind) > SOME else ".")
        )

    def of_last(self) -> str:
        """The last layer alone."""
        of = {
            word: [row.candidate for row in self.rows if row.verdict_last == word]
            for word in VERDICTS
        }
        return (
            f"The last layer alone: identified {', '.join(of['identified']) or 'nothing'}, {len(of['excluded'])} excluded;"
            f" cannot be told: {', '.join(of['cannot be told']) or 'none'}."
        )

    def of_lens(self) -> str:
        """The fitted readout."""
        rows = [row for row in self.rows if row.lens is not None]
        if not rows:
            return ""
        best = min(rows, key=lambda row: row.lens)
        return f"Through a fitted readout (tuned lens), which looks ahead and decides nothing, the nearest is {best.candidate} ({best.lens:.2g})."

    def of_ranges(self) -> list[str]:
        """A line for each candidate."""
        found: dict[str, list[str]] = {}
        for one in self.ranges:
            found.setdefault(one.candidate, []).append(str(one))
        return [f"{name}: {', '.join(words)}" for name, words in found.items()]

    def of_controls(self) -> list[str]:
        """A line for each measurement: the network's number, then those of its controls."""
        found: dict[str, list[str]] = {}
        for one in self.controls:
            found.setdefault(f"{one.what} {one.network:.2g}", []).append(
                f"{one.name} {one.control:.2g}"
            )
        return [f"{what}; {', '.join(numbers)}" for what, numbers in found.items()]


def listed(head: str, lines: Iterable[str]) -> str:
    """A head and lines below it; nothing where there are none.

    >>> print(listed("Marks", ["one", "another"]))
    Marks:
      - one
      - another
    """
    lines = list(lines)
    return "\n  - ".join([f"{head}:", *lines]) if lines else ""
