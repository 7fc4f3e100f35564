"""Block conjugate gradient (O'Leary 1980): m right-hand sides search one space, with full histories and typed outcomes.

The right-hand sides Y stand in the columns of the system's `y`, [*batch, k, m]. Two solvers:

* `conjugate_gradient` keeps the residual as R = Q C with orthonormal Q (Dubrulle 2001, algorithm DR). How the residuals
  differ in size and how nearly they depend on each other stands in the small C, which is never inverted.
* `textbook_conjugate_gradient` is O'Leary's, which divides by R^T R. It breaks down, and says so.

Every output is divided by a power of two that makes its targets of ordinary size, as in `solution.solved`. For derivatives
take `conjugate_gradient` of `metarep_lib.numerics.solvers`, column by column: those of a singular value decomposition do
not exist where singular values meet.
"""

import torch
from torch import Tensor

from metarep_lib.numerics.solvers.solution import (
    Outcome,
    Solution,
    power_of_two,
    with_range,
)
from metarep_lib.numerics.system import RidgeSystem


def conjugate_gradient(
    system: RidgeSystem, steps: int, tolerance: float = 1e-8, rank_tolerance: float | None = None
) -> Solution:
    """t steps of block CG for A alpha = Y from alpha_0 = 0, whatever the rank of Y.

        Q C = Y,   S = Q                                     orthonormal columns, negligible ones left out
        xi = (S^T A S)^-1,   alpha += S xi C
        Q_next tau = Q - A S xi,   S = Q_next + S tau^T,   C = tau C

    Differences from the paper: the factorisations are singular value decompositions; what is left out counts, and every output
    is scaled to length one beforehand, so that its units do not matter.

    Args:
        system: what to solve; its y is [*batch, k, m].
        steps: t >= 0.
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y|| for that output, recomputed at the end.
        rank_tolerance: a direction is left out when its singular value is at most this times the size of what it was computed
            from, that is when it is rounding. None: max(k, m) machine epsilons.

    Returns:
        alpha [*batch, k, m]; in the history `alpha` and `r` [steps + 1, *batch, k, m], the directions `p` = S
        [steps, *batch, k, min(k, m)], zero columns where one is left out, and `rank` [steps, *batch], how many are not;
        outcomes [*batch, m], one for each output.

    Raises:
        ValueError: y without columns, negative steps, a rank tolerance outside [0, 1), a system in half precision, or one
            that asks for gradients.

    >>> from metarep_lib.numerics.system import ridge_system
    >>> from metarep_lib.prompt import Prompt
    >>> same = torch.ones(2, 3, dtype=torch.float64)  # three times the same targets
    >>> phi = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    >>> solution = conjugate_gradient(ridge_system(Prompt(phi, same, phi, ridge=1.0)), steps=2)
    >>> solution.outcome.name, solution.history["rank"].tolist()
    ('CONVERGED', [1, 1])
    """
    check("block.conjugate_gradient", system, steps)
    if torch.is_grad_enabled() and (system.A.requires_grad or system.y.requires_grad):
        raise ValueError(
            "block.conjugate_gradient(a system that requires a gradient): a singular value decomposition has none where singular values meet;"
            " this would work: solvers.conjugate_gradient(system, steps), column by column, or torch.no_grad()"
        )
    unit = power_of_two(system.y.mT).mT  # [*batch, 1, m]
    A, Y = system.A, system.y / unit
    threshold = (
        max(Y.shape[-2:]) * torch.finfo(Y.dtype).eps if rank_tolerance is None else rank_tolerance
    )
    if not 0 <= threshold < 1:
        raise ValueError(
            f"block.conjugate_gradient(rank_tolerance={rank_tolerance}): expected a number in [0, 1), e.g. 1e-14"
        )
    length = Y.norm(dim=-2, keepdim=True)
    length = torch.where(length == 0, torch.ones_like(length), length)
    alpha, broke_down = torch.zeros_like(Y), torch.zeros_like(A[..., 0, 0], dtype=torch.bool)
    Q, C, kept = orthonormal_factor(Y / length, threshold * size(Y / length))
    S = Q
    history = {"alpha": [alpha], "r": [Q @ C], "p": [], "rank": []}
    for _ in range(steps):
        W = A @ S
        # a one for what is left out
        factor, info = torch.linalg.cholesky_ex(S.mT @ W + torch.diag_embed((~kept).to(S)))
        broke_down |= info != 0
        history["p"].append(S)
        history["rank"].append(kept.sum(-1))
        alpha = alpha + S @ torch.cholesky_solve(C, factor)
        gone = torch.cholesky_solve(W.mT, factor).mT  # A S xi
        Q, tau, kept = orthonormal_factor(Q - gone, threshold * (1 + size(gone)))
        S, C = (Q + S @ tau.mT) * kept.unsqueeze(-2), tau @ C
        history["alpha"].append(alpha)
        history["r"].append(Q @ C)
    stacked = {name: torch.stack(values) for name, values in history.items() if values}
    stacked |= {name: stacked[name] * length for name in ("alpha", "r")}
    outcomes = judge(system, stacked["alpha"][-1], unit, broke_down, tolerance)
    stacked |= {name: stacked[name] * unit for name in ("alpha", "r")}
    return Solution(stacked["alpha"][-1], stacked, outcomes)


