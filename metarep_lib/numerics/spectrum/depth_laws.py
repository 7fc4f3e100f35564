"""How deep is deep enough: the number of steps and blocks that each law of the book promises.

Every function counts steps after which ||alpha_t - alpha*||_A <= accuracy ||alpha*||_A, A = K + lambda I, whatever y is, in
exact arithmetic from alpha_0 = 0. In floating point conjugate gradient can need more steps (it loses the orthogonality of
its residuals), and no algorithm gets below a floor of about u kappa.
"""

import math

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats, positive

# blocks per step of the constructed networks, and blocks they need once
BLOCKS = {
    "gradient descent": (1, 0),
    "Chebyshev": (1, 0),
    "conjugate gradient, textbook": (5, 0),
    "conjugate gradient, two blocks": (2, 0),
    "Newton": (1, 1),
}


@asked(steps=at_least(0))
def blocks(algorithm: str, steps: int) -> int:
    """Depth of the constructed network that takes so many steps.

    Raises:
        KeyError: an algorithm that is not in `BLOCKS`.

    >>> blocks("conjugate gradient, two blocks", 32), blocks("Newton", 13)
    (64, 14)
    """
    if algorithm not in BLOCKS:
        raise KeyError(f"blocks({algorithm!r}): expected one of {', '.join(BLOCKS)}")
    per_step, once = BLOCKS[algorithm]
    return per_step * steps + once


@asked()
def gradient_descent_steps(kappa: float, accuracy: float) -> int:
    """Least t with ((kappa - 1) / (kappa + 1))^t <= accuracy, about (kappa / 2) ln(1 / accuracy); best fixed step size.

    >>> gradient_descent_steps(100.0, 1e-6)
    691
    """
    check(kappa, accuracy)
    return count(math.log(1 / accuracy), math.log1p(2 / (kappa - 1)) if kappa > 1 else math.inf)


@asked()
def krylov_steps(kappa: float, accuracy: float) -> int:
    """Least t with 1 / T_t((kappa + 1) / (kappa - 1)) <= accuracy, about (sqrt kappa / 2) ln(2 / accuracy).

    Conjugate gradient, and Chebyshev's iteration told the exact ends, need no more steps than these; and no method whose
    iterates lie in span{y, A y, ..., A^(t-1) y} can promise fewer.

    >>> krylov_steps(100.0, 1e-6)
    73
    """
    check(kappa, accuracy)
    return count(arcosh(1 / accuracy), interval_rate(kappa))


@asked()
def newton_steps(kappa: float, accuracy: float) -> int:
    """Least s with ((kappa - 1) / (kappa + 1))^(2^s) <= accuracy, about log2 kappa + log2 ln(1 / accuracy) - 1.

    For X_0 = c I with c = 2 / (lambda_min + lambda_max): s steps of Newton are 2^s steps of gradient descent.

    >>> newton_steps(100.0, 1e-6)
    10
    """
    steps = gradient_descent_steps(kappa, accuracy)
    return max(0, math.ceil(math.log2(steps))) if steps else 0


@asked(eigenvalues=floats("n"))
def outlier_steps(eigenvalues: Tensor, accuracy: float) -> int:
    """The fewest steps over all windows [a, b] of the spectrum: one for each eigenvalue outside, Chebyshev's count inside.

    t = m + least j with F / T_j <= accuracy, where F is the product of (1 - a / mu) over the outliers mu > b and of
    (b / mu - 1) over the outliers mu < a.

    Args:
        eigenvalues: [n] of K + lambda I, positive; equal ones count once.

    >>> outlier_steps(torch.tensor([1.0, 1.5, 2.0, 1e6]), 1e-6)  # all four, one by one
    4
    >>> outlier_steps(torch.cat([torch.linspace(1, 2, 100), torch.tensor([1e6])]), 1e-6)  # the outlier, and kappa = 2 for the rest
    10
    """
    log_F, rate, outside, window = windows(eigenvalues)
    check(float(eigenvalues.max() / eigenvalues.min()), accuracy)
    needed = arcosh_of_log(log_F - math.log(accuracy))
    inside = torch.where(needed > 0, torch.ceil(needed / rate).clamp(min=1), 0)
    return int((outside + inside)[window].min())


def outlier_errors(eigenvalues: Tensor, steps: int) -> Tensor:
    """[steps + 1] the least bound over all windows after 0, 1, ... steps: min(1, F / T_(t-m)), the curve that `outlier_steps` inverts.

    Args:
        eigenvalues: [n] of K + lambda I, positive; equal ones count once.
        steps: t >= 0.

    >>> outlier_errors(torch.tensor([1.0, 9.0]), 2)  # 1 / T_1(5 / 4), then both are hit
    tensor([1.0000, 0.8000, 0.0000], dtype=torch.float64)
    """
    log_F, rate, outside, window = windows(eigenvalues)
    inside = torch.arange(steps + 1).view(-1, 1, 1) - outside  # [t, i, j]
    log_T = torch.where(
        inside > 0, inside * rate + torch.log1p(torch.exp(-2 * inside * rate)) - math.log(2), 0
    )
    log_bound = torch.where((inside >= 0) & window, log_F - log_T, 0)
    return log_bound.clamp(max=0).exp().amin((1, 2))


