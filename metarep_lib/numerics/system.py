"""The linear system that answers a prompt."""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.asked import WIDE, Rule, asked, floats
from metarep_lib.contents import Contents
from metarep_lib.numerics.kernels.kernels import Kernel, linear_kernel
from metarep_lib.prompt import Prompt, a_prompt


def of_matrix(shape: str) -> Rule:
    """A tensor of the dtype and device of the matrix, with as many unknowns as it has."""
    plain = floats(shape, half=True, finite=False, empty="q")

    def reason(x: object, sizes: dict) -> str:
        if why := plain.reason(x, sizes):
            return why
        alike = sizes.get("kind", (x.dtype, x.device)) == (x.dtype, x.device)
        sizes["kind"] = (x.dtype, x.device)
        return "" if alike else f"is {x.dtype} on {x.device}, unlike the matrix"

    return Rule(f"{plain.expected}, all of one dtype and device", reason)


def right_hand_sides() -> Rule:
    """One for each system, or several as columns."""
    one, several = of_matrix("*Y k"), of_matrix("*Y k m")

    def reason(y: object, sizes: dict) -> str:
        return several.reason(y, dict(sizes)) and one.reason(y, sizes)

    return Rule(one.expected, reason)


def a_system(*, axes: str = "*B", single: bool = True, half: bool = False) -> Rule:
    """What a call asks of a system, as a rule of `metarep_lib.asked`.

    Args:
        axes: leading axes: "" is one system, "*B" one or a batch.
        single: one right-hand side for each system.
        half: half precision will do, too; factorisations are not made for it.
    """
    parts = ["one system without a batch axis" if axes == "" else "a RidgeSystem"]
    parts += ["with one right-hand side"] * single
    parts += ["of float64 or float32"] * (not half)

    def reason(system: object, sizes: dict) -> str:
        wrong = (
            (axes == "" and system.A.ndim > 2)
            or (single and system.y.ndim >= system.A.ndim)
            or (not half and system.A.dtype not in WIDE)
        )
        sizes["k"] = system.A.shape[-1]
        return f"is {system}" if wrong else ""

    return Rule(", ".join(parts), reason)


@asked(A=of_matrix("*A k k"), y=right_hand_sides(), K_query=of_matrix("*Q q k"))
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

    @asked(v=floats("*B k", half=True, finite=False))
    def matvec(self, v: Tensor) -> Tensor:
        """(K + lambda I) v, [..., *batch, k] to the same shape; leading axes may be steps."""
        return (self.A @ v.unsqueeze(-1)).squeeze(-1)

    @asked(alpha=floats("*B k", half=True, finite=False))
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

    @asked(alpha=floats("*B k", half=True, finite=False))
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


@asked(prompt=a_prompt(half=True))
def primal_system(prompt: Prompt) -> RidgeSystem:
    """(S + lambda I) w = Phi^T y, one unknown per feature; solvers call it alpha, and it predicts phi(x) . w."""
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    moment = (prompt.phi.mT @ prompt.y.unsqueeze(-1)).squeeze(-1)
    return RidgeSystem(
        prompt.phi.mT @ prompt.phi + prompt.ridge * identity, moment, prompt.phi_query
    )


@asked(prompt=a_prompt())
def past_systems(prompt: Prompt) -> RidgeSystem:
    """The primal systems of what stands *before* each support, [B, k] of them: what a strictly causal network solves on every token."""
    outer = prompt.phi.unsqueeze(-1) * prompt.phi.unsqueeze(-2)
    terms = prompt.phi * prompt.y.unsqueeze(-1)
    identity = torch.eye(prompt.n_features, dtype=prompt.phi.dtype, device=prompt.phi.device)
    S, moment = outer.cumsum(-3) - outer, terms.cumsum(-2) - terms
    return RidgeSystem(S + prompt.ridge * identity, moment, prompt.phi.unsqueeze(-2))