def textbook_conjugate_gradient(
    system: RidgeSystem, steps: int, tolerance: float = 1e-8
) -> Solution:
    """t steps of block CG as O'Leary (1980) writes it: every step solves with R^T R and P^T A P.

        Gamma = (P^T A P)^-1 R^T R,   alpha += P Gamma,   R_next = R - A P Gamma,   P_next = R_next + P (R^T R)^-1 R_next^T R_next

    It needs linearly independent residuals in every step; where a factorisation fails, that system stops and what has not
    converged is BREAKDOWN. Arguments, returns and errors as for `conjugate_gradient`, without `rank`.
    """
    check("block.textbook_conjugate_gradient", system, steps)
    unit = power_of_two(system.y.mT).mT  # [*batch, 1, m]
    A, r, p = system.A, system.y / unit, system.y / unit
    alpha, broke_down = torch.zeros_like(r), torch.zeros_like(A[..., 0, 0], dtype=torch.bool)
    history = {"alpha": [alpha], "r": [r], "p": []}
    for _ in range(steps):
        w, rho = A @ p, r.mT @ r
        (of_sigma, failed), (of_rho, failed_too) = (
            torch.linalg.cholesky_ex(gram) for gram in (p.mT @ w, rho)
        )
        broke_down |= (failed != 0) | (failed_too != 0)
        gamma = torch.cholesky_solve(rho, of_sigma)
        r_next = r - w @ gamma
        beta = torch.cholesky_solve(r_next.mT @ r_next, of_rho)
        stop = broke_down[..., None, None]
        history["p"].append(p)
        alpha, r, p = (
            torch.where(stop, alpha, alpha + p @ gamma),
            torch.where(stop, r, r_next),
            torch.where(stop, p, r_next + p @ beta),
        )
        history["alpha"].append(alpha)
        history["r"].append(r)
    stacked = {name: torch.stack(values) * unit for name, values in history.items() if values}
    outcomes = judge(system, alpha, unit, broke_down, tolerance)
    return Solution(stacked["alpha"][-1], stacked, outcomes)


def rate_bound(system: RidgeSystem, t: Tensor) -> Tensor:
    """2 c^(t - 1) ||v||_A bounds ||alpha_t - alpha*||_A: the rate of block CG once the m smallest eigenvalues are removed.

    c = (sqrt(kappa) - 1) / (sqrt(kappa) + 1) with kappa the quotient of the largest and the (m + 1)-st smallest eigenvalue,
    v = (I - Y (U^T Y)^-1 U^T) alpha* with the eigenvectors U of the m smallest: what one step leaves to be polished.

    Args:
        system: its y is [k, m] with m < k, and U^T Y is invertible.
        t: [n] steps >= 1.

    Returns:
        [n, m] for every step and output.

    >>> from metarep_lib.numerics.system import RidgeSystem
    >>> A, y = torch.diag(torch.tensor([0.1, 1.0, 9.0])), torch.ones(3, 1)
    >>> rate_bound(RidgeSystem(A, y, A[:0]), torch.tensor([1, 2])).flatten().round()  # v = (0, -9, -89/9)
    tensor([62., 31.])
    """
    m = system.y.shape[-1]
    values, vectors = torch.linalg.eigh(system.A)
    U, star = vectors[:, :m], torch.linalg.solve(system.A, system.y)
    v = star - system.y @ torch.linalg.solve(U.T @ system.y, U.T @ star)
    # no more than one where rounding leaves nothing of the eigenvalue
    root = (values[-1] / values[m].clamp(min=0)).sqrt()
    return 2 * (1 - 2 / (root + 1)) ** (t.unsqueeze(-1) - 1) * system.norm(v)


def orthonormal_factor(z: Tensor, floor: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """z = Q C: [*batch, k, n] orthonormal columns of Q and [*batch, n, m] C, zero where a singular value is at most the floor; [*batch, n] where not."""
    # the factorisation refuses anything else
    usable = torch.isfinite(z).all(-1, keepdim=True).all(-2, keepdim=True)
    U, sizes, V = torch.linalg.svd(torch.where(usable, z, torch.zeros_like(z)), full_matrices=False)
    kept = sizes > floor.unsqueeze(-1)
    return U * kept.unsqueeze(-2), (sizes * kept).unsqueeze(-1) * V, kept


def size(z: Tensor) -> Tensor:
    """[*batch] the Frobenius norm, at least the dtype's smallest normal number."""
    return z.flatten(-2).norm(dim=-1).clamp(min=torch.finfo(z.dtype).tiny)


def judge(
    system: RidgeSystem, alpha: Tensor, unit: Tensor, broke_down: Tensor, tolerance: float
) -> Tensor:
    """[*batch, m] the outcome of every output, from its recomputed residual; alpha is that of the targets divided by their units."""
    y = system.y / unit
    converged = (y - system.A @ alpha).norm(dim=-2) <= tolerance * y.norm(dim=-2)
    outcomes = torch.where(converged, int(Outcome.CONVERGED), int(Outcome.NOT_CONVERGED))
    outcomes = torch.where(torch.isfinite(alpha).all(-2), outcomes, int(Outcome.NON_FINITE))
    broken = broke_down.unsqueeze(-1) & ~converged
    outcomes = torch.where(broken, int(Outcome.BREAKDOWN), outcomes)
    return with_range(outcomes, alpha.mT, unit.mT)


def check(name: str, system: RidgeSystem, steps: int) -> None:
    system.check_factored(name)
    if not system.has_outputs:
        raise ValueError(
            f"{name}(y with shape {list(system.y.shape)}): expected [*batch, k, m], a column for each output; system.y.unsqueeze(-1) would work"
        )
    if steps < 0:
        raise ValueError(f"{name}(steps={steps}): expected steps >= 0, e.g. steps=10")
