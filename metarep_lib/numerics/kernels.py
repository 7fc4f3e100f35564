"""Kernels and the kernel ridge regression system of a prompt.

Letters: k supports, q queries, p features.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.prompt import Prompt

Kernel = Callable[[Tensor, Tensor], Tensor]


def linear_kernel(phi: Tensor, phi_other: Tensor) -> Tensor:
    """K_ij = <phi_i, phi'_j>, [*batch, n, p] and [*batch, m, p] to [*batch, n, m].

    >>> linear_kernel(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [0.0, 1.0]]))
    tensor([[11.,  2.]])
    """
    return phi @ phi_other.mT


@dataclass(frozen=True)
class ExponentialKernel:
    """K_ij = exp(<U phi_i, U phi'_j> / tau): what a softmax head computes before it normalises (Tsai et al. 2019).

    Args:
        tau: the temperature, positive.
        U: [p', p] or None for the identity.

    Raises:
        ValueError: a temperature that is not positive.

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

    def logits(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        """<U phi_i, U phi'_j> / tau, [*batch, n, p] and [*batch, m, p] to [*batch, n, m]; exp of it overflows where they do not."""
        if self.U is not None:
            phi, phi_other = phi @ self.U.mT, phi_other @ self.U.mT
        return phi @ phi_other.mT / self.tau

    def __call__(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        return self.logits(phi, phi_other).exp()


@dataclass(frozen=True)
class GaussianKernel:
    """K_ij = exp(-|phi_i - phi'_j|^2 / (2 tau)): the exponential kernel of the same tau, with every feature vector's own factor exp(-|phi|^2 / (2 tau)).

    Args:
        tau: the squared width, positive.

    Raises:
        ValueError: a tau that is not positive.

    >>> GaussianKernel(tau=0.5)(torch.tensor([[1.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    tensor([[1.0000, 0.3679]])
    """

    tau: float = 1.0

    def __post_init__(self) -> None:
        if not self.tau > 0:
            raise ValueError(
                f"GaussianKernel(tau={self.tau}): expected a positive squared width, e.g. GaussianKernel(tau=1.0)"
            )

    def __call__(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        return (
            -(phi.unsqueeze(-2) - phi_other.unsqueeze(-3)).square().sum(-1) / (2 * self.tau)
        ).exp()


@dataclass(frozen=True)
class RidgeSystem:
    """(K + lambda I) alpha = y, and how a solution predicts: f(x) = k(x)^T alpha.

    Args:
        A: [*batch, k, k] the matrix K + lambda I, symmetric positive definite.
        y: [*batch, k] the right-hand side.
        K_query: [*batch, q, k] kernel between queries and supports; row x is k(x)^T.
    """

    A: Tensor
    y: Tensor
    K_query: Tensor

    def matvec(self, v: Tensor) -> Tensor:
        """(K + lambda I) v, [..., *batch, k] to the same shape; leading axes may be steps."""
        return (self.A @ v.unsqueeze(-1)).squeeze(-1)

    def predict(self, alpha: Tensor) -> Tensor:
        """f(x) = k(x)^T alpha, [..., *batch, k] to [..., *batch, q]; leading axes may be steps."""
        return (self.K_query @ alpha.unsqueeze(-1)).squeeze(-1)

    def residual(self, alpha: Tensor) -> Tensor:
        """r = y - (K + lambda I) alpha, recomputed, same shape as alpha."""
        return self.y - self.matvec(alpha)

    def target_weights(self) -> Tensor:
        """k(x)^T (K + lambda I)^-1, [*batch, q, k]: what a unit of each target adds to the prediction at each query.

        >>> ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0)).target_weights()
        tensor([[0.5000, 0.5000]])
        """
        return torch.linalg.solve(self.A, self.K_query.mT).mT

    def norm(self, alpha: Tensor) -> Tensor:
        """The A-norm sqrt(alpha^T (K + lambda I) alpha), [..., *batch, k] to [..., *batch]."""
        return (alpha * self.matvec(alpha)).sum(-1).clamp(min=0).sqrt()

    @property
    def eigenvalues(self) -> Tensor:
        """[*batch, k] of K + lambda I, ascending."""
        return torch.linalg.eigvalsh(self.A)

    @property
    def condition_number(self) -> Tensor:
        """kappa(K + lambda I), [*batch]: the kappa of the whole book."""
        eigenvalues = self.eigenvalues
        return eigenvalues[..., -1] / eigenvalues[..., 0]


def ridge_system(prompt: Prompt, kernel: Kernel = linear_kernel) -> RidgeSystem:
    """The linear system whose solution is kernel ridge regression on the prompt.

    >>> system = ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> system.A.tolist(), system.K_query.tolist()
    ([[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0]])
    """
    K = kernel(prompt.phi, prompt.phi)
    identity = torch.eye(prompt.n_support, dtype=K.dtype, device=K.device)
    return RidgeSystem(K + prompt.ridge * identity, prompt.y, kernel(prompt.phi_query, prompt.phi))
