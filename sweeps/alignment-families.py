"""In distribution: the smoother nearest to a network in every family, and the exponential kernel held at one temperature after another.

Networks trained on Gaussian processes (30 supports) and on linear functions (20); as controls the former with its
initial weights, and with the entries of every trained matrix shuffled.
"""

import torch

from metarep_lib.evidence.align import (
    FAMILIES,
    fit,
    prediction_and_weights,
    prediction_error,
    weight_cosine,
    weight_error,
)
from metarep_lib.evidence.probe import with_shuffled_weights
from metarep_lib.studies import Sweep, drawn
from metarep_lib.train import load_trained, untrained

TAUS = [0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 20.0, 100.0, 1000.0]  # times the mean square length of the inputs


def run(weights: str, seed: int) -> dict[str, float | list[float]]:
    network = load_trained("softmax-linear" if weights == "linear" else "softmax-gp", seed)
    if weights == "initial":
        network = untrained(network, seed)
    if weights == "shuffled":
        network = with_shuffled_weights(network, seed)
    n_support = 20 if weights == "linear" else 30
    compared = []
    for own_seed in (1, 2):  # fit on some prompts, compare on others
        _, prompt = drawn(network.recipe.prior, 32, n_support, 4, own_seed)
        f, s = prediction_and_weights(network.predict, prompt)
        compared.append((prompt.to(torch.float64), f.double(), s.double()))
    (to_fit, _, s_fit), (prompt, f, s) = compared
    result = {"nonlinearity": ((f - (s @ prompt.y.unsqueeze(-1)).squeeze(-1)).norm() / f.norm()).item()}
    for family in FAMILIES:
        one = fit(family, to_fit, s_fit)
        theirs = one.weights(prompt)
        result |= {
            f"{family}_error": weight_error(s, theirs).mean().item(),
            f"{family}_cosine": weight_cosine(s, theirs).mean().item(),
            f"{family}_prediction_error": prediction_error(f, one.predict(prompt)).item(),
            f"{family}_tau": one.tau,
            f"{family}_ridge": one.ridge,
        }
    typical = to_fit.phi.square().sum(-1).mean().item()
    held = [fit("exponential", to_fit, s_fit, tau=typical * tau) for tau in TAUS]
    return result | {"profile": [weight_error(s, one.weights(prompt)).mean().item() for one in held]}


SWEEP = Sweep("alignment-families", {"weights": ["gp", "linear", "initial", "shuffled"]}, [0, 1, 2], run)
