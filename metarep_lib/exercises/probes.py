"""Exercises of the chapter "Probes and their traps"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same


def check_turned(turned) -> None:
    for seed in range(3):
        x, w = normal(7, 5, seed=seed), normal(5, seed=seed + 10)
        Q = torch.linalg.qr(normal(5, 5, seed=seed + 20))[0]
        found = numbers(turned(w.clone(), Q.clone()), (5,))
        same((x @ Q) @ found, x @ w, "on the rotated stream these weights do not read what w reads on the old one; which matrix undoes Q?")


def check_left(left) -> None:
    for seed in range(3):
        known = normal(30, 3, seed=seed) + torch.tensor([2.0, 0.0, -1.0]).double()
        known[:, 1] += known[:, 0]  # what is known may overlap
        target = known @ normal(3, seed=seed + 10) + 0.5 * normal(30, seed=seed + 20) + 4.0
        a, b = known - known.mean(0), target - target.mean()
        share = 1 - (b @ a @ torch.linalg.inv(a.T @ a) @ a.T @ b) / (b @ b)
        found = numbers(left(target.clone(), known.clone()), ())
        need(abs(float(found) - float(1 - share)) > 1e-6, "that is the share that is explained")
        same(found, share, "not the share that least squares leaves; is a constant among what is known, and do overlapping columns count once?")


EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_turned,
        solution="""
def turned(w, Q):
    return Q.T @ w
""",
        wrong={
            "the weights as they were": "def turned(w, Q):\n    return w",
            "turned the wrong way": "def turned(w, Q):\n    return Q @ w",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_left,
        solution="""
def left(target, known):
    design = torch.cat([known, torch.ones_like(known[:, :1])], dim=1)
    rest = target - design @ torch.linalg.lstsq(design, target.unsqueeze(1)).solution.squeeze(1)
    return rest.square().sum() / (target - target.mean()).square().sum()
""",
        wrong={
            "no constant": "def left(target, known):\n    rest = target - known @ torch.linalg.lstsq(known, target.unsqueeze(1)).solution.squeeze(1)\n    return rest.square().sum() / (target - target.mean()).square().sum()",
            "what is explained": "def left(target, known):\n    a, b = known - known.mean(0), target - target.mean()\n    return (b @ a @ torch.linalg.inv(a.T @ a) @ a.T @ b) / (b @ b)",
            "overlap counted twice": "def left(target, known):\n    return 1 - sum(torch.corrcoef(torch.stack([target, x]))[0, 1] ** 2 for x in known.T)",
        },
    ),
)
