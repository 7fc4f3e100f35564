"""Marks that need no candidate: additive in the targets, reads the ridge, exchangeable supports, isolated queries; and what each excludes.

A number v is the part of the answers (sum of squares, over all prompts) that changes from one way of asking to another. All candidates are
exchangeable and isolated, so they say the same both ways, and by the triangle inequality one leaves at least v / 4 of the answers in one of
the two. A method that is additive in the targets leaves at least v / (1 + sqrt 2)^2 in one of the three ways of asking that make a gap v, if
what is said of either part is smaller by sqrt 2 than what is said of their sum.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metarep_lib.evidence.identify import MATCHED, additivity_gap
from metarep_lib.evidence.identify.by_ridge import by_ridge
from metarep_lib.evidence.identify.candidates import MATCHED_KERNEL, Candidate
from metarep_lib.evidence.identify.tuning import MOST_STEPS
from metarep_lib.examine.readings import Readings, said_by
from metarep_lib.examine.verdicts import Judged
from metarep_lib.network.asking import Answerer
from metarep_lib.prompt import Prompt

NOTHING = 1e-8  # a part that is as good as zero
OTHER_RIDGE = 4.0


@dataclass(frozen=True)
class Mark:
    """One measurement.

    Args:
        name: what was asked.
        value: the part of the answers that changes.
        floor: what it makes every candidate (additivity: every additive one) leave unexplained, at least.
        says: what follows.
    """

    name: str
    value: float
    floor: float
    says: str


def measure(
    network: Answerer, readings: Readings, judged: Judged, other: Tensor | None
) -> list[Mark]:
    """All marks, on the judging half.

    Args:
        network: what is examined.
        readings: of it.
        judged: its answers, judged.
        other: [B, k] more targets for the judging half; the targets of its next prompt where there are none.
    """
    says, prompt = said_by(network), readings.judging.prompt
    answers = says(prompt)[-1]
    return [
        additive(says, readings, judged, prompt.y.roll(1, 0) if other is None else other),
        ridge(says, prompt, answers),
        exchangeable(says, prompt, answers),
        isolated(says, prompt, answers),
    ]


def changed(one: Tensor, other: Tensor) -> float:
    """The part of some answers that others miss."""
    return float((one - other).square().sum() / one.square().sum().clamp(min=1e-300))


def additive(
    says: Callable[[Prompt], Tensor], readings: Readings, judged: Judged, other: Tensor
) -> Mark:
    """The gap of the answers, and what conjugate gradients that are as additive leave."""
    gap = float(additivity_gap(lambda prompt: says(prompt)[-1:], readings.judging.prompt, other))
    floor = gap / (1 + 2**0.5) ** 2
    if gap > NOTHING:
        says = f"whatever is additive in the targets (all but conjugate gradient before it ends) leaves at least {floor:.1g}"
    else:
        says = "additive to rounding: a conjugate gradient that has not ended is excluded"
    left = {
        candidate.name.split(" (a ridge")[0]: as_additive(candidate, readings, judged, other, gap)
        for candidate in (*MATCHED, *MATCHED_KERNEL)
        if candidate.ridge_each_layer and candidate.name in judged.fits
    }
    if left:
        kind = min(left, key=left.get)
        of_kind = f"{left[kind]:.2g}" if left[kind] < torch.inf else "everything"
        says += f"; any conjugate gradient as additive as this leaves at least {of_kind}, the nearest candidate {judged.misfits[judged.nearest][0]:.2g}"
    return Mark("additive in the targets", gap, floor, says)


def as_additive(
    candidate: Candidate, readings: Readings, judged: Judged, other: Tensor, gap: float
) -> float:
    """What a conjugate gradient leaves of the answers at the best ridge and step at which it is as additive."""
    steps = min(len(judged.power.reading[0]), MOST_STEPS)
    seen, said = (one[-1] for one in judged.power.reading)
    held = by_ridge(
        candidate,
        judged.fits[candidate.name].logs,
        readings.tuning,
        seen,
        readings.judging,
        said,
        other,
        steps,
    )
    return held.as_additive(max(gap, NOTHING))


def ridge(says: Callable[[Prompt], Tensor], prompt: Prompt, answers: Tensor) -> Mark:
    """Whether another ridge is another question."""
    value = changed(answers, says(replace(prompt, ridge=OTHER_RIDGE * prompt.ridge))[-1])
    if value > NOTHING:
        return Mark(
            "reads the ridge of the prompt",
            value,
            0.0,
            "methods that ignore it are excluded; a ridge below is fitted at the prompts' own",
        )
    return Mark(
        "reads the ridge of the prompt",
        value,
        0.0,
        "no: a method that takes its ridge from the prompt is excluded, a ridge of its own is not",
    )


def exchangeable(says: Callable[[Prompt], Tensor], prompt: Prompt, answers: Tensor) -> Mark:
    """Whether the order of the supports matters."""
    order = torch.randperm(prompt.n_support, generator=torch.Generator().manual_seed(0))
    value = changed(
        answers, says(replace(prompt, phi=prompt.phi[:, order], y=prompt.y[:, order]))[-1]
    )
    return Mark("supports in another order", value, value / 4, floor_of(value))


def isolated(says: Callable[[Prompt], Tensor], prompt: Prompt, answers: Tensor) -> Mark:
    """Whether a query sees the others."""
    alone = says(replace(prompt, phi_query=prompt.phi_query[:, :1], y_query=None))[-1]
    value = changed(answers[:, :1], alone)
    return Mark("the first query alone", value, value / 4, floor_of(value))


def floor_of(value: float) -> str:
    if value <= NOTHING:
        return "the same, as for every candidate: excludes nothing"
    return f"every candidate would say the same, and so leaves at least {value / 4:.1g} in one of the two ways"
