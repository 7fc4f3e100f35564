"""The chapter on masks and width in numbers: errors that are forced, and how far causal networks end from ridge regression.

Letters: k supports, p features, lambda the ridge; K = Phi Phi^T, A = K + lambda I.
"""

import numpy as np
import torch
from torch import Tensor

from metarep_lib.certify.blind_pair import blind_pair
from metarep_lib.construct.algorithms import narrow_gradient_descent
from metarep_lib.construct.assemble import assemble
from metarep_lib.network.tokens import input_basis
from metarep_lib.numerics import ridge_system, solvers
from metarep_lib.prompt import Prompt

__all__ = [
    "blind_bound",
    "causal_distance",
    "causal_distance_bound",
    "causal_fixed_point",
    "causal_used",
    "coercivity",
    "forced_error",
    "narrow_bound",
    "narrow_error",
    "narrow_used",
    "out_of_reach",
    "ridge_reached",
    "ridge_to_tell",
    "twin_bound",
    "twin_error",
]


def forced_error(kernel: np.ndarray, ridge: float) -> float:
    """The value of `thm-blind`, point 1: the error that the blind pair of an embedding of width 2 forces.

    Args:
        kernel: [3] the direction (v, s) that the embedding of (phi, y), p = 2, does not see; of any length.
        ridge: lambda.

    >>> round(forced_error(np.array([1.0, 0.0, 0.0]), ridge=1.0), 9)  # it misses a feature: 1 / (1 + lambda)
    0.5
    """
    embedding = torch.zeros(input_basis(2).size, 2, dtype=torch.float64)
    embedding[:3] = torch.from_numpy(np.linalg.svd(kernel[None])[2][1:].T)
    return blind_pair(embedding, 2, ridge).error


def blind_bound(m: int, p: int, ridge: float) -> float:
    """Its bound, points 1 and 2: what the blind pair of an embedding of p + 1 numbers into m channels forces at least.

    >>> [blind_bound(m, p=4, ridge=1.0) for m in (3, 4, 5)]
    [0.5, 0.2, 0.0]
    """
    return 1 / (1 + ridge) if m < p else 1 / (4 + ridge) if m == p else 0.0


def narrow_error(size: float, ridge: float, blocks: int) -> float:
    """The value of `cor-exact-width`: the largest error of the network of width p + 1 on 64 prompts.

    Args:
        size: the norm of the one support of every prompt, p = 4, whose target is 2; one query lies along it.
        ridge: lambda.
        blocks: t.

    >>> round(narrow_error(2.0, ridge=1.0, blocks=1), 9)  # eta = 1/5 makes 4/5 of 4/(4 + 1) at once
    0.0
    """
    normal = torch.randn(64, 2, 4, generator=torch.Generator().manual_seed(0)).double()
    phi, x = (normal / normal.norm(dim=-1, keepdim=True)).unbind(1)
    x[0] = phi[0]
    y = torch.full((64, 1), 2.0, dtype=torch.float64)
    prompt = Prompt(size * phi[:, None], y, x[:, None], ridge)
    network = assemble(narrow_gradient_descent(4, blocks, 1 / (4 + ridge)))
    system = ridge_system(prompt)
    star = system.predict(solvers.cholesky(system).alpha)
    return float((network.predict(prompt.with_ridge_as_supports()) - star).abs().max())


def narrow_bound(ridge: float, blocks: int) -> float:
    """Its bound: (4 / (4 + lambda))^t / sqrt(lambda).

    >>> narrow_bound(4.0, blocks=3)
    0.0625
    """
    return (4 / (4 + ridge)) ** blocks / ridge**0.5


def narrow_used(size: float, log_ridge: float, blocks: int = 10) -> float:
    """The share of the bound that the error uses, the size and the logarithm of the ridge cut off at [0, 2] and [-9, 3]."""
    ridge = float(np.exp(np.clip(log_ridge, -9, 3)))
    return narrow_error(np.clip(size, 0, 2), ridge, blocks) / narrow_bound(ridge, blocks)


def ridge_reached(ridge: float, eta: float) -> float:
    """The ridge that the network of `prop-ridge-channel` converges to, lambda / (1 - eta lambda).

    >>> ridge_reached(1.0, eta=0.5)
    2.0
    """
    return ridge / (1 - eta * ridge)


def ridge_to_tell(ridge: float, eta: float) -> float:
    """The ridge that it has to be told, lambda / (1 + eta lambda).

    >>> ridge_to_tell(2.0, eta=0.5)
    1.0
    """
    return ridge / (1 + eta * ridge)


