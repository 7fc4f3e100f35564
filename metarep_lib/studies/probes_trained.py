"""Probes of trained networks: what their supports hold, and what the same probes find where nothing is.

400 tasks of a network's own prior, 20 supports each. Targets come from the solvers, for the system
whose answer is the Bayes predictor: the kernel is the prior's covariance, the ridge its noise.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.evidence.probe import (
    Split,
    activations,
    other_tasks,
    partial_recovery,
    random_features,
    recover,
    states,
    with_shuffled_weights,
)
from metarep_lib.evidence.probe.probes import Partial, Recovery
from metarep_lib.numerics import RidgeSystem, ridge_system, solvers
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import ExponentialPrior, LinearPrior
from metarep_lib.train import TrainedTransformer, load_seeds, untrained

__all__ = [
    "SPLIT",
    "Studied",
    "at_other_ridges",
    "beyond_the_answer",
    "built_up",
    "examined",
    "excess_risk",
    "on_supports",
    "pose",
    "scores",
    "shares",
    "shown",
    "strongest",
    "summary",
    "system_of",
]

N_TASKS, N_SUPPORT = 400, 20
SPLIT = Split.of(N_TASKS)
RIDGES = (0.1, 1, 10, 100, 1e4)  # times the prior's
SMALL_GAIN = "linear-attention-4"  # its own initial gain is tiny: a larger one is a control as well
Prior = LinearPrior | ExponentialPrior
Found = Mapping[str, Recovery]


def pose(
    prior: Prior,
    seed: int,
    n_support: int = N_SUPPORT,
    n_tasks: int = N_TASKS,
    scale: float = 1.0,
) -> Prompt:
    """Tasks of a prior with one query each, in float32; inputs may be longer than the prior's."""
    drawn = prior.sample(n_tasks, n_support + 1, torch.Generator().manual_seed(seed))
    x, k = drawn.x * scale, n_support
    return Prompt(x[:, :k], drawn.y[:, :k], x[:, k:], ridge=prior.noise[0] ** 2)


def system_of(prompt: Prompt, prior: Prior, ridge: float) -> RidgeSystem:
    """The regression that the network was trained on, float64."""
    return ridge_system(replace(prompt.to(torch.float64), ridge=ridge), prior.covariance)


@dataclass(frozen=True)
class Studied:
    """The seeds of one recipe on common tasks; streams by kind, a list of [blocks + 1, tasks, k, d_model]."""

    networks: Sequence[TrainedTransformer]
    prompt: Prompt
    system: RidgeSystem
    targets: Mapping[str, Tensor]
    streams: Mapping[str, list[Tensor]]


def on_supports(name: str, seed: int = 11) -> Studied:
    """The networks of a recipe, with controls: untrained, and with the entries of every matrix shuffled."""
    networks = load_seeds(name)
    prior = networks[0].recipe.prior
    prompt = pose(prior, seed)
    system = system_of(prompt, prior, prompt.ridge)
    gains = (None, 0.1) if name == SMALL_GAIN else (None,)
    kinds = {
        "trained": networks,
        "weights shuffled": [with_shuffled_weights(networks[0], 5)],
        "untrained": [untrained(networks[0], 77, gain) for gain in gains],
    }
    streams = {
        kind: [activations(network, prompt)["support"] for network in of_kind]
        for kind, of_kind in kinds.items()
    }
    return Studied(networks, prompt, system, states(system, prompt.ridge), streams)


def best(
    stream: Tensor, targets: Mapping[str, Tensor], split: Split = SPLIT
) -> dict[str, Recovery]:
    """name -> the best recovery over all blocks: trained networks and controls get the same freedom."""
    found = [recover(x, targets, split) for x in stream[1:]]
    return {name: max((at[name] for at in found), key=lambda one: one.r2) for name in targets}


def scores(found: Iterable[Iterable[Recovery]]) -> np.ndarray:
    """R^2 of rows of recoveries, as an array."""
    return np.array([[one.r2 for one in row] for row in found])


def built_up(held: Studied, target: str = "rest") -> dict[str, list[list[Recovery]]]:
    """Kind -> [networks, blocks + 1] recoveries of one target."""
    one = {target: held.targets[target]}
    return {
        kind: [[recover(x, one, SPLIT)[target] for x in stream] for stream in streams]
        for kind, streams in held.streams.items()
    }


