"""Is a network kernel ridge regression on this prompt? Its derivatives by the targets, held against those of fitted smoothers.

Letters: B prompts, q queries, k supports. A linear smoother says f(x) = sum_i s_i(x) y_i, so s_i = d f / d y_i is all there is to it. For any
network the same derivatives can be taken; agreement of s is a harder test than agreement of f, since f is one number
where s has k, and neighbouring targets average out in it.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import product
from types import MappingProxyType

import numpy as np
import torch
from scipy.optimize import minimize
from torch import Tensor

from metarep_lib.asked import asked, floats, temperature
from metarep_lib.numerics.kernels.kernels import ExponentialKernel, GaussianKernel
from metarep_lib.numerics.kernels.smoothers import smoother_weights
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt, a_prompt

Family = Callable[[Prompt, float], Tensor]

FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        "exponential": lambda prompt, tau: ridge_system(
            prompt, ExponentialKernel(tau)
        ).target_weights(),
        "directions": lambda prompt, tau: ridge_system(
            replace(prompt, phi=direction(prompt.phi), phi_query=direction(prompt.phi_query)),
            ExponentialKernel(tau),
        ).target_weights(),
        "gaussian": lambda prompt, tau: ridge_system(prompt, GaussianKernel(tau)).target_weights(),
        # has no ridge
        "smoother": lambda prompt, tau: smoother_weights(prompt, ExponentialKernel(tau)),
        "linear": lambda prompt, tau: ridge_system(prompt).target_weights(),  # has no temperature
    }
)


def direction(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)


@dataclass(frozen=True)
class Fitted:
    """One member of a family of linear smoothers, to be held against a network on prompts it was not fitted to."""

    family: str
    tau: float
    ridge: float

    @asked(prompt=a_prompt(single=False))
    def weights(self, prompt: Prompt) -> Tensor:
        """[*B, q, k] its s; the ridge of the prompt is not used."""
        return FAMILIES[self.family](replace(prompt, ridge=self.ridge), self.tau)

    @asked(prompt=a_prompt())
    def predict(self, prompt: Prompt) -> Tensor:
        """[*B, q] its f."""
        return (self.weights(prompt) @ prompt.y.unsqueeze(-1)).squeeze(-1)


@asked(prompt=a_prompt(axes="B", queries=1), weights=floats("B q k"), tau=temperature)
def fit(family: str, prompt: Prompt, weights: Tensor, tau: float | None = None) -> Fitted:
    """The member of a family whose s comes nearest to the given one, in the sum of squares over all prompts.

    Args:
        family: a key of `FAMILIES`.
        prompt: B prompts, float64.
        weights: [B, q, k] of the network on them.
        tau: hold the temperature at this value and fit the ridge alone.

    Raises:
        ValueError: an unknown family, with the ones there are.

    >>> prompt = Prompt(torch.eye(3)[None].double(), torch.ones(1, 3).double(), torch.ones(1, 1, 3).double(), ridge=0.5)
    >>> round(fit("linear", prompt, Fitted("linear", 1.0, 0.25).weights(prompt)).ridge, 4)
    0.25
    """
    if family not in FAMILIES:
        raise ValueError(f"fit({family!r}): no such family; there are: {', '.join(FAMILIES)}")
    if weights.shape != (len(prompt.phi), prompt.n_query, prompt.n_support):
        raise ValueError(
            f"fit(weights={list(weights.shape)}): expected those of the prompts,"
            f" {[len(prompt.phi), prompt.n_query, prompt.n_support]}"
        )
    inputs = direction(prompt.phi) if family == "directions" else prompt.phi
    # a temperature of this size makes logits of size one
    typical = inputs.square().sum(-1).mean().item()

    def member(logs: np.ndarray) -> Fitted:
        # colder, and exp(logits) would overflow
        log_tau, log_ridge = np.clip(logs, [-5, -30], 30).tolist()
        held = math.exp(log_tau) * typical if tau is None else tau
        # of the kernel
        diagonal = math.exp(typical / held) if family in ("exponential", "directions") else 1.0
        return Fitted(family, held, diagonal * math.exp(log_ridge))

    def loss(logs: np.ndarray) -> float:
        return (
            (weights - member(logs).weights(prompt)).square().sum() / weights.square().sum()
        ).item()

    start = min(map(np.array, product((-3.0, -1.0, 1.0, 4.0), (-5.0, -2.0, 1.0))), key=loss)
    simplex = start + np.array([[0, 0], [0.5, 0], [0, 0.5]])
    found = minimize(
        loss,
        start,
        method="Nelder-Mead",
        options={"initial_simplex": simplex, "xatol": 1e-6, "fatol": 1e-14, "maxiter": 200},
    )
    return member(found.x)


@asked(weights=floats("*B q k", squared=True), of_smoother=floats("*B q k", squared=True))
def weight_error(weights: Tensor, of_smoother: Tensor) -> Tensor:
    """[*B] the hard metric: norm of the difference over norm of the network's s, over all queries of a prompt."""
    return (weights - of_smoother).flatten(-2).norm(dim=-1) / weights.flatten(-2).norm(dim=-1)


@asked(weights=floats("*B q k"), of_smoother=floats("*B q k"))
def weight_cosine(weights: Tensor, of_smoother: Tensor) -> Tensor:
    """[*B] cosine of the two s, mean over the queries of a prompt: blind to their length."""
    return torch.cosine_similarity(weights, of_smoother, dim=-1).mean(-1)


@asked(f=floats("*B q", squared=True), of_smoother=floats("*B q", squared=True))
def prediction_error(f: Tensor, of_smoother: Tensor) -> Tensor:
    """The soft metric: root mean square of the difference of predictions over that of the network's, over all prompts at once."""
    return (f - of_smoother).norm() / f.norm()
