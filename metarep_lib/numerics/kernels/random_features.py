"""Random features for the exponential kernel: maps whose inner product is exp(<x, x'> / tau) on average.

With a = x / sqrt(tau), b = x' / sqrt(tau) and w a standard Gaussian direction (Choromanski et al. 2021, lemmas 1 and 2):

    positive        exp(w.a - |a|^2 / 2) exp(w.b - |b|^2 / 2)       variance  e^{2 a.b} (e^{|a + b|^2} - 1)
    trigonometric   e^{(|a|^2 + |b|^2) / 2} cos(w.(a - b))          variance  e^{|a|^2 + |b|^2} (1 - e^{-|a - b|^2})^2 / 2

both with mean e^{a.b}. Averaging over m independent directions divides the variance by m.
"""

import math

import torch
from torch import Tensor

__all__ = [
    "positive_features",
    "positive_variance",
    "random_directions",
    "random_feature_bound",
    "trigonometric_features",
    "trigonometric_variance",
]


def random_directions(
    n_directions: int, n_features: int, generator: torch.Generator, *, orthogonal: bool = False
) -> Tensor:
    """[n_directions, n_features] Gaussian directions, float64; orthogonal ones are so in blocks of n_features (Yu et al. 2016).

    Each direction alone is standard Gaussian in both cases, so that every estimate stays unbiased.

    Raises:
        ValueError: a number below one.

    >>> directions = random_directions(5, 3, torch.Generator().manual_seed(0), orthogonal=True)
    >>> bool((directions[0] @ directions[1]).abs() < 1e-12), bool((directions[0] @ directions[4]).abs() < 1e-12)
    (True, False)
    """
    if n_directions < 1 or n_features < 1:
        raise ValueError(
            f"random_directions({n_directions}, {n_features}): expected at least one of each, e.g. random_directions(64, 8, generator)"
        )
    if not orthogonal:
        return torch.randn(n_directions, n_features, generator=generator, dtype=torch.float64)
    n_blocks = -(-n_directions // n_features)
    gaussian = torch.randn(
        n_blocks, n_features, n_features, generator=generator, dtype=torch.float64
    )
    Q, R = torch.linalg.qr(gaussian)
    # without the signs Q would not be uniform
    Q = Q * R.diagonal(dim1=-2, dim2=-1).sign().unsqueeze(-2)
    lengths = torch.randn(
        n_blocks, n_features, n_features, generator=generator, dtype=torch.float64
    ).norm(dim=-1)
    return (lengths.unsqueeze(-1) * Q.mT).flatten(0, 1)[:n_directions]


def positive_features(x: Tensor, directions: Tensor, tau: float) -> Tensor:
    """exp(w.a - |a|^2 / 2) / sqrt(m) for a = x / sqrt(tau), [*batch, n, p] to [*batch, n, m].

    >>> positive_features(torch.zeros(1, 2), torch.ones(4, 2), tau=1.0)
    tensor([[0.5000, 0.5000, 0.5000, 0.5000]])
    """
    a = x / math.sqrt(tau)
    return (a @ directions.mT - a.square().sum(-1, keepdim=True) / 2).exp() / math.sqrt(
        len(directions)
    )


def trigonometric_features(x: Tensor, directions: Tensor, tau: float) -> Tensor:
    """e^{|a|^2 / 2} (cos w.a, sin w.a) / sqrt(m), [*batch, n, p] to [*batch, n, 2 m] (Rahimi and Recht 2007).

    >>> trigonometric_features(torch.zeros(1, 2), torch.ones(1, 2), tau=1.0)
    tensor([[1., 0.]])
    """
    a = x / math.sqrt(tau)
    angles = a @ directions.mT
    length = (a.square().sum(-1, keepdim=True) / 2).exp() / math.sqrt(len(directions))
    return length * torch.cat([angles.cos(), angles.sin()], dim=-1)


def positive_variance(x: Tensor, x_other: Tensor, tau: float) -> Tensor:
    """Variance of one direction's estimate of every kernel value, [*batch, n, p] and [*batch, l, p] to [*batch, n, l].

    >>> positive_variance(torch.zeros(1, 2), torch.zeros(1, 2), tau=1.0)
    tensor([[0.]])
    """
    inner, _, together = geometry(x, x_other, tau)
    return (2 * inner).exp() * together.expm1()


def trigonometric_variance(x: Tensor, x_other: Tensor, tau: float) -> Tensor:
    """The same for trigonometric features; zero where x = x'."""
    inner, apart, _ = geometry(x, x_other, tau)
    return (2 * inner + apart).exp() * (-apart).expm1().square() / 2


def geometry(x: Tensor, x_other: Tensor, tau: float) -> tuple[Tensor, Tensor, Tensor]:
    """a.b, |a - b|^2 and |a + b|^2 of all pairs."""
    a, b = x / math.sqrt(tau), x_other / math.sqrt(tau)
    inner = a @ b.mT
    squares = a.square().sum(-1, keepdim=True) + b.square().sum(-1, keepdim=True).mT
    return inner, (squares - 2 * inner).clamp(min=0), (squares + 2 * inner).clamp(min=0)


def random_feature_bound(
    matrix_error: Tensor, column_error: Tensor, column: Tensor, y: Tensor, ridge: float
) -> Tensor:
    """|y| (d / lambda + |k| e / (lambda (lambda + e))): how far a prediction moves when the kernel does.

    Args:
        matrix_error: e, spectral norm of the change of the supports' kernel matrix (both positive semi-definite).
        column_error: d, norm of the change of the kernel column k(x), [*q].
        column: |k(x)|, [*q].
        y: |y|, a number.
        ridge: lambda.

    >>> one, zero = torch.tensor(1.0), torch.tensor(0.0)
    >>> random_feature_bound(one, zero, one, one, ridge=1.0).item()
    0.5
    """
    return y * (column_error / ridge + column * matrix_error / (ridge * (ridge + matrix_error)))
