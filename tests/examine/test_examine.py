"""Examine: networks whose algorithm is known, networks that run nothing, answers made by hand, and prompts that can or cannot tell."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from metarep_lib import Prompt, assemble, gradient_descent, two_block_conjugate_gradient
from metarep_lib.asked import AskedWrongly
from metarep_lib.evidence.identify import KERNEL, LINEAR, MATCHED
from metarep_lib.evidence.identify.candidates import MATCHED_KERNEL
from metarep_lib.examine import Report, examine
from metarep_lib.examine.ranges import Range
from metarep_lib.examine.readings import Readings, alone, halves
from metarep_lib.examine.verdicts import judged, on_its_own, tuned
from metarep_lib.network.asking import Answerer, Traits
from metarep_lib.studies import lineup
from metarep_lib.studies.examined import as_bare, prompts_of_lineup
from metarep_lib.studies.identification_power import TRUTHS, true_layers
from metarep_lib.studies.identification_power import prompts as power_prompts
from metarep_lib.tasks import designed_prompts, isotropic, spread

P, K, Q = 4, 10, 5
ILL = designed_prompts(spread(0.05, 4.0), 16, K, Q, P, seed=3, ridge=0.5)
WELL = designed_prompts(spread(1.0, 1.0001), 8, K, Q, P, seed=3, ridge=0.5)
OF = {candidate.name: candidate for candidate in (*LINEAR, *MATCHED, *KERNEL, *MATCHED_KERNEL)}
FEW = (tuple(OF[name] for name in ("gradient descent", "conjugate gradient", "Newton", "tenfold ridge path")),)
SAMPLE = tuple(candidate for candidate in LINEAR if candidate.name not in ("momentum", "GD++", "conjugate gradient (jacobi)"))


@dataclass(frozen=True)
class Solved(Answerer):
    """Ridge regression with a ridge of its own, and, where asked, something that no candidate does."""

    mu: float = 0.5
    order: float = 0.0  # the last support counts more by this
    seen: float = 0.0  # an answer takes in this part of the mean answer
    square: float = 0.0  # and this part of its own square
    ridge_of_prompt: bool = False
    noise: float = 0.0

    @property
    def traits(self) -> Traits:
        return Traits(torch.float64, torch.device("cpu"), None, 1, True, True, False, False, self.ridge_of_prompt, 1e-12)

    def predict(self, prompt: Prompt) -> Tensor:
        mu = prompt.ridge if self.ridge_of_prompt else self.mu
        weights = torch.ones(prompt.n_support).double()
        weights[-1] += self.order
        A = prompt.phi @ prompt.phi.mT + mu * torch.eye(prompt.n_support).double()
        said = prompt.phi_query @ prompt.phi.mT @ torch.linalg.solve(A, prompt.y * weights).unsqueeze(-1)
        said = said.squeeze(-1)
        drawn = torch.Generator().manual_seed(int(prompt.y.abs().sum() * 1e3))
        said = said + self.noise * torch.randn(said.shape, generator=drawn).double()
        return said + self.seen * said.mean(-1, keepdim=True) + self.square * said.square()


def quick(network: Answerer, prompts: Prompt = ILL, **given) -> Report:
    return examine(network, prompts, **{"stages": FEW, "power": False, "controls": False, "values": 3, "steps": 4} | given)


# what is the case is said


@pytest.mark.parametrize("which", [0, 4, 7, 8, 12, 15])
def test_members_of_the_line_up_are_named_with_their_ridge_or_not_at_all(which):
    """GD, CG in two blocks, primal CG, Newton, primal Chebyshev, shuffled weights; all 38 in `scripts/examine.py`."""
    member = list(lineup(P, K, 3, 1))[which]
    prompts = prompts_of_lineup(16, seed=11, n_features=P, n_support=K, n_query=Q)
    report = quick(as_bare(member, P), prompts, stages=(SAMPLE,), values=1)
    assert report.identified == (None if member.label == "none" else member.label)
    if report.identified:
        assert {row.verdict for row in report.rows} == {"identified", "excluded"}
        ridges = [one for one in report.ranges if one.name == "ridge" and member.label != "Newton"]  # whose network reads none
        assert all(one.low * 0.98 <= prompts.ridge <= one.high * 1.02 for one in ridges)


def test_an_untrained_network_is_told_nothing(untrained):
    prompts = designed_prompts(isotropic(K), 16, K, Q, 3, seed=1, ridge=0.1)
    report = quick(untrained, prompts)
    assert report.identified is None
    assert report.called("cannot be told") == [row.candidate for row in report.rows]
    assert "to be nearest names nobody" in str(report)


@pytest.fixture(scope="module")
def untrained():
    from metarep_lib.train import load_trained

    return load_trained("softmax-gp", 0).twin(5)


# what these prompts cannot tell is said


def test_few_well_conditioned_prompts_cannot_tell_what_ill_conditioned_ones_can():
    """Where Phi^T Phi is a multiple of the identity, all fixed methods are the same up to a scale (prop-distinct-eigenvalues)."""
    network, rivals = assemble(gradient_descent(P, 3, 0.03)), ("Newton", "ridge path")
    stages = ((OF["gradient descent"], *(OF[rival] for rival in rivals)),)
    told, blind = (quick(network, prompts, stages=stages, power=True) for prompts in (ILL, WELL))
    for rival in rivals:
        assert told[rival].verdict == "excluded" and told.pairs["gradient descent", rival]
        assert blind[rival].verdict == "cannot be told" and not blind.pairs["gradient descent", rival]
    assert told.identified == "gradient descent" and blind.identified is None


def test_noise_takes_the_power_away():
    stages = ((OF["gradient descent"], OF["conjugate gradient"]),)
    still, noisy = (quick(Solved(noise=noise), stages=stages, power=True) for noise in (0.0, 1.0))
    assert all(still.pairs.values()) and not any(noisy.pairs.values()) and not noisy.called("excluded")


NOISY = {name: TRUTHS[name] for name in ("gradient descent", "conjugate gradient", "Newton")}


def noisy(truth: str, noise: float) -> tuple[Readings, tuple[Tensor, Tensor]]:
    """Six layers of a candidate, each with a part of noise."""
    posed = tuple(power_prompts("spread", 12, seed) for seed in (500, 501))
    layers = [true_layers(truth, posed[0])(one) for one in posed]
    size = [noise**0.5 * x.square().mean((-2, -1), keepdim=True).sqrt() for x in layers]
    reading = tuple(x + scale * torch.randn(x.shape, generator=torch.Generator().manual_seed(i)).double() for i, (x, scale) in enumerate(zip(layers, size)))
    return Readings(*posed, tuple(alone(x, 6) for x in reading), reading), reading


@pytest.mark.parametrize("truth", NOISY)
def test_what_is_the_case_is_not_excluded_where_noise_hides_it(truth):
    readings, reading = noisy(truth, 0.05)
    found = judged(readings, reading, tuned(readings, reading, FEW, 0, 1e-8), 0)
    assert found.words.pop(truth) == "cannot be told" and "excluded" in found.words.values()


def test_nobody_is_excluded_by_one_with_more_numbers():
    """Momentum has three numbers, gradient descent two: a better fit is then no evidence, unless it is one to rounding."""
    stages, words = ((OF["gradient descent"], OF["momentum"]),), {}
    for noise in (0.0, 0.01):
        readings, reading = noisy("momentum", noise)
        found = judged(readings, reading, tuned(readings, reading, stages, 0, 1e-8), 0)
        assert found.misfits["gradient descent"][0] > 1.2 * found.misfits["momentum"][0]
        words[noise] = found.words["gradient descent"], found.why["gradient descent"]
    assert words[0.0][0] == "excluded" and words[0.01][0] == "cannot be told" and "more free numbers" in words[0.01][1]


def test_what_contains_the_truth_is_no_evidence_against_it_and_falls_with_no_one():
    stages = ((OF["conjugate gradient"], OF["conjugate gradient (a ridge each layer)"], OF["Newton"]),)
    report = quick(assemble(two_block_conjugate_gradient(P, 3)), stages=stages)
    assert report.identified == "conjugate gradient" and report["Newton"].verdict == "excluded"
    large = report["conjugate gradient (a ridge each layer)"]  # from a grid of ridges, so not to rounding
    assert large.misfit > 2e-8 and large.why == "contains conjugate gradient"


def test_without_power_or_a_description_nobody_is_excluded():
    readings, reading = noisy("conjugate gradient", 0.05)
    found = judged(readings, reading, tuned(readings, reading, FEW, 0, 1e-8), 0)
    assert found.words["gradient descent"] == "excluded" and found.nearest == "conjugate gradient"
    found.power.tried["conjugate gradient", "conjugate gradient", "gradient descent"] = False
    assert on_its_own("gradient descent", found, 1e-8)[1] == "these prompts cannot tell it from conjugate gradient at this accuracy"
    found.power.tried.clear()
    found.misfits["conjugate gradient"] = (0.51, 0.5, 0.52)
    found.misfits["gradient descent"] = (0.6, 0.5, 0.7)
    found.misfits["Newton"] = found.misfits["tenfold ridge path"] = (0.7, 0.6, 0.8)
    assert on_its_own("gradient descent", found, 1e-8) == ("cannot be told", "nothing on the list describes the network")


# marks bound what a candidate leaves


def other_ways(prompt: Prompt) -> dict[str, tuple[Prompt, ...]]:
    """How each mark asks."""
    order = torch.randperm(prompt.n_support, generator=torch.Generator().manual_seed(0))
    y, other = prompt.y / 2**0.5, prompt.y.roll(1, 0) / 2**0.5
    return {
        "supports in another order": (prompt, replace(prompt, phi=prompt.phi[:, order], y=prompt.y[:, order])),
        "the first query alone": tuple(replace(prompt, phi_query=prompt.phi_query[:, :n], y_query=None) for n in (Q, 1)),
        "additive in the targets": tuple(replace(prompt, y=targets) for targets in (y + other, y, other)),
    }


@pytest.mark.parametrize(
    ("strange", "name"),
    [({"order": 1.0}, "supports in another order"), ({"seen": 0.5}, "the first query alone"), ({"square": 0.2}, "additive in the targets")],
)
def test_a_mark_is_at_most_what_ridge_regression_leaves_in_one_of_its_ways_of_asking(strange, name):
    marks = {mark.name: mark for mark in quick(Solved(**strange), stages=((OF["tenfold ridge path"],),)).marks}
    ways = other_ways(halves(ILL)[1])
    for mark in marks.values():
        if mark.name in ways:
            said, plain = ([of.predict(way)[:, : 1 if "first" in mark.name else Q] for way in ways[mark.name]] for of in (Solved(**strange), Solved()))
            left = [float((one - two).square().sum() / one.square().sum()) for one, two in zip(said, plain)]
            assert (mark.name == name) == (mark.floor > 1e-4) and mark.floor <= 1.3 * max(left)


@pytest.mark.parametrize("reads", [False, True])
def test_whether_the_ridge_of_the_prompt_is_read_is_measured(reads):
    report = quick(Solved(ridge_of_prompt=reads), stages=((OF["tenfold ridge path"],),))
    mark = next(mark for mark in report.marks if "ridge" in mark.name)
    assert (mark.value > 0) == reads and ("no:" in mark.says) != reads


# parameters


def test_the_ridge_of_a_ridge_regression_is_found():
    candidate = OF["tenfold ridge path"]
    report = quick(Solved(mu=0.5), stages=((candidate,),), steps=1)
    first = next(one for one in report.ranges if one.name == "first")
    assert abs(first.best / 0.5 - 1) < 1e-3 and first.low <= first.best <= first.high <= 1.01 * first.low


def test_a_ridge_that_does_not_matter_is_a_range():
    """Least squares but for noise: a ridge far below the smallest eigenvalue, 5 here, says the same."""
    prompts = designed_prompts(spread(0.5, 2.0), 16, K, Q, P, seed=3, ridge=0.5)
    report = quick(Solved(mu=1e-7, noise=0.05), prompts, stages=((OF["tenfold ridge path"],),), steps=1)
    (first,) = report.ranges
    assert first.low == 0 and 0.05 < first.high < 5 and str(first).startswith("any ridge of the first layer below")


def test_a_range_says_what_it_is():
    ends = {"any ridge above 2": (2.0, float("inf")), "any ridge at all": (0.0, float("inf")), "ridge from 1 to 3": (1.0, 3.0), "ridge 1": (1.0, 1.001)}
    assert {str(Range("c", "ridge", 1.0, *of)) for of in ends.values()} == set(ends)


# controls travel along


def test_controls_find_nothing_where_nothing_is(untrained):
    report = quick(assemble(two_block_conjugate_gradient(P, 3)), controls=True, stages=((OF["conjugate gradient"],),))
    swapped = next(one for one in report.controls if "wrong target" in one.name)
    early = next(one for one in report.controls if "wrong step" in one.name)
    assert swapped.network < 1e-8 and swapped.control > 0.5 and early.control > 0.05
    probes = {(one.name, one.what): one for one in report.controls if "probe" in one.what}
    for (name, what), one in probes.items():
        assert one.network > 0.999, what  # it holds alpha, r and p after two steps
        assert one.control > 0.999 if name == "rotated basis" else one.control < 0.97
    assert any(what == "untrained twin" and "initialised" in why for what, why in report.not_tried)


def test_of_answers_alone_the_report_says_what_was_not_tried():
    report = quick(Solved(), controls=True, stages=((OF["tenfold ridge path"],),))
    missing = dict(report.not_tried)
    assert {"untrained twin", "shuffled weights", "layers, lenses and probes of states"} <= set(missing)
    assert report.read == "Judged: its answers alone." and all(row.lens is None for row in report.rows)


# the report


def test_the_report_says_every_candidate_once_and_ranks_none():
    report = quick(Solved(noise=0.3), power=True)
    text = str(report)
    assert {row.verdict for row in report.rows} <= {"identified", "excluded", "cannot be told"}
    assert all(f"{row.candidate} (" in text and row.why for row in report.rows)
    for part in ("Identified: nothing", "Power:", "The last layer alone:", "Marks:", "Not tried:"):
        assert part in text
    with pytest.raises(KeyError, match="it has"):
        report["nobody"]


def test_too_few_prompts_and_answers_that_are_no_numbers_are_refused():
    with pytest.raises(AskedWrongly, match="expected 8 prompts or more"):
        quick(Solved(), designed_prompts(isotropic(K), 7, K, Q, P, seed=1, ridge=0.1))
    with pytest.raises(AskedWrongly, match="not finite"):
        quick(Solved(square=float("nan")))
    with pytest.raises(AskedWrongly, match="below 1e-30"):
        quick(Solved(mu=1e300))
