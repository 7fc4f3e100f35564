"""What was identified: the blind line-up, and trained networks case by case, in tables."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from metarep_lib.studies.cases import Cases, won
from metarep_lib.studies.sweep import Swept

__all__ = [
    "DESIGNS",
    "Called",
    "alike",
    "at_equal_counts",
    "called",
    "confusion",
    "gains",
    "marks",
    "misfits",
    "named",
    "shown",
]

DESIGNS = ("prior", "clusters")
Row = Mapping
SHORT = {
    "conjugate gradient": "CG",
    "gradient descent": "GD",
    "exponential kernel": "exp. kernel",
}


def shown(name: str) -> str:
    """A candidate's name, shortened.

    >>> shown("conjugate gradient (primal)"), shown("gradient descent")
    ('CG (primal)', 'GD')
    """
    for long, short in SHORT.items():
        name = name.replace(long, short)
    return name


@dataclass(frozen=True)
class Called:
    """What a blind line-up was called, read with one kind of readout.

    Args:
        known: The networks that run a candidate.
        strangers: Those that run none.
        right: Those that are called what they run, "none" included.
        silent: The known that are called "none".
    """

    known: Sequence[Row]
    strangers: Sequence[Row]
    right: Sequence[Row]
    silent: Sequence[Row]

    @property
    def count(self) -> int:
        return len(self.known) + len(self.strangers)

    @property
    def wrong(self) -> int:
        """How many are called by the name of what they do not run."""
        return self.count - len(self.right) - len(self.silent)

    @property
    def rows(self) -> list[Row]:
        return [*self.known, *self.strangers]

    def labels(self, candidates: Iterable[str]) -> list[str]:
        """The names that were run or said, in the order of the candidates, and none."""
        met = {row[of] for row in self.rows for of in ("label", "said")}
        return [*(name for name in candidates if name in met), "none"]

    def nearest(self, row: Row) -> str | None:
        """The candidate with the smallest misfit; None where no layer said anything."""
        return min(row["misfits"], key=row["misfits"].get) if row["misfits"] else None


def called(rows: Sequence[Row], readout: str) -> Called:
    """The rows of the sweep `blind-identification` that were read in one way."""
    held = [row for row in rows if row["readout"] == readout]
    return Called(
        known=[row for row in held if row["label"] != "none"],
        strangers=[row for row in held if row["label"] == "none"],
        right=[row for row in held if row["said"] == row["label"]],
        silent=[row for row in held if row["said"] == "none" != row["label"]],
    )


def confusion(rows: Sequence[Row], labels: Sequence[str]) -> np.ndarray:
    """[labels, labels] how many networks run what the row says and were called what the column says; NaN for none.

    >>> confusion([{"label": "a", "said": "b"}], ["a", "b"]).tolist()
    [[nan, 1.0], [nan, nan]]
    """
    found = np.zeros((len(labels), len(labels)))
    for row in rows:
        found[labels.index(row["label"]), labels.index(row["said"])] += 1
    return np.where(found > 0, found, np.nan)


def named(swept: Swept, candidates: Sequence[str], kind: str) -> Cases:
    """The cases of all networks whose name begins like this, a regular expression."""
    networks = [name for name in swept.knobs["network"] if re.match(kind, name)]
    return Cases(swept, candidates, networks)


def misfits(kinds: Iterable[Cases], design: str, most: float = np.inf) -> np.ndarray:
    """[kinds, cases, candidates] of kinds with as many cases each, cut off at the most."""
    held = [np.minimum(kind.held(f"misfits_{design}"), most) for kind in kinds]
    return np.stack([one.reshape(-1, one.shape[-1]) for one in held])


def gains(swept: Swept, network: str, n_bins: int) -> np.ndarray:
    """[layers, bins] gain by eigenvalue of one network on its own prior, first draw."""
    return swept.values("gains_prior", network=network)[0].reshape(-1, n_bins)


def marks(cases: Cases) -> np.ndarray:
    """[networks, 6] of the last layer, medians over draws: what needs no candidate, and the nearest conjugate gradient.

    The gap from additivity, what the fitted filter and the fitted polynomial leave; of the conjugate
    gradient that fits best its misfit, its gap, and its misfit where it is as additive as the network.
    """
    alone = [cases.last(mark) for mark in ("additivity", "filter_prior", "polynomial_prior")]
    of_kinds = np.median(cases.held("by_ridge"), 1)  # [networks, kinds, 3]
    nearest = [min(kinds.tolist()) for kinds in of_kinds]
    return np.column_stack([*(np.median(mark, 1) for mark in alone), nearest])


def alike(cases: Cases) -> np.ndarray:
    """[candidates, designs] in how many cases a candidate is not told apart from the nearest."""
    return np.array(
        [
            [int((cases.above_best(name, design) <= 1e-9).sum()) for design in DESIGNS]
            for name in cases.candidates
        ]
    )


def at_equal_counts(cases: Cases) -> np.ndarray:
    """[designs, 4] in how many the ridge path is better by the paired interval, and conjugate gradient: one number each, then a ridge each layer."""
    return np.array(
        [
            [
                count
                for each_layer in (False, True)
                for count in won(cases.equal_counts(design, each_layer=each_layer))
            ]
            for design in DESIGNS
        ]
    )
