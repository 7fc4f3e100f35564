"""One step of each algorithm, in the names the residual stream uses.

Only +, -, * are used, and three operations handed in: `matvec` (v to A v), `inner` (a . b as an
array of one entry) and `divide`. So the same lines run on batches of torch tensors (the solvers)
and on arrays over a prime field (the certificates). A state maps names to arrays [..., k].
"""

from collections.abc import Callable
from typing import TypeVar

Array = TypeVar("Array")
State = dict[str, Array]
MatVec = Callable[[Array], Array]
Inner = Callable[[Array, Array], Array]
Divide = Callable[[Array, Array], Array]


def gradient_descent_step(state: State, matvec: MatVec, step_size: Array) -> State:
    """alpha <- alpha + eta r, r <- r - eta A r."""
    alpha, r = state["alpha"], state["r"]
    return {"alpha": alpha + step_size * r, "r": r - step_size * matvec(r)}


def conjugate_gradient_step(state: State, matvec: MatVec, inner: Inner, divide: Divide) -> State:
    """From (alpha, r, p) after t steps to those after t + 1, with the scalars in between (Hestenes and Stiefel 1952)."""
    alpha, r, p = state["alpha"], state["r"], state["p"]
    w = matvec(p)
    rho = inner(r, r)
    sigma = inner(p, w)
    gamma = divide(rho, sigma)
    alpha = alpha + gamma * p
    r = r - gamma * w
    rho_next = inner(r, r)
    beta = divide(rho_next, rho)
    p = r + beta * p
    return {"alpha": alpha, "r": r, "p": p, "rho": rho, "sigma": sigma, "gamma": gamma, "rho_next": rho_next, "beta": beta}
