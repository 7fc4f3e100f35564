"""Controls for probes: what would have been found where there is nothing to find.

Networks that have learnt nothing, targets that belong to other tasks, readers that see the token alone, and probes strong
enough to compute a target themselves.
"""

import warnings
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPRegressor
from torch import Tensor

from metarep_lib.asked import asked, at_least, each, floats, not_negative, tensors
from metarep_lib.contents import Contents
from metarep_lib.evidence.probe.other_basis import in_other_basis
from metarep_lib.evidence.probe.probes import Split, Targets, check
from metarep_lib.network.asking import Network
from metarep_lib.network.levels import needs
from metarep_lib.network.transformer import Transformer

N = TypeVar("N", bound=Network)


@needs(Transformer, "transformer")
@asked()
def rotated(transformer: Transformer, generator: torch.Generator) -> Transformer:
    """A network that says the same and whose stream is that of `transformer` times a random orthogonal matrix.

    In floats this is good for networks that do not divide: a division head counts on keys that are exactly zero. For those take
    `in_other_basis` with a `signed_permutation`, which rounds nothing.

    Raises:
        ValueError: a network with a norm, which singles out the axes (LayerNorm) or carries gains per axis.
    """
    size = transformer.config.d_model
    Q = torch.linalg.qr(torch.randn(size, size, generator=generator, dtype=torch.float64))[0]
    return in_other_basis(transformer, Q.to(transformer.W_E))


@needs(Network)
@asked(seed=at_least(0))
def with_shuffled_weights(network: N, seed: int) -> N:
    """The weights of any network in which they can be reached, each matrix with its entries in random order: the scales of training without what it learnt."""
    generator = torch.Generator().manual_seed(seed)

    def shuffled(W: Tensor) -> Tensor:
        return W.flatten()[torch.randperm(W.numel(), generator=generator)].reshape(W.shape)

    return network.reweighted(shuffled)


@asked(targets=tensors(), seed=at_least(0))
def other_tasks(targets: Targets, split: Split, seed: int) -> dict[str, Tensor]:
    """Every target exchanged between tasks, within each part of the split, by one permutation for all targets."""
    order, generator = (
        torch.arange(len(next(iter(targets.values())))),
        torch.Generator().manual_seed(seed),
    )
    for part in (split.train, split.validation, split.test):
        held = order[part]
        order[part] = held[torch.randperm(len(held), generator=generator)]
    return {name: y[order] for name, y in targets.items()}


@asked(tokens=floats("*B n c"), n_features=at_least(1), seed=at_least(0))
def random_features(tokens: Tensor, n_features: int, seed: int) -> Tensor:
    """[..., n_features] cos(u . token + b) of standardised tokens [..., c] (Rahimi and Recht 2007): a reader of the token alone, as wide as wanted."""
    generator = torch.Generator().manual_seed(seed)
    flat = tokens.double().flatten(0, -2)
    standard = (tokens.double() - flat.mean(0)) / flat.std(0).clamp(min=1e-12)
    u = (
        torch.randn(tokens.shape[-1], n_features, generator=generator).double()
        / tokens.shape[-1] ** 0.5
    )
    return (
        standard @ u + 2 * torch.pi * torch.rand(n_features, generator=generator).double()
    ).cos()


@asked(tokens=floats("*B n c"), n_planes=at_least(1), seed=at_least(0))
def control_task(tokens: Tensor, n_planes: int, seed: int) -> Tensor:
    """[...] a random number for every type of token: a target that says nothing of the task (Hewitt and Liang 2019).

    A type is a cell between n_planes random planes through the mean of the tokens [..., c]. Only a probe that computes from the token, rather
    than reads, can predict it.

    >>> control_task(torch.tensor([[1.0], [2.0], [-3.0]]), 1, seed=0).unique().numel()
    2
    """
    generator = torch.Generator().manual_seed(seed)
    flat = tokens.double().flatten(0, -2)
    standard = (tokens.double() - flat.mean(0)) / flat.std(0, correction=0).clamp(min=1e-12)
    side = standard @ torch.randn(tokens.shape[-1], n_planes, generator=generator).double() > 0
    types = (side * 2 ** torch.arange(n_planes)).sum(-1)
    return torch.randn(2**n_planes, generator=generator).double()[types]


@dataclass(frozen=True, eq=False, repr=False)
class MLPProbe(Contents):
    """A small network from stream to one number; fields as `fit_mlp_probes` makes them."""

    network: MLPRegressor
    mean: Tensor
    scale: Tensor
    unit: float

    def __call__(self, x: Tensor) -> Tensor:
        """[B, n, D] to [B, n]."""
        said = self.network.predict(((x - self.mean) / self.scale).flatten(0, 1).numpy())
        return self.unit * torch.from_numpy(np.asarray(said)).reshape(x.shape[:2])


@asked(
    x=floats("...", half=True, finite=False),
    hidden=at_least(1),
    penalties=each(not_negative, example="(1e-2, 1.0)"),
)
def fit_mlp_probes(
    x: Tensor,
    targets: Targets,
    split: Split,
    hidden: int = 64,
    penalties: tuple[float, ...] = (1e-2, 1.0),
) -> dict[str, MLPProbe]:
    """As `fit_probes`, with one hidden layer of rectified units between; targets are [B, n]."""
    check(x, targets)
    x = x.double()
    rows = x[split.train].flatten(0, 1)
    mean, scale = rows.mean(0), rows.std(0).clamp(min=1e-12)
    probes = {}
    for name, y in targets.items():
        y = y.double()
        taught = y[split.train].flatten()
        unit, candidates = taught.std().item(), []
        for penalty in penalties:
            network = MLPRegressor(
                hidden_layer_sizes=(hidden,),
                alpha=penalty,
                learning_rate_init=3e-3,
                max_iter=40,
                random_state=0,
            )
            with warnings.catch_warnings():
                # a fixed number of epochs is the budget
                warnings.simplefilter("ignore", ConvergenceWarning)
                network.fit(((rows - mean) / scale).numpy(), (taught / unit).numpy())
            candidates.append(MLPProbe(network, mean, scale, unit))
        probes[name] = min(
            candidates,
            key=lambda probe: (probe(x[split.validation]) - y[split.validation]).square().sum(),
        )
    return probes
