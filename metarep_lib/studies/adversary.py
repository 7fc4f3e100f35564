"""Prompts on which two candidates disagree as much as they can, found by gradient.

Letters: B prompts, k = p supports and features, q queries.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from metarep_lib.asked import asked_to_draw
from metarep_lib.certify.search import climb
from metarep_lib.evidence.identify.candidates import Posed
from metarep_lib.evidence.identify.tuning import Fit
from metarep_lib.numerics.spectrum.filters import Spectrum
from metarep_lib.prompt import Prompt


@asked_to_draw()
def searched_prompts(
    truth: Callable[[Posed], Tensor],
    rival: Fit,
    low: float,
    high: float,
    n_prompts: int,
    n_support: int,
    n_query: int,
    n_features: int,
    *,
    seed: int,
) -> Prompt:
    """Prompts that make the rival's misfit to the truth as large as an ascent from a random start can.

    Spectrum, in [low, high] n_support, and targets are searched, for p supports, in random rotated bases; the queries are left as they are drawn.

    Args:
        truth: prompts to the predictions of the layers, [L, B, q], differentiable.
        rival: tuned to the truth on other prompts.
        low, high: ends of the spectrum of Phi^T Phi / n_support.
        n_prompts: B.
        n_support: in whose unit eigenvalues are given, so that the prompts compare with those of `designed_prompts`.
        n_query: q.
        n_features: p.
        seed: of starts, bases and queries.
    """
    p = n_features
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(n_prompts):
        U, V = map(torch.from_numpy, np.linalg.qr(rng.standard_normal((2, p, p)))[0])
        queries = torch.from_numpy(rng.standard_normal((n_query, p)))

        def pose(z: Tensor, U: Tensor = U, V: Tensor = V, queries: Tensor = queries) -> Posed:
            place, w = z[:p].sigmoid(), z[p:]
            s = low * (high / low) ** place * n_support
            root = s.sqrt()
            phi_query = queries * (root / n_support**0.5) @ V.mT
            prompt = Prompt(
                ((U * root) @ V.mT)[None], (U @ (root * w))[None], phi_query[None], ridge=1.0
            )
            return Posed(
                prompt, Spectrum(s[None], (root * w)[None], (queries * s / n_support**0.5)[None])
            )

        def log_misfit(z: Tensor, pose: Callable[[Tensor], Posed] = pose) -> Tensor:
            posed = pose(z)
            said = truth(posed)
            error = (said - rival.predict(posed)).square().sum((-2, -1))
            return (error / said.square().sum((-2, -1))).mean().log()

        _, z = climb(log_misfit, rng.standard_normal(2 * p), reach=4.0, iterations=15)
        found.append(pose(z).prompt)
    return Prompt(
        *(
            torch.cat([getattr(prompt, name) for prompt in found])
            for name in ("phi", "y", "phi_query")
        ),
        ridge=1.0,
    )
