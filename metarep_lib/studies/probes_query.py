"""Probes at the query: what four families of algorithms say on their way, and the primal; 800 tasks."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.evidence.probe import (
    Split,
    activations,
    partial_recovery,
    predictions,
    recover,
)
from metarep_lib.evidence.probe.probes import Partial, Recovery
from metarep_lib.numerics import primal_system, solvers
from metarep_lib.prompt import Prompt
from metarep_lib.studies.probes_trained import Prior, best, pose, scores, shares, system_of
from metarep_lib.train import load_seeds, untrained

__all__ = ["PRIMAL", "SAID", "Asked", "asked", "primal_readers"]

N_TASKS = 800
SPLIT = Split.of(N_TASKS)
FAMILIES = ("cg", "gd", "λ", "newton")
SAID = [*(f"cg {t}" for t in range(1, 6)), *(f"gd {t}" for t in (1, 4, 16, 64))]
SAID += [*(f"{m} λ" for m in (1000, 100, 10)), *(f"newton {t}" for t in (2, 4, 6)), "exact"]
PRIMAL = [f"{of} {t}" for of in "wrp" for t in range(of == "w", 5)]


@dataclass(frozen=True)
class Asked:
    """The seeds of one recipe, probed at the query after the last block.

    Args:
        prompt: the tasks.
        prior: their law.
        streams: of the trained networks, by group.
        fresh: of an untrained one.
        trained: recoveries of every prediction, a dict for every seed.
        untrained: the same for every block of the untrained network.
        partial: the same of the trained, once the exact answer is known.
    """

    prompt: Prompt
    prior: Prior
    streams: Sequence[Mapping[str, Tensor]]
    fresh: Mapping[str, Tensor]
    trained: Sequence[Mapping[str, Recovery]]
    untrained: Sequence[Mapping[str, Recovery]]
    partial: Sequence[Mapping[str, Partial]]

    @property
    def of_families(self) -> list[float]:
        """R^2 of the best member of each of four families, for every seed."""
        return [
            max(one[name].r2 for name in one if family in name)
            for one in self.trained
            for family in FAMILIES
        ]

    @property
    def r2(self) -> dict[str, np.ndarray]:
        """[seeds, predictions] of the trained, and of the untrained network's best block."""
        trained, fresh = (
            scores(of.values() for of in found) for found in (self.trained, self.untrained)
        )
        return {"trained": trained, "untrained": fresh.max(0)}

    @property
    def shares(self) -> dict[str, np.ndarray]:
        """What the exact answer leaves of the others, as `probes_trained.shares`."""
        return shares(self.partial)


def asked(name: str, n_support: int, seed: int = 12) -> Asked:
    """The networks of a recipe on tasks of their own prior."""
    networks = load_seeds(name)
    prior = networks[0].recipe.prior
    prompt = pose(prior, seed, n_support=n_support, n_tasks=N_TASKS)
    said = predictions(system_of(prompt, prior, prompt.ridge), prompt.ridge)
    given = torch.stack([said["exact"]], -1)
    others = {name: value for name, value in said.items() if name != "exact"}
    streams = [activations(network, prompt) for network in networks]
    fresh = activations(untrained(networks[0], 77), prompt)
    return Asked(
        prompt,
        prior,
        streams,
        fresh,
        trained=[recover(one["query"][-1], said, SPLIT) for one in streams],
        untrained=[recover(x, said, SPLIT) for x in fresh["query"][1:]],
        partial=[partial_recovery(one["query"][-1], others, given, SPLIT) for one in streams],
    )


def primal_states(held: Asked) -> tuple[dict[str, Tensor], Tensor]:
    """w_t, r_t and p_t of conjugate gradient in the primal, [tasks, 1, p] each, and sum_i y_i phi_i."""
    prompt, scale = held.prompt.to(torch.float64), held.prior.n_inputs**-0.5
    scaled = replace(prompt, phi=scale * prompt.phi, phi_query=scale * prompt.phi_query)
    system = primal_system(scaled)
    history = solvers.conjugate_gradient(system, 4).history
    symbols = {"w": "alpha", "r": "r", "p": "p"}
    states = {
        f"{symbol} {t}": history[name][t].unsqueeze(1)
        for symbol, name in symbols.items()
        for t in range(symbol == "w", 5)
    }
    return states, system.y


def primal_readers(held: Asked) -> dict[str, np.ndarray]:
    """Reader -> [networks, states of `PRIMAL`], R^2 at the best block.

    Readers: the stream of the query, the *mean* over the supports, and the sum of products made by hand.
    """
    states, moment = primal_states(held)

    def read(streams: Iterable[Tensor]) -> np.ndarray:
        return scores(best(stream, states, SPLIT).values() for stream in streams)

    def mean(of: Mapping[str, Tensor]) -> Tensor:
        return of["support"].mean(2, keepdim=True)

    return {
        "query, trained": read(one["query"] for one in held.streams),
        "mean of supports, trained": read(map(mean, held.streams)),
        "query, untrained": read([held.fresh["query"]]),
        "mean of supports, untrained": read([mean(held.fresh)]),
        "mean of products by hand": scores([recover(moment.unsqueeze(1), states, SPLIT).values()]),
    }
