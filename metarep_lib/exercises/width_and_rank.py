"""Exercises of the chapter "Width and rank: what a narrow network can still say"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers


def check_projection(projection) -> None:
    for k, p, m in ((12, 6, 2), (5, 8, 3)):
        phi = normal(k, p, seed=k) * torch.linspace(3, 0.5, p, dtype=torch.float64)
        phi = phi @ torch.linalg.qr(normal(p, p, seed=p)).Q
        W = numbers(projection(phi.clone(), m), (m, p))
        need(
            (W @ W.T - torch.eye(m, dtype=W.dtype)).abs().max() <= 1e-5,
            "the rows of W are not orthonormal",
        )
        lost = torch.linalg.matrix_norm(phi @ phi.T - phi @ W.T @ W @ phi.T, 2)
        least = torch.linalg.svdvals(phi)[m] ** 2
        need(
            lost <= least * (1 + 1e-5),
            f"|K - K^| is {float(lost / least):.2f} times what a rank of {m} can reach, the next eigenvalue of K",
        )


def risks(mu: torch.Tensor, w: torch.Tensor, kept: int, ridge: float, noise: float) -> float:
    """Expected squared error of the fit at the supports, features with spectrum mu, of which the first few are kept."""
    error = mu * w.square()
    inside = mu[:kept]
    error[:kept] = (
        inside * (ridge / (inside + ridge)) ** 2 * w[:kept].square()
        + noise**2 * (inside / (inside + ridge)) ** 2
    )
    return float(error.sum())


def check_narrow(weights) -> None:
    w = numbers(weights, (6,))
    need(
        w.norm() >= 0.1, "the truth is (nearly) zero; then saying nothing is best, which is no news"
    )
    mu = torch.tensor([8.0, 4.0, 2.0, 1.0, 0.5, 0.25], dtype=torch.float64)
    all_six, three = risks(mu, w, 6, 0.1, 0.5), risks(mu, w, 3, 0.1, 0.5)
    need(
        three <= 0.7 * all_six,
        f"with three of the six features the risk is {three / all_six:.2f} of that with all, expected at most 0.7; what does a feature cost that the truth does not use?",
    )
    need(
        risks(mu, w, 2, 0.1, 0.5) > three,
        "two features are better still; let the truth use all three",
    )


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_projection,
        solution="""
def projection(phi, m):
    return torch.linalg.svd(phi, full_matrices=False).Vh[:m]
""",
        wrong={
            "the first coordinates": "def projection(phi, m):\n    return torch.eye(phi.shape[1], dtype=phi.dtype)[:m]",
            "the first supports": "def projection(phi, m):\n    return torch.linalg.qr(phi[:m].T).Q.T",
            "the last directions": "def projection(phi, m):\n    return torch.linalg.svd(phi, full_matrices=False).Vh[-m:]",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_narrow,
        solution="""
weights = (1.0, 1.0, 1.0, 0.0, 0.0, 0.0)  # the truth lives in the leading directions; the others bring noise only
""",
        wrong={
            "uses all features alike": "weights = (1.0, 1.0, 1.0, 1.0, 1.0, 1.0)",
            "lives in the tail": "weights = (0.0, 0.0, 0.0, 1.0, 1.0, 1.0)",
            "uses one only": "weights = (1.0, 0.0, 0.0, 0.0, 0.0, 0.0)",
        },
    ),
)
