"""Preconditioners: what they do to the condition number, and what a norm on the features does to the problem.

With m > 0 on the diagonal, preconditioned CG for A alpha = y is plain CG for the scaled matrix m^1/2 A m^1/2; with any
positive definite P = L L^T in the place of 1 / m, for L^-1 A L^-T.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, indices
from metarep_lib.numerics.projections import landmark_projection, projected
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system
from metarep_lib.prompt import Prompt, a_prompt


@asked()
def jacobi(system: RidgeSystem) -> Tensor:
    """m_i = 1 / A_ii, [*batch, k] (Jacobi 1845).

    >>> jacobi(RidgeSystem(torch.diag(torch.tensor([2.0, 4.0])), torch.ones(2), torch.zeros(0, 2)))
    tensor([0.5000, 0.2500])
    """
    return 1 / system.A.diagonal(dim1=-2, dim2=-1)


@asked(system=a_system(), m=floats("*A k", half=True, empty="*A", like="system"))
def scaled(system: RidgeSystem, m: Tensor) -> RidgeSystem:
    """The system m^1/2 A m^1/2 of unknown alpha / m^1/2, with the same predictions.

    Args:
        system: what to precondition.
        m: [*batch, k] positive.

    Raises:
        ValueError: an m that is not positive.

    >>> system = RidgeSystem(torch.diag(torch.tensor([4.0, 16.0])), torch.ones(2), torch.ones(1, 2))
    >>> scaled(system, jacobi(system)).A.diagonal().tolist()
    [1.0, 1.0]
    """
    if not (m > 0).all():
        raise ValueError(
            f"scaled(m with minimum {m.min().item():g}): expected positive entries, e.g. scaled(system, jacobi(system))"
        )
    root = m.sqrt()
    return RidgeSystem(
        root.unsqueeze(-1) * system.A * root.unsqueeze(-2),
        (root.unsqueeze(-1) if system.has_outputs else root) * system.y,
        system.K_query * root.unsqueeze(-2),
    )


@asked(system=a_system(), P=floats("*A k k", half=True, empty="*A", like="system"))
def whitened(system: RidgeSystem, P: Tensor) -> RidgeSystem:
    """The system L^-1 A L^-T of unknown L^T alpha, P = L L^T, with the same predictions: CG on it is CG preconditioned by P^-1.

    Args:
        system: what to precondition.
        P: [*batch, k, k] symmetric positive definite.

    Raises:
        torch.linalg.LinAlgError: a P that is not positive definite.
        ValueError: a system in half precision.

    >>> system = RidgeSystem(torch.tensor([[2.0, 1.0], [1.0, 2.0]]), torch.ones(2), torch.ones(1, 2))
    >>> whitened(system, system.A).condition_number.round().item()  # nothing is left to do
    1.0
    """
    system.check_factored("whitened")
    L = torch.linalg.cholesky(P)

    def solve(B: Tensor) -> Tensor:
        return torch.linalg.solve_triangular(L, B, upper=False)

    return RidgeSystem(
        solve(solve(system.A).mT),
        solve(system.y) if system.has_outputs else solve(system.y.unsqueeze(-1)).squeeze(-1),
        solve(system.K_query.mT).mT,
    )


@asked(prompt=a_prompt(axes="", single=False), landmarks=indices("k"))
def landmark_preconditioner(prompt: Prompt, landmarks: Tensor) -> Tensor:
    """P = Phi W^T W Phi^T + lambda I, W an orthonormal basis of the landmarks' features (Nystrom's K in the place of K), [k, k].

    A = P + (K - K_hat) with 0 <= K - K_hat <= e I and P >= lambda I, so that the preconditioned condition number is at most 1 + e / lambda.
    With m landmarks P^-1 v costs O(m k): a linear system of m unknowns.

    Args:
        prompt: one prompt.
        landmarks: [n] indices of supports.

    >>> prompt = Prompt(torch.diag(torch.tensor([3.0, 1.0])), torch.ones(2), torch.zeros(0, 2), ridge=1.0)
    >>> landmark_preconditioner(prompt, torch.tensor([0])).diagonal().tolist()
    [10.0, 1.0]
    """
    narrow = projected(prompt, landmark_projection(prompt, landmarks)).phi
    return narrow @ narrow.mT + prompt.ridge * torch.eye(
        prompt.n_support, dtype=narrow.dtype, device=narrow.device
    )


@asked(size=at_least(1))
def block_diagonal(system: RidgeSystem, size: int) -> Tensor:
    """P = A with everything outside blocks of `size` neighbouring supports set to zero (block Jacobi), [*batch, k, k].

    >>> block_diagonal(RidgeSystem(torch.ones(3, 3), torch.ones(3), torch.zeros(0, 3)), 2).tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    """
    block = torch.arange(system.A.shape[-1], device=system.A.device) // size
    return system.A * (block == block.unsqueeze(-1))


@asked(prompt=a_prompt())
def row_normalised(prompt: Prompt) -> tuple[Prompt, Tensor]:
    """What an RMSNorm without gain makes of the features: phi_i / ||phi_i||, and the lengths ||phi_i|| of the supports.

    (RMSNorm divides by ||phi_i|| / sqrt(p); the factor sqrt(p) is the same for all tokens and left out.)

    Raises:
        ValueError: features of length zero, which a norm cannot scale.

    >>> prompt, lengths = row_normalised(Prompt(torch.tensor([[3.0, 4.0]]), torch.ones(1), torch.zeros(0, 2), ridge=1.0))
    >>> prompt.phi.tolist(), lengths.tolist()
    ([[0.6000000238418579, 0.800000011920929]], [5.0])
    """
    lengths, of_queries = prompt.phi.norm(dim=-1), prompt.phi_query.norm(dim=-1, keepdim=True)
    if not ((lengths > 0).all() and (of_queries > 0).all()):
        raise ValueError(
            "row_normalised(prompt): a support or query has phi = 0; remove it, or add a constant feature"
        )
    unit = Prompt(
        prompt.phi / lengths.unsqueeze(-1),
        prompt.y,
        prompt.phi_query / of_queries,
        prompt.ridge,
        prompt.y_query,
    )
    return unit, lengths