def strongest(curves: Mapping[str, list[list[Recovery]]]) -> Recovery:
    """The best of the controls, whatever the block."""
    controls = (one for kind in curves if kind != "trained" for row in curves[kind] for one in row)
    return max(controls, key=lambda one: one.r2)


def excess_risk(network: TrainedTransformer) -> float:
    """By how much the risk exceeds the Bayes risk, at most, over the numbers of supports on its card."""
    return max(row["risk"] / row["bayes"] for row in network.card["risks"]) - 1


def examined(held: Studied) -> dict[str, list[dict[str, Recovery]]]:
    """Kind -> recoveries of every target, for every network or reader of the kind; twenty random directions."""
    targets, prompt, stream = held.targets, held.prompt, held.streams["trained"][0].double()
    inputs, width = torch.cat([prompt.phi, prompt.y.unsqueeze(-1)], -1), stream.shape[-1]
    generator = torch.Generator().manual_seed(8)
    directions = torch.randn(width, 20, generator=generator, dtype=torch.float64)
    read = stream[-1] @ directions
    return {kind: [best(x, targets) for x in held.streams[kind]] for kind in held.streams} | {
        "input alone": [recover(stream[0], targets, SPLIT)],
        "features of the input": [recover(random_features(inputs, width, seed=3), targets, SPLIT)],
        "other tasks": [best(stream, other_tasks(targets, SPLIT, 6))],
        "random directions": [recover(read[..., [i]], targets, SPLIT) for i in range(20)],
    }


def at_other_ridges(held: Studied) -> list[Recovery]:
    """Conjugate gradient's r_2, r_3, r_4 at ridges from a tenth to ten thousand times the prior's, the best block of every seed."""
    prior, prompt = held.networks[0].recipe.prior, held.prompt
    residuals = {
        m: solvers.conjugate_gradient(system_of(prompt, prior, m * prompt.ridge), 4).history["r"]
        for m in RIDGES
    }
    targets = {f"r {t}, ridge x {m}": r[t] for m, r in residuals.items() for t in (2, 3, 4)}
    return [one for x in held.streams["trained"] for one in best(x, targets).values()]


def beyond_the_answer(held: Studied) -> list[dict[str, Partial]]:
    """For every trained network, what its last block explains beyond y, A y and the final residual."""
    system = held.system
    given = torch.stack([system.y, system.matvec(system.y), held.targets["rest"]], -1)
    spanned = ("rest", "gd 1", "any 1")
    targets = {name: y for name, y in held.targets.items() if name not in spanned}
    return [
        partial_recovery(stream[-1], targets, given, SPLIT) for stream in held.streams["trained"]
    ]


def shown(found: Mapping[str, list[dict[str, Recovery]]]) -> dict[str, np.ndarray]:
    """Kind -> [rows, targets] R^2: of every trained network, and of the best of any other kind."""
    r2 = {kind: scores(one.values() for one in of) for kind, of in found.items()}
    return {kind: of if kind == "trained" else of.max(0) for kind, of in r2.items()}


def shares(partial: list[dict[str, Partial]]) -> dict[str, np.ndarray]:
    """[targets] the variance left of each, and what the stream explains of it, mean over networks."""
    found = [[one.left * max(one.recovery.r2, 0) for one in of.values()] for of in partial]
    return {
        "left": np.array([one.left for one in partial[0].values()]),
        "found": np.mean(found, 0),
    }


def summary(
    found: Mapping[str, list[dict[str, Recovery]]], partial: list[dict[str, Partial]]
) -> np.ndarray:
    """[targets, kinds + 3]: R^2 of the best of each kind, cosine of the trained, share left, part of it found; to two decimals, NaN where there is none."""
    rows = []
    for name in found["trained"][0]:
        row = [max(one[name].r2 for one in of_kind) for of_kind in found.values()]
        row.append(max(one[name].cosine for one in found["trained"]))
        known = name not in partial[0]
        left = np.nan if known else partial[0][name].left
        rows.append(
            [*row, left, np.nan if known else max(one[name].recovery.r2 for one in partial)]
        )
    return np.array(rows).round(2) + 0.0
