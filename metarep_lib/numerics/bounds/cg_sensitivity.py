"""How an iterate of conjugate gradient moves with the targets. Gradient descent is linear in them; this is not."""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, definite, floats, in_range


@asked(A=definite("k k"), y=floats("k", like="A"), steps=at_least(0))
def conjugate_gradient_jacobian(A: Tensor, y: Tensor, steps: int) -> Tensor:
    """d alpha_t / d y = q_t(A) + 2 Pi_t pi_t(A), [k, k], from alpha_0 = 0.

    pi_t is the residual polynomial, whose roots are the Ritz values, q_t(a) = (1 - pi_t(a)) / a, and
    Pi_t = V (V^T A V)^-1 V^T for any basis V of the Krylov space of y. Gratton, Titley-Peloquin, Toint and
    Tshimanga (2014) derive such expressions from the recurrences.

    Args:
        A: [k, k] symmetric positive definite.
        y: [k] with a Krylov space of at least `steps` dimensions; near fewer, rounding spoils the result.
        steps: t >= 1.

    Raises:
        ValueError: steps < 1 or more steps than supports.

    >>> A, y = torch.diag(torch.tensor([1.0, 2.0])), torch.tensor([1.0, 1.0])
    >>> bool((conjugate_gradient_jacobian(A, y, 2) - A.inverse()).abs().max() < 1e-6)
    True
    """
    if not 1 <= steps <= len(y):
        raise ValueError(
            f"conjugate_gradient_jacobian(A [{len(y)}, {len(y)}], steps={steps}): expected 1 <= steps <= {len(y)}, e.g. steps=1"
        )
    if not y.norm() > 0:
        raise ValueError(
            "conjugate_gradient_jacobian(y): it is zero or too small to be scaled, and has no Krylov"
            " space; expected a right-hand side of ordinary size"
        )
    basis = [y / y.norm()]
    for _ in range(steps - 1):
        v = A @ basis[-1]
        for q in 2 * basis:  # twice is enough to be orthogonal to working precision
            v = v - (q @ v) * q
        basis.append(v / v.norm())
    V = torch.stack(basis, dim=-1)
    T = V.mT @ A @ V
    residual, quotient = torch.eye(len(y), dtype=A.dtype, device=A.device), torch.zeros_like(A)
    for ritz in torch.linalg.eigvalsh(T):
        quotient = quotient + residual / ritz
        residual = residual - A @ residual / ritz
    return in_range(
        "conjugate_gradient_jacobian", quotient + 2 * V @ torch.linalg.solve(T, V.mT @ residual)
    )


@asked(kappa=floats("", finite=False, least=1.0), steps=at_least(0))
def conjugate_gradient_lipschitz(kappa: Tensor, steps: int) -> Tensor:
    """lambda_min(A) times a Lipschitz constant of y -> alpha_t: sum_{j < t} (kappa - 1)^j + 2 max(1, (kappa - 1)^t / sqrt(kappa)).

    inf from the first step on where no digit of kappa is known, and kappa is inf.

    >>> conjugate_gradient_lipschitz(torch.tensor(4.0), 2).item()
    13.0
    """
    powers = (kappa - 1) ** torch.arange(steps, dtype=kappa.dtype, device=kappa.device)
    last = ((kappa - 1) ** steps / kappa.sqrt()).clamp(min=1)
    unknown = torch.isinf(kappa) & (steps > 0)
    return torch.where(unknown, torch.inf, powers.sum() + 2 * torch.nan_to_num(last, nan=1.0))
