"""Exercises of the chapter "Depth is synchronisation"."""

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same
from metarep_lib.numerics import depth
from metarep_lib.numerics.kernels import ridge_system
from metarep_lib.numerics.solvers import conjugate_gradient
from metarep_lib.prompt import Prompt


def check_sigma(sigma_of) -> None:
    system = ridge_system(Prompt(normal(8, 5, seed=0), normal(8, seed=1), normal(1, 5, seed=2), ridge=0.3))
    history = conjugate_gradient(system, steps=4).history
    for t in range(1, 4):
        r, rho = history["r"], history["rho"]
        delta = (r[t] * system.matvec(r[t])).sum()
        hint = "this is not p . A p; put p = r + beta p_old into it, and use that r . A p_old = - rho / gamma_old"
        same(sigma_of(rho[t], delta, rho[t - 1], history["sigma"][t - 1]), history["sigma"][t], hint)


def check_crossing(kappa) -> None:
    found = float(numbers(kappa, ()))
    need(found == int(found) and found >= 1, "expected a whole number of at least one")
    network = lambda kappa: 2 * depth.krylov_steps(kappa, 1e-6)  # noqa: E731
    descent = lambda kappa: depth.gradient_descent_steps(kappa, 1e-6)  # noqa: E731
    need(descent(found) > network(found), f"at kappa = {int(found)} gradient descent needs {descent(found)} blocks and conjugate gradient {network(found)}: not yet more")
    need(descent(found - 1) <= network(found - 1), f"gradient descent loses earlier: at kappa = {int(found) - 1} already")


SIGMA = """
def sigma_of(rho, delta, rho_old, sigma_old):
    beta = rho / rho_old
    return delta - beta**2 * sigma_old
"""

EXERCISES = (
    Exercise(
        difficulty=2,
        minutes=20,
        check=check_sigma,
        solution=SIGMA,
        wrong={
            "the first term alone": SIGMA.replace(" - beta**2 * sigma_old", ""),
            "the wrong sign": SIGMA.replace("delta - ", "delta + "),
            "beta not squared": SIGMA.replace("beta**2", "beta"),
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_crossing,
        solution="""
from metarep_lib.numerics import depth

kappa = 2
while depth.gradient_descent_steps(kappa, 1e-6) <= 2 * depth.krylov_steps(kappa, 1e-6):
    kappa += 1
""",
        wrong={"far too late": "kappa = 100", "one more": "kappa = 8", "at once": "kappa = 2"},
    ),
)