def windows(eigenvalues: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """log F, ln((sqrt(b / a) + 1) / (sqrt(b / a) - 1)), the number of outliers, and which are windows, [n, n] for a = value i, b = value j."""
    values = torch.unique(eigenvalues).double()
    n = len(values)
    # [j, l] log(b / mu_l - 1), l below the window
    below = torch.log((values[:, None] / values - 1).clamp(min=torch.finfo(values.dtype).tiny))
    # [i, l] log(1 - a / mu_l), l above it
    above = torch.log((1 - values[:, None] / values).clamp(min=torch.finfo(values.dtype).tiny))
    zero = values.new_zeros(n, 1)
    of_below = torch.cat([zero, below.cumsum(1)[:, :-1]], 1).T  # [i, j] sum over l < i
    of_above = torch.cat([above.flip(1).cumsum(1).flip(1)[:, 1:], zero], 1)  # [i, j] sum over l > j
    rate = torch.log1p(2 / ((values / values[:, None]).sqrt() - 1))  # [i, j] infinite where i = j
    index = torch.arange(n)
    return of_below + of_above, rate, index[:, None] + (n - 1 - index), index[:, None] <= index


@asked(K_eigenvalues=floats("*B n"), ridge=positive)
def effective_dimension(K_eigenvalues: Tensor, ridge: float) -> Tensor:
    """d_eff = tr K (K + lambda I)^-1 = sum_i mu_i / (mu_i + lambda), [*batch]: how many directions the ridge leaves free.

    Args:
        K_eigenvalues: [*batch, n] of K, not of K + lambda I; rounding below zero counts as zero.
        ridge: lambda > 0.

    >>> effective_dimension(torch.tensor([1.0, 3.0, 0.0]), ridge=1.0).item()
    1.25
    """
    mu = K_eigenvalues.clamp(min=0)
    return (mu / (mu + ridge)).sum(-1)


@asked()
def effective_dimension_steps(d_eff: float, accuracy: float, threshold: float | None = None) -> int:
    """t = (how many eigenvalues of K can exceed c lambda) + Chebyshev's count for kappa = 1 + c, free of n and kappa.

    Fewer than d_eff (1 + c) / c eigenvalues exceed c lambda, each of which takes at most one step.

    Args:
        d_eff: effective dimension.
        accuracy: eps.
        threshold: c > 0; None takes the best.

    >>> effective_dimension_steps(39.0, 1e-6, threshold=1.0), effective_dimension_steps(39.0, 1e-6)
    (86, 63)
    """
    check(1.0, accuracy)
    if not d_eff >= 0 or (threshold is not None and not threshold > 0):
        raise ValueError(
            f"effective_dimension_steps(d_eff={d_eff}, threshold={threshold}): expected d_eff >= 0 and a threshold > 0, e.g. threshold=1.0"
        )
    if d_eff == 0:  # K = 0 and A = lambda I
        return krylov_steps(1.0, accuracy)
    if threshold is None:  # the sum is a valley in log c, a grid is fine enough for whole steps
        return min(effective_dimension_steps(d_eff, accuracy, 2 ** (i / 4)) for i in range(-20, 81))
    outliers = math.ceil(d_eff * (1 + threshold) / threshold) - 1
    return outliers + krylov_steps(1 + threshold, accuracy)


@asked()
def bai_layers(kappa: float, accuracy: float) -> int:
    """Layers that Bai et al. (2023, theorem 4) give for ridge regression: ceil(2 kappa ln(B_x B_w / 2 eps)) + 1.

    Theirs bounds a prediction, |f - f*| <= eps for |x| <= B_x and |w*| <= B_w / 2; with accuracy = eps / (B_x B_w / 2) it
    is relative to the largest prediction there can be. kappa is that of Phi^T Phi + lambda I in our scaling.

    >>> bai_layers(100.0, 1e-6)
    2765
    """
    check(kappa, accuracy)
    return math.ceil(2 * kappa * math.log(1 / accuracy)) + 1


def interval_rate(kappa: float) -> float:
    """arcosh((kappa + 1) / (kappa - 1)) = ln((sqrt kappa + 1) / (sqrt kappa - 1)), stably."""
    return math.log1p(2 / (math.sqrt(kappa) - 1)) if kappa > 1 else math.inf


def arcosh(x: float) -> float:
    return math.acosh(max(x, 1.0))


def arcosh_of_log(log_x: Tensor) -> Tensor:
    """arcosh(e^l), 0 for l <= 0, without overflow."""
    log_x = log_x.clamp(min=0)
    return log_x + torch.log1p((-torch.expm1(-2 * log_x)).sqrt())


def count(needed: float, rate: float) -> int:
    """Least whole number of steps, each worth `rate`, that are worth `needed`; one where a step is worth infinitely much."""
    return 0 if needed <= 0 else max(1, math.ceil(needed / rate))


def check(kappa: float, accuracy: float) -> None:
    if not kappa >= 1 or not accuracy > 0:
        raise ValueError(
            f"a depth law with kappa={kappa}, accuracy={accuracy}: expected kappa >= 1 and accuracy > 0, e.g. kappa=100.0, accuracy=1e-6"
        )
