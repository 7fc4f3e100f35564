"""The linear system that answers a prompt."""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import asked
from metarep_lib.contents import Contents
from metarep_lib.numerics.kernels.kernels import Kernel, linear_kernel
from metarep_lib.numerics.system_asked import unknowns
from metarep_lib.prompt import Prompt, a_prompt


@dataclass(frozen=True, eq=False, repr=False)
class RidgeSystem(Contents):
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

    @asked(alpha=unknowns())
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

    @asked(alpha=unknowns())
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


@asked(prompt=a_prompt(single=False, half=True))
def ridge_system(prompt: Prompt, kernel: Kernel = linear_kernel) -> RidgeSystem:
    """The linear system whose solution is kernel ridge regression on the prompt.

    >>> system = ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> system.A.tolist(), system.K_query.tolist()
    ([[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0]])
    """
    K = kernel(prompt.phi, prompt.phi)
    identity = torch.eye(prompt.n_support, dtype=K.dtype, device=K.device)
    return RidgeSystem(K + prompt.ridge * identity, prompt.y, kernel(prompt.phi_query, prompt.phi))


@asked(prompt=a_prompt(single=False, half=True))
def primal_system(prompt: Prompt) -> RidgeSystem:
    """(S + lambda I) w = Phi^T y, one unknown per feature; solvers call it alpha, and it predicts phi(x) . w."""
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    moment = (prompt.phi.mT @ prompt.y.unsqueeze(-1)).squeeze(-1)
    return RidgeSystem(
        prompt.phi.mT @ prompt.phi + prompt.ridge * identity, moment, prompt.phi_query
    )


@asked(prompt=a_prompt(single=False))
def past_systems(prompt: Prompt) -> RidgeSystem:
    """The primal systems of what stands *before* each support, [B, k] of them: what a strictly causal network solves on every token."""
    outer = prompt.phi.unsqueeze(-1) * prompt.phi.unsqueeze(-2)
    terms = prompt.phi * prompt.y.unsqueeze(-1)
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    S, moment = outer.cumsum(-3) - outer, terms.cumsum(-2) - terms
    return RidgeSystem(S + prompt.ridge * identity, moment, prompt.phi.unsqueeze(-2))
