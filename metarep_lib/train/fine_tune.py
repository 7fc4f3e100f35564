"""Fine-tuning with a hold on the representation: does kernel regression on a network's own features go on predicting it when they move?

Letters: B prompts, n tokens, d inputs, d_model channels, s directions.

The features phi(x) of a network are its stream after a block when it reads x alone, as a query without supports. Kernel ridge
regression on them is an oracle that knows the representation and nothing of the layers behind it.
"""

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least
from metarep_lib.network.masks import PrefixMask
from metarep_lib.network.tokens import bare_tokens
from metarep_lib.network.transformer import Transformer
from metarep_lib.numerics.solvers.iterations import cholesky
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt
from metarep_lib.tasks.priors import Draw, bayes
from metarep_lib.train.loop import batch_loss, loss_weights, rate
from metarep_lib.train.recipe import Recipe

REMEDIES = ("none", "pull", "co-train", "freeze", "freeze at random")
RIDGES = tuple(2.0**power for power in range(-16, 3))


@asked()
def network_features(network: Transformer, x: Tensor, block: int) -> Tensor:
    """[B, n, d_model + 1] phi(x) after `block` blocks, centred and scaled to mean square one over the batch, and a constant."""
    tokens = bare_tokens(x[..., :0, :], x[..., :0, 0], x)
    for index, stream in enumerate(network.stream(tokens, PrefixMask(0, sees_itself=True))):
        if index == block:
            break
    phi = stream - stream.mean((0, 1))
    return torch.cat(
        [phi / phi.square().sum(-1).mean().sqrt(), torch.ones_like(phi[..., :1])], dim=-1
    )


def feature_regression(phi: Tensor, y: Tensor, ridge: float) -> Tensor:
    """Kernel ridge regression on features of supports, then queries: [B, n, p] and [B, k] to [B, n - k]."""
    k = y.shape[-1]
    system = ridge_system(Prompt(phi[:, :k], y, phi[:, k:], ridge))
    return system.predict(cholesky(system).alpha)


@asked()
def feature_alignment(said: Tensor, phi: Tensor, y: Tensor) -> tuple[float, float]:
    """(distance, ridge): relative root mean square between predictions and `feature_regression` with the ridge that brings it nearest."""
    of_ridge = [
        ((feature_regression(phi, y, ridge) - said).square().mean() / said.square().mean())
        .sqrt()
        .item()
        for ridge in RIDGES
    ]
    return min(zip(of_ridge, RIDGES))


def probed_subspace(stream: Tensor, targets: Tensor) -> Tensor:
    """[d_model, s] orthonormal: the span of the least-squares probes that read `targets`, [m, s], off `stream`, [m, d_model]."""
    probes = torch.linalg.lstsq(stream - stream.mean(0), targets - targets.mean(0)).solution
    return torch.linalg.qr(probes).Q


@asked()
def context_stream(network: Transformer, draw: Draw, k: int, block: int) -> tuple[Tensor, Tensor]:
    """The stream after `block` blocks at all tokens of prompts with k supports, and the predictions at the queries."""
    tokens, mask = (
        bare_tokens(draw.x[:, :k], draw.y[:, :k], draw.x[:, k:]),
        PrefixMask(k, sees_itself=True),
    )
    streams = list(network.stream(tokens, mask))
    return streams[block], network.read(streams[-1])[:, k:, 0]


@asked(seed=at_least(0))
def fine_tune(
    network: Transformer,
    recipe: Recipe,
    remedy: str,
    *,
    old: Recipe,
    block: int,
    seed: int,
    weight: float = 1.0,
) -> Transformer:
    """A copy of the network, trained on by the recipe with a remedy against representation drift.

    Args:
        network: trained by `old` (with the remedy "none" also an untrained one, which is then trained); not changed.
        recipe: of the new prior, layout "prefix"; its steps and learning rate are those of the fine-tuning.
        remedy: "none"; "pull": the prediction towards kernel regression on the features before fine-tuning; "co-train": features and prediction
            towards each other, the regression on the features towards the truth; "freeze": the subspace of the stream after `block` that
            probes for inputs and Bayes prediction span stays where it was; "freeze at random": a random one of the same dimension.
        old: of the prior the network was trained on, where probes and ridge are fitted.
        block: whose features.
        seed: of the batches and the random subspace.
        weight: of the remedy, beside a loss that is in units of the Bayes risk.

    Raises:
        ValueError: a remedy there is not.
    """
    if remedy not in REMEDIES:
        raise ValueError(
            f"fine_tune(remedy={remedy!r}): expected one of {', '.join(map(repr, REMEDIES))}"
        )
    before = copy.deepcopy(network).requires_grad_(False)
    network = copy.deepcopy(network).requires_grad_(True)
    schedule, weigh = recipe.schedule, loss_weights(recipe)
    hold = None if remedy == "none" else holds(before, old, block, seed)[remedy]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, betas=(0.9, 0.98)
    )
    for step in range(schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate * rate(step, schedule.warmup, schedule.steps)
        batch = (seed + 1) * 10**7 + step
        loss = batch_loss(network, recipe, weigh, torch.Generator().manual_seed(batch), "cpu")
        if hold:
            k = schedule.n_support[1]
            draw = recipe.prior.sample(
                schedule.batch // 2,
                k + schedule.n_query,
                torch.Generator().manual_seed(batch + 5 * 10**6),
            )
            loss = loss + weight * hold(network, draw, k, weigh[k])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
        optimizer.step()
    return network.requires_grad_(False)


def holds(before: Transformer, old: Recipe, block: int, seed: int) -> dict[str, Callable]:
    """The added loss of every remedy: hold(network, draw, k, one over the Bayes risk)."""
    k = old.schedule.n_support[1]
    draw = old.prior.sample(
        300, k + old.schedule.n_query, torch.Generator().manual_seed(seed + 7 * 10**5)
    )
    stream, said = context_stream(before, draw, k, block)
    _, ridge = feature_alignment(said, network_features(before, draw.x, block), draw.y[:, :k])
    targets = torch.cat([draw.x[:, k:], bayes(old.prior, draw, k).float().unsqueeze(-1)], dim=-1)
    probed = probed_subspace(stream[:, k:].flatten(0, 1), targets.flatten(0, 1))
    random = torch.linalg.qr(
        torch.randn(probed.shape, generator=torch.Generator().manual_seed(seed + 8 * 10**5))
    ).Q

    def pull(network: Transformer, draw: Draw, k: int, unit: Tensor) -> Tensor:
        _, said = context_stream(network, draw, k, block)
        return (
            unit
            * (
                said
                - feature_regression(network_features(before, draw.x, block), draw.y[:, :k], ridge)
            )
            .square()
            .mean()
        )

    def co_train(network: Transformer, draw: Draw, k: int, unit: Tensor) -> Tensor:
        _, said = context_stream(network, draw, k, block)
        oracle = feature_regression(network_features(network, draw.x, block), draw.y[:, :k], ridge)
        return unit * ((said - oracle).square().mean() + (oracle - draw.f[:, k:]).square().mean())

    def freeze(directions: Tensor) -> Callable:
        def hold(network: Transformer, draw: Draw, k: int, unit: Tensor) -> Tensor:
            was, now = (
                context_stream(held, draw, k, block)[0] @ directions for held in (before, network)
            )
            return 10 * (now - was).square().mean() / was.square().mean()

        return hold

    return {
        "pull": pull,
        "co-train": co_train,
        "freeze": freeze(probed),
        "freeze at random": freeze(random),
    }
