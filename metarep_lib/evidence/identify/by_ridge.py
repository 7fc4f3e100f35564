"""Conjugate gradient at every ridge: how near it comes to one layer of a network, and how far from additive it is there.

Letters: B prompts, q queries, T steps, R ridges.

The gap from additivity of conjugate gradient depends on its ridge, and goes to zero as the ridge grows. So a gap that is measured at one ridge excludes
nothing: the candidate has to be judged at the ridge at which it describes the network best, and by how well it describes the network
where it is as additive as the network.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.evidence.identify.candidates import Candidate, Posed
from metarep_lib.evidence.identify.spectral_marks import additivity_gap


@dataclass(frozen=True, eq=False, repr=False)
class ByRidge(Contents):
    """A candidate against one layer, after every step at every ridge of `RIDGE_PATH`.

    Args:
        tuned: [T, R] misfit on the prompts its scale was fitted on.
        misfit: [T, R] on others.
        gap: [T, R] from additivity, there.
    """

    tuned: Tensor
    misfit: Tensor
    gap: Tensor

    @property
    def best(self) -> tuple[float, float]:
        """(misfit, gap) at the step and the ridge that fit best."""
        place = int(self.tuned.argmin())
        return float(self.misfit.flatten()[place]), float(self.gap.flatten()[place])

    def as_additive(self, gap: float) -> float:
        """The misfit at the step and the ridge that fit best among those whose gap is at most this; infinite if there are none."""
        if not (self.gap <= gap).any():
            return float("inf")
        place = int(torch.where(self.gap <= gap, self.tuned, torch.inf).argmin())
        return float(self.misfit.flatten()[place])


def by_ridge(
    candidate: Candidate,
    logs: Tensor,
    tuning: Posed,
    seen: Tensor,
    judging: Posed,
    judged: Tensor,
    other: Tensor,
    steps: int,
) -> ByRidge:
    """Hold a candidate with a ridge each layer against one layer, at every step and every ridge.

    Args:
        candidate: with `ridge_each_layer`.
        logs: of its other scalars, see `Candidate.path`.
        tuning: prompts on which scales are fitted.
        seen: [B, q] what the layer says about them.
        judging: other prompts.
        judged: [B, q] what the layer says about those.
        other: [B, k] more targets of their law, for the gap.
        steps: T.

    Raises:
        ValueError: a candidate of one ridge.
    """
    if not candidate.ridge_each_layer:
        raise ValueError(
            f"by_ridge({candidate.name!r}): expected a candidate with many ridges,"
            " e.g. Candidate('conjugate gradient', ridge_each_layer=True)"
        )

    def path(posed: Posed) -> Tensor:  # the first step is zero at every ridge
        return candidate.path(posed, logs, steps, tuning)[candidate.at_once :]

    tune, test = path(tuning), path(judging)
    size = tune.square().sum((-2, -1)).clamp(min=1e-300)
    scale = ((tune * seen).sum((-2, -1)) / size).view(-1, 1, 1)
    unexplained = [
        (said - scale * of).square().sum((-2, -1)) / said.square().sum()
        for said, of in ((seen, tune), (judged, test))
    ]
    gap = additivity_gap(lambda prompt: path(Posed.of(prompt)), judging.prompt, other)
    return ByRidge(*(held.view(steps, -1) for held in (*unexplained, gap)))
