"""Which of the tuned candidates a network runs, on prompts that nothing was tuned on."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.contents import Contents
from metarep_lib.evidence.identify.candidates import Posed
from metarep_lib.evidence.identify.tuning import SAME, Fit
from metarep_lib.evidence.intervals import paired_interval


@dataclass(frozen=True, eq=False, repr=False)
class Verdict(Contents):
    """What can be said of one network.

    Args:
        name: of the simplest candidate that it runs, or "none".
        misfits: candidate -> mean misfit on the prompts it was judged on.
        intervals: candidate -> paired interval of its misfit minus that of the best.
        fits: candidate -> how it was tuned.
    """

    name: str
    misfits: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    fits: dict[str, Fit]

    @property
    def best(self) -> str:
        return min(self.misfits, key=self.misfits.get)


@asked(observed=floats("L B q"))
def judge(fits: Sequence[Fit], posed: Posed, observed: Tensor, *, same: float = SAME) -> Verdict:
    """Hold tuned candidates against a network on prompts that nothing was tuned on.

    The name is that of the candidate with the fewest fitted numbers among those with a misfit of at most `same`.
    """
    check("judge", fits, posed, observed)
    per_prompt = {
        one.candidate.name: one.misfits(posed, observed).nan_to_num(1e6).numpy() for one in fits
    }
    misfits = {name: float(values.mean()) for name, values in per_prompt.items()}
    best = min(misfits, key=misfits.get)
    intervals = {
        name: tuple(paired_interval(torch.from_numpy(values - per_prompt[best]))[1:])
        for name, values in per_prompt.items()
    }
    of_name = {one.candidate.name: one for one in fits}
    numbers = {name: one.candidate.numbers(len(observed)) for name, one in of_name.items()}
    alike = [name for name, misfit in misfits.items() if misfit <= same]
    name = min(alike, key=lambda name: (numbers[name], misfits[name]), default="none")
    return Verdict(name, misfits, intervals, of_name)


@asked(observed=floats("L B q"))
def compared(one: Fit, other: Fit, posed: Posed, observed: Tensor) -> list[float]:
    """Misfit of one tuned candidate minus that of another on prompts that neither was tuned on, and its paired interval.

    Args:
        one, other: of equal `candidate.numbers`, if the comparison is to be fair.
        posed: the prompts.
        observed: [L, B, q] the predictions of the layers.
    """
    check("compared", [one, other], posed, observed)
    first, second = (fit.misfits(posed, observed).nan_to_num(1e6) for fit in (one, other))
    return paired_interval(first - second)


def check(call: str, fits: Sequence[Fit], posed: Posed, observed: Tensor) -> None:
    """Whether the predictions are those of the layers the fits were tuned to, on these prompts.

    Raises:
        ValueError: they are not.
    """
    expected = [len(posed.prompt.phi), posed.prompt.n_query]
    if list(observed.shape[1:]) != expected or not fits:
        raise ValueError(
            f"{call}({len(fits)} fits, observed={list(observed.shape)}): expected one fit or more, and"
            f" predictions at every query, [L, {expected[0]}, {expected[1]}]"
        )
    if any(len(observed) != len(one.steps) for one in fits):
        raise ValueError(
            f"{call}(observed={list(observed.shape)}): the fits were tuned to"
            f" {len(fits[0].steps)} layers, expected as many"
        )
