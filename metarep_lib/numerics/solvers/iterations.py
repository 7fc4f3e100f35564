"""Textbook solvers for (K + lambda I) alpha = y, each with its full history and a typed outcome.

They know nothing of networks. A solver never raises for numeric trouble and never hides it: the
outcome says what happened, once for every system of the batch and every output. All are
differentiable in A and y, before convergence and after.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metarep_lib.asked import array_or_number, asked, beside, finite, floats, not_negative, whole
from metarep_lib.numerics.solvers.solution import Solution, solved
from metarep_lib.numerics.steps import (
    State,
    chebyshev_step,
    conjugate_gradient_step,
    gradient_descent_step,
)
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system


@asked(tolerance=not_negative)
def cholesky(system: RidgeSystem, tolerance: float = 1e-8) -> Solution:
    """alpha* = (K + lambda I)^-1 y by Cholesky factorisation: the oracle.

    Raises:
        ValueError: a system in half precision.

    >>> from metarep_lib.numerics.system import ridge_system
    >>> from metarep_lib.prompt import Prompt
    >>> system = ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> cholesky(system).alpha.tolist(), cholesky(system).outcome.name
    ([0.5, 0.5], 'CONVERGED')
    """
    system.check_factored("cholesky")

    def run(system: RidgeSystem) -> tuple[dict[str, Tensor], Tensor]:
        factor, info = torch.linalg.cholesky_ex(system.A)
        alpha = torch.cholesky_solve(system.y.unsqueeze(-1), factor).squeeze(-1)
        return {"alpha": alpha.unsqueeze(0)}, info != 0

    return solved(system, run, tolerance)


@asked(
    steps=whole,
    step_size=array_or_number,
    tolerance=not_negative,
)
def gradient_descent(
    system: RidgeSystem, steps: int, step_size: float, tolerance: float = 1e-8
) -> Solution:
    """alpha_t+1 = alpha_t + eta (y - A alpha_t) from alpha_0 = 0.

    Args:
        system: what to solve.
        steps: t >= 0.
        step_size: eta; converges for 0 < eta < 2 / lambda_max(A).
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y||, recomputed at the end.

    Raises:
        ValueError: negative steps.
    """
    check_steps("gradient_descent", steps)

    def run(system: RidgeSystem) -> tuple[dict[str, Tensor], Tensor]:
        history = iterate(
            lambda state: gradient_descent_step(state, system.matvec, step_size),
            {"alpha": torch.zeros_like(system.y), "r": system.y},
            steps,
        )
        return history, never(system)

    return solved(system, run, tolerance)


@asked(
    steps=whole,
    smallest=finite,
    largest=finite,
    tolerance=not_negative,
)
def chebyshev(
    system: RidgeSystem, steps: int, smallest: float, largest: float, tolerance: float = 1e-8
) -> Solution:
    """t steps of Chebyshev's semi-iteration (Saad 2003, algorithm 12.1) from alpha_0 = 0, d_0 = y / theta.

    Args:
        system: what to solve.
        steps: t >= 0.
        smallest, largest: bounds for the eigenvalues of A.
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y||, recomputed at the end.

    Raises:
        ValueError: negative steps, or not 0 < smallest < largest.
    """
    if not 0 < smallest < largest:
        raise ValueError(
            f"chebyshev(smallest={smallest}, largest={largest}): expected 0 < smallest < largest, e.g. system.eigenvalues[[0, -1]]"
        )
    check_steps("chebyshev", steps)
    theta, delta = (largest + smallest) / 2, (largest - smallest) / 2

    def run(system: RidgeSystem) -> tuple[dict[str, Tensor], Tensor]:
        rho = delta / theta

        def step(state: State) -> State:
            nonlocal rho
            rho_old, rho = rho, 1 / (2 * theta / delta - rho)
            return chebyshev_step(state, system.matvec, rho * rho_old, 2 * rho / delta)

        start = {"alpha": torch.zeros_like(system.y), "r": system.y, "d": system.y / theta}
        return iterate(step, start, steps), never(system)

    return solved(system, run, tolerance)


@asked(
    system=a_system(),
    steps=whole,
    tolerance=not_negative,
    preconditioner=floats("*A k", half=True, empty="*A", above=0.0, like="system"),
)
def conjugate_gradient(
    system: RidgeSystem, steps: int, tolerance: float = 1e-8, preconditioner: Tensor | None = None
) -> Solution:
    """t steps of CG (Hestenes and Stiefel 1952) from alpha_0 = 0, preconditioned by a diagonal if one is given.

    Differences from the textbook: it does not stop by itself, since the history of a fixed number
    of steps is what a network is compared with; with targets of ordinary size, a numerator below
    the dtype's smallest normal number counts as zero and 0 / 0 as 0, so that steps past
    convergence change nothing.

    Args:
        system: what to solve.
        steps: t >= 0.
        tolerance: CONVERGED means ||y - A alpha|| <= tolerance ||y||, recomputed at the end.
        preconditioner: m, [*batch, k] positive; z = m r takes the place of r (Saad 2003, algorithm 9.1).

    Raises:
        ValueError: negative steps.

    >>> from metarep_lib.numerics.system import ridge_system
    >>> from metarep_lib.prompt import Prompt
    >>> system = ridge_system(Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0))
    >>> conjugate_gradient(system, steps=3).history["alpha"].tolist()
    [[0.0, 0.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
    """
    check_steps("conjugate_gradient", steps)
    m = (
        preconditioner.unsqueeze(-2)
        if preconditioner is not None and system.has_outputs
        else preconditioner
    )

    def run(system: RidgeSystem) -> tuple[dict[str, Tensor], Tensor]:
        history = iterate(
            lambda state: conjugate_gradient_step(state, system.matvec, inner, divide, m),
            {
                "alpha": torch.zeros_like(system.y),
                "r": system.y,
                "p": system.y if m is None else m * system.y,
            },
            steps,
        )
        if not steps:
            return history, never(system)
        smallest = torch.finfo(system.y.dtype).tiny
        return history, ((history["sigma"] <= 0) & (history["rho"] >= smallest)).any(0)

    return solved(system, run, tolerance)


def check_steps(call: str, steps: int) -> None:
    if steps < 0:
        raise ValueError(f"{call}(steps={steps}): expected steps >= 0, e.g. steps=10")


def never(system: RidgeSystem) -> Tensor:
    """[*batch] no system breaks down."""
    return torch.zeros_like(system.y[..., 0], dtype=torch.bool)


def iterate(step: Callable[[State], State], start: State, steps: int) -> dict[str, Tensor]:
    """Run a recurrence and stack what every name held: vectors from step 0 on, scalars per step."""
    states = [start]
    for _ in range(steps):
        states.append(step(states[-1]))
    history = {name: torch.stack([state[name] for state in states]) for name in start}
    scalars = [name for name in states[-1] if name not in start]
    return history | {
        name: torch.stack([state[name].squeeze(-1) for state in states[1:]]) for name in scalars
    }


def inner(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(-1, keepdim=True)


@asked(
    numerator=floats(half=True, finite=False, empty="..."),
    denominator=beside("numerator", floats(half=True, finite=False, empty="...", like="numerator")),
)
def divide(numerator: Tensor, denominator: Tensor) -> Tensor:
    """The quotient, 0 where the numerator is negligible.

    Its derivatives are 0 already where the numerator is faint, since theirs has the square of the denominator below the
    line. The denominator is replaced before the division: what `where` leaves out has derivatives, too, and 0 / 0 has NaN.
    """
    info = torch.finfo(numerator.dtype)
    faint = numerator.abs() < info.tiny / info.eps**2
    numerator = torch.where(faint, numerator.detach(), numerator)
    denominator = torch.where(faint, denominator.detach(), denominator)
    negligible = numerator.abs() < info.tiny
    quotient = numerator / torch.where(negligible, torch.ones_like(denominator), denominator)
    return torch.where(negligible, torch.zeros_like(numerator), quotient)
