"""How far a ridge prediction moves when its features, its kernel, its targets or its ridge move.

Letters: k supports, q queries, p features. `prompt` is before the move, `moved` after it: the same targets and
ridge, other features. S = Phi^T Phi, A = Phi Phi^T + lambda I. Norms are the Euclidean one and its operator norm.
All bounds hold in exact arithmetic.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib.contents import Contents
from metarep_lib.numerics.system import RidgeSystem, ridge_system
from metarep_lib.prompt import Prompt

__all__ = [
    "RidgeFit",
    "aligned",
    "drift_gradient",
    "drift_size",
    "feature_drift_bound",
    "from_joint",
    "joint_features",
    "kernel_drift_bound",
    "lipschitz_constants",
    "predicted_drift_bound",
    "resolvent_bound",
    "ridge_fit",
    "worst_drift",
]


@dataclass(frozen=True, eq=False, repr=False)
class RidgeFit(Contents):
    """A ridge regression taken apart into what says how it moves.

    Args:
        alpha: [*batch, k] the dual solution A^-1 y; lambda alpha is what the fit leaves of the targets, y - Phi w.
        w: [*batch, p] the primal solution Phi^T alpha.
        ell: [*batch, q, k] A^-1 k(x), the weight of every target in the prediction: f(x) = ell . y.
        psi: [*batch, q, p] (S + lambda I)^-1 phi(x).
        ridge: lambda.
    """

    alpha: Tensor
    w: Tensor
    ell: Tensor
    psi: Tensor
    ridge: float

    @property
    def objective(self) -> Tensor:
        """J(w) = ||y - Phi w||^2 + lambda ||w||^2, its least value, [*batch]."""
        return self.ridge**2 * self.alpha.square().sum(-1) + self.ridge * self.w.square().sum(-1)

    @property
    def variance(self) -> Tensor:
        """v(x) = k(x, x) - k(x)^T A^-1 k(x) = lambda phi(x) . psi, [*batch, q], as a sum of squares: never negative."""
        return self.ridge**2 * self.psi.square().sum(-1) + self.ridge * self.ell.square().sum(-1)


def ridge_fit(prompt: Prompt) -> RidgeFit:
    """alpha, w, ell and psi of a prompt with one output, by Cholesky factorisation of A and of S + lambda I.

    Raises:
        ValueError: several outputs, or a prompt in half precision.

    >>> fit = ridge_fit(Prompt(torch.eye(1), torch.ones(1), torch.ones(1, 1), ridge=1.0))
    >>> fit.w.item(), fit.ell.item(), fit.objective.item(), fit.variance.item()
    (0.5, 0.5, 0.5, 0.5)
    """
    ridge_system(prompt).check_factored("ridge_fit")
    ridge_system(prompt).check_one_output("ridge_fit")
    phi, phi_query = prompt.phi, prompt.phi_query
    dual, primal = (cholesky_of(gram, prompt.ridge) for gram in (phi @ phi.mT, phi.mT @ phi))
    alpha = torch.cholesky_solve(prompt.y.unsqueeze(-1), dual).squeeze(-1)
    ell = torch.cholesky_solve(phi @ phi_query.mT, dual).mT
    psi = torch.cholesky_solve(phi_query.mT, primal).mT
    return RidgeFit(alpha, (phi.mT @ alpha.unsqueeze(-1)).squeeze(-1), ell, psi, prompt.ridge)


def cholesky_of(gram: Tensor, ridge: float) -> Tensor:
    return torch.linalg.cholesky(
        gram + ridge * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    )


# ---------------------------------------------------------------- when only the kernel is known


def resolvent_bound(e: Tensor, ridge: float) -> Tensor:
    """e / (lambda (lambda + e)) bounds ||(K + lambda I)^-1 - (K^ + lambda I)^-1|| for PSD K, K^ with e = ||K - K^||; attained.

    >>> resolvent_bound(torch.tensor([1.0, 3.0]), ridge=1.0).tolist()
    [0.5, 0.75]
    """
    return e / (ridge * (ridge + e))


def kernel_drift_bound(system: RidgeSystem, moved: RidgeSystem) -> Tensor:
    """||alpha|| (||k^(x) - k(x)|| + ||K^ - K|| ||A^^-1 k^(x)||) bounds |f^(x) - f(x)|, [*batch, q].

    Args:
        system, moved: of the same targets and ridge, with two kernels; no features needed.

    Raises:
        ValueError: several outputs, or a system in half precision.

    >>> one = torch.ones(1, 1)
    >>> kernel_drift_bound(RidgeSystem(2 * one, one[0], one), RidgeSystem(3 * one, one[0], 2 * one)).item()  # 1/2 (1 + 1 * 2/3)
    0.8333333730697632
    """
    for each in (system, moved):
        each.check_factored("kernel_drift_bound")
        each.check_one_output("kernel_drift_bound")
    alpha = torch.linalg.solve(system.A, system.y.unsqueeze(-1)).squeeze(-1)
    e = torch.linalg.matrix_norm(moved.A - system.A, ord=2)
    ell = torch.linalg.solve(moved.A, moved.K_query.mT).mT
    column = (moved.K_query - system.K_query).norm(dim=-1)
    return alpha.norm(dim=-1, keepdim=True) * (column + e.unsqueeze(-1) * ell.norm(dim=-1))


# ---------------------------------------------------------------- when the features are known


def joint_features(prompt: Prompt) -> Tensor:
    """[*batch, q, k + 1, p]: for every query, the features of the supports and in the last row its own."""
    q = prompt.n_query
    supports = prompt.phi.unsqueeze(-3).expand(*prompt.phi.shape[:-2], q, -1, -1)
    return torch.cat([supports, prompt.phi_query.unsqueeze(-2)], dim=-2)


def from_joint(features: Tensor, prompt: Prompt) -> Prompt:
    """A batch [*batch, q] of prompts with one query each, whose features are those given and whose targets are the prompt's."""
    y = prompt.y.unsqueeze(-2).expand(*features.shape[:-2], -1)
    return Prompt(features[..., :-1, :], y, features[..., -1:, :], prompt.ridge)


