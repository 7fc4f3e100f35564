"""How far rounding lifts conjugate gradient above the bound in the condition number: on the diagonal, at random and searched."""

import numpy as np
import torch

from metarep_lib.certify.statements.depth_frontier import excess
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.rounding import redrawn

__all__ = ["excess_of", "random_and_searched"]

N_NUMBERS = 17


def excess_of(x: np.ndarray, dtype: torch.dtype = torch.float32, steps: int = 40) -> float:
    """Of nine eigenvalues and shares, given by seventeen numbers in [0, 1]; kappa runs from ten to a thousand.

    >>> excess_of(np.full(17, 0.5)) < 16
    True
    """
    kappa = 10 ** (1 + 2 * x[0])
    positions, sizes = np.r_[0, x[1:8], 1], 10 ** (-4 * x[8:17])
    values = redrawn(torch.from_numpy(kappa**positions).to(dtype))
    shares = redrawn(torch.from_numpy(sizes).to(dtype))
    return excess(spectral.conjugate_gradient_errors(values, shares, steps), kappa, dtype)


def random_and_searched(n: int, climbs: int) -> tuple[np.ndarray, float]:
    """[n] at random points, and the highest that as many random changes find which start at the worst and help."""
    generator, sample = np.random.default_rng(6), np.random.default_rng(7)
    tried = sorted((excess_of(x), tuple(x)) for x in generator.uniform(size=(n, N_NUMBERS)))
    highest, at = tried[-1]
    for _ in range(climbs):
        step = np.clip(np.array(at) + 0.1 * sample.standard_normal(N_NUMBERS), 0, 1)
        highest, at = max((highest, at), (excess_of(step), tuple(step)))
    return np.array([value for value, _ in tried]), highest
