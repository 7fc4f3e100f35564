"""A small softmax network moved to another law, five ways: what becomes of its features, of kernel regression on them, and of its risk.

Two moves. "rougher": Gaussian processes on the circle, of which the new ones are rougher; what served the old law serves the new one. "other
inputs": inputs are points of two circles, and the new functions see the other circle; what served the old law is of no use.

Every result is a list: before fine-tuning, then after it with every remedy of `REMEDIES`. `risk`: over Bayes risk. `own`, `old`: distance of the
predictions from kernel regression on the network's own features, and on those before fine-tuning. `own_risk`, `old_risk`: the risk that these
regressions have, over Bayes risk. `drift`: of the features, one minus CKA.
"""

from dataclasses import replace

import torch

from metarep_lib.evidence.align import representation_drift
from metarep_lib.studies import Sweep
from metarep_lib.tasks import ExponentialPrior, bayes_risk
from metarep_lib.tasks.priors import TwoCirclesPrior
from metarep_lib.train import (
    REMEDIES,
    context_stream,
    feature_alignment,
    fine_tune,
    initial,
    network_features,
    recipe_of,
)
from metarep_lib.train.fine_tune import feature_regression

BLOCK, N_SUPPORT, N_QUERY = 2, 16, 8
MOVES = {  # prior, steps, learning rate: of the training, and of the fine-tuning
    "rougher": (ExponentialPrior(2, 0.5, (0.2,)), 600, 3e-3, ExponentialPrior(2, 0.15, (0.2,)), 150, 1e-3),
    "other inputs": (TwoCirclesPrior(0), 1000, 3e-3, TwoCirclesPrior(1), 1000, 3e-3),
}


def recipe(prior, steps: int, learning_rate: float):
    shape = {"attention": "softmax", "n_layers": 3, "d_model": 32, "n_heads": 2, "d_head": 16, "d_mlp": 64}
    training = {"layout": "prefix", "n_support": [4, N_SUPPORT], "n_query": N_QUERY, "batch": 64, "steps": steps, "learning_rate": learning_rate, "warmup": 50}
    known = {"kind": "exponential", "n_inputs": prior.n_inputs, "tau": prior.tau, "noise": list(prior.noise)}
    return replace(recipe_of("small", {"prior": known, "network": shape, "training": training}), prior=prior)


def measure(network, before, prior) -> dict[str, float]:
    draw = prior.sample(400, N_SUPPORT + N_QUERY, torch.Generator().manual_seed(10**6))
    y, truth, bayes = draw.y[:, :N_SUPPORT], draw.f[:, N_SUPPORT:], bayes_risk(prior, draw, N_SUPPORT)
    _, said = context_stream(network, draw, N_SUPPORT, BLOCK)
    own, old = (network_features(held, draw.x, BLOCK) for held in (network, before))
    found = {"risk": (said - truth).square().mean().item() / bayes, "drift": representation_drift(old, own)}
    for name, phi in (("own", own), ("old", old)):
        found[name], ridge = feature_alignment(said, phi, y)
        found[f"{name}_risk"] = (feature_regression(phi, y, ridge) - truth).square().mean().item() / bayes
    return found


def run(move: str, seed: int) -> dict[str, list[float]]:
    old, new = (recipe(*MOVES[move][at : at + 3]) for at in (0, 3))
    untrained = initial(old, seed)
    before = fine_tune(untrained, old, "none", old=old, block=BLOCK, seed=seed)
    networks = [before, *(fine_tune(before, new, remedy, old=old, block=BLOCK, seed=seed + 100) for remedy in REMEDIES)]
    results = {}
    for where, prior in (("new", new.prior), ("start", old.prior)):
        for network in networks:
            for name, value in measure(network, before, prior).items():
                results.setdefault(f"{name} {where}", []).append(value)
        draw = prior.sample(400, N_SUPPORT + N_QUERY, torch.Generator().manual_seed(10**6))
        phi = network_features(untrained, draw.x, BLOCK)
        of_untrained = [feature_alignment(context_stream(network, draw, N_SUPPORT, BLOCK)[1], phi, draw.y[:, :N_SUPPORT])[0] for network in networks]
        results[f"untrained {where}"] = of_untrained
    return results


SWEEP = Sweep("representation-drift", {"move": list(MOVES)}, range(3), run)
