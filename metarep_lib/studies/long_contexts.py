"""Who goes on learning as the context grows: ridge regression, and where gradient descent rests under a causal mask."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.statements.limits import causal_fixed_point
from metarep_lib.numerics import relative_error
from metarep_lib.prompt import Prompt

__all__ = ["errors_of_weights", "longest"]


def longest(k: int, draws: int, seed: int) -> tuple[Prompt, Tensor]:
    """k supports with five features and noise 1/2, ridge 1, float64; and [draws, 5] the true weights."""
    rng = np.random.default_rng(seed)
    phi = torch.from_numpy(rng.standard_normal((draws, k, 5)))
    truth = torch.from_numpy(rng.standard_normal((draws, 5, 1)))
    y = (phi @ truth)[..., 0] + 0.5 * torch.from_numpy(rng.standard_normal((draws, k)))
    return Prompt(phi, y, phi[:, :0], 1.0), truth[..., 0]


def errors_of_weights(
    lengths: Sequence[int], draws: int = 200, seed: int = 7
) -> tuple[list[float], list[float]]:
    """Relative errors of the weights at every length of the context, median over draws: of ridge regression, and of the causal fixed point.

    >>> ridge, causal = errors_of_weights([5, 160], draws=20)
    >>> ridge[1] < causal[1]
    True
    """
    whole, truth = longest(max(lengths), draws, seed)
    errors: tuple[list[float], list[float]] = [], []
    for k in lengths:
        prompt = Prompt(whole.phi[:, :k], whole.y[:, :k], whole.phi_query, whole.ridge)
        S = prompt.phi.mT @ prompt.phi + prompt.ridge * torch.eye(5).to(truth)
        ridge = torch.linalg.solve(S, prompt.phi.mT @ prompt.y.unsqueeze(-1))
        causal = prompt.phi.mT @ causal_fixed_point(prompt, diagonal=True).unsqueeze(-1)
        for found, w in zip(errors, (ridge, causal)):
            found.append(relative_error(w.squeeze(-1), truth).median().item())
    return errors
