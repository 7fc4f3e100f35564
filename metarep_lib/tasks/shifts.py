"""Laws of tasks one step away from a law that a network was trained on: what moves, and nothing else.

Letters: B prompts, n tokens, d inputs. Both are priors: `bayes` answers them, too.
"""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, each, finite, not_negative, positive, temperature
from metarep_lib.tasks.priors import (
    Draw,
    ExponentialPrior,
    LinearPrior,
    Prior,
    gaussian_process,
    with_noise,
)

Functions = Literal["exponential", "linear", "step"]


@asked(
    n_inputs=at_least(1),
    tau=temperature,
    noise=each(not_negative, example="(0.1,)"),
    condition=positive,
    spread=finite,
)
@dataclass(frozen=True)
class SpherePrior:
    """Functions of the direction of x, of variance one. As it stands, `ExponentialPrior`; each field moves one thing.

    Args:
        n_inputs: d.
        functions: "exponential", a Gaussian process with covariance exp((u - 1) / tau) in the cosine u of two inputs; "linear", w . x / |x| with
            w ~ N(0, I) and covariance u; "step", the sign of that, with covariance 1 - 2 arccos(u) / pi.
        tau: temperature of the exponential functions.
        noise: standard deviations; every prompt draws one of them.
        condition: of the covariance of the inputs before they are put on the sphere; eigenvalues geometric, eigenvectors a random rotation of every prompt.
        spread: standard deviation of log |x|; 0 leaves all inputs on the unit sphere.

    >>> draw = SpherePrior(3, "step", spread=0.5).sample(2, 4, torch.Generator().manual_seed(0))
    >>> draw.x.shape, draw.f.abs().round().unique().tolist()
    (torch.Size([2, 4, 3]), [1.0])
    """

    n_inputs: int
    functions: Functions = "exponential"
    tau: float = 0.3
    noise: tuple[float, ...] = (0.2,)
    condition: float = 1.0
    spread: float = 0.0

    @asked(n_prompts=at_least(1), n_tokens=at_least(1))
    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw:
        d = self.n_inputs
        x = torch.randn(n_prompts, n_tokens, d, generator=generator)
        if self.condition > 1:
            rotation = torch.linalg.qr(torch.randn(n_prompts, d, d, generator=generator))[0]
            x = (x * self.condition ** torch.linspace(0, -0.5, d)) @ rotation
        x = direction(x)
        if self.functions == "exponential":
            f = gaussian_process(self.covariance(x, x), generator)
        else:
            f = (x @ torch.randn(n_prompts, d, 1, generator=generator)).squeeze(-1)
            f = f.sign() if self.functions == "step" else f
        radius = (
            (self.spread * torch.randn(n_prompts, n_tokens, 1, generator=generator)).exp()
            if self.spread
            else 1.0
        )
        return with_noise(x * radius, f, self.noise, generator)

    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor:
        u = (direction(x) @ direction(x_other).mT).clamp(-1, 1)
        if self.functions == "exponential":
            return ((u - 1) / self.tau).exp()
        return u if self.functions == "linear" else 1 - 2 * u.arccos() / math.pi


@asked()
@dataclass(frozen=True)
class Rescaled:
    """The tasks of another prior, shown in other units: inputs times `x`, targets times `y`.

    >>> draw = Rescaled(SpherePrior(3), x=2.0).sample(1, 4, torch.Generator().manual_seed(0))
    >>> [round(norm, 4) for norm in draw.x.norm(dim=-1)[0].tolist()]
    [2.0, 2.0, 2.0, 2.0]
    """

    prior: Prior
    x: float = 1.0
    y: float = 1.0

    @property
    def noise(self) -> tuple[float, ...]:
        return tuple(abs(self.y) * level for level in self.prior.noise)

    @asked(n_prompts=at_least(1), n_tokens=at_least(1))
    def sample(self, n_prompts: int, n_tokens: int, generator: torch.Generator) -> Draw:
        draw = self.prior.sample(n_prompts, n_tokens, generator)
        return Draw(self.x * draw.x, self.y * draw.f, self.y * draw.y, abs(self.y) * draw.noise)

    def covariance(self, x: Tensor, x_other: Tensor) -> Tensor:
        return self.y**2 * self.prior.covariance(x / self.x, x_other / self.x)


@asked()
def shifted(prior: ExponentialPrior | LinearPrior, knob: str, value: float) -> Prior:
    """The law with one thing moved.

    Args:
        prior: a law that networks are trained on.
        knob: "x-scale", "y-scale", "noise", "condition" (of the inputs), "spread" (of their lengths), "tau", "linear", "step" or "exponential"
            (functions of the direction of x; of the inputs' usual length), "supports" (nothing moves: their number is the caller's).
        value: of the knob; not read for the three kinds of functions.

    Raises:
        ValueError: a knob that this law does not have.

    >>> shifted(ExponentialPrior(3), "noise", 0.5)
    ExponentialPrior(n_inputs=3, tau=0.3, noise=(0.5,))
    """
    on_sphere = isinstance(prior, ExponentialPrior)
    sphere = SpherePrior(prior.n_inputs, tau=prior.tau if on_sphere else 0.3, noise=prior.noise)
    if knob == "supports":
        return prior
    if knob in ("x-scale", "y-scale"):
        return Rescaled(prior, **{knob[0]: value})
    if knob in ("linear", "step", "exponential"):
        return Rescaled(
            replace(sphere, functions=knob), x=1.0 if on_sphere else prior.n_inputs**0.5
        )
    if knob == "noise":
        return replace(prior, noise=(value,))
    if knob == "condition":
        return replace(sphere if on_sphere else prior, condition=value)
    if on_sphere and knob in ("spread", "tau"):
        return replace(sphere, **{knob: value})
    raise ValueError(
        f"shifted({type(prior).__name__}, knob={knob!r}): no such knob; this would work: shifted(prior, 'noise', 0.5)"
    )


def direction(x: Tensor) -> Tensor:
    return x / x.norm(dim=-1, keepdim=True)
