"""The bounds of the book, as functions of what they depend on.

All hold in exact arithmetic from alpha_0 = 0; A = K + lambda I, kappa its condition number.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, beside, counts, floats
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system


@asked(kappa=floats("*", half=True, finite=False, least=1.0), t=beside("kappa", counts))
def conjugate_gradient_bound(kappa: Tensor, t: Tensor) -> Tensor:
    """2 ((sqrt kappa - 1) / (sqrt kappa + 1))^t bounds ||alpha_t - alpha*||_A / ||alpha*||_A (Saad 2003, eq. 6.128).

    >>> conjugate_gradient_bound(torch.tensor(9.0), torch.arange(3)).tolist()
    [2.0, 1.0, 0.5]
    """
    root = kappa.sqrt()
    return 2 * ((root - 1) / (root + 1)) ** t


@asked(kappa=floats("*", half=True, finite=False, least=1.0), t=beside("kappa", counts))
def gradient_descent_bound(kappa: Tensor, t: Tensor) -> Tensor:
    """((kappa - 1) / (kappa + 1))^t, the same ratio for gradient descent with eta = 2 / (lambda_min + lambda_max).

    >>> gradient_descent_bound(torch.tensor(3.0), torch.arange(3)).tolist()
    [1.0, 0.5, 0.25]
    """
    return ((kappa - 1) / (kappa + 1)) ** t


@asked(system=a_system(), alpha_star=floats("*B k", like="system", squared=True))
def prediction_factor(system: RidgeSystem, alpha_star: Tensor) -> Tensor:
    """sqrt(k(x)^T A^-1 k(x)) ||alpha*||_A at every query, [*batch, q].

    Times a bound on ||alpha_t - alpha*||_A / ||alpha*||_A it bounds |f_t(x) - f*(x)|: by Cauchy and
    Schwarz in the A-inner product, k(x)^T e = <A^-1 k(x), e>_A <= ||A^-1 k(x)||_A ||e||_A.
    """
    # with A = L L^T: k^T A^-1 k = ||L^-1 k||^2, never negative
    whitened = torch.linalg.solve_triangular(
        torch.linalg.cholesky(system.A), system.K_query.mT, upper=False
    )
    return whitened.norm(dim=-2) * system.norm(alpha_star).unsqueeze(-1)
