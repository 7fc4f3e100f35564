"""Kernels: of two sets of inputs, a matrix."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from metarep_lib.asked import asked, floats
from metarep_lib.contents import Contents

Kernel = Callable[[Tensor, Tensor], Tensor]


@asked(
    phi=floats("*B n p", half=True, finite=False, empty="*B n"),
    phi_other=floats("*B m p", half=True, finite=False, empty="*B m", like="phi"),
)
def linear_kernel(phi: Tensor, phi_other: Tensor) -> Tensor:
    """K_ij = <phi_i, phi'_j>, [*batch, n, p] and [*batch, m, p] to [*batch, n, m].

    >>> import torch
    >>> linear_kernel(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[11.,  2.]])
    """
    return phi @ phi_other.mT


@asked(U=floats("r p", half=True))
@dataclass(frozen=True, eq=False, repr=False)
class ExponentialKernel(Contents):
    """K_ij = exp(<U phi_i, U phi'_j> / tau): what a softmax head computes before it normalises (Tsai et al. 2019).

    Args:
        tau: the temperature, positive.
        U: [p', p] or None for the identity.

    Raises:
        ValueError: a temperature that is not positive.

    >>> import torch
    >>> kernel = ExponentialKernel(tau=2.0)
    >>> kernel(torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
    tensor([[1.0000, 2.7183]])
    """

    tau: float = 1.0
    U: Tensor | None = None

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(
                f"ExponentialKernel(tau={self.tau}): expected a positive temperature, e.g. ExponentialKernel(tau=1.0)"
            )

    @asked(
        phi=floats("*B n p", half=True, finite=False, empty="*B n"),
        phi_other=floats("*B m p", half=True, finite=False, empty="*B m", like="phi"),
    )
    def logits(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        """<U phi_i, U phi'_j> / tau, [*batch, n, p] and [*batch, m, p] to [*batch, n, m]; exp of it overflows where they do not."""
        if self.U is not None:
            phi, phi_other = phi @ self.U.mT, phi_other @ self.U.mT
        return phi @ phi_other.mT / self.tau

    @asked(
        phi=floats("*B n p", half=True, finite=False, empty="*B n"),
        phi_other=floats("*B m p", half=True, finite=False, empty="*B m", like="phi"),
    )
    def __call__(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        return self.logits(phi, phi_other).exp()


@asked()
@dataclass(frozen=True)
class GaussianKernel:
    """K_ij = exp(-|phi_i - phi'_j|^2 / (2 tau)): the exponential kernel of the same tau, with every feature vector's own factor exp(-|phi|^2 / (2 tau)).

    Args:
        tau: the squared width, positive.

    Raises:
        ValueError: a tau that is not positive.

    >>> import torch
    >>> GaussianKernel(tau=0.5)(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    tensor([[1.0000, 0.3679]])
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(
                f"GaussianKernel(tau={self.tau}): expected a positive squared width, e.g. GaussianKernel(tau=1.0)"
            )

    @asked(
        phi=floats("*B n p", half=True, finite=False, empty="*B n"),
        phi_other=floats("*B m p", half=True, finite=False, empty="*B m", like="phi"),
    )
    def __call__(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        return (
            -(phi.unsqueeze(-2) - phi_other.unsqueeze(-3)).square().sum(-1) / (2 * self.tau)
        ).exp()
