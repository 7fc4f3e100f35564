"""Trained networks, layer by layer as their own heads read them, against every candidate: misfits, paired intervals, and the marks that need no candidate.

Networks of linear tasks are asked about prompts of their own prior and about prompts with two clusters of eigenvalues inside the range
they were trained on; networks of Gaussian processes about their own prior, with candidates for the exponential kernel. Whatever seeds are stored are used.

`misfits_*`, `low_*`, `high_*`: of every candidate, the interval for its misfit minus that of the best. `filter_*`, `polynomial_*`: what the best
filter of all, and the best polynomial of degree l at layer l, leave unexplained. `additivity`: of every layer. `gains`: of every layer by bins.
"""

import re

import torch

from metarep_lib import Prompt
from metarep_lib.evidence.identify import (
    KERNEL,
    LINEAR,
    SCHEDULED,
    Posed,
    additivity_gap,
    fit_candidate,
    judge,
    own_head,
    query_streams,
    spectral_gains,
)
from metarep_lib.evidence.identify.spectral_marks import best_filter, primal_spectrum
from metarep_lib.numerics.spectrum import best_polynomial
from metarep_lib.studies import Sweep
from metarep_lib.tasks import ExponentialPrior, LinearPrior, clusters, designed_prompts
from metarep_lib.train import load_trained
from metarep_lib.train.trained import WEIGHTS

Q, TUNING, JUDGING = 8, 48, 64
EDGES = torch.logspace(-1.2, 0.6, 10, dtype=torch.float64)
CLUSTERS = {"linear-attention": clusters(2, 0.3, 2.2), "softmax-linear": clusters(2, 0.1, 2.2)}
WANTED = r"(linear-attention-(looped-)?[1-4]|softmax-linear|softmax-gp)-\d"
NETWORKS = sorted(path.stem for path in WEIGHTS.glob("*.safetensors") if re.fullmatch(WANTED, path.stem))


def own_prompts(prior: LinearPrior | ExponentialPrior, n_prompts: int, k: int, seed: int) -> Prompt:
    draw = prior.sample(n_prompts, k + Q, torch.Generator().manual_seed(10**6 + seed))
    x, y = draw.x.double(), draw.y.double()
    return Prompt(x[:, :k], y[:, :k], x[:, k:], ridge=draw.noise.mean().item() ** 2, y_query=draw.f[:, k:].double())


def run(network: str, seed: int) -> dict:
    name, _, number = network.rpartition("-")
    trained = load_trained(name, int(number))
    prior, is_linear = trained.recipe.prior, isinstance(trained.recipe.prior, LinearPrior)
    if trained.recipe.shape.norm == "none":
        trained.transformer.double()
    k = min(20, trained.recipe.schedule.n_support[1])

    def heads(prompt: Prompt) -> torch.Tensor:
        return own_head(trained, query_streams(trained, prompt.to(trained.traits.dtype)))[1:]

    family = next((family for family in CLUSTERS if name.startswith(family)), None)
    candidates = (*LINEAR, *SCHEDULED) if is_linear else (*KERNEL, LINEAR[-1])
    result = {}
    for design in ["prior"] + ["clusters"] * is_linear:
        tuning, judging = (
            own_prompts(prior, n, k, seed + i)
            if design == "prior"
            else designed_prompts(CLUSTERS[family], n, k, Q, prior.n_inputs, seed=seed + i, ridge=0.05)
            for i, n in ((1, TUNING), (2, JUDGING))
        )
        seen, judged = heads(tuning), heads(judging)
        fits = [fit_candidate(candidate, Posed.of(tuning), seen, seed=seed) for candidate in candidates]
        verdict = judge(fits, Posed.of(judging), judged)
        intervals = [verdict.intervals[candidate.name] for candidate in candidates]
        result |= {
            f"misfits_{design}": [verdict.misfits[candidate.name] for candidate in candidates],
            f"low_{design}": [low for low, _ in intervals],
            f"high_{design}": [high for _, high in intervals],
        }
        if is_linear:
            tune, test = primal_spectrum(tuning), primal_spectrum(judging)
            energy = judged.square().sum((-2, -1))
            smooth, limited = [], []
            for layer, (f, g) in enumerate(zip(seen, judged), start=1):
                smooth.append(float((g - test.predict(best_filter(tune, f))).square().sum() / energy[layer - 1]))
                limited.append(float((g - test.predict(best_polynomial(tune, f, layer))).square().sum() / energy[layer - 1]))
            gains = spectral_gains(judging, judged, EDGES)
            result |= {f"filter_{design}": smooth, f"polynomial_{design}": limited, f"gains_{design}": gains.mean.flatten().tolist()}
        if design == "prior":
            other = own_prompts(prior, JUDGING, k, seed + 3).y
            result["additivity"] = additivity_gap(heads, judging, other).tolist()
    return result


SWEEP = Sweep("identification-trained", {"network": NETWORKS}, [0], run)
