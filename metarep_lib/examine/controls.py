"""Controls that travel along: what the same instruments find where there is nothing to find.

An untrained twin and shuffled weights for the whole; a step too few and the answers to other prompts for the nearest candidate; other tasks
and a rotated basis for probes of a state.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.evidence.identify import fit_candidate
from metarep_lib.evidence.identify.tuning import MOST_STEPS, Fit, gaps
from metarep_lib.evidence.probe import Split, other_tasks, recover, states, with_shuffled_weights
from metarep_lib.examine.readings import Readings, only, said_by
from metarep_lib.examine.verdicts import Judged
from metarep_lib.network.asking import Answerer, Decoder, Network, NotAvailable
from metarep_lib.numerics.kernels.kernels import ExponentialKernel, linear_kernel
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt

EARLY = {"ridge path": 12}  # a decade of its grid; all others: one step


@dataclass(frozen=True)
class Control:
    """One number of the network, and the same where there is nothing to find.

    Args:
        name: of the control.
        what: was measured.
        network: the network's own number.
        control: that of the control.
    """

    name: str
    what: str
    network: float
    control: float


NotTried = tuple[str, str]


def stand_ins(network: Answerer, seed: int) -> tuple[dict[str, Network], list[NotTried]]:
    """Name -> a network that has learnt nothing; and which could not be had, with the reason."""
    made, missing = {}, []
    if not isinstance(network, Network):
        reason = "it answers, and its layers and weights cannot be had"
        return {}, [("untrained twin", reason), ("shuffled weights", reason)]
    try:
        made["untrained twin"] = network.twin(seed)
    except NotAvailable as error:
        missing.append(("untrained twin", str(error)))
    if isinstance(network, Decoder):
        made["shuffled weights"] = with_shuffled_weights(network, seed)
    else:
        missing.append(
            ("shuffled weights", f"the weights of a {type(network).__name__} are its own affair")
        )
    return made, missing


def of_stand_ins(
    made: dict[str, Network], judged: Judged, readings: Readings, seed: int
) -> list[Control]:
    """What the nearest candidate, tuned to each of them, leaves."""
    fit = judged.fits[judged.nearest]
    what, left = (
        f"{fit.candidate.name}, tuned to it, leaves of the network",
        judged.misfits[judged.nearest][0],
    )
    return [
        Control(name, what, left, left_of(one, fit, judged, readings, seed))
        for name, one in made.items()
    ]


def left_of(network: Network, fit: Fit, judged: Judged, readings: Readings, seed: int) -> float:
    """The misfit of a candidate tuned to another network, on the layers that were read; infinite where that one overflows."""
    kept = [i + 1 for i, said in enumerate(judged.power.reading[0]) if said.any()]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network with shuffled weights may lose digits
        seen, said = (
            only(said_by(network)(posed.prompt), kept)
            for posed in (readings.tuning, readings.judging)
        )
    if not all(one.isfinite().all() and 0 < one[-1].abs().max() < 1e30 for one in (seen, said)):
        return float("inf")
    tuned = fit_candidate(
        fit.candidate, readings.tuning, seen, seed=seed, draws=12, starts=1, simplex=40
    )
    return float(tuned.misfits(readings.judging, said).nan_to_num(1e6).mean())


def of_the_nearest(judged: Judged, readings: Readings) -> list[Control]:
    """The nearest candidate a step early, and against the answers to other prompts."""
    fit, (seen, said) = judged.fits[judged.nearest], judged.power.reading
    left = judged.misfits[judged.nearest][0]
    late = early(fit, readings, seen)
    swapped = float(fit.misfits(readings.judging, said.roll(1, 1)).mean())
    what = f"{fit.candidate.name}, as it was tuned to the network, leaves"
    step = "at ridges ten times larger" if fit.candidate.may_jump else "one step early"
    return [
        Control(
            f"{step} (wrong step)", what, left, float(late.misfits(readings.judging, said).mean())
        ),
        Control("of the answers to other prompts (wrong target)", what, left, swapped),
    ]


def early(fit: Fit, readings: Readings, seen: Tensor) -> Fit:
    """The fit held a step early in every layer, with the best scales there."""
    back = EARLY.get(fit.candidate.method, fit.candidate.at_once)
    steps = tuple(max(step - back, 0) for step in fit.steps)
    path = fit.candidate.path(
        readings.tuning, fit.logs, min(len(seen), MOST_STEPS), readings.tuning
    )
    scales = gaps(seen, path)[1][range(len(seen)), list(steps)]
    return Fit(fit.candidate, fit.logs, steps, fit.reference, scales, fit.misfit)


def of_probes(
    network: Network,
    made: dict[str, Network],
    judged: Judged,
    readings: Readings,
    prompts: Prompt,
    seed: int,
) -> list[Control]:
    """R^2 of probes for a state of conjugate gradient, at the layer where it is best, beside that of every control."""
    targets, wrong = targets_of(prompts.to(torch.float64), judged)
    split, held = Split.of(len(prompts.y)), streams(network, prompts)
    found = best_probes(held, targets, split)
    others = {
        "other tasks": best_probes(held, other_tasks(targets, split, seed), split),
        "rotated basis": best_probes(turned(held, seed), targets, split),
    }
    for name, one in made.items():
        learnt_nothing = streams(one, prompts)
        if learnt_nothing.isfinite().all():
            others[name] = best_probes(learnt_nothing, targets, split)
    at = {
        target: recover(held[layer], wrong, split)[target].r2
        for target, (_, layer) in found.items()
    }
    numbers = {name: {target: r2 for target, (r2, _) in of.items()} for name, of in others.items()}
    return [
        Control(
            name,
            f"a probe for {target} of conjugate gradient, at its best layer, has R²",
            found[target][0],
            of[target],
        )
        for target in targets
        for name, of in (numbers | {"wrong step": at}).items()
    ]


def targets_of(prompt: Prompt, judged: Judged) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """alpha, r and p of conjugate gradient after two steps at the prompts' ridge and the nearest candidate's kernel; the same after three."""
    fit = judged.fits[judged.nearest]
    free, kernel = fit.candidate.free(len(fit.steps)), linear_kernel
    if "tau" in free:
        units = fit.candidate.units(fit.logs, len(fit.steps), fit.reference)
        kernel = ExponentialKernel(float(10 ** fit.logs[free.index("tau")] * units["tau"]))
    held = states(ridge_system(prompt, kernel), prompt.ridge, steps=3)
    return tuple({f"{name} 2": held[f"{name} {t}"] for name in ("alpha", "r", "p")} for t in (2, 3))


def streams(network: Network, prompts: Prompt) -> Tensor:
    """[L + 1, B, k, D] at the supports."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return (
            network.trace(prompts.to(network.traits.dtype), groups=("support",))
            .stream("support")
            .double()
        )


def turned(streams: Tensor, seed: int) -> Tensor:
    """The same streams in another basis, drawn at random."""
    generator = torch.Generator().manual_seed(seed)
    size = streams.shape[-1]
    return streams @ torch.linalg.qr(torch.randn(size, size, generator=generator).double())[0]


def best_probes(
    streams: Tensor, targets: dict[str, Tensor], split: Split
) -> dict[str, tuple[float, int]]:
    """Target -> R^2 at the layer where it is largest, and that layer."""
    found = [recover(x, targets, split) for x in streams]
    return {name: max((one[name].r2, layer) for layer, one in enumerate(found)) for name in targets}