def drift_size(prompt: Prompt, moved: Prompt) -> Tensor:
    """delta(x) = ||Psi^ - Psi||, Psi the features of the supports and of that query, [*batch, q].

    Raises:
        ValueError: the prompts differ in more than their features.
    """
    same = prompt.phi.shape == moved.phi.shape and prompt.phi_query.shape == moved.phi_query.shape
    if not same or prompt.ridge != moved.ridge or not torch.equal(prompt.y, moved.y):
        raise ValueError(
            f"drift_size(prompt, moved): features of shape {list(prompt.phi.shape)} and {list(moved.phi.shape)}, ridges {prompt.ridge} and"
            f" {moved.ridge}; expected prompts that differ in their features alone, e.g. dataclasses.replace(prompt, phi=..., phi_query=...)"
        )
    return torch.linalg.matrix_norm(joint_features(moved) - joint_features(prompt), ord=2)


def feature_drift_bound(prompt: Prompt, moved: Prompt) -> Tensor:
    """delta (lambda ||alpha|| ||psi|| + ||w|| sqrt(1 + ||ell||^2)) bounds |f^(x) - f(x)|, [*batch, q].

    alpha and w are taken before the move, psi and ell after it, or the other way round: the smaller of the two. Each is
    at most (delta / lambda) sqrt(J (v(x) + lambda)), J before and v after, by Cauchy and Schwarz.

    Raises:
        ValueError: the prompts differ in more than their features.

    >>> prompt = Prompt(torch.zeros(1, 1), torch.ones(1), torch.ones(1, 1), ridge=1.0)
    >>> feature_drift_bound(prompt, Prompt(torch.ones(1, 1), prompt.y, prompt.phi_query, ridge=1.0)).item()  # and f^ - f is that
    0.5
    """
    delta = drift_size(prompt, moved)
    before, after = ridge_fit(prompt), ridge_fit(moved)
    return delta * torch.minimum(sensitivity(before, after), sensitivity(after, before))


def sensitivity(of_targets: RidgeFit, of_query: RidgeFit) -> Tensor:
    """lambda ||alpha|| ||psi|| + ||w|| sqrt(1 + ||ell||^2), [*batch, q]: alpha and w of one fit, psi and ell of another."""
    alpha, w = (x.norm(dim=-1, keepdim=True) for x in (of_targets.alpha, of_targets.w))
    return (
        of_targets.ridge * alpha * of_query.psi.norm(dim=-1)
        + w * (1 + of_query.ell.square().sum(-1)).sqrt()
    )


def predicted_drift_bound(prompt: Prompt, delta: Tensor | float) -> Tensor:
    """What the prompt alone says of every move of size at most delta: it bounds |f^(x) - f(x)|, [*batch, q].

    With a = lambda ||alpha|| and b = ||w||,

        delta (a ||psi|| + b sqrt(1 + ||ell||^2))
        + delta^2 ((b + a / (2 sqrt(lambda))) ||psi|| + (a / lambda + b / (2 sqrt(lambda))) sqrt(1 + ||ell||^2)).

    Args:
        prompt: before the move.
        delta: a number or [*batch, q].
    """
    fit, root = ridge_fit(prompt), math.sqrt(prompt.ridge)
    a, b = prompt.ridge * fit.alpha.norm(dim=-1, keepdim=True), fit.w.norm(dim=-1, keepdim=True)
    psi, ell = fit.psi.norm(dim=-1), (1 + fit.ell.square().sum(-1)).sqrt()
    bend = (b + a / (2 * root)) * psi + (a / prompt.ridge + b / (2 * root)) * ell
    return delta * (a * psi + b * ell) + delta**2 * bend


