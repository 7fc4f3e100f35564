"""The report: one table, and the same in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from metarep_lib.contents import Contents
from metarep_lib.examine.controls import Control
from metarep_lib.examine.marks import Mark
from metarep_lib.examine.ranges import Range
from metarep_lib.examine.verdicts import Word


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
        ranges: of parameters, for the nearest candidates.
        controls: each beside the network's own number.
        not_tried: (what, why).
    """

    network: str
    prompts: str
    rows: Sequence[Finding]
    nearest: str
    read: str
    pairs: dict[tuple[str, str], bool]
    marks: Sequence[Mark]
    ranges: Sequence[Range]
    controls: Sequence[Control]
    not_tried: Sequence[tuple[str, str]]

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
            *self.verdicts(),
            self.of_power(),
            self.of_last(),
            listed("Marks", (f"{one.name}: {one.value:.2g} ({one.says})" for one in self.marks)),
            listed("Parameters", (f"{name}: {', '.join(of)}" for name, of in self.of_ranges().items())),
            listed("Controls", self.of_controls()),
            listed("Not tried", (f"{what}: {why}" for what, why in self.not_tried)),
        ]
        return "\n\n".join(part for part in parts if part)

    def verdicts(self) -> list[str]:
        """Identified, excluded, cannot be told."""
        near = self[self.nearest]
        name = self.identified
        first = f"Identified: {name} (misfit {self[name].misfit:.1g})." if name else (
            f"Identified: nothing. The nearest candidate, {near.candidate}, leaves {near.misfit:.2g} of it"
            f" ({near.low:.2g} to {near.high:.2g}); being nearest names nobody."
        )
        return [first] + [
            listed(f"{verdict.capitalize()} on these prompts", (f"{row.candidate}, {row.misfit:.2g}: {row.why}" for row in self.rows if row.verdict == verdict))
            for verdict in ("excluded", "cannot be told")
        ]

    def of_power(self) -> str:
        """How many pairs these prompts tell apart, and which not."""
        if not self.pairs:
            return ""
        blind = [f"{rival} from {truth}" for (truth, rival), told in self.pairs.items() if not told]
        head = f"Power: at this accuracy these prompts would tell {len(self.pairs) - len(blind)} of {len(self.pairs)} pairs apart"
        if len(blind) > 12:
            return f"{head}; not {', '.join(blind[:12])}, and {len(blind) - 12} more (report.pairs)."
        return f"{head}{'; not ' + ', '.join(blind) if blind else ''}."

    def of_last(self) -> str:
        """The last layer alone."""
        verdicts = {word: [row.candidate for row in self.rows if row.verdict_last == word] for word in ("identified", "excluded", "cannot be told")}
        return "The last layer alone: " + "; ".join(f"{word}: {', '.join(names) or 'nothing'}" for word, names in verdicts.items()) + "."

    def of_ranges(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for one in self.ranges:
            found.setdefault(one.candidate, []).append(str(one))
        return found

    def of_controls(self) -> list[str]:
        return [f"{one.name}: {one.what} {one.control:.2g} (the network: {one.network:.2g})" for one in self.controls]


def listed(head: str, lines: object) -> str:
    """A head and lines below it; nothing where there are none."""
    lines = list(lines)
    return "\n  - ".join([f"{head}:", *lines]) if lines else ""
