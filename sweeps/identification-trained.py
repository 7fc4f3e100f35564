"""Trained networks, layer by layer as their own heads read them, against every candidate: misfits, paired intervals, and the marks that need no candidate.

Networks of linear tasks are asked about prompts of their own prior and about prompts with two clusters of eigenvalues inside the range
they were trained on; networks of Gaussian processes about their own prior, with candidates for the exponential kernel. The seeds are those that the recipes state.
`seed` draws the prompts: those that candidates are tuned on and those they are judged on.

`misfits_*`, `low_*`, `high_*`: of every candidate, the interval for its misfit minus that of the best. `equal_*`: the same between rivals of equal
count, conjugate gradient minus ridge path, first of the few-number rivals and then of those with a ridge each layer, each time for every kind of
conjugate gradient in `MATCHED` and for the one that fits the tuning prompts best; the ridge path of few numbers is the one that fits them best.
`matched_*`: misfits of these rivals. `gdpp_*`: GD++ minus the ridge path that falls by a free factor, two numbers each. `filter_*`, `polynomial_*`: what the best filter of all, and the best polynomial of degree l at layer l, leave
unexplained. `additivity`: of every layer, for other targets of the same law at the same inputs. `by_ridge`: for every kind of conjugate gradient and
the last layer, misfit and gap at the ridge and step that fit best, and the misfit of the best of those that are as additive as the network. `gains`: by bins.
"""

import torch

from metarep_lib import Prompt
from metarep_lib.evidence.identify import (
    KERNEL,
    LINEAR,
    MATCHED,
    SCHEDULED,
    Posed,
    additivity_gap,
    compared,
    fit_candidate,
    judge,
    own_head,
    query_streams,
    spectral_gains,
)
from metarep_lib.evidence.identify.by_ridge import by_ridge
from metarep_lib.evidence.identify.candidates import MATCHED_KERNEL
from metarep_lib.evidence.identify.spectral_marks import best_filter, primal_spectrum
from metarep_lib.numerics.spectrum import best_polynomial
from metarep_lib.studies import Sweep
from metarep_lib.tasks import ExponentialPrior, LinearPrior, clusters, designed_prompts
from metarep_lib.tasks.priors import gaussian_process
from metarep_lib.train import load_trained, read_recipe
from metarep_lib.train.trained import WEIGHTS

Q, TUNING, JUDGING = 8, 48, 64
MANY = 128  # prompts for filters and polynomials: fitted to few, they diverge on a prompt with a larger eigenvalue
EDGES = torch.logspace(-1.2, 0.6, 10, dtype=torch.float64)
CLUSTERS = {"linear-attention": clusters(2, 0.3, 2.2), "softmax-linear": clusters(2, 0.1, 2.2)}
RECIPES = (*(f"linear-attention-{depth}" for depth in (1, 2, 3, 4)), "linear-attention-looped-4", "softmax-gp", "softmax-linear")
TRAINING = WEIGHTS.parents[1] / "training"
NETWORKS = [f"{name}-{seed}" for name in RECIPES for seed in read_recipe(TRAINING / f"{name}.toml").seeds]


def own_prompts(prior: LinearPrior | ExponentialPrior, n_prompts: int, k: int, seed: int) -> Prompt:
    draw = prior.sample(n_prompts, k + Q, torch.Generator().manual_seed(10**6 + seed))
    x, y = draw.x.double(), draw.y.double()
    return Prompt(x[:, :k], y[:, :k], x[:, k:], ridge=draw.noise.mean().item() ** 2, y_query=draw.f[:, k:].double())


def other_targets(prior: LinearPrior | ExponentialPrior, prompt: Prompt, seed: int) -> torch.Tensor:
    """[B, k] targets of another function at the same inputs, so that sums and halves of targets stay targets of the prior."""
    generator = torch.Generator().manual_seed(10**6 + seed)
    f = gaussian_process(prior.covariance(prompt.phi, prompt.phi), generator).double()
    return f + prior.noise[0] * torch.randn(f.shape, generator=generator).double()


