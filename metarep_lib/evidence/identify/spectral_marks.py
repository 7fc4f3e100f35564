"""Marks of an algorithm that need no candidate: is it additive in the targets, is it a filter of the spectrum, what is its gain?

Letters: B prompts, k supports, p features, q queries, L layers.

Every iteration whose scalars do not depend on the prompt reaches w = c(S) Phi^T y with one function c, its filter, for S = Phi^T Phi. Its
*gain* at an eigenvalue s is s c(s): how much of the least-squares answer in that direction it has reached.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from metarep_lib.asked import ascending, asked, floats, in_range
from metarep_lib.contents import Contents
from metarep_lib.network.asking import Answerer
from metarep_lib.numerics.spectrum.filters import Spectrum, chebyshev_basis
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.prompt import Prompt, a_prompt


def primal_spectrum(prompt: Prompt) -> Spectrum:
    """S w = Phi^T y in the eigenvectors of S = Phi^T Phi."""
    moment = (prompt.phi.mT @ prompt.y.unsqueeze(-1)).squeeze(-1)
    return Spectrum.of(RidgeSystem(prompt.phi.mT @ prompt.phi, moment, prompt.phi_query))


@asked(prompt=a_prompt(axes="B", queries=1), other=floats("B k", like="prompt"))
def additivity_gap(
    predict: Callable[[Prompt], Tensor] | Answerer, prompt: Prompt, other: Tensor
) -> Tensor:
    """[L] how far predictions are from additive: ||f(y + y') - f(y) - f(y')||^2 / ||f(y + y')||^2, over all prompts.

    y and y' are scaled by 1 / sqrt 2, so that their sum is as large as one of them.

    Args:
        predict: prompts to [L, B, q]; or an answerer, whose answers are one layer.
        prompt: [B, k, p] prompts with targets y.
        other: [B, k] the targets y', of the same law.

    >>> prompt = Prompt(torch.ones(1, 1, 1), torch.ones(1, 1), torch.ones(1, 1, 1), ridge=1.0)
    >>> additivity_gap(lambda prompt: prompt.y.square().unsqueeze(0), prompt, torch.ones(1, 1))  # (a + b)^2 - a^2 - b^2
    tensor([0.2500])
    """
    y, other = prompt.y / 2**0.5, other / 2**0.5
    if other.shape != y.shape:
        raise ValueError(
            f"additivity_gap(other={list(other.shape)}): expected targets for the prompts,"
            f" {list(y.shape)}"
        )
    both, one, two = (
        of_layers(predict, replace(prompt, y=targets)) for targets in (y + other, y, other)
    )
    if not all(torch.isfinite(said).all() for said in (both, one, two)):
        raise ValueError(
            "additivity_gap(predict, prompt, other): what is predicted is not finite; this would work:"
            " smaller features or targets"
        )
    gap, size = (both - one - two).square().sum((-2, -1)), both.square().sum((-2, -1))
    # who says nothing is additive
    return in_range("additivity_gap", torch.where(gap == 0, gap, gap / size))


def of_layers(predict: Callable[[Prompt], Tensor] | Answerer, prompt: Prompt) -> Tensor:
    """[L, B, q] predictions; an answerer is one layer."""
    if isinstance(predict, Answerer):
        return predict.predict(prompt).unsqueeze(0)
    return predict(prompt)


@asked(weights=floats("n"))
@dataclass(frozen=True, eq=False, repr=False)
class LogFilter(Contents):
    """c(s) = sum_j weights_j T_j(log s) / s with Chebyshev polynomials T_j on [low, high]: any smooth gain."""

    weights: Tensor
    low: float
    high: float

    def __call__(self, s: Tensor) -> Tensor:
        return (log_basis(s, len(self.weights), self.low, self.high) @ self.weights) / s


def best_filter(spectrum: Spectrum, f: Tensor, size: int = 10) -> LogFilter:
    """The filter nearest to some predictions among all with a gain that is a polynomial of `size` coefficients in log s, by least squares.

    What it leaves unexplained, no gradient descent, Chebyshev, GD++, Newton or ridge path explains either, whatever its scalars, as far
    as such a polynomial follows its gain.

    Args:
        spectrum: of prompts, see `primal_spectrum`.
        f: [B, q] predictions.
        size: coefficients.
    """
    low, high = spectrum.eigenvalues.min().item(), spectrum.eigenvalues.max().item()
    basis = log_basis(spectrum.eigenvalues, size, low, high) / spectrum.eigenvalues.unsqueeze(-1)
    design = (spectrum.K_query @ (spectrum.y.unsqueeze(-1) * basis)).flatten(0, 1)
    return LogFilter(
        torch.linalg.lstsq(design, f.reshape(-1, 1), rcond=1e-10, driver="gelsd").solution.squeeze(
            -1
        ),
        low,
        high,
    )


def log_basis(s: Tensor, size: int, low: float, high: float) -> Tensor:
    place = (s.clamp(low, high) / low).log() / torch.tensor(high / low).log().to(s)
    return chebyshev_basis(place, size, 1.0)


@dataclass(frozen=True, eq=False, repr=False)
class Gains(Contents):
    """The gain in bins of the eigenvalue.

    Args:
        edges: [n + 1] of the bins, over k.
        mean: [L, n] the gain that explains a bin best.
        scatter: [L, n] root mean square, around it, of what single prompts show, in units of the least-squares answer.
    """

    edges: Tensor
    mean: Tensor
    scatter: Tensor


@asked(
    prompt=a_prompt(axes="B", queries=1),
    observed=floats("L B q", like="prompt"),
    edges=ascending("n"),
)
def spectral_gains(prompt: Prompt, observed: Tensor, edges: Tensor) -> Gains:
    """The gain of every layer by eigenvalue.

    The weights a layer predicts with are found from its predictions at the queries, at least p of them, by least squares.

    Args:
        prompt: [B, k, p] prompts.
        observed: [L, B, q] predictions.
        edges: [n + 1] ascending, for eigenvalues of S / k.

    Returns:
        The gains; NaN where no eigenvalue lies between two edges.

    Raises:
        ValueError: fewer queries than features, or features or targets that are all zero.
    """
    if prompt.n_query < prompt.n_features:
        raise ValueError(
            f"spectral_gains(prompt with {prompt.n_query} queries, {prompt.n_features} features): expected at least as many queries as features"
        )
    expected = [len(prompt.phi), prompt.n_query]
    if list(observed.shape[1:]) != expected:
        raise ValueError(
            f"spectral_gains(observed={list(observed.shape)}): expected predictions at every query,"
            f" [L, {expected[0]}, {expected[1]}]"
        )
    if not prompt.phi.any() or not prompt.y.any():
        raise ValueError(
            "spectral_gains(prompt): its features or its targets are all zero, so that no gain has a"
            " meaning; expected prompts that vary"
        )
    s, V = torch.linalg.eigh(prompt.phi.mT @ prompt.phi)
    weights = torch.linalg.lstsq(
        prompt.phi_query.expand(len(observed), *prompt.phi_query.shape), observed.unsqueeze(-1)
    ).solution
    reached = (V.mT @ weights).squeeze(-1)  # [L, B, p]
    wanted = (V.mT @ prompt.phi.mT @ prompt.y.unsqueeze(-1)).squeeze(-1) / s
    bin_of = torch.bucketize(s / prompt.n_support, edges) - 1
    mean, scatter = [], []
    for i in range(len(edges) - 1):
        inside = bin_of == i
        have, want = reached[:, inside], wanted[inside]
        gain = (have @ want) / want.square().sum()
        mean.append(gain)
        scatter.append(
            ((have - gain.unsqueeze(-1) * want).square().sum(-1) / want.square().sum()).sqrt()
        )
    return Gains(edges, torch.stack(mean, -1), torch.stack(scatter, -1))
