"""From misfits to three words: identified, excluded, or cannot be told on these prompts.

A candidate is *excluded* where another that has no more free numbers (or describes the network to rounding) does better by the paired
interval over prompts, and the prompts could tell the two apart at this accuracy; or where it is a special case of one that is excluded.
It is *identified* where it describes the network to rounding and all others are excluded, but for those that contain it. All else *cannot
be told*, and where even the nearest candidate leaves more than half, everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from metarep_lib.contents import Contents
from metarep_lib.evidence.identify import compared, fit_candidate
from metarep_lib.evidence.identify.candidates import Candidate
from metarep_lib.evidence.identify.tuning import MOST_STEPS, SAME, Fit, speaking
from metarep_lib.evidence.intervals import paired_interval
from metarep_lib.examine.power import Power
from metarep_lib.examine.readings import Reading, Readings

Word = Literal["identified", "excluded", "cannot be told"]
DESCRIBES = 0.5  # a candidate that leaves more than this describes nothing, and excludes nobody


@dataclass(frozen=True, eq=False, repr=False)
class Judged(Contents):
    """One reading, judged.

    Args:
        fits: candidate -> how it was tuned.
        misfits: candidate -> what it leaves, and the ends of the 95 % interval over prompts.
        numbers: candidate -> how many real numbers were fitted to this reading, a scale for each layer aside.
        words: candidate -> verdict.
        why: candidate -> the reason, in words.
        power: of these prompts.
    """

    fits: dict[str, Fit]
    misfits: dict[str, tuple[float, float, float]]
    numbers: dict[str, int]
    words: dict[str, Word]
    why: dict[str, str]
    power: Power

    @property
    def nearest(self) -> str:
        """The candidate of the smallest misfit: no finding by itself."""
        return min(self.misfits, key=self.misfits.get)

    @property
    def identified(self) -> str | None:
        return next((name for name, word in self.words.items() if word == "identified"), None)


def tuned(
    readings: Readings,
    reading: Reading,
    stages: Sequence[Sequence[Candidate]],
    seed: int,
    same: float,
) -> dict[str, Fit]:
    """Candidate -> its fit; the next stage is tried where none of the last describes the network to rounding."""
    fits = {}
    for stage in stages:
        for candidate in stage:
            fits[candidate.name] = fit_candidate(candidate, readings.tuning, reading[0], seed=seed)
        if any(misfit(one, readings, reading)[0] <= same for one in fits.values()):
            break
    return fits


def misfit(fit: Fit, readings: Readings, reading: Reading) -> tuple[float, float, float]:
    """Its misfit on the judging half, and the ends of its interval over prompts."""
    of_prompts = fit.misfits(readings.judging, reading[1]).nan_to_num(1e6)
    return tuple(paired_interval(of_prompts))


def numbers(candidate: Candidate, reading: Reading) -> int:
    """How many numbers are fitted, counting for layers only those that speak."""
    heard = int(speaking(reading[0]).sum())
    per_layer = candidate.may_jump or candidate.ridge_each_layer
    return len(candidate.free(min(len(reading[0]), MOST_STEPS))) + heard * per_layer


def contains(large: Candidate, small: Candidate) -> bool:
    """Whether a candidate holds another as a special case.

    >>> contains(Candidate("momentum"), Candidate("gradient descent")), contains(Candidate("Newton"), Candidate("momentum"))
    (True, False)
    """
    if (large.kernel, large.scaling) != (small.kernel, small.scaling) or large == small:
        return False
    if large.may_jump:
        return "ridge path" in small.method
    if large.method == "falling ridge path":
        return small.method in ("fourfold ridge path", "tenfold ridge path")
    same_method = large.method == small.method or (large.method, small.method) == (
        "momentum",
        "gradient descent",
    )
    return (
        same_method
        and large.scheduled >= small.scheduled
        and large.ridge_each_layer >= small.ridge_each_layer
    )


def excuses(large: Candidate, small: Candidate) -> bool:
    """Whether the larger one fits as well whenever the smaller does, so that it is no evidence against the smaller."""
    of_descent = large.method == "GD++" and small.method == "gradient descent"
    return contains(large, small) or (of_descent and large.kernel == small.kernel)


def judged(
    readings: Readings, reading: Reading, fits: dict[str, Fit], seed: int, same: float = SAME
) -> Judged:
    """The verdict on every candidate that was tuned to a reading."""
    misfits = {name: misfit(fit, readings, reading) for name, fit in fits.items()}
    counts = {name: numbers(fit.candidate, reading) for name, fit in fits.items()}
    power = Power(readings, reading, fits, seed, same)
    words = dict.fromkeys(fits, "cannot be told")
    why = dict.fromkeys(fits, "")
    found = Judged(fits, misfits, counts, words, why, power)
    for name in fits:
        words[name], why[name] = on_its_own(name, found, same)
    inherit(found)
    if name := runs(found, same):
        words[name], why[name] = (
            "identified",
            f"leaves {misfits[name][0]:.0e}, all others are excluded or contain it",
        )
    return found


def on_its_own(name: str, found: Judged, same: float) -> tuple[Word, str]:
    """Whether some rival excludes a candidate, and why not if none does."""
    left, of = found.misfits[name][0], {one: fit.candidate for one, fit in found.fits.items()}
    if left <= same:
        return "cannot be told", f"describes the network up to {left:.0e}, and so do others"
    if found.misfits[found.nearest][0] > DESCRIBES:
        return "cannot be told", "nothing on the list describes the network"
    uneven = ""
    for rival in sorted(found.fits, key=found.misfits.get):
        # what contains a rival is behind it by its tuning alone
        nearer = found.misfits[rival][0] < left and not contains(of[name], of[rival])
        if not nearer or not better(rival, name, found):
            continue
        if found.numbers[rival] > found.numbers[name] and found.misfits[rival][0] > same:
            uneven = uneven or rival
        elif found.power.tells(rival, name):
            return "excluded", f"by {rival}, which leaves {found.misfits[rival][0]:.2g}"
        else:  # the best that may exclude it decides, so that there is one look and not many
            return "cannot be told", f"these prompts cannot tell it from {rival} at this accuracy"
    return "cannot be told", open_because(name, found, uneven)


def open_because(name: str, found: Judged, uneven: str) -> str:
    """Why a candidate is open that nobody may exclude."""
    if uneven:
        return f"only candidates with more free numbers do better, as {uneven} does"
    if name == found.nearest:
        return "is the nearest"
    if contains(found.fits[name].candidate, found.fits[found.nearest].candidate):
        return f"contains {found.nearest}"
    return f"does as well as {found.nearest}, by the interval"


def better(rival: str, name: str, found: Judged) -> bool:
    """Whether a rival leaves less, by the paired interval over prompts."""
    power = found.power
    return (
        compared(found.fits[name], found.fits[rival], power.readings.judging, power.reading[1])[1]
        > 0
    )


def inherit(found: Judged) -> None:
    """Exclude what is a special case of something excluded, and no better than that by its tuning."""
    of = {name: fit.candidate for name, fit in found.fits.items()}
    out = [name for name, word in found.words.items() if word == "excluded"]
    for name in found.fits:
        larger = [
            large
            for large in out
            if contains(of[large], of[name]) and not better(name, large, found)
        ]
        if found.words[name] == "cannot be told" and larger:
            found.words[name], found.why[name] = (
                "excluded",
                "a special case of one that is excluded",
            )


def runs(found: Judged, same: float) -> str | None:
    """The candidate that describes the network to rounding and that every open one contains."""
    alike = [name for name, (left, _, _) in found.misfits.items() if left <= same]
    name = min(alike, key=lambda name: (found.numbers[name], found.misfits[name]), default=None)
    rest = [
        other for other, word in found.words.items() if other != name and word == "cannot be told"
    ]
    of = {one: found.fits[one].candidate for one in found.fits}
    return name if name and all(excuses(of[other], of[name]) for other in rest) else None
