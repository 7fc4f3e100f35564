"""A small softmax network moved to a rougher prior, five ways: what becomes of its features, of kernel regression on them, and of its risk.

Every result is a list: before fine-tuning, then after it with every remedy of `REMEDIES`.
"""


import torch

from metarep_lib.evidence.align import representation_drift
from metarep_lib.studies import Sweep
from metarep_lib.tasks import bayes_risk
from metarep_lib.train import (
    REMEDIES,
    context_stream,
    feature_alignment,
    fine_tune,
    initial,
    network_features,
    recipe_of,
)

BLOCK, N_SUPPORT, N_QUERY = 2, 16, 8


def recipe(tau: float, steps: int, learning_rate: float):
    shape = {"attention": "softmax", "n_layers": 3, "d_model": 32, "n_heads": 2, "d_head": 16, "d_mlp": 64}
    prior = {"kind": "exponential", "n_inputs": 2, "tau": tau, "noise": [0.2]}
    training = {"layout": "prefix", "n_support": [4, N_SUPPORT], "n_query": N_QUERY, "batch": 64, "steps": steps, "learning_rate": learning_rate, "warmup": 50}
    return recipe_of("small", {"prior": prior, "network": shape, "training": training})


def measure(network, before, prior) -> dict[str, float]:
    """On prompts of one prior: risk over Bayes risk, and how far the predictions are from kernel regression on new and on old features."""
    draw = prior.sample(400, N_SUPPORT + N_QUERY, torch.Generator().manual_seed(10**6))
    _, said = context_stream(network, draw, N_SUPPORT, BLOCK)
    own, old = (network_features(held, draw.x, BLOCK) for held in (network, before))
    return {
        "risk": (said - draw.f[:, N_SUPPORT:]).square().mean().item() / bayes_risk(prior, draw, N_SUPPORT),
        "own": feature_alignment(said, own, draw.y[:, :N_SUPPORT])[0],
        "old": feature_alignment(said, old, draw.y[:, :N_SUPPORT])[0],
        "drift": representation_drift(old, own),
    }


def run(seed: int) -> dict[str, list[float]]:
    smooth, rough = recipe(0.5, 600, 3e-3), recipe(0.15, 150, 1e-3)
    untrained = initial(smooth, seed)
    before = fine_tune(untrained, smooth, "none", old=smooth, block=BLOCK, seed=seed)
    networks = [before, *(fine_tune(before, rough, remedy, old=smooth, block=BLOCK, seed=seed + 100) for remedy in REMEDIES)]
    results = {}
    for where, prior in (("new", rough.prior), ("start", smooth.prior)):
        for network in networks:
            for name, value in measure(network, before, prior).items():
                results.setdefault(f"{name} {where}", []).append(value)
    draw = smooth.prior.sample(400, N_SUPPORT + N_QUERY, torch.Generator().manual_seed(10**6))
    said = context_stream(before, draw, N_SUPPORT, BLOCK)[1]
    return results | {"untrained features": feature_alignment(said, network_features(untrained, draw.x, BLOCK), draw.y[:, :N_SUPPORT])[0]}


SWEEP = Sweep("representation-drift", {}, range(3), run)
