"""s steps of conjugate gradient at once: one Gram matrix of a Krylov basis, then s steps in coordinates (Chronopoulos and Gear 1989).

In a cycle the vectors Y = [P_0(A) p, ..., P_s(A) p, P_0(A) r, ..., P_s-1(A) r] are made first, and all their inner
products G = Y^T Y in one go. Whatever s steps of CG need lies in their span, so p, r and alpha become vectors of 2 s + 1 coordinates:

    gamma = r . G r / p . G B p,   alpha <- alpha + gamma p,   r <- r - gamma B p,   beta = r . G r / (r . G r before),   p <- r + beta p

where B holds the recurrence of the basis, A Y = Y B on every column but the highest powers. In exact arithmetic this is
CG. In floats the digits of G are lost to the condition of the basis, which is what the choice of the P_l is about.
"""

from typing import Literal

import torch
from torch import Tensor

from metarep_lib.asked import asked, finite, not_negative
from metarep_lib.numerics.solvers.iterations import divide, never
from metarep_lib.numerics.solvers.solution import Solution, solved
from metarep_lib.numerics.system import RidgeSystem

KrylovBasis = Literal["monomial", "newton", "chebyshev"]


@asked(
    smallest=finite,
    largest=finite,
    tolerance=not_negative,
)
def s_step_conjugate_gradient(
    system: RidgeSystem,
    cycles: int,
    s: int,
    basis: KrylovBasis,
    smallest: float,
    largest: float,
    tolerance: float = 1e-8,
) -> Solution:
    """`cycles` times s steps of CG from alpha_0 = 0, with one set of inner products per cycle.

    Args:
        system: what to solve.
        cycles: at least 0.
        s: steps per cycle, at least 1.
        basis: "monomial" (A / largest)^l; "newton" with Chebyshev points of [smallest, largest] as roots, in Leja's order;
            "chebyshev", the Chebyshev polynomials of [smallest, largest].
        smallest, largest: 0 < smallest < largest, bounds for the eigenvalues of A.
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y||, recomputed at the end.

    Returns:
        The solution with history "alpha", [cycles s + 1, *batch, k].

    Raises:
        ValueError: negative cycles, s below one, an unknown basis, or not 0 < smallest < largest.

    >>> from metarep_lib.numerics.system import ridge_system
    >>> from metarep_lib.prompt import Prompt
    >>> system = ridge_system(Prompt(torch.diag(torch.tensor([1.0, 2.0])), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> s_step_conjugate_gradient(system, cycles=1, s=2, basis="chebyshev", smallest=2.0, largest=5.0).alpha
    tensor([0.5000, 0.2000])
    """
    if cycles < 0 or s < 1:
        raise ValueError(
            f"s_step_conjugate_gradient(cycles={cycles}, s={s}): expected cycles >= 0 and s >= 1, e.g. cycles=10, s=4"
        )
    up, here, down = basis_recurrence(basis, s, smallest, largest)
    B = change_of_basis(up, here, down).to(system.A)

    def run(system: RidgeSystem) -> tuple[dict[str, Tensor], Tensor]:
        alpha, r, p = torch.zeros_like(system.y), system.y, system.y
        history = [alpha]
        for _ in range(cycles):
            columns = krylov(system, p, s + 1, up, here, down)
            columns += krylov(system, r, s, up, here, down)
            Y = torch.stack(columns, dim=-1)
            G = Y.mT @ Y
            start = torch.zeros_like(G[..., 0])
            x_c, r_c, p_c = start, start.clone(), start.clone()
            r_c[..., s + 1], p_c[..., 0] = 1.0, 1.0
            for _ in range(s):
                Bp = p_c @ B.T
                rho = form(r_c, G, r_c)
                gamma = divide(rho, form(p_c, G, Bp))
                x_c, r_c = x_c + gamma * p_c, r_c - gamma * Bp
                p_c = r_c + divide(form(r_c, G, r_c), rho) * p_c
                history.append(alpha + (Y @ x_c.unsqueeze(-1)).squeeze(-1))
            alpha = history[-1]
            r, p = ((Y @ v.unsqueeze(-1)).squeeze(-1) for v in (r_c, p_c))
        return {"alpha": torch.stack(history)}, never(system)

    return solved(system, run, tolerance)


