"""Could these prompts tell two candidates apart, at the accuracy at hand?

A candidate plays the network: it says what it was tuned to say, and beside it, prompt by prompt, what some candidate leaves of the *network*
on another prompt, so that it is as far from its own description as the network is from that one's. A rival is tuned to that on the tuning
half and judged on the other half, as it was for the network. If the paired interval of the two misfits is above zero, the prompts tell the
pair apart. Where a verdict hangs on a pair, what is left is what the candidate itself leaves; for all pairs, what the nearest one does.
"""

from dataclasses import dataclass, field

from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.evidence.identify import compared, fit_candidate
from metarep_lib.evidence.identify.tuning import SAME, Fit, speaking
from metarep_lib.examine.readings import Reading, Readings

QUICK = {
    "draws": 6,
    "starts": 1,
    "tolerance": 1e-4,
    "simplex": 40,
}  # for the tuning of a rival to what was simulated


@dataclass(frozen=True, eq=False, repr=False)
class Power(Contents):
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
    tried: dict[tuple[str, str, str], bool] = field(default_factory=dict)
    played: dict[tuple[str, str], Reading] = field(default_factory=dict)

    def tells(self, truth: str, rival: str, left_by: str | None = None) -> bool:
        """Whether the rival would be seen to be wrong, if the truth were so; what is left of the network is that of the truth, or of another."""
        key = (truth, left_by or truth)
        if (*key, rival) not in self.tried:
            said = self.played.setdefault(key, self.simulated(*key))
            self.tried[*key, rival] = self.told(said, self.fits[truth], self.fits[rival])
        return self.tried[*key, rival]

    def simulated(self, truth: str, left_by: str) -> Reading:
        """What the network would say if it ran the truth, and were as inaccurate as it is to `left_by`."""
        posed = (self.readings.tuning, self.readings.judging)
        return tuple(
            as_inaccurate(
                self.fits[truth].predict(one), said - self.fits[left_by].predict(one), said
            )
            for one, said in zip(posed, self.reading)
        )

    def told(self, said: Reading, truth: Fit, rival: Fit) -> bool:
        """Whether the two are told apart on what was simulated."""
        tuning, judging = self.readings.tuning, self.readings.judging
        tuned = fit_candidate(
            rival.candidate, tuning, said[0], seed=self.seed, known=rival.logs, **QUICK
        )
        mean, low, _ = compared(tuned, truth, judging, said[1])
        return low > 0 and mean > self.same


def as_inaccurate(predicted: Tensor, left: Tensor, said: Tensor) -> Tensor:
    """[L, B, q] a prediction and what was left of the prompt before it in the batch; layers that do not speak stay silent.

    >>> import torch
    >>> as_inaccurate(torch.tensor([[[1.0], [2.0]]]), torch.tensor([[[0.5], [0.0]]]), torch.ones(1, 2, 1)).flatten().tolist()
    [1.0, 2.5]
    """
    return (predicted + left.roll(1, dims=-2)) * speaking(said).view(-1, 1, 1)
