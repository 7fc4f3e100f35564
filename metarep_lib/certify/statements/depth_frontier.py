"""The depth frontier in numbers: what rounding adds to the bound in the condition number."""

import torch
from torch import Tensor

from metarep_lib.numerics.spectrum.depth_laws import interval_rate

__all__ = ["FLOOR", "excess", "krylov_rate"]

FLOOR = 16  # times u kappa: what rounding adds at most


def krylov_rate(kappa: float, steps: int) -> Tensor:
    """[steps + 1] the best bound in kappa: 1 / T_t((kappa + 1) / (kappa - 1)).

    >>> krylov_rate(9.0, 1).tolist()
    [1.0, 0.8]
    """
    t = torch.arange(steps + 1, dtype=torch.float64)
    return 1 / torch.cosh(t * interval_rate(kappa))


def excess(errors: Tensor, kappa: float, dtype: torch.dtype) -> float:
    """Largest (error - best bound in kappa) / (u kappa) over the steps, u the unit roundoff of the dtype.

    Args:
        errors: [steps + 1] relative, in the norm of A.
        kappa: the condition number.
        dtype: of the arithmetic.

    >>> rate = krylov_rate(9.0, 1)
    >>> round(excess(rate + 9 * 2.0**-24, 9.0, torch.float32), 6)
    1.0
    """
    over = errors.double() - krylov_rate(kappa, len(errors) - 1).to(errors.device)
    return float((over / kappa).max() * 2 / torch.finfo(dtype).eps)
