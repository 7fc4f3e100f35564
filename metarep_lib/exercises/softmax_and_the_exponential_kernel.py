"""Exercises of the chapter "Softmax and the exponential kernel"."""

import torch

from metarep_lib.exercises.grading import Exercise, normal, numbers, same
from metarep_lib.numerics.kernels import ExponentialKernel
from metarep_lib.numerics.solvers import cholesky
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_weights(weights) -> None:
    phi, phi_query = normal(6, 3, seed=0), normal(4, 3, seed=1)
    for tau, ridge in ((1.0, 0.5), (2.5, 0.125)):
        columns = []
        for y in torch.eye(
            6, dtype=torch.float64
        ):  # the prediction is linear in y: ask with one target at a time
            system = ridge_system(Prompt(phi, y, phi_query, ridge), ExponentialKernel(tau))
            columns.append(system.predict(cholesky(system).alpha))
        hint = "these are not the derivatives of the predictions; row x is (K + lambda I)^-1 k(x)"
        same(weights(phi.clone(), phi_query.clone(), tau, ridge), torch.stack(columns, dim=1), hint)


def gaussian(tau: float, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (-(a.unsqueeze(-2) - b.unsqueeze(-3)).square().sum(-1) / (2 * tau)).exp()


def check_same_regression(gaussian_ridge) -> None:
    for r, tau, ridge in ((1.0, 0.5, 0.25), (2.0, 4.0, 0.5)):
        phi, phi_query, y = normal(6, 3, seed=2), normal(4, 3, seed=3), normal(6, seed=4)
        phi, phi_query = (r * x / x.norm(dim=1, keepdim=True) for x in (phi, phi_query))
        found = float(numbers(gaussian_ridge(r, tau, ridge), ()))
        said = []
        for kernel, its_ridge in (
            (ExponentialKernel(tau), ridge),
            (lambda a, b, tau=tau: gaussian(tau, a, b), found),
        ):
            A = kernel(phi, phi) + its_ridge * torch.eye(6, dtype=torch.float64)
            said.append(kernel(phi_query, phi) @ torch.linalg.solve(A, y))
        same(
            said[1],
            said[0],
            f"on the sphere of radius {r:g} the two regressions differ; by which number do the two kernels differ there?",
        )


WEIGHTS = """
def weights(phi, phi_query, tau, ridge):
    K = (phi @ phi.T / tau).exp()
    k = (phi_query @ phi.T / tau).exp()
    return torch.linalg.solve(K + ridge * torch.eye(len(K), dtype=K.dtype), k.T).T
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_weights,
        solution=WEIGHTS,
        wrong={
            "the smoother": "def weights(phi, phi_query, tau, ridge):\n    return (phi_query @ phi.T / tau).softmax(1)",
            "the linear kernel": WEIGHTS.replace(
                "(phi @ phi.T / tau).exp()", "phi @ phi.T / tau"
            ).replace("(phi_query @ phi.T / tau).exp()", "phi_query @ phi.T / tau"),
            "the temperature forgotten": WEIGHTS.replace(" / tau", ""),
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_same_regression,
        solution="""
import math


def gaussian_ridge(r, tau, ridge):
    # |a - b|^2 = 2 r^2 - 2 <a, b>: the gaussian kernel is e^(-r^2 / tau) times the exponential one
    return ridge * math.exp(-r * r / tau)
""",
        wrong={
            "the same ridge": "def gaussian_ridge(r, tau, ridge):\n    return ridge",
            "the other way": "import math\n\n\ndef gaussian_ridge(r, tau, ridge):\n    return ridge * math.exp(r * r / tau)",
            "half of it": "import math\n\n\ndef gaussian_ridge(r, tau, ridge):\n    return ridge * math.exp(-r * r / (2 * tau))",
        },
    ),
)
