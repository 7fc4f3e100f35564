"""A trained network against smoothers fitted to it where it was trained and then frozen, on another law of tasks.

Letters: B prompts, q queries, k supports. The smoothers are fixed beforehand, so what they say about the new law is a prediction.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from metarep_lib.asked import asked_to_draw
from metarep_lib.evidence.align.smoother_families import (
    FAMILIES,
    Fitted,
    fit,
    prediction_error,
    weight_cosine,
    weight_error,
)
from metarep_lib.evidence.align.target_weights import prediction_and_weights
from metarep_lib.evidence.intervals import paired_interval
from metarep_lib.network.asking import Answerer
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import shifted
from metarep_lib.tasks.priors import Draw, Prior, bayes
from metarep_lib.train.trained import TrainedTransformer, load_trained


@asked_to_draw()
def drawn(
    prior: Prior, n_prompts: int, n_support: int, n_query: int, seed: int
) -> tuple[Draw, Prompt]:
    """A draw of a prior, and the prompts it makes; their ridge is 1, which trained networks do not read."""
    draw = prior.sample(n_prompts, n_support + n_query, torch.Generator().manual_seed(seed))
    return draw, Prompt(
        draw.x[:, :n_support], draw.y[:, :n_support], draw.x[:, n_support:], ridge=1.0
    )


@asked_to_draw()
def fit_families(network: TrainedTransformer, n_support: int, seed: int = 1) -> dict[str, Fitted]:
    """The member of every family nearest to the network on the law it was trained on, by s on 64 prompts with 4 queries."""
    _, prompt = drawn(network.recipe.prior, 64, n_support, 4, seed)
    _, s = prediction_and_weights(network.predict, prompt)
    return {family: fit(family, prompt.to(torch.float64), s.double()) for family in FAMILIES}


@cache
def trained_and_fitted(
    recipe: str, n_support: int, seed: int
) -> tuple[TrainedTransformer, dict[str, Fitted]]:
    """A stored network and its smoothers, fitted once."""
    network = load_trained(recipe, seed)
    return network, fit_families(network, n_support)


def at_shift(
    network: TrainedTransformer, frozen: Mapping[str, Fitted], shift: str, n_support: int
) -> dict:
    """One point of a sweep over laws: a network against its smoothers with one thing moved, "knob value".

    Returns:
        What `weights_compared` and `risks_compared` return, on as many supports as the shift says or else n_support.
    """
    knob, number = shift.split()
    prior = shifted(network.recipe.prior, knob, float(number))
    k = int(number) if knob == "supports" else n_support
    return weights_compared(network, frozen, prior, k) | risks_compared(network, frozen, prior, k)


@asked_to_draw()
def weights_compared(
    network: TrainedTransformer,
    frozen: Mapping[str, Fitted],
    prior: Prior,
    n_support: int,
    seed: int = 2,
) -> dict[str, float]:
    """How far s and f of the network are from those of every smoother, 32 prompts with 4 queries.

    Returns:
        `nonlinearity`: |f - sum_i s_i y_i| / |f|, zero for anything linear in y; for every family `FAMILY_error`, `FAMILY_cosine` (of s, means over
        prompts) and `FAMILY_prediction_error` (of f); `refitted_error`, that of the gaussian kernel fitted anew to these prompts: what the family could do at best.
    """
    _, prompt = drawn(prior, 32, n_support, 4, seed)
    f, s = prediction_and_weights(network.predict, prompt)
    prompt, f, s = prompt.to(torch.float64), f.double(), s.double()
    again = fit("gaussian", prompt, s)
    result = {
        "nonlinearity": (f - (s @ prompt.y.unsqueeze(-1)).squeeze(-1)).norm() / f.norm(),
        "refitted_error": weight_error(s, again.weights(prompt)).mean(),
        "refitted_tau": torch.tensor(again.tau),
        "refitted_ridge": torch.tensor(again.ridge),
    }
    for family, one in frozen.items():
        theirs = one.weights(prompt)
        result[f"{family}_error"] = weight_error(s, theirs).mean()
        result[f"{family}_cosine"] = weight_cosine(s, theirs).mean()
        result[f"{family}_prediction_error"] = prediction_error(f, one.predict(prompt))
    return {name: value.item() for name, value in result.items()}


@asked_to_draw()
def risks_compared(
    network: TrainedTransformer,
    frozen: Mapping[str, Fitted],
    prior: Prior,
    n_support: int,
    seed: int = 3,
) -> dict[str, float | list[float]]:
    """Mean squared errors against the noiseless f, 128 prompts with 16 queries: measured, and predicted by every smoother.

    Returns:
        `NAME_risk` for the network, the oracle (the best linear smoother of the new law, which knows it) and every family; `FAMILY_excess`, mean and paired
        95 % bootstrap interval of the network's risk minus the family's; and for the first 64 prompts, `each_network`, `each_oracle`, `each_gaussian`
        (their errors), `each_gap` (mean squared difference of network and gaussian smoother), `each_left_out` (the network's squared error
        at its own first supports, each left out in turn) and `each_size` (mean square of the targets).
    """
    draw, prompt = drawn(prior, 128, n_support, 16, seed)
    truth = draw.f[:, n_support:].double()
    with torch.no_grad():
        said = {
            "network": network.predict(prompt).double(),
            "oracle": bayes(prior, draw, n_support),
        }
    said |= {family: one.predict(prompt.to(torch.float64)) for family, one in frozen.items()}
    error = {name: (f - truth).square().mean(-1) for name, f in said.items()}
    result = {f"{name}_risk": of_prompt.mean().item() for name, of_prompt in error.items()}
    for family in frozen:
        result[f"{family}_excess"] = paired_interval(error["network"] - error[family])
    few = Prompt(prompt.phi[:64], prompt.y[:64], prompt.phi_query[:64], prompt.ridge)
    each = {name: error[name] for name in ("network", "oracle", "gaussian")}
    each |= {
        "gap": (said["network"] - said["gaussian"]).square().mean(-1),
        "size": prompt.y.square().mean(-1),
    }
    said_left_out = network_left_out(network, few)
    each["left_out"] = (said_left_out - few.y[:, : said_left_out.shape[1]]).square().mean(-1)
    return result | {f"each_{name}": values[:64].tolist() for name, values in each.items()}


@torch.no_grad()
def network_left_out(network: Answerer, prompt: Prompt, at_most: int = 8) -> Tensor:
    """[B, min(k, at_most)] what the network says at the first supports when each is hidden from it: a pass of k - 1 supports for every one.

    Raises:
        ValueError: fewer than two supports.
    """
    k = prompt.n_support
    if k < 2:
        raise ValueError(f"network_left_out: the prompt has {k} support, expected at least 2")
    said = []
    for i in range(min(k, at_most)):
        others = [j for j in range(k) if j != i]
        said.append(
            network.predict(
                replace(
                    prompt,
                    phi=prompt.phi[:, others],
                    y=prompt.y[:, others],
                    phi_query=prompt.phi[:, [i]],
                )
            )
        )
    return torch.cat(said, dim=-1)
