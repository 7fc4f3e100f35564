"""The normaliser in numbers: what dividing by row sums costs the condition number at most."""

from torch import Tensor

from metarep_lib.certify.statements.conditioning import condition

__all__ = ["normaliser_bound"]


def normaliser_bound(A: Tensor) -> Tensor:
    """The bound of `prop-normaliser-kappa`, 1: sqrt(k) kappa(A); its value is `normaliser_condition`.

    >>> import torch
    >>> normaliser_bound(torch.diag(torch.tensor([1.0, 3.0, 1.0, 1.0]))).item()
    6.0
    """
    return A.shape[-1] ** 0.5 * condition(A)
