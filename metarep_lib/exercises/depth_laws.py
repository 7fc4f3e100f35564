"""Exercises of the chapter "How deep? The depth laws"."""

import math

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.system import RidgeSystem

SPECTRA = {
    "all equal": [5.0] * 12,
    "three outliers": [1.0] * 9 + [30.0, 500.0, 9000.0],
    "two clusters of equal ones": [1.0] * 6 + [1e6] * 6,
}


def diagonal(values: torch.Tensor, y: torch.Tensor) -> RidgeSystem:
    return RidgeSystem(torch.diag(values), y, torch.zeros(0, len(y), dtype=torch.float64))


def check_counts(steps) -> None:
    need(
        isinstance(steps, dict) and set(steps) == set(SPECTRA),
        "expected a number of steps for each of the three spectra",
    )
    for name, values in SPECTRA.items():
        system = diagonal(torch.tensor(values, dtype=torch.float64), normal(12, seed=1))
        left = conjugate_gradient(system, steps=12).history["r"].norm(dim=-1) / system.y.norm()
        measured = int((left <= 1e-6).nonzero()[0])
        found = float(numbers(steps[name], ()))
        need(
            found == measured,
            f"it was run: {name}, and it is not {found:g} steps; count distinct eigenvalues, not the condition number",
        )


def check_slowest(hardest) -> None:
    for t, kappa in ((2, 10.0), (4, 100.0)):
        made = hardest(t, kappa)
        need(
            isinstance(made, tuple) and len(made) == 2,
            "expected two vectors: eigenvalues and targets",
        )
        values, y = (numbers(part) for part in made)
        need(
            values.shape == y.shape and values.ndim == 1 and (values > 0).all(),
            "expected positive eigenvalues and as many targets",
        )
        need(
            values.max() <= kappa * values.min() * (1 + 1e-9),
            f"the condition number exceeds {kappa:g}",
        )
        system = diagonal(values, y)
        alpha = conjugate_gradient(system, steps=t).history["alpha"][-1]
        error = float(system.norm(alpha - y / values) / system.norm(y / values))
        worst = 1 / math.cosh(t * math.acosh((kappa + 1) / (kappa - 1)))
        need(
            error >= 0.99 * worst,
            f"after {t} steps at kappa = {kappa:g} the error is {error / worst:.2f} of the most there can be, 1 / T_t((kappa + 1) / (kappa - 1))",
        )


def check_outliers(mu) -> None:
    mu = numbers(mu)
    need(
        mu.ndim == 1 and len(mu) >= 1 and (mu >= 0).all(),
        "expected a vector of eigenvalues of K, none negative",
    )
    exceed, d_eff = int((mu > 1).sum()), float(depth.effective_dimension(mu, 1.0))
    need(
        exceed > 1.98 * d_eff,
        f"{exceed} eigenvalues exceed lambda, and the law allows 2 d_eff = {2 * d_eff:.2f}; what does one of them add to d_eff at least?",
    )


SLOWEST = """
def hardest(t, kappa):
    # where T_t is +1 or -1 on [1, kappa], and the targets that make all of these points count alike
    angles = torch.arange(t + 1, dtype=torch.float64) * torch.pi / t
    values = (kappa + 1) / 2 + (kappa - 1) / 2 * angles.cos()
    share = torch.ones_like(values)
    for i in range(t + 1):
        others = torch.cat([values[:i], values[i + 1 :]])
        share[i] = (others / (others - values[i])).prod().abs()
    return values, (share * values).sqrt()
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=5,
        check=check_counts,
        solution="""
steps = {"all equal": 1, "three outliers": 4, "two clusters of equal ones": 2}
""",
        wrong={
            "as many as unknowns": 'steps = {"all equal": 12, "three outliers": 12, "two clusters of equal ones": 12}',
            "the condition number decides": 'steps = {"all equal": 1, "three outliers": 12, "two clusters of equal ones": 12}',
            "the cluster forgotten": 'steps = {"all equal": 1, "three outliers": 3, "two clusters of equal ones": 2}',
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_outliers,
        solution="""
mu = 1.001 * torch.ones(5, dtype=torch.float64)  # each adds mu / (mu + 1), just over a half
""",
        wrong={
            "large ones": "mu = 100.0 * torch.ones(5)",
            "none exceeds": "mu = torch.ones(5)",
            "a tail of small ones": "mu = torch.cat([1.001 * torch.ones(5), 0.5 * torch.ones(20)])",
        },
    ),
    Exercise(
        difficulty=3,
        minutes=30,
        check=check_slowest,
        solution=SLOWEST,
        wrong={
            "all targets alike": SLOWEST.replace(
                "(share * values).sqrt()", "torch.ones_like(values)"
            ),
            "evenly spaced": SLOWEST.replace(
                "angles.cos()", "torch.linspace(1, -1, t + 1, dtype=torch.float64)"
            ),
            "one eigenvalue too few": SLOWEST.replace(
                "return values, (share * values).sqrt()",
                "return values[1:], (share * values).sqrt()[1:]",
            ),
            "a larger condition number": SLOWEST.replace(
                "def hardest(t, kappa):", "def hardest(t, kappa):\n    kappa = 4 * kappa"
            ),
        },
    ),
)
