"""Examine a network: the instruments of identification, with power, intervals, rivals, marks and controls, in one call."""

from collections.abc import Sequence

from torch import Tensor

from metarep_lib.asked import AskedWrongly, asked, at_least, floats, positive, that
from metarep_lib.evidence.identify import KERNEL, LINEAR, MATCHED, SCHEDULED, fit_candidate
from metarep_lib.evidence.identify.candidates import MATCHED_KERNEL, Candidate
from metarep_lib.evidence.identify.tuning import SAME, Fit
from metarep_lib.examine.controls import of_probes, of_stand_ins, of_the_nearest, stand_ins
from metarep_lib.examine.marks import measure
from metarep_lib.examine.power import QUICK
from metarep_lib.examine.ranges import Range, ranges
from metarep_lib.examine.readings import Reading, Readings, read
from metarep_lib.examine.report import Finding, Report
from metarep_lib.examine.verdicts import Judged, excuses, judged, misfit, tuned
from metarep_lib.network.asking import Answerer, Network
from metarep_lib.prompt import Prompt, a_prompt

STAGES = ((*LINEAR, *MATCHED), (*KERNEL, *MATCHED_KERNEL), SCHEDULED)
FEWEST = 8
OF_STAGES = that(
    "stages of candidates, none of them empty, as (LINEAR,) is",
    lambda stages: (
        len(stages) > 0
        and all(
            len(stage) > 0 and all(isinstance(one, Candidate) for one in stage) for stage in stages
        )
    ),
)
NEVER = [
    (
        "other kernels, other preconditioners, softmax smoothers",
        "no candidate: what is not on the list is not excluded",
    ),
    (
        "edits of the network",
        "whether it uses what it holds is asked by metarep_lib.evidence.intervene",
    ),
    (
        "the gain by eigenvalue",
        "it needs as many queries as features: metarep_lib.evidence.identify.spectral_gains",
    ),
]


@asked(
    prompts=a_prompt(axes="B", queries=1),
    seed=at_least(0),
    stages=OF_STAGES,
    steps=at_least(1),
    same=positive,
    values=at_least(1),
    other=floats("n k"),
)
def examine(
    network: Answerer,
    prompts: Prompt,
    *,
    seed: int = 0,
    stages: Sequence[Sequence[Candidate]] = STAGES,
    steps: int = 8,
    same: float = SAME,
    values: int = 6,
    other: Tensor | None = None,
    power: bool = True,
    controls: bool = True,
) -> Report:
    """Say of every candidate whether the network runs it: identified, excluded, or cannot be told on these prompts.

    Candidates are tuned on every other prompt and judged on the rest. A minute on two cores for six layers of width 64 and 64 prompts.

    Args:
        network: any answerer; of a `Network` the layers are judged as well.
        prompts: [B, k, p], eight or more; which candidates can be told apart depends on them.
        seed: of all draws.
        stages: candidates; the next stage is tried where none of the last describes the network to rounding.
        steps: how many steps the answers of one whose layers cannot be read may have made, at most.
        same: the misfit up to which a candidate describes the network to rounding.
        values: how many values of a parameter are tried to each side of the best.
        other: [judged prompts, k] more targets of the same law, for additivity; the targets of the next prompt where there are none.
        power: whether all pairs of candidates are held against each other, and not only those a verdict hangs on.
        controls: whether controls are made.

    Raises:
        AskedWrongly: too few prompts, or a network that says nothing, or nothing finite.

    >>> from metarep_lib import assemble, gradient_descent
    >>> from metarep_lib.tasks import designed_prompts, spread
    >>> prompts = designed_prompts(spread(0.1, 4.0), 8, n_support=6, n_query=3, n_features=3, seed=0, ridge=0.5)
    >>> candidates = (LINEAR[0], LINEAR[4])
    >>> report = examine(assemble(gradient_descent(3, 2, 0.05)), prompts, stages=(candidates,), controls=False)
    >>> report.identified, report.called("excluded")
    ('gradient descent', ['conjugate gradient'])
    """
    if len(prompts.phi) < FEWEST:
        raise AskedWrongly(
            f"examine(network, {prompts!r}): expected {FEWEST} prompts or more, half to tune and half to judge"
        )
    readings = read(network, prompts, steps)
    main, last = verdicts(readings, stages, seed, same)
    made, missing = stand_ins(network, seed) if controls else ({}, [("controls", "controls=False")])
    return Report(
        network=repr(network),
        prompts=in_words(readings, prompts),
        rows=rows(main, last, lens_of(readings, main, seed)),
        nearest=main.nearest,
        read=layers_in_words(network, readings),
        pairs=pairs(main) if power else {},
        marks=measure(network, readings, last, None if other is None else other.double()),
        ranges=of_open(main, readings, values, same),
        controls=all_controls(network, made, main, readings, prompts, seed) if controls else [],
        not_tried=[*untried(main, stages, network), *missing, *NEVER],
    )


