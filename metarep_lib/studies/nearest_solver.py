"""Which solver a network is nearest to, by its derivatives; and what its heads make of inner products."""

from collections.abc import Sequence

import numpy as np
import torch

from metarep_lib.construct import ConstructedTransformer
from metarep_lib.evidence.align import (
    Fitted,
    fit,
    head_logits,
    kernel_heads,
    prediction_and_weights,
    weight_error,
)
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Swept
from metarep_lib.train import TrainedTransformer

__all__ = [
    "FAMILIES",
    "KINDS",
    "METRICS",
    "TAUS",
    "heads",
    "heads_at_supports",
    "in_distribution",
    "nearness",
    "recognised",
]

KINDS = {
    "gp": "trained on the Gaussian process",
    "linear": "trained on linear functions",
    "initial": "untrained",
    "shuffled": "entries shuffled",
}
FAMILIES = {
    "exponential": "exponential KRR",
    "gaussian": "gaussian KRR",
    "smoother": "smoother (NW)",
    "linear": "linear ridge",
}
METRICS = {
    "error": "error of s",
    "cosine": "cosine of s",
    "prediction_error": "error of predictions",
}
TAUS = np.array([0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 1000.0])


def in_distribution(swept: Swept) -> dict[str, list[float]]:
    """Networks and family -> medians over training seeds of the `METRICS`, from ``alignment-families``."""
    return {
        f"{name}: {label}": [
            float(np.median(swept.values(f"{family}_{metric}", weights=kind))) for metric in METRICS
        ]
        for kind, name in KINDS.items()
        for family, label in FAMILIES.items()
    }


def recognised(
    network: ConstructedTransformer, prompt: Prompt, true: Fitted, families: Sequence[str]
) -> tuple[float, list[float]]:
    """Largest relative error of a network's derivatives against the solver that it is, and against the nearest of every family."""
    _, s = prediction_and_weights(network.predict, prompt)
    solvers = [true, *(fit(family, prompt, s) for family in families)]
    known, *found = (weight_error(s, one.weights(prompt)).max().item() for one in solvers)
    return known, found


def nearness(network: TrainedTransformer, prompt: Prompt) -> list[float]:
    """Relative error of the derivatives of the nearest smoother and of the nearest gaussian ridge regression, fitted on these prompts."""
    _, s = prediction_and_weights(network.predict, prompt)
    asked, s = prompt.to(torch.float64), s.double()
    near = [fit(family, asked, s) for family in ("smoother", "gaussian")]
    return [weight_error(s, one.weights(asked)).mean().item() for one in near]


NAMES = ("share", "inverse_tau", "variance", "distance")


def heads(networks: Sequence[TrainedTransformer], prompt: Prompt) -> dict[str, np.ndarray]:
    """What inner products explain of the logits of every head, from queries to supports.

    Returns:
        ``share``, ``inverse_tau``, ``variance`` and ``distance`` of `kernel_heads`, [networks, layers, heads].
    """
    found = []
    for network in networks:
        asked, k = network.question(prompt), prompt.n_support
        logits = head_logits(network.transformer, asked.tokens, asked.mask)
        found.append(kernel_heads(logits[..., k:, :k], prompt.phi_query, prompt.phi))
    return {name: np.stack([getattr(one, name).numpy() for one in found]) for name in NAMES}


def heads_at_supports(network: ConstructedTransformer, prompt: Prompt) -> dict[str, np.ndarray]:
    """The same of a constructed network, from supports to supports, [layers, heads]."""
    logits = head_logits(
        network.transformer, tokenise(prompt, network.program.inputs), prefix_mask(prompt)
    )
    supports = slice(2, 2 + prompt.n_support)  # behind the two registers
    found = kernel_heads(logits[..., supports, supports], prompt.phi, prompt.phi)
    return {name: getattr(found, name).numpy() for name in NAMES}
