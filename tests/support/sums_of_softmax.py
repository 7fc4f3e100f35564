"""The kernel that a stencil of softmax heads has in the place of the dot product."""

import mpmath
import numpy as np
import torch

from metarep_lib.numerics.kernels.stencil import stencil_coefficients


def psi(pairs: int, x: mpmath.mpf) -> mpmath.mpf:
    return 2 * sum(mpmath.mpf(c.numerator) / c.denominator * mpmath.sinh(j * x) for j, c in enumerate(stencil_coefficients(pairs), start=1))


def gram(seed: int, n: int, p: int) -> torch.Tensor:
    phi = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, p)))
    return phi / phi.norm(dim=-1).max()  # S = 1
