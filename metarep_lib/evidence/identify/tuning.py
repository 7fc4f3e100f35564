"""Which candidate does a network follow, layer by layer, and which ones can it not be?

Letters: B prompts, q queries, L layers, T steps.

Every candidate gets the same help: its free scalars are tuned to the network from several starts, and so are the step that each layer is
held against and a scale for each layer, since a linear readout cannot know the scale of what it reads. All of that is fixed on one set of
prompts. On another set, the *misfit* is the part of the network's predictions that the candidate does not explain, averaged over layers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.optimize
import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, not_negative
from metarep_lib.contents import Contents, describe
from metarep_lib.evidence.identify.candidates import BOXES, Candidate, Posed

SAME = 1e-8  # misfit up to which a network counts as running the candidate, where nothing but rounding and tuning stands between them
CLOSE = 0.01  # misfit below which it is worth to tune on
MOST_STEPS = 16  # a candidate's path is followed this far
SILENT = 1e-8  # a layer whose predictions have less than this part of the last layer's energy says nothing yet


@dataclass(frozen=True, eq=False, repr=False)
class Fit(Contents):
    """A candidate tuned to a network.

    Args:
        candidate: what was tuned.
        logs: log10 of its scalars, see `Candidate.path`.
        steps: for every layer, the step it is held against; its place on the path, where the path holds several ridges.
        reference: the prompts it was tuned on.
        scales: [L] for every layer.
        misfit: on the prompts it was tuned on.
    """

    candidate: Candidate
    logs: Tensor
    steps: tuple[int, ...]
    reference: Posed
    scales: Tensor
    misfit: float

    def predict(self, posed: Posed) -> Tensor:
        """[L, B, q] what it says the layers say."""
        steps = min(len(self.steps), MOST_STEPS)
        path = self.candidate.path(posed, self.logs, steps, self.reference)
        return path[list(self.steps)] * self.scales.view(-1, 1, 1)

    def misfits(self, posed: Posed, observed: Tensor) -> Tensor:
        """[B] for every prompt, the mean over layers of ||observed - predicted||^2 / the mean over prompts of ||observed||^2.

        Args:
            posed: prompts, not those it was tuned on.
            observed: [L, B, q] the predictions of the layers.
        """
        error, energy = (
            (observed - self.predict(posed)).square().sum(-1),
            observed.square().sum(-1).mean(-1, keepdim=True),
        )
        return (error / energy)[speaking(observed)].mean(0)


def speaking(observed: Tensor) -> Tensor:
    """[L] booleans: the layers that say anything at all."""
    energy = observed.square().sum((-2, -1))
    return energy > SILENT * energy[-1]


@asked(
    observed=floats("L B q"),
    seed=at_least(0),
    draws=at_least(1),
    starts=at_least(1),
    tolerance=not_negative,
    simplex=at_least(1),
    known=floats("n", empty="n"),
)
def fit_candidate(
    candidate: Candidate,
    posed: Posed,
    observed: Tensor,
    *,
    seed: int,
    draws: int = 24,
    starts: int = 2,
    tolerance: float = 2e-9,
    simplex: int = 800,
    known: Tensor | None = None,
) -> Fit:
    """Tune a candidate to a network's layers: scalars by L-BFGS and simplex search from the best of many random draws, steps and scales exactly.

    Args:
        candidate: what to tune.
        posed: prompts to tune on.
        observed: [L, B, q] what the layers say about them.
        seed: of the draws, uniform in the logarithm of every scalar.
        draws: how many.
        starts: how many of the best of them are descended from.
        tolerance: a descent ends when the logarithm of the misfit falls by less than this part.
        simplex: iterations of the search without gradients that goes on near the end.
        known: logarithms of scalars that are tried beside the draws, as `Fit.logs` holds them.
    """
    expected = [len(posed.prompt.phi), posed.prompt.n_query]
    if list(observed.shape[1:]) != expected or observed.dtype != posed.prompt.phi.dtype:
        raise ValueError(
            f"fit_candidate(observed={describe(observed)}): expected predictions at every query,"
            f" [L, {expected[0]}, {expected[1]}] of {posed.prompt.phi.dtype}"
        )
    steps = min(len(observed), MOST_STEPS)
    boxes = boxes_of(candidate, steps)
    loss = loss_of(candidate, posed, observed)
    best = np.zeros(0)
    if len(boxes):
        rng = np.random.default_rng(seed)
        drawn = rng.uniform(boxes[:, 0], boxes[:, 1], size=(draws, len(boxes)))
        if candidate.scheduled:  # all steps alike to begin with
            drawn = np.repeat(
                drawn[:, [candidate.free(steps).index(name) for name in candidate.free(1)]],
                [candidate.free(steps).count(name) for name in candidate.free(1)],
                axis=1,
            )
        if known is not None:
            drawn = np.vstack([drawn, known.numpy()])
        first = drawn[np.argsort([loss(z) for z in drawn])[: 1 if candidate.scheduled else starts]]
        ends = []
        for z in first:
            ends.append(
                scipy.optimize.minimize(
                    loss,
                    z,
                    method="L-BFGS-B",
                    bounds=boxes,
                    options={"maxiter": 15 if candidate.scheduled else 60, "ftol": tolerance},
                )
            )
            if ends[-1].fun < np.log(SAME / 100):
                break  # nothing is left to explain
        end = min(ends, key=lambda end: end.fun)
        if not candidate.scheduled and np.log(SAME / 100) <= end.fun < np.log(
            CLOSE
        ):  # few scalars: a search without gradients goes on where they end
            end = min(
                end,
                scipy.optimize.minimize(
                    loss,
                    end.x,
                    method="Nelder-Mead",
                    bounds=boxes,
                    options={"maxiter": simplex, "xatol": 1e-10, "fatol": 1e-10},
                ),
                key=lambda end: end.fun,
            )
        best = end.x
    return fit_at(candidate, torch.from_numpy(best), posed, observed)


def boxes_of(candidate: Candidate, steps: int) -> np.ndarray:
    """[scalars, 2] between which numbers the logarithms of the free scalars are looked for."""
    return np.array([BOXES[name] for name in candidate.free(steps)]).reshape(-1, 2)


def loss_of(candidate: Candidate, posed: Posed, observed: Tensor) -> Callable[[np.ndarray], float]:
    """The logarithm of the misfit, as a function of the logarithms of the free scalars; steps and scales are the best."""
    steps = min(len(observed), MOST_STEPS)

    def loss(logs: np.ndarray) -> float:
        unexplained = gaps(observed, candidate.path(posed, torch.from_numpy(logs), steps, posed))[0]
        total = best_steps(unexplained.numpy(), candidate.may_jump, candidate.at_once)[1]
        return float(np.log(total + 1e-14))

    return loss


def fit_at(candidate: Candidate, logs: Tensor, posed: Posed, observed: Tensor) -> Fit:
    """A candidate with given scalars, its steps and scales the best; arguments as for `fit_candidate`."""
    path = candidate.path(posed, logs, min(len(observed), MOST_STEPS), posed)
    unexplained, scales = gaps(observed, path)
    steps, misfit = best_steps(unexplained.numpy(), candidate.may_jump, candidate.at_once)
    scales = scales[range(len(observed)), list(steps)]
    return Fit(candidate, logs, steps, posed, scales, misfit)


def gaps(observed: Tensor, path: Tensor) -> tuple[Tensor, Tensor]:
    """[L, T + 1] the part of layer l that a multiple of step t leaves unexplained, NaN for layers that say nothing; and that multiple."""
    said, path = observed.flatten(1), path.nan_to_num(0.0, 0.0, 0.0).flatten(1)
    own, size = said.square().sum(-1, keepdim=True), path.square().sum(-1)
    scales = torch.where(size > 0, said @ path.T / size, 0.0)
    unexplained = 1 - (said @ path.T).square() / (own * size).clamp(min=1e-300)
    return torch.where(speaking(observed).unsqueeze(-1), unexplained, torch.nan), scales


def best_steps(
    unexplained: np.ndarray, may_jump: bool, at_once: int = 1
) -> tuple[tuple[int, ...], float]:
    """The steps t_1 <= t_2 <= ... of smallest total, by dynamic programming, and its mean over the layers that say anything.

    Args:
        unexplained: [L, (T + 1) R]; a row of NaN costs nothing.
        may_jump: else t_l is t_l-1 or t_l-1 + 1, from t_0 = 0.
        at_once: R, the ridges that stand in a row for every step; each layer takes the best of them. With R > 1 the places are returned.

    >>> best_steps(np.array([[1.0, 0.0, 0.5], [1.0, 0.5, 0.0]]), may_jump=False)
    ((1, 2), 0.0)
    """
    if at_once > 1:
        of_ridge = np.nan_to_num(unexplained).reshape(len(unexplained), -1, at_once)
        best = np.where(np.isnan(unexplained[:, :1]), np.nan, of_ridge.min(-1))
        steps, misfit = best_steps(best, may_jump)
        chosen = of_ridge.argmin(-1)[range(len(steps)), list(steps)]
        return tuple(t * at_once + int(r) for t, r in zip(steps, chosen)), misfit
    n_layers, n_steps = unexplained.shape
    counted = ~np.isnan(unexplained[:, 0])
    cost = np.full(n_steps, np.inf)
    cost[0] = 0.0
    came_from = np.zeros((n_layers, n_steps), dtype=int)
    for layer, row in enumerate(np.nan_to_num(unexplained)):
        if may_jump:
            origin = np.array([int(np.argmin(cost[: t + 1])) for t in range(n_steps)])
        else:
            stepped = np.concatenate([[np.inf], cost[:-1]]) < cost
            origin = np.arange(n_steps) - stepped
        came_from[layer], cost = origin, cost[origin] + row
    t = int(np.argmin(cost))
    total, steps = cost[t], []
    for layer in reversed(range(n_layers)):
        steps.append(t)
        t = came_from[layer, t]
    return tuple(int(t) for t in reversed(steps)), float(total / max(counted.sum(), 1))
