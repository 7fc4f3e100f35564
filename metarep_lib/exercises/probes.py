"""Exercises of the chapter "Probes and their traps"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same


def check_fooled(pair) -> None:
    need(isinstance(pair, tuple) and len(pair) == 2, "expected two tables: predicted and true")
    predicted, true = (numbers(part, (10, 8)) for part in pair)
    need(true.std() > 0.1, "the true numbers hardly vary")
    need(
        (predicted.norm(dim=1) > 0).all() and (true.norm(dim=1) > 0).all(),
        "a task with zeros alone has no direction",
    )
    cosine = float(torch.cosine_similarity(predicted, true, dim=1).mean())
    r2 = 1 - float((predicted - true).square().sum() / (true - true.mean()).square().sum())
    need(cosine >= 0.95, f"the cosine is {cosine:.2f}, expected at least 0.95")
    need(
        r2 <= 0,
        f"R^2 is {r2:.2f}; a probe that says the mean reaches zero. What does a cosine not notice?",
    )


def check_probe(probe) -> None:
    x, x_new = normal(30, 4, seed=0) + 2, normal(9, 4, seed=1) + 2
    u = x @ normal(4, seed=2) + 5 + 0.1 * normal(30, seed=3)
    for penalty in (0.01, 30.0):
        centred, mean = x - x.mean(0), u.mean()
        W = torch.linalg.solve(
            centred.T @ centred + penalty * torch.eye(4, dtype=x.dtype), centred.T @ (u - mean)
        )
        wanted = (x_new - x.mean(0)) @ W + mean
        hint = f"with the penalty {penalty:g} it says something else; the intercept is not penalised, so take the means out first"
        same(probe(x.clone(), u.clone(), x_new.clone(), penalty), wanted, hint)


def check_left(left) -> None:
    for seed in range(3):
        known = normal(30, 3, seed=seed) + torch.tensor([2.0, 0.0, -1.0]).double()
        known[:, 1] += known[:, 0]  # what is known may overlap
        target = known @ normal(3, seed=seed + 10) + 0.5 * normal(30, seed=seed + 20) + 4.0
        a, b = known - known.mean(0), target - target.mean()
        share = 1 - (b @ a @ torch.linalg.inv(a.T @ a) @ a.T @ b) / (b @ b)
        found = numbers(left(target.clone(), known.clone()), ())
        need(abs(float(found) - float(1 - share)) > 1e-6, "that is the share that is explained")
        same(
            found,
            share,
            "not the share that least squares leaves; is a constant among what is known, and do overlapping columns count once?",
        )


PROBE = """
def probe(x, u, x_new, penalty):
    centre, mean = x.mean(0), u.mean()
    X = x - centre
    W = torch.linalg.solve(X.T @ X + penalty * torch.eye(X.shape[1], dtype=x.dtype), X.T @ (u - mean))
    return (x_new - centre) @ W + mean
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_fooled,
        solution="""
true = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
pair = (3 * true, true)  # the right direction, three times too long
""",
        wrong={
            "a perfect probe": "true = torch.arange(80.0).reshape(10, 8)\npair = (true, true)",
            "noise": "pair = tuple(torch.randn(10, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1))",
            "a little too long": "true = torch.randn(10, 8, generator=torch.Generator().manual_seed(0))\npair = (1.2 * true, true)",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_probe,
        solution=PROBE,
        wrong={
            "no intercept": PROBE.replace("x.mean(0), u.mean()", "torch.zeros(4), 0.0"),
            "the new tokens' own means": PROBE.replace(
                "(x_new - centre)", "(x_new - x_new.mean(0))"
            ),
            "no penalty": PROBE.replace("penalty * ", "1e-9 * "),
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
