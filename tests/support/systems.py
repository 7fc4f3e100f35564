"""Systems solved directly."""

import scipy.linalg
import scipy.optimize
import torch

from metarep_lib import RidgeSystem


def direct(system: RidgeSystem) -> torch.Tensor:
    """A^-1 Y by scipy's Cholesky."""
    return torch.from_numpy(scipy.linalg.cho_solve(scipy.linalg.cho_factor(system.A.double().numpy()), system.y.double().numpy()))
