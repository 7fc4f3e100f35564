"""How much of the bounds on drift is used: value / bound as functions of a flat vector, for `worst_case` and for random draws.

Small problems, with a ridge of one, which is a matter of units. Each function takes a float64 vector, is
differentiable by torch, and never passes one if its statement is true.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from metarep_lib.network.asking import Network
from metarep_lib.numerics.bounds.cg_sensitivity import (
    conjugate_gradient_jacobian,
    conjugate_gradient_lipschitz,
)
from metarep_lib.numerics.bounds.perturbation import (
    drift_size,
    feature_drift_bound,
    kernel_drift_bound,
    lipschitz_constants,
    predicted_drift_bound,
    resolvent_bound,
    ridge_fit,
)
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt

__all__ = [
    "DRIFT_RATIOS",
    "fragility",
]


Ratio = Callable[[Tensor], Tensor]


def norm(matrix: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(matrix, ord=2)


def answer(prompt: Prompt) -> Tensor:
    """f*(x) by a dense solve of the dual system, [*batch, q]."""
    system = ridge_system(prompt)
    return system.predict(torch.linalg.solve(system.A, system.y.unsqueeze(-1)).squeeze(-1))


def before_and_after(z: Tensor, k: int, p: int) -> tuple[Prompt, Prompt]:
    """A prompt with one query and a moved one, from 2 (k + 1) p + k + 1 numbers: features, direction, targets, log of the size."""
    n = (k + 1) * p
    still, move, y = (z[:n].reshape(k + 1, p), z[n : 2 * n].reshape(k + 1, p), z[2 * n : 2 * n + k])
    before, after = (
        Prompt(features[:k], y, features[k:], ridge=1.0)
        for features in (still, still + z[-1].exp() * move / norm(move))
    )
    return before, after


def prediction_ratio(
    bound: Callable[[Prompt, Prompt], Tensor], k: int = 2, p: int = 2
) -> tuple[Ratio, int]:
    """|f^ - f| / bound for all moves of all features at once."""

    def ratio(z: Tensor) -> Tensor:
        prompt, moved = before_and_after(z, k, p)
        return ((answer(moved) - answer(prompt)).abs() / bound(prompt, moved)).squeeze()

    return ratio, 2 * (k + 1) * p + k + 1


def resolvent_ratio(z: Tensor) -> Tensor:
    """||A^-1 - A^^-1|| / bound, two supports."""
    K, K_moved = (root.reshape(2, 2) @ root.reshape(2, 2).T for root in (z[:4], z[4:]))
    identity = torch.eye(2, dtype=z.dtype)
    change = torch.linalg.inv(K + identity) - torch.linalg.inv(K_moved + identity)
    return norm(change) / resolvent_bound(norm(K_moved - K), ridge=1.0)


def routes_ratio(z: Tensor) -> Tensor:
    """(The feature route + what the kernel route is proved to lose) / the kernel route, both from the sizes of the moves."""
    prompt, moved = before_and_after(z, 2, 2)
    before, after = ridge_fit(prompt), ridge_fit(moved)
    E, d = norm(moved.phi - prompt.phi), norm(moved.phi_query - prompt.phi_query)
    alpha, w, ell = before.alpha.norm(), before.w.norm(), after.ell.norm()
    through_features = d * w + E * (alpha * after.psi.norm() + ell * w)
    column = E * moved.phi_query.norm() + norm(prompt.phi) * d
    through_kernel = alpha * (column + E * (norm(prompt.phi) + norm(moved.phi)) * ell)
    return (through_features + alpha * E * norm(moved.phi) * ell) / through_kernel


def lipschitz_ratio(key: str) -> tuple[Ratio, int]:
    """Change / (constant * size of the move) when one thing moves a little; keys as in `lipschitz_constants`."""

    def ratio(z: Tensor) -> Tensor:
        # e^-7: to first order
        prompt, moved = before_and_after(torch.cat([z[:-1], z[-1:] - 7]), 2, 2)
        fit, move = ridge_fit(prompt), norm(moved.phi - prompt.phi)
        x, y = prompt.phi_query.norm(), prompt.y.norm()
        only_supports = Prompt(moved.phi, prompt.y, prompt.phi_query, prompt.ridge)
        change, step = {
            # f is linear in y, ell its gradient; in phi(x), with gradient w
            "targets": lambda: (
                fit.ell.norm(),
                x,
            ),
            "query": lambda: (fit.w.norm(), y),
            "supports": lambda: ((answer(only_supports) - answer(prompt)).abs(), x * y * move),
            "ridge": lambda: ((fit.psi @ fit.w).abs(), x * y),
            "dual": lambda: ((ridge_fit(moved).alpha - fit.alpha).norm(), y * move),
        }[key]()
        return (change / (step * lipschitz_constants(1.0)[key])).squeeze()

    return ratio, 15


def gradient_descent_ratio(z: Tensor, steps: int = 4) -> Tensor:
    """Largest first-order change of f_t(x), supports moving, / (3 sqrt(3) / 4 ||phi(x)|| ||y||); two supports, two features."""
    features, y, x = z[:4].reshape(2, 2).clone(), z[4:6], z[6:8]
    features = features if features.requires_grad else features.requires_grad_()
    eta = z[8].sigmoid() / (norm(features).detach() ** 2 + 1)
    w = torch.zeros(2, dtype=z.dtype)
    for _ in range(steps):
        w = w + eta * (features.T @ (y - features @ w) - w)
    (slope,) = torch.autograd.grad(x @ w, features, create_graph=True)
    return torch.linalg.matrix_norm(slope, ord="nuc") / (3 * 3**0.5 / 4 * x.norm() * y.norm())


def conjugate_gradient_ratio(z: Tensor, steps: int = 2, kappa: float = 300.0) -> Tensor:
    """||d alpha_t / d y|| / its bound over spectra of t + 2 eigenvalues in [1, kappa] and targets: 2 t + 2 numbers."""
    # so that starts spread over the logarithms
    z, top = (
        3 * z,
        torch.tensor(kappa, dtype=z.dtype),
    )
    inner = (top.log() * z[:steps].sigmoid()).exp()
    eigenvalues = torch.cat([torch.ones_like(z[:1]), top[None], inner])
    jacobian = conjugate_gradient_jacobian(eigenvalues.diag(), z[steps:].exp(), steps)
    return norm(jacobian) / conjugate_gradient_lipschitz(top, steps)


DRIFT_RATIOS: dict[str, tuple[Ratio, int]] = {
    "resolvent": (resolvent_ratio, 8),
    "smoother": (
        lambda z: 2 * ridge_fit(before_and_after(z, 2, 2)[0]).w.norm() / z[12:14].norm(),
        15,
    ),
    "kernel": prediction_ratio(
        lambda prompt, moved: kernel_drift_bound(ridge_system(prompt), ridge_system(moved)), p=3
    ),
    "features": prediction_ratio(feature_drift_bound),
    "predicted": prediction_ratio(
        lambda prompt, moved: predicted_drift_bound(prompt, drift_size(prompt, moved))
    ),
    "routes": (routes_ratio, 15),
    **{key: lipschitz_ratio(key) for key in lipschitz_constants(1.0)},
    "gradient-descent": (gradient_descent_ratio, 9),
    "conjugate-gradient": (conjugate_gradient_ratio, 6),
}


def fragility(network: Network, prompt: Prompt) -> Tensor:
    """The largest first-order change of the network's output after every step when features move, per size of the move.

    The nuclear norm of the gradient of f_t(x) in the features of the supports and of x, by automatic differentiation
    of the forward pass; for f*(x) it is that of `drift_gradient`.

    Returns:
        [steps + 1, *batch, q].
    """
    columns = []
    for i in range(prompt.n_query):
        phi, query = (
            prompt.phi.clone().requires_grad_(),
            prompt.phi_query[..., [i], :].clone().requires_grad_(),
        )
        moved = Prompt(phi, prompt.y, query, prompt.ridge)
        outputs = network.trace(moved, groups=()).prediction
        gradients = [
            torch.cat(torch.autograd.grad(f.sum(), (phi, query), retain_graph=True), dim=-2)
            for f in outputs
        ]
        columns.append(torch.linalg.matrix_norm(torch.stack(gradients), ord="nuc"))
    return torch.stack(columns, dim=-1)
