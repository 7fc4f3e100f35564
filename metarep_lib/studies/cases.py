"""What a stored identification says, case by case: a case is one trained network and one draw of prompts.

A verdict that one draw of prompts gives and another does not is none, so nothing here averages over draws: what is asked is in how many
cases something is so, or what is the least and the most over all of them. Letters: N networks, S draws of prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metarep_lib.studies.sweep import Swept


@dataclass(frozen=True)
class Cases:
    """The cases of some networks in a sweep like `identification-trained`, whose results its file describes.

    Args:
        sweep: as stored.
        candidates: the names of the candidates, in the order of `misfits_*`.
        networks: which networks.
    """

    sweep: Swept
    candidates: Sequence[str]
    networks: Sequence[str]

    @property
    def count(self) -> int:
        """N S."""
        return len(self.networks) * len(self.sweep.knobs["seed"])

    def held(self, result: str) -> np.ndarray:
        """[N, S, ...] one result; by layer only of networks of one depth."""
        return np.stack([self.sweep.values(result, network=name) for name in self.networks])

    def last(self, result: str) -> np.ndarray:
        """[N, S] a result at the last layer, whatever the depths."""
        return np.stack(
            [self.sweep.values(result, network=name)[..., -1] for name in self.networks]
        )

    def misfit(self, candidate: str, design: str = "prior") -> np.ndarray:
        """[N, S] of a candidate."""
        return self.held(f"misfits_{design}")[..., self.candidates.index(candidate)]

    def above_best(self, candidate: str, design: str = "prior") -> np.ndarray:
        """[N, S] lower end of the paired interval for its misfit minus that of the best."""
        return self.held(f"low_{design}")[..., self.candidates.index(candidate)]

    def beyond_one_product(self, design: str = "prior") -> np.ndarray:
        """[N, S] what the best polynomial of one product a layer leaves of the last layer, over what the best filter leaves."""
        return self.last(f"polynomial_{design}") / self.last(f"filter_{design}")

    def equal_counts(self, design: str, *, each_layer: bool, kind: int = -1) -> np.ndarray:
        """[N S, 3] misfit of conjugate gradient minus that of a ridge path of as many numbers, and the ends of its paired interval.

        Args:
            design: of the prompts.
            each_layer: a ridge for every layer, else few numbers.
            kind: of conjugate gradient; the one that fits the tuning prompts best when left out.
        """
        few, each = np.split(self.held(f"equal_{design}"), 2, axis=2)
        return (each if each_layer else few)[:, :, kind].reshape(-1, 3)

    def steady(self, design: str) -> np.ndarray:
        """[N] whether the same candidate is nearest under all draws."""
        best = self.held(f"misfits_{design}").argmin(-1)
        return (best == best[:, :1]).all(-1)


def won(pairs: np.ndarray) -> tuple[int, int]:
    """Of paired intervals [n, 3]: how many lie above zero, and how many below.

    >>> won(np.array([[2.0, 1.0, 3.0], [0.0, -1.0, 1.0], [-2.0, -3.0, -1.0], [5.0, 4.0, 6.0]]))
    (2, 1)
    """
    return int((pairs[:, 1] > 0).sum()), int((pairs[:, 2] < 0).sum())
