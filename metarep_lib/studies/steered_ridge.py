"""The ridge of a constructed network turned before the first step, or halfway, and ridge regression beside it."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from metarep_lib.construct import ConstructedTransformer
from metarep_lib.evidence.intervene import Edit, Put, Stream, intervene
from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.prompt import Prompt
from metarep_lib.studies.injections import Halfway, distance

__all__ = [
    "answer_slope",
    "answers",
    "first_order",
    "measured_slope",
    "steered",
    "turned_late",
]


def answer(prompt: Prompt, ridge: float, y: Tensor | None = None) -> Tensor:
    """[B, q] ridge regression with this ridge, and these targets if any are given."""
    system = ridge_system(replace(prompt, y=prompt.y if y is None else y, ridge=ridge))
    return system.predict(solvers.cholesky(system).alpha)


def answer_slope(prompt: Prompt) -> Tensor:
    """[B, q] its change per change of the ridge: -k(x)^T A^-2 y."""
    system = ridge_system(prompt)
    twice = torch.linalg.solve(system.A @ system.A, prompt.y.unsqueeze(-1)).squeeze(-1)
    return -system.predict(twice)


def turned(network: ConstructedTransformer, t: int, ridge: float) -> list[Edit]:
    """The ridge of supports and registers from step t on; a query carries none, and must not be given one."""
    at = network.program.step_ends[t]
    groups = ("support", "aggregator", "sink")
    return [Edit(Stream(at, "ridge", group), Put(ridge)) for group in groups]


def answers(prompt: Prompt, ridges: Sequence[float]) -> Tensor:
    """[ridges, B, q] ridge regression with each."""
    return torch.stack([answer(prompt, ridge) for ridge in ridges])


def first_order(prompt: Prompt, ridges: Sequence[float]) -> Tensor:
    """[ridges, B, q] the tangent of `answers` at the prompt's own ridge."""
    away = torch.tensor(ridges, dtype=prompt.y.dtype) - prompt.ridge
    return answer(prompt, prompt.ridge) + away[:, None, None] * answer_slope(prompt)


def steered(network: ConstructedTransformer, prompt: Prompt, ridges: Sequence[float]) -> Tensor:
    """[ridges, B, q] what a network says in the end when its ridge is turned before the first step."""
    edits = {str(ridge): turned(network, 0, ridge) for ridge in ridges}
    runs = intervene(network, prompt, edits)
    return torch.stack([runs[name].prediction[-1] for name in edits])


def measured_slope(network: ConstructedTransformer, prompt: Prompt, by: float = 1e-3) -> Tensor:
    """[B, q] change of its predictions per change of the ridge, by a thousandth of it."""
    before, after = steered(network, prompt, [prompt.ridge, (1 + by) * prompt.ridge])
    return (after - before) / (by * prompt.ridge)


def turned_late(
    network: ConstructedTransformer, prompt: Prompt, new: float, times: Sequence[int]
) -> dict[str, list[float]]:
    """The textbook-order network with its ridge turned after step t: distance of what it says in the end to several answers, by t.

    Foretold is the answer of `prop-stale-residual`. With the residual renewed, r and p are
    y - A' alpha_t as well.
    """
    size, goal = answer(prompt, prompt.ridge), answer(prompt, new)
    fresh, found = ridge_system(replace(prompt, ridge=new)), {}
    for t in times:
        at = Halfway(network, prompt, t)
        alpha, stale = at.clean["alpha", "support"][t], turned(network, t, new)
        residual = fresh.residual(alpha)
        renewed = [*stale, at.put("r", residual), at.put("p", residual)]
        runs = intervene(network, prompt, {"stale": stale, "renewed": renewed})
        foretold = answer(prompt, new, prompt.y + (new - prompt.ridge) * alpha)
        for name, run, to in (
            ("to the answer for the old ridge", "stale", size),
            ("to the answer for the new ridge", "stale", goal),
            ("to the answer foretold", "stale", foretold),
            ("residual renewed: to the new", "renewed", goal),
        ):
            away = distance(runs[run].prediction[-1], to, size).median()
            found.setdefault(name, []).append(away.item())
    return found
