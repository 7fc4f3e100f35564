"""Could these prompts tell two candidates apart, at the accuracy at hand?

A candidate plays the network: it says what it was tuned to say, and beside it, prompt by prompt, what it leaves of the *network* on another
prompt, so that it is as far from its own description as the network is. A rival is tuned to that on the tuning half and judged on the other
half, as it was for the network. If the paired interval of the two misfits is above zero, the prompts tell the pair apart.
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from metarep_lib.evidence.identify import compared, fit_candidate
from metarep_lib.evidence.identify.tuning import SAME, Fit
from metarep_lib.examine.readings import Reading, Readings

QUICK = {"draws": 6, "starts": 1, "tolerance": 1e-4, "simplex": 40}  # for the tuning of a rival to what was simulated


@dataclass
class Power:
    """The pairs that were tried so far, for one reading; a pair is tried when it is asked for.

    Args:
        readings: of the network.
        reading: one of them.
        fits: candidate -> how it was tuned to it.
        seed: of the rivals' draws.
        same: the misfit up to which two are the same.
    """

    readings: Readings
    reading: Reading
    fits: dict[str, Fit]
    seed: int = 0
    same: float = SAME
    tried: dict[tuple[str, str], tuple[float, bool]] = field(default_factory=dict)
    played: dict[str, Reading] = field(default_factory=dict)

    def tells(self, truth: str, rival: str) -> bool:
        """Whether the rival would be seen to be wrong, if the truth were so."""
        return self.of(truth, rival)[1]

    def of(self, truth: str, rival: str) -> tuple[float, bool]:
        """(misfit of the rival minus that of the truth, whether its interval is above zero)."""
        if (truth, rival) not in self.tried:
            said = self.played.setdefault(truth, self.simulated(self.fits[truth]))
            self.tried[truth, rival] = self.judged(said, self.fits[truth], self.fits[rival])
        return self.tried[truth, rival]

    def simulated(self, fit: Fit) -> Reading:
        """What the network would say if it ran this candidate, and were as inaccurate as it is."""
        posed = (self.readings.tuning, self.readings.judging)
        return tuple(as_inaccurate(fit.predict(one), said) for one, said in zip(posed, self.reading))

    def judged(self, said: Reading, truth: Fit, rival: Fit) -> tuple[float, bool]:
        """The two held against what was simulated."""
        tuning, judging = self.readings.tuning, self.readings.judging
        tuned = fit_candidate(
            rival.candidate, tuning, said[0], seed=self.seed, known=rival.logs, **QUICK
        )
        mean, low, _ = compared(tuned, truth, judging, said[1])
        return mean, low > 0 and mean > self.same


def as_inaccurate(predicted: Tensor, said: Tensor) -> Tensor:
    """[L, B, q] a prediction and what it misses of the next prompt of the batch; layers that are left out stay so.

    >>> as_inaccurate(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[1.5], [2.0]]])).flatten().tolist()
    [1.0, 2.5]
    """
    speaks = (said.abs().amax((-2, -1), keepdim=True) > 0).to(said)
    return (predicted + (said - predicted).roll(1, dims=-2)) * speaks
