"""Laws of tasks to train on, each with its Bayes predictor: what nobody can beat on average.

Letters: B prompts, n tokens (x, y) of each, d inputs. A prior draws x, a function f and targets
y = f(x) + noise; both functions are linear in y given the inputs, so the posterior mean is kernel
ridge regression whose ridge is the noise variance (Rasmussen and Williams 2006, eq. 2.25).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, each, floats, not_negative, positive, temperature
from metarep_lib.contents import Contents
from metarep_lib.rounding import redrawn


@dataclass(frozen=True, eq=False, repr=False)
class Draw(Contents):
    """What a prior has drawn.

    Args:
        x: [B, n, d] inputs.
        f: [B, n] the function there, without noise.
        y: [B, n] targets, f plus noise.
        noise: [B, 1] standard deviation of the noise of every prompt.
    """

    x: Tensor
    f: Tensor
    y: Tensor
    noise: Tensor


@runtime_checkable
class Prior(Protocol):
    """A law of tasks: `sample` draws prompts, `covariance` is Cov(f(x), f(x')), `noise` lists the levels, all equally likely."""

    noise: tuple[float, ...]

    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw: ...

    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor: ...


@asked(n_inputs=at_least(1), condition=positive, noise=each(not_negative, example="(0.1,)"))
@dataclass(frozen=True)
class LinearPrior:
    """f(x) = w . x with w ~ N(0, I / d), x ~ N(0, S); the trace of S is d.

    Args:
        n_inputs: d.
        condition: of S, whose eigenvalues are geometric and whose eigenvectors are a random rotation of every prompt; drawn log-uniformly
            between 1 and this number for every prompt.
        noise: standard deviations; every prompt draws one of them.
    """

    n_inputs: int
    condition: float = 1.0
    noise: tuple[float, ...] = (0.1,)

    @asked(n_prompts=at_least(1), n_tokens=at_least(1))
    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw:
        d = self.n_inputs
        x = torch.randn(n_prompts, n_tokens, d, generator=generator)
        if self.condition > 1:
            exponent = torch.rand(n_prompts, 1, generator=generator) * torch.linspace(0, -1, d)
            eigenvalues = self.condition**exponent
            eigenvalues = d * eigenvalues / eigenvalues.sum(-1, keepdim=True)
            rotation = torch.linalg.qr(torch.randn(n_prompts, d, d, generator=generator))[0]
            x = (x * eigenvalues.sqrt().unsqueeze(-2)) @ rotation
        w = torch.randn(n_prompts, d, 1, generator=generator) / d**0.5
        return with_noise(x, (x @ w).squeeze(-1), self.noise, generator)

    @asked(x=floats("*B n d", empty="n"), x_other=floats("*B m d", empty="m", like="x"))
    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor:
        return x @ x_other.mT / self.n_inputs


@asked(n_inputs=at_least(1), tau=temperature, noise=each(not_negative, example="(0.1,)"))
@dataclass(frozen=True)
class ExponentialPrior:
    """f ~ GP(0, exp((<x, x'> - 1) / tau)), x uniform on the unit sphere: the Bayes predictor *is* exponential-kernel KRR.

    Args:
        n_inputs: d.
        tau: temperature of the kernel exp(<x, x'> / tau), scaled to variance one.
        noise: standard deviations; every prompt draws one of them.
    """

    n_inputs: int
    tau: float = 0.3
    noise: tuple[float, ...] = (0.1,)

    @asked(n_prompts=at_least(1), n_tokens=at_least(1))
    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw:
        x = torch.randn(n_prompts, n_tokens, self.n_inputs, generator=generator)
        x = x / x.norm(dim=-1, keepdim=True)
        f = gaussian_process(self.covariance(x, x), generator)
        return with_noise(x, f, self.noise, generator)

    @asked(x=floats("*B n d", empty="n"), x_other=floats("*B m d", empty="m", like="x"))
    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor:
        return ((x @ x_other.mT - 1) / self.tau).exp()


@dataclass(frozen=True)
class TwoCirclesPrior:
    """x = (u, v), two points of the unit circle, of which f sees one: f ~ GP(0, exp((<u, u'> - 1) / tau)), or the same of v.

    Two such laws have the same inputs, and what serves one is of no use to the other.

    Args:
        seen: 0 for u, 1 for v.
        tau: temperature of the kernel.
        noise: standard deviations; every prompt draws one of them.
    """

    seen: int
    tau: float = 0.5
    noise: tuple[float, ...] = (0.2,)
    n_inputs = 4

    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw:
        x = torch.randn(n_prompts, n_tokens, 2, 2, generator=generator)
        x = (x / x.norm(dim=-1, keepdim=True)).flatten(-2)
        f = gaussian_process(self.covariance(x, x), generator)
        return with_noise(x, f, self.noise, generator)

    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor:
        circle = slice(2 * self.seen, 2 * self.seen + 2)
        return ((x[..., circle] @ x_other[..., circle].mT - 1) / self.tau).exp()


def gaussian_process(K: Tensor, generator: torch.Generator) -> Tensor:
    """[B, n] a draw of N(0, K) for every prompt, K [B, n, n] in float32 or float64."""
    # K is singular to rounding, so no Cholesky factor
    eigenvalues, vectors = torch.linalg.eigh(K.double())
    root = vectors * eigenvalues.clamp(min=0).sqrt().unsqueeze(-2)
    return (root @ torch.randn(*K.shape[:-1], 1, generator=generator).double()).squeeze(-1).float()


def with_noise(x: Tensor, f: Tensor, levels: tuple[float, ...], generator: torch.Generator) -> Draw:
    which = torch.randint(len(levels), (len(f), 1), generator=generator)
    noise = torch.tensor(levels)[which]
    y = f + noise * torch.randn(f.shape, generator=generator)
    return Draw(redrawn(x), redrawn(f), redrawn(y), noise)


@asked(n_support=at_least(0))
def bayes(prior: Prior, draw: Draw, n_support: int) -> Tensor:
    """[B, n - n_support] posterior mean of f at the other tokens, given the first n_support targets and the noise level.

    >>> draw = LinearPrior(1).sample(1, 3, torch.Generator().manual_seed(0))
    >>> bayes(LinearPrior(1), draw, 2).shape
    torch.Size([1, 1])
    """
    return posterior(prior, draw, n_support, draw.noise)[0]


@asked(n_support=at_least(0))
def bayes_untold(prior: Prior, draw: Draw, n_support: int) -> Tensor:
    """The same when the noise level is not given: the means for all levels, weighted by how well each explains the targets.

    Nobody who is not told the level has a smaller risk on average.

    >>> prior = LinearPrior(1, noise=(0.1,))  # one level: nothing to be told
    >>> draw = prior.sample(2, 3, torch.Generator().manual_seed(0))
    >>> bool(torch.equal(bayes_untold(prior, draw, 2), bayes(prior, draw, 2)))
    True
    """
    means, evidence = zip(
        *(
            posterior(prior, draw, n_support, torch.full_like(draw.noise, level))
            for level in prior.noise
        )
    )
    weights = torch.stack(evidence).softmax(0).unsqueeze(-1)  # [levels, B, 1]
    return (weights * torch.stack(means)).sum(0)


def posterior(prior: Prior, draw: Draw, n_support: int, noise: Tensor) -> tuple[Tensor, Tensor]:
    """[B, n - n_support] posterior mean and [B] log p(y | x), up to a constant, for noise of this standard deviation, [B, 1]."""
    x, y = draw.x.double(), draw.y[:, :n_support].double()
    support, query = x[:, :n_support], x[:, n_support:]
    A = prior.covariance(support, support) + noise.double().unsqueeze(-1) ** 2 * torch.eye(
        n_support, dtype=torch.float64
    )
    alpha = torch.linalg.solve(A, y.unsqueeze(-1)).squeeze(-1)
    evidence = -((y * alpha).sum(-1) + torch.linalg.slogdet(A).logabsdet) / 2
    return (prior.covariance(query, support) @ alpha.unsqueeze(-1)).squeeze(-1), evidence


@asked(n_support=at_least(0))
def bayes_risk(prior: Prior, draw: Draw, n_support: int) -> float:
    """Mean squared error of `bayes` on these prompts."""
    if n_support == 0:
        return draw.f.square().mean().item()
    return (bayes(prior, draw, n_support) - draw.f[:, n_support:]).square().mean().item()
