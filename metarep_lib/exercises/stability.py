"""Exercises of the chapter "When the features move: stability"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers
from metarep_lib.numerics.solvers import cholesky
from metarep_lib.numerics.system import ridge_system
from metarep_lib.prompt import Prompt


def check_harmless(Q) -> None:
    Q = numbers(Q, (4, 4))
    for seed in range(2):
        phi, phi_query, y = (
            normal(6, 4, seed=seed),
            normal(3, 4, seed=seed + 10),
            normal(6, seed=seed + 20),
        )
        need((phi @ Q - phi).norm() >= 0.5 * phi.norm(), "the features hardly move")
        said = []
        for R in (torch.eye(4, dtype=phi.dtype), Q):
            system = ridge_system(Prompt(phi @ R, y, phi_query @ R, ridge=0.7))
            said.append(system.predict(cholesky(system).alpha))
        need(
            (said[0] - said[1]).norm() <= 1e-5 * said[0].norm(),
            "the predictions change; which Q leave every inner product phi Q Q^T phi' as it is?",
        )


def check_worst(pair) -> None:
    need(isinstance(pair, tuple) and len(pair) == 2, "expected two matrices: K and E")
    K, E = (numbers(part, (3, 3)) for part in pair)
    for name, matrix in (("K", K), ("K + E", K + E)):
        need((matrix - matrix.T).abs().max() <= 1e-9, f"{name} is not symmetric")
        need(
            torch.linalg.eigvalsh(matrix)[0] >= -1e-9,
            f"{name} is not positive semidefinite, so no kernel matrix",
        )
    size = torch.linalg.matrix_norm(E, 2)
    need(size >= 0.1, "E is too small to say anything")
    ridge = 0.5 * torch.eye(3, dtype=K.dtype)
    moved = torch.linalg.matrix_norm(
        torch.linalg.inv(K + ridge) - torch.linalg.inv(K + E + ridge), 2
    )
    bound = size / (0.5 * (0.5 + size))
    need(
        moved >= 0.999 * bound,
        f"the inverse moves by {float(moved / bound):.2f} of the bound e / (lambda (lambda + e)); where is (K + lambda I)^-1 as large as it can be?",
    )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_harmless,
        solution="""
Q = torch.eye(4)[[1, 2, 3, 0]]  # any orthogonal matrix; this one renames the features
""",
        wrong={
            "nothing moves": "Q = torch.eye(4)",
            "all features twice as large": "Q = 2 * torch.eye(4)",
            "invertible is not enough": "Q = torch.triu(torch.ones(4, 4))",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_worst,
        solution="""
K, E = torch.zeros(3, 3), torch.eye(3)
K_and_E = (K, E)
""",
        wrong={
            "a kernel matrix that is not singular": "K_and_E = (torch.eye(3), torch.eye(3))",
            "no kernel matrix any more": "K_and_E = (torch.zeros(3, 3), -0.4 * torch.eye(3))",
            "a move along what is large already": "K_and_E = (torch.diag(torch.tensor([1.0, 0.0, 0.0])), torch.diag(torch.tensor([1.0, 0.0, 0.0])))",
        },
    ),
)
