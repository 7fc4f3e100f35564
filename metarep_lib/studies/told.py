"""Predictors that are told what a trained network has to learn: the kernel, the ridge, the noise.

Letters: B prompts, k supports, q queries.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics import RidgeSystem, solvers
from metarep_lib.numerics.spectrum import Spectrum, tune
from metarep_lib.tasks import Draw, Prior, bayes_risk

__all__ = ["bayes_by_length", "by_level", "ridge_path", "smoother_risk", "solver_risks"]


def kernel_system(prior: Prior, draw: Draw, k: int) -> tuple[RidgeSystem, Tensor]:
    """The regression of the first k tokens by the prior's kernel and noise, and f [B, q] at the others."""
    x, y = draw.x.double(), draw.y[:, :k].double()
    K = prior.covariance(x[:, :k], x[:, :k])
    A = K + prior.noise[0] ** 2 * torch.eye(k, dtype=K.dtype)
    return RidgeSystem(A, y, prior.covariance(x[:, k:], x[:, :k])), draw.f[:, k:].double()


def smoother_risk(draw: Draw, k: int, temperatures: Sequence[float]) -> float:
    """Of sum_i softmax_i(<x, x_i> / tau) y_i, at the temperature where it is smallest on these prompts.

    >>> from metarep_lib.tasks import LinearPrior
    >>> draw = LinearPrior(1).sample(8, 3, torch.Generator().manual_seed(0))
    >>> smoother_risk(draw, 2, [1.0, 2.0]) <= smoother_risk(draw, 2, [1.0])
    True
    """
    scores = draw.x[:, k:].double() @ draw.x[:, :k].mT.double()
    y, f = draw.y[:, :k, None].double(), draw.f[:, k:]
    said = [((scores / tau).softmax(-1) @ y).squeeze(-1) for tau in temperatures]
    return min((one - f).square().mean().item() for one in said)


def solver_risks(prior: Prior, judged: Draw, tuning: Draw, k: int, steps: int) -> dict[str, float]:
    """Of solvers that are given the kernel: conjugate gradient, and gradient descent with a step size for each step.

    Args:
        prior: Whose kernel and noise they are given.
        judged: The prompts they are scored on.
        tuning: Others, on which the step sizes are chosen.
        k: Supports.
        steps: How many each of them takes.
    """
    system, f = kernel_system(prior, judged, k)
    other, g = kernel_system(prior, tuning, k)
    tuned = tune("gradient descent", Spectrum.of(other), g, steps, restarts=2)
    solved = system.predict(solvers.conjugate_gradient(system, steps).alpha)
    return {
        "gradient descent": Spectrum.of(system).risk(tuned, f).item(),
        "conjugate gradient": (solved - f).square().mean().item(),
    }


def bayes_by_length(prior: Prior, draw: Draw) -> np.ndarray:
    """[n - 1] Bayes risk at token k + 1 given the k before it, k from 1."""
    lengths = range(1, draw.x.shape[1])
    cut = (Draw(*(of[:, : k + 1] for of in (draw.x, draw.f, draw.y)), draw.noise) for k in lengths)
    return np.array([bayes_risk(prior, one, k) for one, k in zip(cut, lengths)])


def ridge_path(draw: Draw, k: int, ridges: Sequence[float]) -> Tensor:
    """[ridges, B, q] what ridge regression on the inputs says, for every ridge."""
    X, y, x = draw.x[:, :k].double(), draw.y[:, :k, None].double(), draw.x[:, k:].double()
    S, moment, identity = X.mT @ X, X.mT @ y, torch.eye(X.shape[-1], dtype=X.dtype)
    solved = [x @ torch.linalg.solve(S + float(ridge) * identity, moment) for ridge in ridges]
    return torch.stack(solved).squeeze(-1)


def by_level(values: Tensor, draw: Draw, levels: Sequence[float]) -> np.ndarray:
    """[..., levels] mean over the prompts of every noise level, and over their queries, of [..., B, q]."""
    of_level = [(draw.noise == torch.tensor(level)).squeeze(-1) for level in levels]
    return np.stack([values[..., chosen, :].mean((-2, -1)).numpy() for chosen in of_level], -1)
