"""Exercises of the chapter "One effective dimension"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, numbers, same
from metarep_lib.numerics.spectrum.depth_laws import effective_dimension


def check_ridge(ridge_for) -> None:
    for mu, wanted in (
        (torch.logspace(2, -3, 30, dtype=torch.float64), 7.0),
        (torch.ones(4, dtype=torch.float64), 1.5),
    ):
        ridge = float(numbers(ridge_for(mu.clone(), wanted), ()))
        need(ridge > 0, "the ridge is not positive")
        found = float(effective_dimension(mu, ridge))
        same(
            found,
            wanted,
            f"with this ridge the effective dimension is {found:.3g}, wanted {wanted:g}; it falls as the ridge grows, so halve an interval",
            1e-4,
        )


def check_harder(pair) -> None:
    need(isinstance(pair, tuple) and len(pair) == 2, "expected features and a map: (phi, W)")
    phi, W = (numbers(part) for part in pair)
    need(
        phi.ndim == 2 and W.ndim == 2 and W.shape[1] == phi.shape[1] and len(W) < phi.shape[1],
        "expected phi [k, p] and W [m, p] with m < p",
    )
    need(
        (W @ W.T - torch.eye(len(W), dtype=W.dtype)).abs().max() <= 1e-6,
        "the rows of W are not orthonormal",
    )
    kappas, counts = [], []
    for features in (phi, phi @ W.T):
        mu = torch.linalg.eigvalsh(features @ features.T).clamp(min=0)
        kappas.append(float((mu[-1] + 0.01) / (mu[0] + 0.01)))
        counts.append(float(effective_dimension(mu, 0.01)))
    need(counts[1] <= counts[0] + 1e-9, "the effective dimension has grown, which no map can do")
    need(
        kappas[1] >= 50 * kappas[0],
        f"the condition number goes from {kappas[0]:.1f} to {kappas[1]:.1f}; with as many supports as features, what becomes of an eigenvalue whose direction is dropped?",
    )


RIDGE = """
def ridge_for(mu, wanted):
    low, high = 1e-12, 1e12
    for _ in range(200):
        middle = (low * high) ** 0.5
        if (mu / (mu + middle)).sum() > wanted:
            low = middle
        else:
            high = middle
    return middle
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_ridge,
        solution=RIDGE,
        wrong={
            "the eigenvalue of that number": "def ridge_for(mu, wanted):\n    return mu[int(wanted) - 1]",
            "the wrong half": RIDGE.replace("> wanted", "< wanted"),
            "the mean eigenvalue": "def ridge_for(mu, wanted):\n    return mu.mean()",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_harder,
        solution="""
phi = torch.eye(3)
W = torch.eye(3)[:2]
phi_and_W = (phi, W)
""",
        wrong={
            "more supports than features": "phi_and_W = (torch.ones(4, 3) + torch.eye(4)[:, :3], torch.eye(3)[:2])",
            "a small eigenvalue is dropped": "phi_and_W = (torch.diag(torch.tensor([1.0, 1.0, 1e-3])), torch.eye(3)[:2])",
            "nothing is dropped": "phi_and_W = (torch.eye(3), torch.eye(3))",
        },
    ),
)
