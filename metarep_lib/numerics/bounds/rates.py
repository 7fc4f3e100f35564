"""The bounds of the book, as functions of what they depend on.

All hold in exact arithmetic from alpha_0 = 0; A = K + lambda I, kappa its condition number. Where no digit of kappa is
known it is inf (`RidgeSystem.condition_number`), and a rate is one: what holds of every system.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, beside, counts, floats
from metarep_lib.asked.values import looks
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system


@asked(kappa=floats("*", half=True, finite=False, empty="*"), t=beside("kappa", counts))
def conjugate_gradient_bound(kappa: Tensor, t: Tensor) -> Tensor:
    """2 ((sqrt kappa - 1) / (sqrt kappa + 1))^t bounds ||alpha_t - alpha*||_A / ||alpha*||_A (Saad 2003, eq. 6.128).

    Args:
        kappa: at least one, inf where no digit of it is known.
        t: steps, broadcast against kappa.

    Raises:
        ValueError: a kappa below one, or NaN.

    >>> conjugate_gradient_bound(torch.tensor(9.0), torch.arange(3)).tolist()
    [2.0, 1.0, 0.5]
    """
    check("conjugate_gradient_bound", kappa)
    return 2 * rate(kappa.sqrt()) ** t


@asked(kappa=floats("*", half=True, finite=False, empty="*"), t=beside("kappa", counts))
def gradient_descent_bound(kappa: Tensor, t: Tensor) -> Tensor:
    """((kappa - 1) / (kappa + 1))^t, the same ratio for gradient descent with eta = 2 / (lambda_min + lambda_max).

    Arguments and errors as for `conjugate_gradient_bound`.

    >>> gradient_descent_bound(torch.tensor(3.0), torch.arange(3)).tolist()
    [1.0, 0.5, 0.25]
    """
    check("gradient_descent_bound", kappa)
    return rate(kappa) ** t


def rate(x: Tensor) -> Tensor:
    """(x - 1) / (x + 1), one where x is inf."""
    return torch.where(torch.isinf(x), torch.ones_like(x), (x - 1) / (x + 1))


def check(call: str, kappa: Tensor) -> None:
    if not looks(lambda: (kappa >= 1).all()):
        raise ValueError(
            f"{call}(kappa with minimum {kappa.min().item():g}): a condition number is at least one, inf where none is known;"
            f" this would work: {call}(ridge_system(prompt).condition_number, torch.arange(10))"
        )


@asked(
    system=a_system(), alpha_star=floats("*y", half=True, empty="*y", like="system", squared=True)
)
def prediction_factor(system: RidgeSystem, alpha_star: Tensor) -> Tensor:
    """sqrt(k(x)^T A^-1 k(x)) ||alpha*||_A at every query, [*batch, q], and of every output, [*batch, q, m], where there are several.

    Times a bound on ||alpha_t - alpha*||_A / ||alpha*||_A it bounds |f_t(x) - f*(x)|: by Cauchy and
    Schwarz in the A-inner product, k(x)^T e = <A^-1 k(x), e>_A <= ||A^-1 k(x)||_A ||e||_A. It is inf, which bounds
    everything, where A is not positive definite in its dtype.
    """
    system.check_factored("prediction_factor")
    # with A = L L^T: k^T A^-1 k = ||L^-1 k||^2, never negative
    L, failed = torch.linalg.cholesky_ex(system.A)
    length = torch.linalg.solve_triangular(L, system.K_query.mT, upper=False).norm(dim=-2)
    size, unknown = system.norm(alpha_star), (failed != 0).unsqueeze(-1)
    if system.has_outputs:
        length, size, unknown = length.unsqueeze(-1), size.unsqueeze(-2), unknown.unsqueeze(-1)
        factor = length * size
    else:
        factor = length * size.unsqueeze(-1)
    return torch.where(unknown, torch.full_like(factor, torch.inf), factor)