def verdicts(
    readings: Readings, stages: Sequence[Sequence[Candidate]], seed: int, same: float
) -> tuple[Judged, Judged]:
    """The verdict on the layers, on the answers where there are none; and on the last layer alone, on the same candidates."""
    first = readings.layers or readings.last
    main = judged(readings, first, tuned(readings, first, stages, seed, same), seed, same)
    if readings.layers is None:
        return main, main
    fits = again(main, readings, readings.last, seed, draws=12, starts=1)
    return main, judged(readings, readings.last, fits, seed, same)


def again(
    main: Judged, readings: Readings, reading: Reading, seed: int, **how: float
) -> dict[str, Fit]:
    """The candidates of one verdict tuned to another reading, from where they were and from new draws."""
    return {
        name: fit_candidate(
            fit.candidate, readings.tuning, reading[0], seed=seed, known=fit.logs, **how
        )
        for name, fit in main.fits.items()
    }


def lens_of(readings: Readings, main: Judged, seed: int) -> dict[str, float]:
    """Candidate -> what it leaves of the layers read through a fitted readout."""
    if readings.lens is None:
        return {}
    fits = again(main, readings, readings.lens, seed, **QUICK)
    return {name: misfit(fit, readings, readings.lens)[0] for name, fit in fits.items()}


def rows(main: Judged, last: Judged, lens: dict[str, float]) -> list[Finding]:
    """The table, nearest first within a verdict."""
    order = {"identified": 0, "excluded": 1, "cannot be told": 2}
    made = []
    for name, (left, low, high) in main.misfits.items():
        word, why = main.words[name], main.why[name]
        if last.words[name] == "excluded" and word == "cannot be told":
            word, why = "excluded", f"at the last layer, {last.why[name]}"
        at_last = last.misfits[name][0], last.words[name], lens.get(name)
        made.append(Finding(name, word, why, main.numbers[name], left, low, high, *at_last))
    return sorted(made, key=lambda row: (order[row.verdict], row.misfit))


def pairs(main: Judged) -> dict[tuple[str, str], bool]:
    """(truth, rival) -> whether these prompts would tell them apart, for all candidates that are no rivals by count, and not contained."""
    of = {
        name: fit.candidate
        for name, fit in main.fits.items()
        if fit.candidate not in (*MATCHED, *MATCHED_KERNEL, *SCHEDULED)
    }
    return {
        (truth, rival): main.power.tells(truth, rival, main.nearest)
        for truth in of
        for rival in of
        if truth != rival and not excuses(of[rival], of[truth])
    }


def of_open(main: Judged, readings: Readings, values: int, same: float) -> list[Range]:
    """Ranges for what is identified, else for the nearest candidate and the nearest open one of fewest numbers."""
    wanted = [main.identified] if main.identified else [main.nearest, *nearest_simple(main)]
    found = []
    for name in dict.fromkeys(wanted):
        found += ranges(main.fits[name], readings, main.power.reading, values, same)
    return found


def nearest_simple(main: Judged) -> list[str]:
    open_ones = [name for name, word in main.words.items() if word == "cannot be told"]
    return sorted(open_ones, key=lambda name: (main.numbers[name], main.misfits[name]))[:1]


def all_controls(
    network: Answerer, made: dict, main: Judged, readings: Readings, prompts: Prompt, seed: int
) -> list:
    """Controls of the whole, of the nearest candidate, and of probes where there are layers."""
    found = of_stand_ins(made, main, readings, seed) + of_the_nearest(main, readings)
    return found + (
        of_probes(network, made, main, readings, prompts, seed)
        if isinstance(network, Network)
        else []
    )


def untried(
    main: Judged, stages: Sequence[Sequence[Candidate]], network: Answerer
) -> list[tuple[str, str]]:
    """Candidates of later stages, and layers that cannot be read."""
    left = [
        candidate.name for stage in stages for candidate in stage if candidate.name not in main.fits
    ]
    found = (
        [(", ".join(left), "an earlier candidate describes the network to rounding")]
        if left
        else []
    )
    return found + (
        []
        if isinstance(network, Network)
        else [("layers, lenses and probes of states", "it answers, and its layers cannot be read")]
    )


def in_words(readings: Readings, prompts: Prompt) -> str:
    eigenvalues = readings.judging.linear.eigenvalues.clamp(min=0)
    some = eigenvalues > 1e-9 * eigenvalues.amax(-1, keepdim=True)
    condition = float(
        (eigenvalues.amax(-1) / eigenvalues.masked_fill(~some, float("inf")).amin(-1)).median()
    )
    return (
        f"{len(prompts.phi)} prompts, half to tune and half to judge: {prompts.n_support} supports, {prompts.n_query} queries,"
        f" {prompts.n_features} features, median condition number {condition:.2g}, ridge {prompts.ridge:.2g}"
    )


def layers_in_words(network: Answerer, readings: Readings) -> str:
    if not isinstance(network, Network):
        return "Judged: its answers alone."
    deaf, silent = (", ".join(map(str, layers)) for layers in (readings.deaf, readings.silent))
    said = "Judged: " + (
        "the last layer alone"
        if readings.layers is None
        else "all layers its own head (logit lens) understands, and the last alone"
    )
    said += f". Layers {deaf}: the own head is deaf to them; they are left out" if deaf else ""
    said += f". Layers {silent}: they say nothing yet" if silent else ""
    return said + "."