def twin_error(held: float, ridge: float, y_1: float = 1.0) -> float:
    """The value of `prop-dual-out-of-reach`, point 1: how far from alpha*_1 token 1 of two equal supports is, for the worse of y_2 = 1 and -1.

    Args:
        held: what it holds.
        ridge: lambda.
        y_1: its target.

    >>> round(twin_error(2 / 3, ridge=1.0), 9)  # alpha*_1 is 1/3 or 1
    0.333333333
    """
    twins = torch.ones(2, 1, dtype=torch.float64)
    targets = torch.tensor([[y_1, 1.0], [y_1, -1.0]], dtype=torch.float64)
    system = ridge_system(Prompt(twins.expand(2, 2, 1), targets, twins.expand(2, 2, 1), ridge))
    return float((solvers.cholesky(system).alpha[:, 0] - held).abs().max())


def twin_bound(ridge: float) -> float:
    """Its bound: 1 / (lambda (2 + lambda)).

    >>> twin_bound(0.5)
    0.8
    """
    return 1 / (ridge * (2 + ridge))


def out_of_reach(A: Tensor) -> Tensor:
    """Point 2: the part of E ||alpha*||^2 that no token can hold under a causal mask, [*B, k, k] to [*B].

    >>> out_of_reach(torch.tensor([[1.0, 0.0], [0.0, 2.0]])).item()  # nobody needs anybody
    0.0
    """
    squares = torch.linalg.inv(A).square()
    own = squares.diagonal(dim1=-2, dim2=-1).sum(-1)
    return 0.5 * (1 - own / squares.sum((-2, -1)))


def causal_fixed_point(prompt: Prompt, diagonal: bool) -> Tensor:
    """[*B, k] M^-1 y by forward substitution, M = T + lambda I with T the lower triangle of K (`prop-causal-richardson`).

    Args:
        prompt: k supports.
        diagonal: whether the mask lets a token read itself, and T holds its diagonal.

    >>> prompt = Prompt(torch.ones(2, 1), torch.ones(2), torch.ones(0, 1), ridge=1.0)
    >>> causal_fixed_point(prompt, diagonal=True).tolist(), causal_fixed_point(prompt, diagonal=False).tolist()
    ([0.5, 0.25], [1.0, 0.0])
    """
    K = prompt.phi @ prompt.phi.mT
    M = torch.tril(K, 0 if diagonal else -1) + prompt.ridge * torch.eye(K.shape[-1]).to(K)
    return torch.linalg.solve_triangular(M, prompt.y.unsqueeze(-1), upper=False).squeeze(-1)


def causal_distance(phi: Tensor, star: Tensor, ridge: float) -> Tensor:
    """The value of `prop-causal-distance`: ||M^-1 y - alpha*||, mask with the diagonal.

    Args:
        phi: [*B, k, p] features.
        star: [*B, k] alpha*; targets are such that it is the solution.
        ridge: lambda.

    >>> phi = torch.tensor([[1.0], [1.0]])
    >>> round(causal_distance(phi, torch.tensor([0.0, 1.0]), ridge=1.0).item() ** 2, 5)  # (1/2, 3/4) from (0, 1)
    0.3125
    """
    A = phi @ phi.mT + ridge * torch.eye(phi.shape[-2]).to(phi)
    y = (A @ star.unsqueeze(-1)).squeeze(-1)
    return (causal_fixed_point(Prompt(phi, y, phi[..., :0, :], ridge), True) - star).norm(dim=-1)


def coercivity(K: Tensor, ridge: float) -> Tensor:
    """h = lambda + (mu + d) / 2, the largest number the proof finds with z . M z >= h ||z||^2, [*B, k, k] to [*B].

    >>> round(coercivity(torch.ones(2, 2), ridge=1.0).item(), 6)  # mu is 0 and d is 1
    1.5
    """
    mu = torch.linalg.eigvalsh(K)[..., 0].clamp(min=0)
    return ridge + 0.5 * (mu + K.diagonal(dim1=-2, dim2=-1).min(-1).values)


def causal_distance_bound(phi: Tensor, star: Tensor, ridge: float) -> Tensor:
    """Its bound: ||U||_2 ||alpha*|| / h.

    >>> phi = torch.tensor([[1.0], [1.0]])
    >>> round(causal_distance_bound(phi, torch.tensor([0.0, 1.0]), ridge=1.0).item(), 6)  # 1 / (1 + 1/2)
    0.666667
    """
    K = phi @ phi.mT
    U = torch.triu(K, 1)
    return torch.linalg.matrix_norm(U, 2) * star.norm(dim=-1) / coercivity(K, ridge)


def causal_used(flat: np.ndarray) -> float:
    """The share of the bound that 13 numbers use: three supports, the solution, the logarithm of the ridge, cut off at [-5, 5]."""
    phi, star = torch.from_numpy(flat[:9].reshape(3, 3)), torch.from_numpy(flat[9:12])
    posed = phi, star, float(np.exp(np.clip(flat[12], -5, 5)))
    return float(causal_distance(*posed) / causal_distance_bound(*posed))
