"""Who takes part, on which problem, and what counts as the right answer. All of it in float64.

Letters: k supports, p features, q queries, t steps.

The problem is linear kernel ridge regression with the eigenvalues of Phi^T Phi chosen and the same
for every k, so that CG needs the same t for every k and a slope in k measures cost, not conditioning.
The right answer is the primal solve phi_query (Phi^T Phi + lambda I)^-1 Phi^T y, and the accuracy
asked of everybody is a relative prediction error of at most `TOLERANCE` at the queries. CG takes as
many steps as the textbook needs for that, in whichever form it runs; direct methods have no such knob.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib import Prompt, assemble, geometric_spectrum, synthetic_prompt
from metarep_lib.construct.algorithms import conjugate_gradient, two_block_conjugate_gradient
from metarep_lib.construct.program import Program
from metarep_lib.fast import fold

TOLERANCE = 1e-8
CONDITION, RIDGE, N_QUERY, SEED = 10.0, 0.1, 256, 0

Solve = Callable[[], Tensor]


def problem(k: int, p: int) -> Prompt:
    """Eigenvalues of Phi^T Phi from 1 down to 1 / CONDITION, evenly spaced on a log scale; rotated, with noise."""
    return synthetic_prompt(geometric_spectrum(p, CONDITION), k, N_QUERY, RIDGE, seed=SEED)


def exact_prediction(prompt: Prompt) -> Tensor:
    """[q] the primal solve, by Cholesky of a p x p matrix whose condition number is (1 + ridge) / (1 / CONDITION + ridge)."""
    gram = prompt.phi.T @ prompt.phi + prompt.ridge * torch.eye(prompt.n_features, dtype=prompt.phi.dtype)
    weights = torch.cholesky_solve((prompt.phi.T @ prompt.y).unsqueeze(-1), torch.linalg.cholesky(gram))
    return prompt.phi_query @ weights.squeeze(-1)


def relative_error(prediction: Tensor, exact: Tensor) -> float:
    return float((prediction.cpu() - exact).norm() / exact.norm())


def fewest_steps(prompt: Prompt, exact: Tensor) -> int:
    """The first step of textbook CG at which the error is below TOLERANCE."""
    for t, alpha in enumerate(textbook_iterates(prompt), start=1):
        if relative_error(predict_from(prompt, alpha), exact) <= TOLERANCE:
            return t
        if t > 10 * prompt.n_features:
            raise ArithmeticError(f"textbook CG is above {TOLERANCE:g} after {t} steps with k={prompt.n_support}, p={prompt.n_features}")


def textbook_iterates(prompt: Prompt) -> Iterator[Tensor]:
    """[k] alpha_1, alpha_2, ... of Hestenes and Stiefel (1952), matrix-free: Phi (Phi^T v) costs O(k p)."""
    alpha, r, p = torch.zeros_like(prompt.y), prompt.y, prompt.y
    rho = r @ r
    while True:
        w = prompt.phi @ (prompt.phi.T @ p) + prompt.ridge * p
        gamma = rho / (p @ w)
        alpha, r = alpha + gamma * p, r - gamma * w
        rho_old, rho = rho, r @ r
        p = r + (rho / rho_old) * p
        yield alpha


def predict_from(prompt: Prompt, alpha: Tensor) -> Tensor:
    return prompt.phi_query @ (prompt.phi.T @ alpha)


@dataclass(frozen=True)
class Contender:
    """How one of them solves a prompt.

    Args:
        name: in the tables.
        cost: time as k grows.
        prepare: (prompt, steps) -> the function that is timed. Weights are assembled beforehand, since
            they depend on neither k nor the data; whatever depends on the data is inside.
        program: of the constructed network, for the floor.
        max_support: the largest k it is asked for.
        runs_on_gpu: if there is one.
    """

    name: str
    cost: str
    prepare: Callable[[Prompt, int], Solve]
    program: Callable[[int, int], Program] | None = None
    max_support: float = math.inf
    runs_on_gpu: bool = False


def network(name: str, cost: str, program: Callable[[int, int], Program]) -> Contender:
    def prepare(prompt: Prompt, steps: int) -> Solve:
        constructed = assemble(program(prompt.n_features, steps), device=prompt.phi.device)
        return lambda: constructed.predict(prompt)

    return Contender(name, cost, prepare, program, runs_on_gpu=True)


def folded(name: str, cost: str, program: Callable[[int, int], Program]) -> Contender:
    """The same network by what `fold` finds in its weights; found beforehand, since it depends on neither k nor the data."""

    def prepare(prompt: Prompt, steps: int) -> Solve:
        constructed = fold(assemble(program(prompt.n_features, steps), device=prompt.phi.device))
        return lambda: constructed.predict(prompt)

    return Contender(name, cost, prepare, runs_on_gpu=True)


def textbook(prompt: Prompt, steps: int) -> Solve:
    def solve() -> Tensor:
        iterates = textbook_iterates(prompt)
        for _ in range(steps - 1):
            next(iterates)
        return predict_from(prompt, next(iterates))

    return solve


def scipy_cg(prompt: Prompt, steps: int) -> Solve:
    from scipy.sparse.linalg import (  # the contenders' packages are loaded by their own process alone
        LinearOperator,
        cg,
    )

    phi, y, phi_query = prompt.phi.numpy(), prompt.y.numpy(), prompt.phi_query.numpy()
    k = prompt.n_support

    def solve() -> Tensor:
        A = LinearOperator((k, k), matvec=lambda v: phi @ (phi.T @ v) + prompt.ridge * v, dtype=phi.dtype)
        alpha, _ = cg(A, y, rtol=0.0, atol=0.0, maxiter=steps)  # exactly `steps` steps
        return torch.from_numpy(phi_query @ (phi.T @ alpha))

    return solve


def kernel_ridge(prompt: Prompt, steps: int) -> Solve:
    from sklearn.kernel_ridge import KernelRidge

    phi, y, phi_query = prompt.phi.numpy(), prompt.y.numpy(), prompt.phi_query.numpy()
    return lambda: torch.from_numpy(KernelRidge(alpha=prompt.ridge, kernel="linear").fit(phi, y).predict(phi_query))


def primal_ridge(prompt: Prompt, steps: int) -> Solve:
    from sklearn.linear_model import Ridge

    phi, y, phi_query = prompt.phi.numpy(), prompt.y.numpy(), prompt.phi_query.numpy()
    model = Ridge(alpha=prompt.ridge, fit_intercept=False, solver="cholesky", copy_X=False)
    return lambda: torch.from_numpy(model.fit(phi, y).predict(phi_query))


ALL = (
    network("network, two-block CG", "O(t k p^2)", two_block_conjugate_gradient),
    network("network, five-block CG", "O(t k p^2)", conjugate_gradient),
    folded("folded, two-block CG", "O(t k p)", two_block_conjugate_gradient),
    folded("folded, five-block CG", "O(t k p)", conjugate_gradient),
    Contender("textbook CG, torch", "O(t k p)", textbook, runs_on_gpu=True),
    Contender("scipy cg", "O(t k p)", scipy_cg),
    Contender("sklearn KernelRidge", "O(k^2 p + k^3)", kernel_ridge, max_support=10_000),
    Contender("sklearn Ridge", "O(k p^2)", primal_ridge),
)
