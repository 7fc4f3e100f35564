"""What is lost when conjugate gradient takes s steps at once, in the basis it takes them in.

64 supports whose kernel matrix has a chosen spectrum, targets without noise, ridge 1 / 100; a
textbook solver makes 110 steps, s at a time.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.numerics.solvers import s_step_conjugate_gradient
from metarep_lib.prompt import Prompt
from metarep_lib.tasks import synthetic_prompt

__all__ = ["floor", "floors", "posed"]

Panel = tuple[np.ndarray, torch.dtype]  # the spectrum of K, and what the solver computes in
N_SUPPORT, STEPS, RIDGE, SEED = 64, 110, 1e-2, 64


def posed(spectrum: np.ndarray, n_prompts: int) -> Prompt:
    """A batch of 64 supports and a query; the batch differs with its size."""
    return synthetic_prompt(
        spectrum, N_SUPPORT, 1, RIDGE, seed=SEED, noise=0.0, n_prompts=n_prompts
    )


def floor(
    spectrum: np.ndarray,
    dtype: torch.dtype,
    basis: str,
    s: int,
    n_prompts: int,
    device: torch.device | str = "cpu",
) -> Tensor:
    """[n_prompts] the best relative error of alpha on the way.

    Args:
        spectrum: [p] eigenvalues of K.
        dtype: that the solver computes in; it is held against a solution in float64.
        basis: ``"monomial"``, ``"newton"`` or ``"chebyshev"``, told the ends of the spectrum.
        s: steps at once.
        n_prompts: of one batch.
        device: where.

    >>> bool(floor(np.linspace(0.01, 1, 64), torch.float64, "monomial", 1, n_prompts=2).max() < 1e-12)
    True
    """
    prompts = posed(spectrum, n_prompts).to(device)
    exact, system = ridge_system(prompts), ridge_system(prompts.to(dtype))
    alpha = solvers.cholesky(exact).alpha
    ends = [float(exact.eigenvalues[0, i]) for i in (0, -1)]
    made = s_step_conjugate_gradient(system, -(-STEPS // s), s, basis, *ends)
    error = (made.history["alpha"].double() - alpha).norm(dim=-1) / alpha.norm(dim=-1)
    return error.nan_to_num(nan=1.0).min(0).values.cpu()


def floors(
    panels: Mapping[str, Panel],
    sizes: Sequence[int],
    n_prompts: int,
    device: torch.device | str = "cpu",
) -> dict[str, dict[str, Tensor]]:
    """Panel -> basis -> [n_prompts, sizes], `floor` for every number of steps at once."""
    return {
        panel: {
            basis: torch.stack([floor(*at, basis, s, n_prompts, device) for s in sizes], 1)
            for basis in ("monomial", "newton", "chebyshev")
        }
        for panel, at in panels.items()
    }
