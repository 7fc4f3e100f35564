"""Exercises of the chapter "Silent failure: when a smoother looks right and is wrong"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics.kernels.smoothers import first_order_bound


def order(a: torch.Tensor, b: torch.Tensor) -> float:
    """Spearman's rank correlation."""
    return float(
        torch.corrcoef(
            torch.stack([a.argsort().argsort().double(), b.argsort().argsort().double()])
        )[0, 1]
    )


def check_hidden(mislead) -> None:
    for seed in range(3):
        truth, noise = 0.3 * normal(200, seed=seed), normal(200, seed=seed + 50)
        targets = truth + noise
        f = numbers(mislead(truth.clone()), (200,))
        error, best = ((targets - g).square().mean().sqrt() for g in (f, truth))
        need(
            error <= 1.1 * best,
            f"the error is {float(error / best):.2f} of the oracle's, so it shows; how well does a constant do?",
        )
        need(
            order(f, truth) <= -0.9,
            f"the rank correlation with the truth is {order(f, truth):.2f}; lose the order, and turn it round",
        )


def check_first_order(approximate) -> None:
    direction, y = normal(12, seed=3).tanh(), normal(12, seed=4)
    off = []
    for size in (0.1, 0.05):
        logits = size * direction
        exact = logits.softmax(0) @ y
        off.append(float((numbers(approximate(logits.clone(), y.clone()), ()) - exact).abs()))
        allowed = float(first_order_bound(2 * size) * (y.max() - y.min()))
        need(
            off[-1] <= allowed,
            f"for logits within {size:g} it is off by {off[-1]:.1e}, where mean(y) + cov(logits, y) would be off by {allowed:.1e} at most",
        )
    need(
        off[0] >= 3 * off[1],
        "with logits half as large it should be off by a quarter; here a term of first order is missing",
    )
    same(approximate(direction, torch.ones_like(y)), 1.0, "targets that are all one must give one")


EXERCISES = (
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_hidden,
        solution="""
def mislead(truth):
    return truth.mean() - 1e-3 * (truth - truth.mean())  # a constant, but for the order
""",
        wrong={
            "the order is right": "def mislead(truth):\n    return truth.mean() + 1e-3 * (truth - truth.mean())",
            "too bold": "def mislead(truth):\n    return -3 * truth",
            "the oracle": "def mislead(truth):\n    return truth",
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_first_order,
        solution="""
def approximate(logits, y):
    return y.mean() + ((logits - logits.mean()) * (y - y.mean())).mean()
""",
        wrong={
            "the mean alone": "def approximate(logits, y):\n    return y.mean()",
            "a sum for a mean": "def approximate(logits, y):\n    return y.mean() + ((logits - logits.mean()) * (y - y.mean())).sum()",
            "not centred": "def approximate(logits, y):\n    return y.mean() + (logits * y).mean()",
        },
    ),
)
