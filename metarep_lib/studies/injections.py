"""What is put into a network halfway, and what comes of it: directions by angle and length, states of later steps."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from metarep_lib.construct import ConstructedTransformer
from metarep_lib.evidence.intervene import Edit, Put, Stream
from metarep_lib.network.trace import Trace
from metarep_lib.numerics import RidgeSystem, ridge_system, solvers
from metarep_lib.prompt import Prompt
from metarep_lib.studies.edited_recurrences import dot

__all__ = [
    "Halfway",
    "by_cosine",
    "deflated",
    "distance",
    "energy_errors",
    "errors_of",
    "median_errors",
    "medians",
    "moves",
    "ratio",
]


Name = TypeVar("Name")


class Halfway:
    """A constructed network after step t, in mid-flight.

    Args:
        network: of conjugate gradient.
        prompts: [B] what it is asked.
        t: the step.

    `clean` is its trace, `system` what it solves, `r` and `p` [B, k] what its supports hold, `e` the error alpha* - alpha_t.
    """

    def __init__(self, network: ConstructedTransformer, prompts: Prompt, t: int):
        self.network, self.t = network, t
        self.clean, self.system = network.run(prompts), ridge_system(prompts)
        self.r, self.p = (self.clean[name, "support"][t] for name in ("r", "p"))
        star = solvers.cholesky(self.system).alpha
        self.e = star - self.clean["alpha", "support"][t]

    def put(self, name: str, value: Tensor | float, tokens: str | None = "support") -> Edit:
        """Another value for a name, after the step."""
        return Edit(Stream(self.network.program.step_ends[self.t], name, tokens), Put(value))

    def right(self, d: Tensor) -> Tensor:
        """A direction in the length that the step size trusts: d . r = r . r."""
        return d * dot(self.r, self.r) / dot(d, self.r)

    def long_as_p(self, d: Tensor) -> Tensor:
        """A direction as long as the one it replaces."""
        return d * self.p.norm(dim=-1, keepdim=True) / d.norm(dim=-1, keepdim=True)

    def later(self, name: str, tokens: str = "support", by: int = 5) -> Tensor:
        """What the clean run holds some steps later."""
        return self.clean[name, tokens][self.t + by]

    def ahead(self, *names: str) -> list[Edit]:
        """The same put into supports and queries."""
        return [
            self.put(name, self.later(name, tokens), tokens)
            for name in names
            for tokens in ("support", "query")
        ]

    def blended(self, cosine: float, noise: Tensor) -> Tensor:
        """A direction of this cosine with the error, in the inner product of A; the rest of it is noise."""
        e = self.unit(self.e)
        across = self.unit(noise - e * dot(e, self.system.matvec(noise)))
        return cosine * e + (1 - cosine**2) ** 0.5 * across

    def unit(self, d: Tensor) -> Tensor:
        return d / self.system.norm(d).unsqueeze(-1)

    @property
    def own_cosine(self) -> Tensor:
        """[B] of the network's own direction with the error."""
        return dot(self.unit(self.p), self.system.matvec(self.unit(self.e))).squeeze(-1)

    def in_two_blocks(self, d: Tensor) -> dict[str, list[Edit]]:
        """Name -> edits that make the next direction r + beta p of the two-block network equal d.

        p alone; its image s, at queries, too; its curvature in c and gamma, on every token.
        """
        A, f = self.system.matvec, self.system.predict
        rho = dot(self.r, self.r)
        rho_old = self.clean["rho_old", "aggregator"][self.t]
        beta = rho / rho_old
        c = rho.square() / (dot(self.r, A(self.r)) - dot(d, A(d)))
        return {
            "p": [self.put("p", (d - self.r) / beta)],
            "s": [
                self.put("s", (A(d) - A(self.r)) / beta),
                self.put("s", (f(d) - f(self.r)) / beta, "query"),
            ],
            "c": [self.put("c", c, None)],
            "gamma": [self.put("gamma", c / rho_old, None)],
        }


def deflated(system: RidgeSystem, d: Tensor, n_features: int, n: int = 6) -> Tensor:
    """[B, k] an oracle's preconditioner: exact on the n smallest eigenvalues that carry features, a multiple of I elsewhere."""
    values, vectors = torch.linalg.eigh(system.A)
    low = vectors[..., -n_features : -n_features + n]
    part = low.mT @ d.unsqueeze(-1)
    inside = low @ (part / values[..., -n_features : -n_features + n, None])
    scale = values[..., -n_features + n, None, None]
    return (inside + (d.unsqueeze(-1) - low @ part) / scale).squeeze(-1)


def energy_errors(run: Trace, system: RidgeSystem) -> Tensor:
    """[steps + 1, B] ||alpha_t - alpha*||_A / ||alpha*||_A of what the supports hold."""
    star = solvers.cholesky(system).alpha
    return system.norm(run["alpha", "support"] - star) / system.norm(star)


def ratio(edited: Tensor, clean: Tensor) -> np.ndarray:
    """Geometric mean over prompts of error / clean error, and the ends of its bootstrap interval: [B] each to [3].

    >>> ratio(torch.tensor([2.0, 2.0]), torch.tensor([1.0, 1.0])).round(6).tolist()
    [2.0, 2.0, 2.0]
    """
    logs = (edited / clean).log().numpy()
    draws = np.random.default_rng(0).choice(logs, (1000, len(logs))).mean(1)
    return np.exp([logs.mean(), *np.quantile(draws, [0.025, 0.975])])


def distance(said: Tensor, to: Tensor, size: Tensor) -> Tensor:
    """[...] ||said - to|| / ||size||, over the queries of a prompt."""
    return (said - to).norm(dim=-1) / size.norm(dim=-1)


def errors_of(run: Trace, f: Tensor) -> Tensor:
    """[steps + 1, B] relative errors of what a run says, step by step, against the answers f [B, q]."""
    return distance(run.prediction, f, f)


def medians(errors: Mapping[Name, Tensor]) -> dict[Name, Tensor]:
    """[steps + 1, B] to [steps + 1] each, over prompts; NaN where an error is."""
    return {name: error.median(-1).values for name, error in errors.items()}


def median_errors(found: Mapping[Name, Tensor], f: Tensor) -> dict[Name, Tensor]:
    """[steps + 1] relative errors of answers [steps + 1, B, q] each, median over prompts."""
    return medians({at: distance(said, f, f) for at, said in found.items()})


def moves(edited: Trace, clean: Trace, system: RidgeSystem) -> Tensor:
    """[2, B] how far the final prediction has moved, and the final alpha, relative to the solution's."""
    star = solvers.cholesky(system).alpha
    f = system.predict(star)
    said = distance(edited.prediction[-1], clean.prediction[-1], f)
    held, before = (run["alpha", "support"][-1] for run in (edited, clean))
    return torch.stack([said, distance(held, before, star)])


def by_cosine(
    runs: Mapping[str, Trace], system: RidgeSystem, t: int, cosines: Sequence[float]
) -> dict[str, np.ndarray]:
    """Error / clean error one and ten steps after step t, [3, cosines]: mean and ends of the interval; and what `prop-injected-direction` says of one step."""
    errors = {name: energy_errors(run, system) for name, run in runs.items()}
    clean = errors.pop("clean")
    found = {
        f"{later} step{'s' * (later > 1)} later": np.array(
            [ratio(error[t + later], clean[t + later]) for error in errors.values()]
        ).T
        for later in (1, 10)
    }
    gain = (clean[t] / clean[t + 1]).log().mean().exp().item()
    return found | {"the proposition": gain * np.sqrt(1 - np.square(cosines))}
