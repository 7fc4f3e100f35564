"""Route A in numbers: the rounding of a kernel that heads compute, and two rates of iterations on it."""

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.statements.conditioning import condition
from metarep_lib.numerics import RidgeSystem, solvers
from metarep_lib.numerics.bounds.rates import conjugate_gradient_bound

__all__ = [
    "induced_error",
    "kernel_system",
    "normaliser_condition",
    "normaliser_error",
    "normaliser_rate",
    "richardson_error",
    "richardson_rate",
    "rounding_bound",
    "rounding_constant",
]


def exponential(phi: Tensor) -> np.ndarray:
    """[k, k] exp(phi_i . phi_j) in extended precision."""
    x = phi.cpu().numpy().astype(np.longdouble)
    return np.exp(x @ x.T)


def size(K: np.ndarray) -> float:
    """The operator norm."""
    return float(np.linalg.norm(K.astype(float), 2))


def induced_error(K: Tensor, phi: Tensor) -> float:
    """The value of `prop-un-normalise-rounding`: ||K_hat - K||_2.

    Args:
        K: [k, k] the kernel that heads have computed.
        phi: [k, p] features.

    >>> induced_error(torch.tensor([[1.5]]), torch.tensor([[0.0]]))
    0.5
    """
    return size(K.cpu().numpy() - exponential(phi))


def rounding_constant(n_features: int, largest: float) -> float:
    """C = (p + 4) L + 12, L the largest squared length of a feature vector."""
    return (n_features + 4) * largest + 12


def rounding_bound(phi: Tensor) -> float:
    """Its bound: 1.02 C u ||K||_2, u the unit roundoff of the features' dtype.

    >>> rounding_bound(torch.tensor([[0.0]], dtype=torch.float64)) / 2**-53
    12.24
    """
    largest = float(phi.double().square().sum(-1).max())
    u = torch.finfo(phi.dtype).eps / 2
    return 1.02 * rounding_constant(phi.shape[-1], largest) * u * size(exponential(phi))


def kernel_system(flat: Tensor, n_support: int, n_features: int) -> tuple[Tensor, Tensor]:
    """Any A = K + lambda I of the exponential kernel and any targets, from k p + k + 1 numbers."""
    k, p = n_support, n_features
    phi, y, log_ridge = flat[: k * p].reshape(k, p), flat[k * p : -1], flat[-1]
    return (phi @ phi.T).exp() + log_ridge.exp() * torch.eye(k).to(phi), y


def normaliser_condition(A: Tensor) -> Tensor:
    """kappa_D: of D^-1/2 A D^-1/2, D the row sums of A.

    >>> normaliser_condition(torch.tensor([[3.0, 1.0], [1.0, 3.0]])).item()
    2.0
    """
    d = A.sum(-1).rsqrt()
    return condition(d.unsqueeze(-1) * A * d.unsqueeze(-2))


def richardson_error(A: Tensor, y: Tensor, t: int) -> Tensor:
    """The value of `thm-sink-ridge`, 3: ||alpha_t - alpha*||_A / ||alpha*||_A from alpha_0 = 0.

    >>> richardson_error(torch.tensor([[3.0, 1.0], [1.0, 3.0]]), torch.tensor([1.0, -1.0]), 1).item()
    0.5
    """
    D, star = A.sum(-1), torch.linalg.solve(A, y)
    error = star
    for _ in range(t):
        error = error - (A @ error) / D
    return ((error @ A @ error) / (star @ A @ star)).sqrt()


def richardson_rate(A: Tensor, t: int) -> Tensor:
    """Its bound: (1 - mu)^t, mu the smallest eigenvalue of D^-1 A, which is 1 / kappa_D.

    >>> richardson_rate(torch.tensor([[3.0, 1.0], [1.0, 3.0]]), 2).item()
    0.25
    """
    d = A.sum(-1).rsqrt()
    return (1 - torch.linalg.eigvalsh(d.unsqueeze(-1) * A * d.unsqueeze(-2))[..., 0]) ** t


def normaliser_error(A: Tensor, y: Tensor, t: int) -> Tensor:
    """The value of `cor-softmax-rate`: the same of conjugate gradient preconditioned by 1 / D.

    >>> float(normaliser_error(torch.diag(torch.tensor([2.0, 5.0])), torch.ones(2), 1))
    0.0
    """
    system = RidgeSystem(A, y, A[:1])
    alpha = solvers.conjugate_gradient(system, t, preconditioner=1 / A.sum(-1)).alpha
    star = torch.linalg.solve(A, y)
    return system.norm(alpha - star) / system.norm(star)


def normaliser_rate(A: Tensor, t: int | Tensor) -> Tensor:
    """Its bound: that of conjugate gradient for the condition number kappa_D.

    >>> normaliser_rate(torch.diag(torch.tensor([2.0, 5.0])), 1).item()
    0.0
    """
    return conjugate_gradient_bound(normaliser_condition(A), torch.as_tensor(t))
