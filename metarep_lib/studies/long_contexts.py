"""Ridge regression, and where gradient descent rests under a causal mask: for every ridge, after several passes, and as the context grows."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.statements.limits import causal_fixed_point
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.numerics import relative_error, ridge_system
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers

__all__ = ["distances", "errors_of_weights", "longest", "of_online_learner"]


def of_online_learner(prompt: Prompt, diagonal: bool = True, passes: int = 1) -> Tensor:
    """[*B, q] what the online learner predicts after so many passes: the causal fixed point of the context repeated.

    >>> of_online_learner(Prompt(torch.ones(1, 1), torch.ones(1), torch.ones(1, 1), 1.0), passes=3).item()
    0.875
    """
    repeated = replace(
        prompt, phi=torch.cat([prompt.phi] * passes, -2), y=torch.cat([prompt.y] * passes, -1)
    )
    return ridge_system(repeated).predict(causal_fixed_point(repeated, diagonal))


def distances(solver: ConstructedTransformer, prompts: Prompt, ridges: Sequence[float]) -> Tensor:
    """Relative distances to ridge regression: of the fixed point under the strict mask, of that with the diagonal, and of a causal solver at the last token.

    Args:
        solver: it is asked the first query alone, which stands last.
        prompts: a batch.
        ridges: that the prompts are given, one after another.

    Returns:
        [3, B, ridges].
    """
    found = []
    for ridge in ridges:
        asked = replace(prompts, ridge=float(ridge))
        last, f = replace(asked, phi_query=asked.phi_query[:, :1], y_query=None), answers(asked)
        rests = [
            relative_error(of_online_learner(asked, diagonal), f) for diagonal in (False, True)
        ]
        missed = (solver.predict(last)[:, 0] - f[:, 0]).abs() / f.abs().max(-1).values
        found.append(torch.stack([*rests, missed]))
    return torch.stack(found, dim=-1).cpu()


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