def drift_gradient(prompt: Prompt) -> Tensor:
    """The gradient of f(x) in the features of supports and query: [lambda alpha psi^T - ell w^T; w^T], [*batch, q, k + 1, p].

    Its nuclear norm times delta is, to first order, the largest change a move of size delta can make.
    """
    fit = ridge_fit(prompt)
    w = fit.w.unsqueeze(-2).unsqueeze(-2).expand(*fit.psi.shape[:-1], 1, -1)
    supports = (
        prompt.ridge * fit.alpha[..., None, :, None] * fit.psi.unsqueeze(-2)
        - fit.ell.unsqueeze(-1) * w
    )
    return torch.cat([supports, w], dim=-2)


def worst_drift(prompt: Prompt, delta: float, steps: int = 20) -> Prompt:
    """The move of size delta that changes f(x) most, as far as ascent finds it, for every query on its own.

    Each step goes to the best point of the ball ||Psi^ - Psi|| <= delta for the gradient at hand (Frank and Wolfe 1956,
    full steps): delta times its first two pairs of singular vectors, for the gradient has rank two.

    Returns:
        A batch [*batch, q] of moved prompts with one query each; compare with `from_joint(joint_features(prompt), prompt)`.
    """
    still = joint_features(prompt)
    start = predictions(from_joint(still, prompt))
    best, most = still, torch.zeros_like(start)
    for sign in (1.0, -1.0):
        features = still
        for _ in range(steps):
            left, _, right = torch.linalg.svd(
                drift_gradient(from_joint(features, prompt)).squeeze(-3), full_matrices=False
            )
            features = still + sign * delta * left[..., :2] @ right[..., :2, :]
            change = (predictions(from_joint(features, prompt)) - start).abs()
            best = torch.where((change > most)[..., None], features, best)
            most = torch.maximum(change, most)
    return from_joint(best, prompt)


def predictions(prompt: Prompt) -> Tensor:
    """f(x) = phi(x) . w, [*batch, q]."""
    return (prompt.phi_query @ ridge_fit(prompt).w.unsqueeze(-1)).squeeze(-1)


def aligned(prompt: Prompt, moved: Prompt) -> Prompt:
    """`moved` with all its features turned by the rotation or reflection that brings them nearest to those of `prompt`.

    No prediction changes by that. Nearest in the Frobenius norm: Schoenemann's solution U V^T, from the singular value
    decomposition of Psi^^T Psi (Psychometrika 31, 1966).

    >>> prompt = Prompt(torch.eye(2), torch.ones(2), torch.ones(1, 2), ridge=1.0)
    >>> turned = Prompt(prompt.phi.flip(-1), prompt.y, prompt.phi_query.flip(-1), ridge=1.0)
    >>> drift_size(prompt, turned).item() > 1, drift_size(prompt, aligned(prompt, turned)).item() < 1e-6
    (True, True)
    """
    before, after = (torch.cat([each.phi, each.phi_query], dim=-2) for each in (prompt, moved))
    left, _, right = torch.linalg.svd(after.mT @ before)
    turn = left @ right
    return Prompt(moved.phi @ turn, moved.y, moved.phi_query @ turn, moved.ridge, moved.y_query)


# ---------------------------------------------------------------- constants


def lipschitz_constants(ridge: float) -> dict[str, float]:
    """The least constants L that hold for all features: |change of f(x)| <= L * size of the move.

    | key        | what moves             | by how much                      | times                 |
    |------------|------------------------|----------------------------------|-----------------------|
    | "targets"  | y                      | ||y^ - y||                       | ||phi(x)||            |
    | "query"    | phi(x)                 | ||phi^(x) - phi(x)||             | ||y||                 |
    | "supports" | Phi                    | ||Phi^ - Phi||                   | ||phi(x)|| ||y||      |
    | "ridge"    | lambda, to first order | |lambda^ - lambda|               | ||phi(x)|| ||y||      |
    | "dual"     | Phi; alpha, not f(x)   | ||Phi^ - Phi||                   | ||y||                 |

    >>> {key: round(constant, 4) for key, constant in lipschitz_constants(4.0).items()}
    {'targets': 0.25, 'query': 0.25, 'supports': 0.25, 'ridge': 0.0406, 'dual': 0.0812}
    """
    root = math.sqrt(ridge)
    edge = 3 * math.sqrt(3) / 8 / (ridge * root)
    return {
        "targets": 1 / (2 * root),
        "query": 1 / (2 * root),
        "supports": 1 / ridge,
        "ridge": edge / 2,
        "dual": edge,
    }
