"""What a stored identification says, case by case: a case is one trained network and one draw of prompts.

A verdict that one draw of prompts gives and another does not is none, so nothing here averages over draws: what is asked is in how many
cases something is so, or what is the least and the most over all of them. Letters: N networks, S draws of prompts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from metarep_lib.asked import asked, that
from metarep_lib.asked.rules import Rule, Sizes
from metarep_lib.contents import shown
from metarep_lib.studies.sweep import Swept


def is_of_networks(sweep: Swept) -> bool:
    return {"network", "seed"} <= sweep.knobs.keys()


def why_not_swept(networks: Sequence[str], sizes: Sizes) -> str:
    there = sizes["=sweep"].knobs["network"] if "=sweep" in sizes else networks
    return "" if networks and set(networks) <= set(there) else f"is {shown(networks)}"


def are_intervals(pairs: np.ndarray) -> bool:
    return np.shape(pairs)[1:] == (3,)


@asked(
    sweep=that(
        "a sweep over network and seed, as load_sweep('identification-trained') is", is_of_networks
    ),
    networks=Rule("one or more of the sweep's, e.g. sweep.knobs['network']", why_not_swept),
)
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

    def of_candidate(self, result: str, candidate: str) -> np.ndarray:
        """[N, S] a result that has a number for every candidate."""
        held = self.held(result)
        if candidate not in self.candidates or held.shape[-1] != len(self.candidates):
            raise KeyError(
                f"Cases: {shown(candidate)} is not among the {held.shape[-1]} candidates of {result};"
                f" there are {', '.join(self.candidates)}"
            )
        return held[..., list(self.candidates).index(candidate)]

    def misfit(self, candidate: str, design: str = "prior") -> np.ndarray:
        """[N, S] of a candidate."""
        return self.of_candidate(f"misfits_{design}", candidate)

    def above_best(self, candidate: str, design: str = "prior") -> np.ndarray:
        """[N, S] lower end of the paired interval for its misfit minus that of the best."""
        return self.of_candidate(f"low_{design}", candidate)

    def beyond_one_product(self, design: str = "prior") -> np.ndarray:
        """[N, S] what the best polynomial of one product a layer leaves of the last layer, over what the best filter leaves."""
        return self.last(f"polynomial_{design}") / self.last(f"filter_{design}")

    @asked()
    def equal_counts(self, design: str, *, each_layer: bool, kind: int = -1) -> np.ndarray:
        """[N S, 3] misfit of conjugate gradient minus that of a ridge path of as many numbers, and the ends of its paired interval.

        Args:
            design: of the prompts.
            each_layer: a ridge for every layer, else few numbers.
            kind: of conjugate gradient; the one that fits the tuning prompts best when left out.
        """
        few, each = np.split(self.held(f"equal_{design}"), 2, axis=2)
        n_kinds = each.shape[2]
        if not -n_kinds <= kind < n_kinds:
            raise IndexError(f"equal_counts(kind={kind}): expected a kind from 0 to {n_kinds - 1}")
        return (each if each_layer else few)[:, :, kind].reshape(-1, 3)

    def steady(self, design: str) -> np.ndarray:
        """[N] whether the same candidate is nearest under all draws."""
        best = self.held(f"misfits_{design}").argmin(-1)
        return (best == best[:, :1]).all(-1)


@asked(pairs=that("an array [n, 3]: difference, low, high", are_intervals))
def won(pairs: np.ndarray) -> tuple[int, int]:
    """Of paired intervals [n, 3]: how many lie above zero, and how many below.

    >>> won(np.array([[2.0, 1.0, 3.0], [0.0, -1.0, 1.0], [-2.0, -3.0, -1.0], [5.0, 4.0, 6.0]]))
    (2, 1)
    """
    pairs = np.asarray(pairs)
    return int((pairs[:, 1] > 0).sum()), int((pairs[:, 2] < 0).sum())