def form(a: Tensor, G: Tensor, b: Tensor) -> Tensor:
    """[*batch, 1] a . G b."""
    return (a * (G @ b.unsqueeze(-1)).squeeze(-1)).sum(-1, keepdim=True)


def krylov(
    system: RidgeSystem,
    v: Tensor,
    length: int,
    up: list[float],
    here: list[float],
    down: list[float],
) -> list[Tensor]:
    """P_0(A) v, ..., P_length-1(A) v with A P_l = up_l P_l+1 + here_l P_l + down_l P_l-1."""
    columns = [v]
    for degree in range(length - 1):
        following = system.matvec(columns[-1]) - here[degree] * columns[-1]
        if degree:
            following = following - down[degree] * columns[-2]
        columns.append(following / up[degree])
    return columns


def basis_recurrence(
    basis: KrylovBasis, s: int, smallest: float, largest: float
) -> tuple[list[float], list[float], list[float]]:
    """up, here and down for l = 0 ... s - 1: x P_l(x) = up_l P_l+1(x) + here_l P_l(x) + down_l P_l-1(x).

    >>> basis_recurrence("chebyshev", 2, 1.0, 3.0)
    ([1.0, 0.5], [2.0, 2.0], [0.0, 0.5])
    """
    if not 0 < smallest < largest:
        raise ValueError(
            f"s-step basis of [{smallest}, {largest}]: expected 0 < smallest < largest, e.g. system.eigenvalues[[0, -1]]"
        )
    centre, radius = (smallest + largest) / 2, (largest - smallest) / 2
    if basis == "monomial":
        return [largest] * s, [0.0] * s, [0.0] * s
    if basis == "newton":
        return (
            [radius / 2] * s,
            leja([centre + radius * float(x) for x in chebyshev_points(s)]),
            [0.0] * s,
        )
    if basis == "chebyshev":
        return [radius] + [radius / 2] * (s - 1), [centre] * s, [0.0] + [radius / 2] * (s - 1)
    raise ValueError(f"s-step basis {basis!r}: expected 'monomial', 'newton' or 'chebyshev'")


def chebyshev_points(n: int) -> Tensor:
    """The zeros of the n-th Chebyshev polynomial on [-1, 1]."""
    return torch.cos(torch.pi * (2 * torch.arange(n, dtype=torch.float64) + 1) / (2 * n))


def leja(points: list[float]) -> list[float]:
    """The points reordered so that each is as far as possible from all before it (by the product of distances).

    >>> leja([0.0, 1.0, 2.0, 4.0])
    [4.0, 0.0, 2.0, 1.0]
    """
    left = sorted(points, key=abs)
    ordered = [left.pop()]
    while left:
        distances = [
            torch.tensor([abs(x - y) for y in ordered], dtype=torch.float64).log().sum()
            for x in left
        ]
        ordered.append(left.pop(int(torch.stack(distances).argmax())))
    return ordered


def change_of_basis(up: list[float], here: list[float], down: list[float]) -> Tensor:
    """[2 s + 1, 2 s + 1] B with A Y = Y B on all columns but the last of either half, which are left zero."""
    s = len(up)
    B = torch.zeros(2 * s + 1, 2 * s + 1, dtype=torch.float64)
    for offset, length in ((0, s), (s + 1, s - 1)):
        for degree in range(length):
            column = offset + degree
            B[column + 1, column], B[column, column] = up[degree], here[degree]
            if degree:
                B[column - 1, column] = down[degree]
    return B
