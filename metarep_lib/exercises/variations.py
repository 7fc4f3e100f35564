"""Exercises of the chapter "Variations: a preconditioner, every prefix, features made inside"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.numerics.solvers.preconditioning import jacobi
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_scaled(phi) -> None:
    phi = numbers(phi)
    need(
        phi.ndim == 2 and len(phi) >= 3,
        f"expected features [k, p] of at least three supports, got the shape {list(phi.shape)}",
    )
    prompt = Prompt(phi, normal(len(phi), seed=0), phi[:1], ridge=0.01)
    system = ridge_system(prompt)
    left = [
        conjugate_gradient(system, steps=1, preconditioner=m).history["r"][1].norm()
        / system.y.norm()
        for m in (None, jacobi(system))
    ]
    need(
        left[1] <= 1e-10,
        f"with Jacobi's preconditioner {left[1]:.0e} of the residual is left after one step; when is D^-1/2 A D^-1/2 the identity?",
    )
    need(
        left[0] >= 0.1,
        f"plain conjugate gradient leaves {left[0]:.0e} only; make the lengths of the supports differ",
    )


def check_features(features) -> None:
    for d in (1, 2, 3):
        x = normal(5, d, seed=d)
        found = numbers(features(x.clone()))
        need(
            found.ndim == 2 and len(found) == 5,
            f"expected [n, number of features], got {list(found.shape)}",
        )
        same(
            found @ found.T,
            (1 + x @ x.T) ** 2,
            f"for d = {d} the inner products are not (1 + <x, x'>)^2; the mixed terms come twice",
        )


def check_prefixes(predict) -> None:
    phi, y = normal(9, 3, seed=4), normal(9, seed=5)
    wanted = [torch.zeros(())]
    for i in range(1, 9):
        past = phi[:i]
        wanted.append(
            phi[i]
            @ torch.linalg.solve(
                past.T @ past + 0.5 * torch.eye(3, dtype=phi.dtype), past.T @ y[:i]
            )
        )
    hint = "position i must say what ridge regression on the supports before i says, and 0 at the first; does it read its own target?"
    same(predict(phi.clone(), y.clone(), 0.5), torch.stack([w.double() for w in wanted]), hint)


PREFIXES = """
def predict(phi, y, ridge):
    S = ridge * torch.eye(phi.shape[1], dtype=phi.dtype)
    b = torch.zeros(phi.shape[1], dtype=phi.dtype)
    said = []
    for phi_i, y_i in zip(phi, y):
        said.append(phi_i @ torch.linalg.solve(S, b))
        S = S + torch.outer(phi_i, phi_i)
        b = b + y_i * phi_i
    return torch.stack(said)
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_scaled,
        solution="""
phi = torch.diag(torch.tensor([1.0, 3.0, 10.0]))
""",
        wrong={
            "equal lengths": "phi = torch.eye(3)",
            "lengths alone are not enough": "phi = torch.tensor([[1.0, 1.0], [3.0, 1.0], [10.0, -2.0]])",
            "two supports": "phi = torch.diag(torch.tensor([1.0, 10.0]))",
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_features,
        solution="""
def features(x):
    z = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)
    return (z[:, :, None] * z[:, None, :]).flatten(1)  # <z, z'>^2, and <z, z'> = 1 + <x, x'>
""",
        wrong={
            "monomials without their factors": """
def features(x):
    z = torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)
    i, j = torch.triu_indices(z.shape[1], z.shape[1])
    return z[:, i] * z[:, j]
""",
            "no constant": "def features(x):\n    return (x[:, :, None] * x[:, None, :]).flatten(1)",
            "the first power": "def features(x):\n    return torch.cat([torch.ones(len(x), 1, dtype=x.dtype), x], dim=1)",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_prefixes,
        solution=PREFIXES,
        wrong={
            "reads its own target": PREFIXES.replace(
                "        said.append(phi_i @ torch.linalg.solve(S, b))\n", ""
            ).replace(
                "* phi_i\n", "* phi_i\n        said.append(phi_i @ torch.linalg.solve(S, b))\n"
            ),
            "all supports at every position": """
def predict(phi, y, ridge):
    return phi @ torch.linalg.solve(phi.T @ phi + ridge * torch.eye(phi.shape[1], dtype=phi.dtype), phi.T @ y)
""",
            "the causal part of the dual": """
def predict(phi, y, ridge):
    K = torch.tril(phi @ phi.T)
    return torch.tril(K, -1) @ torch.linalg.solve(K + ridge * torch.eye(len(y), dtype=phi.dtype), y)
""",
        },
    ),
)
