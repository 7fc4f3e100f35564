"""What an algorithm would hold on every token, and say at a query, on its way: the targets of probes.

All are functions of a system alone, so that no network has a say in what is looked for.
"""

import torch
from torch import Tensor

from metarep_lib.asked import asked, at_least, positive
from metarep_lib.numerics import solvers
from metarep_lib.numerics.system import RidgeSystem
from metarep_lib.numerics.system_asked import a_system


@asked(system=a_system(definite=True), ridge=positive, steps=at_least(0), seed=at_least(0))
def states(system: RidgeSystem, ridge: float, steps: int = 4, seed: int = 4) -> dict[str, Tensor]:
    """What stands on the supports after t = 1, ..., steps, each [B, k].

    `alpha t`, `r t`, `p t` of conjugate gradient; `gd t`, the residual of gradient descent with one step size for all tasks, 1 / largest
    eigenvalue (the upper decile of the tasks); `any t`, the residual of no algorithm, whose step sizes, between 0.3 and 1.7 times that, are
    drawn once for all tasks; and `rest`, the final residual y - K alpha* = lambda alpha*.

    >>> system = RidgeSystem(4 * torch.eye(3).double().unsqueeze(0), torch.ones(1, 3).double(), torch.ones(1, 1, 3).double())
    >>> held = states(system, ridge=0.5, steps=1)
    >>> list(held), held["alpha 1"].tolist(), held["rest"].tolist()
    (['alpha 1', 'r 1', 'p 1', 'gd 1', 'any 1', 'rest'], [[0.25, 0.25, 0.25]], [[0.125, 0.125, 0.125]])
    """
    system.check_factored("states")
    system.check_one_output("states")
    history = solvers.conjugate_gradient(system, steps).history
    step_size = 1 / typical_largest(system)
    descent = solvers.gradient_descent(system, steps, step_size).history
    held = {
        f"{name} {t}": history[name][t] for name in ("alpha", "r", "p") for t in range(1, steps + 1)
    }
    held |= {f"gd {t}": descent["r"][t] for t in range(1, steps + 1)}
    r, generator = system.y, torch.Generator().manual_seed(seed)
    for t in range(1, steps + 1):
        r = r - (
            0.3 + 1.4 * torch.rand((), generator=generator).item()
        ) * step_size * system.matvec(r)
        held[f"any {t}"] = r
    return held | {"rest": ridge * solvers.cholesky(system).alpha}


@asked(system=a_system(definite=True), ridge=positive)
def predictions(system: RidgeSystem, ridge: float) -> dict[str, Tensor]:
    """What four families of algorithms say at the queries on their way to f*, each [B, q]; `exact` is f*.

    `cg t`: conjugate gradient; `gd t`: gradient descent, step size as in `states`; `m λ`: ridge regression with m times the ridge;
    `newton t`: X <- 2 X - X A X from X = I / (largest eigenvalue of the task) (Schulz 1933), alpha = X y.
    """
    system.check_factored("predictions")
    system.check_one_output("predictions")
    s, vectors = torch.linalg.eigh(system.A)
    y = (vectors.mT @ system.y.unsqueeze(-1)).squeeze(-1)

    def filtered(c: Tensor) -> Tensor:
        """k(x)^T c(A) y for c given on the eigenvalues."""
        return system.predict((vectors @ (c * y).unsqueeze(-1)).squeeze(-1))

    alphas = solvers.conjugate_gradient(system, 5).history["alpha"]
    said = {f"cg {t}": system.predict(alphas[t]) for t in range(1, 6)}
    said |= {
        f"gd {t}": filtered((1 - (1 - s / typical_largest(system)) ** t) / s)
        for t in (1, 4, 16, 64)
    }
    said |= {f"{m} λ": filtered(1 / (s + (m - 1) * ridge)) for m in (1000, 100, 10)}
    said |= {f"newton {t}": filtered((1 - (1 - s / s[..., -1:]) ** 2**t) / s) for t in (2, 4, 6)}
    return said | {"exact": system.predict(solvers.cholesky(system).alpha)}


def typical_largest(system: RidgeSystem) -> float:
    """The upper decile, over the tasks, of the largest eigenvalue."""
    return system.eigenvalues[..., -1].quantile(0.9).item()
