"""What several laws of depth are judged by: polynomials on spectra."""

import math

import numpy as np
import scipy.optimize
import torch
from hypothesis import strategies as st

seeds = st.integers(0, 10**6)
positions = st.lists(st.integers(1, 400), min_size=2, max_size=7, unique=True)


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values, dtype=float))


def chebyshev_extrema(t: int, kappa: float) -> np.ndarray:
    return np.sort((kappa + 1) / 2 - (kappa - 1) / 2 * np.cos(np.arange(t + 1) * np.pi / t))


def one_over_T(t: float, kappa: float) -> float:
    """1 / T_t((kappa + 1) / (kappa - 1)), for real t too."""
    return 1 / math.cosh(t * math.log1p(2 / (math.sqrt(kappa) - 1))) if kappa > 1 else float(t == 0)


def least_in_krylov(values: torch.Tensor, shares: torch.Tensor, dimension: int) -> float:
    """The smallest relative A-norm error in the Krylov space, by scipy: P(s) = 1 + sum c_j s^j in a scaled basis."""
    basis = (values / values.max()) ** torch.arange(1, dimension + 1)[:, None]
    found = scipy.optimize.lsq_linear((basis * shares.sqrt()).T.numpy(), -shares.sqrt().numpy())
    return math.sqrt(2 * found.cost / float(shares.sum()))
