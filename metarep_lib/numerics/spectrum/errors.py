"""The error of every iteration from the spectrum alone: nothing else about K + lambda I matters.

All iterations here keep alpha_t - alpha* = P_t(A) alpha* with a polynomial P_t(0) = 1 (up to sign). So in the norm of A

    (||alpha_t - alpha*||_A / ||alpha*||_A)^2 = sum_i share_i P_t(lambda_i)^2,

where share_i is the part of ||alpha*||_A^2 that lies in the i-th eigenvector of A (shares of any sum are scaled to one).
Gradient descent and Chebyshev fix P_t beforehand and have closed forms here; conjugate gradient takes the best P_t and is
run, on the diagonal.

Letters: n eigenvalues, B any batch axes, T steps asked for.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, in_range, positive
from metarep_lib.numerics.solvers.iterations import divide, inner
from metarep_lib.numerics.steps import conjugate_gradient_step
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system

MOST_STEPS = 2**60


@asked(system=a_system(definite=True))
def spectral_shares(system: RidgeSystem) -> tuple[Tensor, Tensor]:
    """(eigenvalues, shares), both [*batch, n]: lambda_i ascending and (v_i . y)^2 / lambda_i, scaled to sum one.

    Raises:
        ValueError: several outputs, or a system in half precision.

    >>> system = RidgeSystem(torch.diag(torch.tensor([1.0, 4.0])), torch.tensor([1.0, 2.0]), torch.zeros(1, 2))
    >>> [values.tolist() for values in spectral_shares(system)]
    [[1.0, 4.0], [0.5, 0.5]]
    """
    system.check_factored("spectral_shares")
    system.check_one_output("spectral_shares")
    eigenvalues, vectors = torch.linalg.eigh(system.A)
    shares = (vectors.mT @ system.y.unsqueeze(-1)).squeeze(-1).square() / eigenvalues
    return eigenvalues, shares / shares.sum(-1, keepdim=True)


@asked()
def gradient_descent_errors(
    eigenvalues: Tensor, shares: Tensor, t: Tensor, step_size: Tensor | float
) -> Tensor:
    """Relative A-norm error after t steps, P_t(s) = (1 - eta s)^t.

    Args:
        eigenvalues, shares: [*B, n].
        t: [T] steps.
        step_size: eta, a number or [*B].

    Returns:
        [T, *B].

    >>> gradient_descent_errors(torch.tensor([1.0, 3.0]), torch.tensor([0.5, 0.5]), torch.arange(3), 0.5).tolist()
    [1.0, 0.5, 0.25]
    """
    factors = (
        1
        - torch.as_tensor(step_size, dtype=eigenvalues.dtype, device=eigenvalues.device).unsqueeze(
            -1
        )
        * eigenvalues
    )
    return root_mean(factors.abs() ** t.view(-1, *[1] * factors.ndim), shares)


@asked()
def chebyshev_errors(
    eigenvalues: Tensor, shares: Tensor, t: Tensor, smallest: float, largest: float
) -> Tensor:
    """Relative A-norm error after t steps of Chebyshev's iteration told [smallest, largest], whether that is true or not.

    P_t(s) = T_t((b + a - 2 s) / (b - a)) / T_t((b + a) / (b - a)).

    Args:
        eigenvalues: [n] positive.
        shares: [*B, n].
        t: [T] steps.
        smallest, largest: the ends a < b the iteration is told.

    Returns:
        [T, *B]; it grows without bound where an eigenvalue exceeds a + b.

    Raises:
        ValueError: not 0 < smallest < largest.

    >>> chebyshev_errors(torch.tensor([1.0, 9.0]), torch.tensor([0.5, 0.5]), torch.arange(3), 1.0, 9.0)  # 1 / T_t(5 / 4)
    tensor([1.0000, 0.8000, 0.4706])
    """
    if not 0 < smallest < largest:
        raise ValueError(
            f"chebyshev_errors(smallest={smallest}, largest={largest}): expected 0 < smallest < largest, e.g. eigenvalues[[0, -1]]"
        )
    at, at_zero = (
        (largest + smallest - 2 * eigenvalues) / (largest - smallest),
        (largest + smallest) / (largest - smallest),
    )
    t = t.to(eigenvalues.dtype).unsqueeze(-1)
    rate_at_zero = torch.acosh(
        torch.tensor(at_zero, dtype=eigenvalues.dtype, device=eigenvalues.device)
    )
    rate = torch.acosh(at.abs().clamp(min=1))  # 0 inside [a, b]
    # |T_t| is |cos(t arccos)| inside and cosh(t arcosh) outside; e^(t rate) is taken out before it overflows
    size = torch.where(
        at.abs() <= 1,
        torch.cos(t * torch.acos(at.clamp(-1, 1))).abs(),
        (1 + torch.exp(-2 * t * rate)) / 2,
    )
    P = size * torch.exp(t * (rate - rate_at_zero)) / ((1 + torch.exp(-2 * t * rate_at_zero)) / 2)
    return root_mean(P.view(len(t), *[1] * (shares.ndim - 1), -1), shares)


@asked(eigenvalues=floats("*B n", above=0.0), shares=floats("*S n", least=0.0), steps=at_least(0))
def conjugate_gradient_errors(eigenvalues: Tensor, shares: Tensor, steps: int) -> Tensor:
    """Relative A-norm error after 0 ... steps steps of CG on the diagonal system, in the dtype handed in.

    Args:
        eigenvalues, shares: [*B, n], or shapes that broadcast to it.
        steps: t >= 0.

    Returns:
        [steps + 1, *B].

    >>> conjugate_gradient_errors(torch.tensor([1.0, 9.0]).double(), torch.tensor([0.9, 0.1]).double(), 1)
    tensor([1.0000, 0.8000], dtype=torch.float64)
    """
    eigenvalues, shares = torch.broadcast_tensors(eigenvalues, shares)
    star = (shares / eigenvalues).sqrt()
    y = eigenvalues * star
    state = {"alpha": torch.zeros_like(y), "r": y, "p": y}
    squares = [shares]
    for _ in range(steps):
        state = conjugate_gradient_step(state, lambda v: eigenvalues * v, inner, divide)
        squares.append(eigenvalues * (state["alpha"] - star).square())
    if not (shares.sum(-1) > 0).all():
        raise ValueError(
            f"conjugate_gradient_errors(shares={list(shares.shape)}): they are all zero, so that there"
            " is no error to divide by; expected one share > 0, e.g. torch.ones(n) / n"
        )
    errors = (torch.stack(squares).sum(-1) / shares.sum(-1)).sqrt()
    return in_range("conjugate_gradient_errors", errors)


@asked(eigenvalues=floats("n", above=0.0), shares=floats("*B n", least=0.0), accuracy=positive)
def gradient_descent_needs(eigenvalues: Tensor, shares: Tensor, accuracy: float) -> Tensor:
    """[*B] steps after which the relative A-norm error is at most the accuracy, step size 2 / (lambda_min + lambda_max).

    Args:
        eigenvalues: [n].
        shares: [*B, n].

    >>> gradient_descent_needs(torch.tensor([1.0, 3.0]), torch.tensor([[0.5, 0.5], [1.0, 0.0]]), accuracy=0.2).tolist()
    [3, 3]
    """
    step_size = 2 / float(eigenvalues.min() + eigenvalues.max())

    def needs(omega: Tensor) -> int:
        return first_step(
            lambda t: float(
                gradient_descent_errors(eigenvalues, omega, torch.tensor([t]), step_size)[0]
            ),
            accuracy,
        )

    return torch.tensor([needs(omega) for omega in shares.reshape(-1, shares.shape[-1])]).view(
        shares.shape[:-1]
    )


@asked()
def chebyshev_needs(
    eigenvalues: Tensor, shares: Tensor, accuracy: float, smallest: float, largest: float, most: int
) -> Tensor:
    """[*B] steps from which on the relative A-norm error stays at most the accuracy, told [smallest, largest].

    Args:
        eigenvalues: [n].
        shares: [*B, n].
        most: how many steps to look at; `most` + 1 where they are not enough.

    >>> chebyshev_needs(torch.tensor([1.0, 9.0]), torch.tensor([0.5, 0.5]), 0.5, 1.0, 9.0, most=9).item()  # 1 / T_2 = 0.47
    2
    """
    return settling_step(
        chebyshev_errors(eigenvalues, shares, torch.arange(most + 1), smallest, largest), accuracy
    )


def lagrange_weights(eigenvalues: Tensor) -> Tensor:
    """[*B, n] l_i = prod over j != i of lambda_j / |lambda_j - lambda_i|, for distinct eigenvalues.

    After n - 1 steps the relative A-norm error of CG is (sum_i l_i^2 / share_i)^-1/2. At most that is 1 / sum_i l_i, for shares
    proportional to l_i.

    >>> lagrange_weights(torch.tensor([1.0, 9.0])).tolist()
    [1.125, 0.125]
    """
    return log_lagrange_weights(eigenvalues).exp()


@asked(eigenvalues=floats("*B n", above=0.0))
def worst_error(eigenvalues: Tensor) -> Tensor:
    """[*B] 1 / sum_i l_i: the relative A-norm error of CG after n - 1 steps on n distinct eigenvalues, targets at their worst.

    No overflow, and differentiable, so that a search can climb it.

    >>> worst_error(torch.tensor([1.0, 9.0]))  # 1 / T_1(5 / 4)
    tensor(0.8000)
    """
    return (-log_lagrange_weights(eigenvalues).logsumexp(-1)).exp()


def log_lagrange_weights(eigenvalues: Tensor) -> Tensor:
    identity = torch.eye(eigenvalues.shape[-1], dtype=eigenvalues.dtype, device=eigenvalues.device)
    gaps = (
        eigenvalues.unsqueeze(-2) - eigenvalues.unsqueeze(-1)
    ).abs() + identity  # [.., i, j], log 1 = 0 where i = j
    return ((eigenvalues.log().unsqueeze(-2) - gaps.log()) * (1 - identity)).sum(-1)


def root_mean(P: Tensor, shares: Tensor) -> Tensor:
    return ((P.square() * shares).sum(-1) / shares.sum(-1)).sqrt()


def first_step(error: Callable[[int], float], accuracy: float) -> int:
    """The smallest t >= 0 with error(t) <= accuracy, for an error that never rises; by doubling and halving.

    Raises:
        ArithmeticError: 2^60 steps are not enough.

    >>> first_step(lambda t: 0.5**t, accuracy=0.1)
    4
    """
    below, reached = -1, 0  # error(below) > accuracy
    while not error(reached) <= accuracy:
        below, reached = reached, max(1, 2 * reached)
        if reached > MOST_STEPS:
            raise ArithmeticError(
                f"first_step(accuracy={accuracy}): the error is still {error(below):g} after {below} steps; does it fall at all? expected an iteration that converges, on shares that are not all zero"
            )
    while reached - below > 1:
        middle = (below + reached) // 2
        below, reached = (below, middle) if error(middle) <= accuracy else (middle, reached)
    return reached


def settling_step(errors: Tensor, accuracy: float) -> Tensor:
    """From which step on all errors stay at or below the accuracy: [T, *B] to integers [*B]; T where they do not.

    >>> settling_step(torch.tensor([1.0, 0.1, 0.3, 0.1, 0.01]), accuracy=0.2).item()
    3
    """
    late = ~(errors <= accuracy)  # NaN is never settled
    steps = torch.arange(1, len(errors) + 1, device=errors.device).view(
        -1, *[1] * (errors.ndim - 1)
    )
    return (late * steps).amax(0)