def of_equal_count(fits: dict, posed: Posed, judged: torch.Tensor, n_layers: int) -> list[list[float]]:
    """Conjugate gradient minus ridge path: few numbers, then a ridge each layer; every kind, then the kind that fits the tuning prompts best."""
    found = []
    for each_layer in (False, True):
        gradients = [fit for fit in fits.values() if fit.candidate.method == "conjugate gradient" and fit.candidate.ridge_each_layer == each_layer]
        count = min(fit.candidate.numbers(n_layers) for fit in gradients)
        paths = [fit for fit in fits.values() if "ridge path" in fit.candidate.method and fit.candidate.numbers(n_layers) == count]
        path = min((fit for fit in paths if fit.candidate.may_jump == each_layer and fit.candidate.kernel == gradients[0].candidate.kernel), key=lambda fit: fit.misfit)
        best = min(gradients, key=lambda fit: fit.misfit)
        found += [compared(fit, path, posed, judged) for fit in (*gradients, best)]
    return found


def run(network: str, seed: int) -> dict:
    name, _, number = network.rpartition("-")
    seed = 10 * seed  # no prompt is drawn twice
    trained = load_trained(name, int(number))
    prior, is_linear = trained.recipe.prior, isinstance(trained.recipe.prior, LinearPrior)
    if trained.recipe.shape.norm == "none":
        trained.transformer.double()
    k = min(20, trained.recipe.schedule.n_support[1])

    def heads(prompt: Prompt) -> torch.Tensor:
        return own_head(trained, query_streams(trained, prompt.to(trained.traits.dtype)))[1:]

    family = next((family for family in CLUSTERS if name.startswith(family)), None)
    candidates, matched = ((*LINEAR, *SCHEDULED), MATCHED) if is_linear else ((*KERNEL, LINEAR[-1]), MATCHED_KERNEL)
    result = {}
    for design in ["prior"] + ["clusters"] * is_linear:
        tuning, judging, many = (
            own_prompts(prior, n, k, seed + i)
            if design == "prior"
            else designed_prompts(CLUSTERS[family], n, k, Q, prior.n_inputs, seed=seed + i, ridge=0.05)
            for i, n in ((1, TUNING), (2, JUDGING), (4, MANY))
        )
        seen, judged = heads(tuning), heads(judging)
        tune_on, judge_on = Posed.of(tuning), Posed.of(judging)
        fits = {candidate.name: fit_candidate(candidate, tune_on, seen, seed=seed) for candidate in (*candidates, *matched)}
        verdict = judge([fits[candidate.name] for candidate in candidates], judge_on, judged)
        intervals = [verdict.intervals[candidate.name] for candidate in candidates]
        result |= {
            f"misfits_{design}": [verdict.misfits[candidate.name] for candidate in candidates],
            f"low_{design}": [low for low, _ in intervals],
            f"high_{design}": [high for _, high in intervals],
            f"matched_{design}": [float(fits[candidate.name].misfits(judge_on, judged).mean()) for candidate in matched],
            f"equal_{design}": of_equal_count(fits, judge_on, judged, len(seen)),
        }
        if is_linear:  # two numbers each
            result[f"gdpp_{design}"] = compared(fits["GD++"], fits["falling ridge path"], judge_on, judged)
        if is_linear:
            tune, test = primal_spectrum(many), primal_spectrum(judging)
            energy = judged.square().sum((-2, -1))
            smooth, limited = [], []
            for layer, (f, g) in enumerate(zip(heads(many), judged), start=1):
                smooth.append(float((g - test.predict(best_filter(tune, f))).square().sum() / energy[layer - 1]))
                limited.append(float((g - test.predict(best_polynomial(tune, f, layer))).square().sum() / energy[layer - 1]))
            gains = spectral_gains(judging, judged, EDGES)
            result |= {f"filter_{design}": smooth, f"polynomial_{design}": limited, f"gains_{design}": gains.mean.flatten().tolist()}
        if design == "prior":
            other = other_targets(prior, judging, seed + 3)
            result["additivity"] = additivity_gap(heads, judging, other).tolist()
            result["by_ridge"] = []
            for candidate in (candidate for candidate in matched if candidate.ridge_each_layer):
                logs = fits[candidate.name].logs
                held = by_ridge(candidate, logs, tune_on, seen[-1], judge_on, judged[-1], other, len(seen))
                result["by_ridge"].append([*held.best, held.as_additive(result["additivity"][-1])])
    return result


SWEEP = Sweep("identification-trained", {"network": NETWORKS}, [0, 1, 2], run)
