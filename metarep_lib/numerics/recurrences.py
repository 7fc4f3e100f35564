"""One step of each algorithm, in the names the residual stream uses.

Only +, -, * are used, and three operations handed in: `matvec` (v to A v), `inner` (a . b as an
array that multiplies a vector) and `divide`. So the same lines run on batches of torch tensors (the
solvers) and on arrays over a prime field (the certificates). A state maps names to arrays.
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


def chebyshev_step(state: State, matvec: MatVec, c: Array, g: Array) -> State:
    """alpha <- alpha + d, r <- r - A d, d <- c d + g r (Saad 2003, algorithm 12.1)."""
    d = state["d"]
    r = state["r"] - matvec(d)
    return {"alpha": state["alpha"] + d, "r": r, "d": c * d + g * r}


def conjugate_gradient_step(state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array | None = None) -> State:
    """From (alpha, r, p) after t steps to those after t + 1, with the scalars in between (Hestenes and Stiefel 1952).

    With m, preconditioned by that diagonal: z = m r takes the place of r in rho and p (Saad 2003, algorithm 9.1).
    """
    alpha, r, p = state["alpha"], state["r"], state["p"]
    w = matvec(p)
    rho = inner(r, r if m is None else m * r)
    sigma = inner(p, w)
    gamma = divide(rho, sigma)
    alpha = alpha + gamma * p
    r = r - gamma * w
    z = r if m is None else m * r
    rho_next = inner(r, z)
    beta = divide(rho_next, rho)
    p = z + beta * p
    return {"alpha": alpha, "r": r, "p": p, "rho": rho, "sigma": sigma, "gamma": gamma, "rho_next": rho_next, "beta": beta}


def richardson_step(state: State, matvec: MatVec, m: Array) -> State:
    """alpha <- alpha + z, z <- z - m A z: Richardson's iteration preconditioned by the diagonal m, carried by z = m r."""
    alpha, z = state["alpha"], state["z"]
    return {"alpha": alpha + z, "z": z - m * matvec(z)}


def two_block_step(state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array, one: Array) -> State:
    """CG preconditioned by the diagonal m, all sums at once (Chronopoulos and Gear 1989); with m = one plain CG.

    Here p and s = A p belong to the step just made: p_t, where the textbook state holds p_t+1. Before
    the first step started = 0, c = rho_old = 1 and everything else but r is 0.
    """
    r, p, s, c = state["r"], state["p"], state["s"], state["c"]
    z = m * r
    w = matvec(z)
    rho, delta = inner(r, z), inner(z, w)
    curvature = delta * c - state["started"] * rho * rho
    beta = divide(rho, state["rho_old"])
    gamma = divide(rho * c, curvature)
    gamma_beta = divide(rho * rho * state["gamma"], curvature)
    return {
        "alpha": state["alpha"] + gamma * z + gamma_beta * p,
        "r": r - gamma * w - gamma_beta * s,
        "p": z + beta * p,
        "s": w + beta * s,
        "c": gamma * rho,
        "rho_old": rho,
        "gamma": gamma,
        "started": one,
    }


def pipelined_step(state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array, one: Array) -> State:
    """CG preconditioned by the diagonal m, the product running ahead of the sums (Ghysels and Vanroose 2014, algorithm 4).

    Carried along, and equal to it in exact arithmetic: z = m r, w = A z, s = A p, q = m s, v = A q. p, s, q and v belong to the step just
    made; before the first all of them are 0, started = 0 and c = rho_old = 1.
    """
    r, z, w, p, s, q, v, c = (state[name] for name in ("r", "z", "w", "p", "s", "q", "v", "c"))
    m_w = m * w
    n = matvec(m_w)
    rho, delta = inner(r, z), inner(z, w)
    curvature = delta * c - state["started"] * rho * rho
    beta = divide(rho, state["rho_old"])
    gamma = divide(rho * c, curvature)
    gamma_beta = divide(rho * rho * state["gamma"], curvature)
    return {
        "alpha": state["alpha"] + gamma * z + gamma_beta * p,
        "r": r - gamma * w - gamma_beta * s,
        "z": z - gamma * m_w - gamma_beta * q,
        "w": w - gamma * n - gamma_beta * v,
        "p": z + beta * p,
        "s": w + beta * s,
        "q": m_w + beta * q,
        "v": n + beta * v,
        "c": gamma * rho,
        "rho_old": rho,
        "gamma": gamma,
        "started": one,
    }


def causal_step(state: State, matvec: MatVec, inner: Inner, divide: Divide, ridge: Array, phi: Array, one: Array) -> State:
    """CG in the primal for (S + lambda I) w = b, `matvec` being S, with the prediction f = phi . w carried along.

    h = 1 / gamma follows from the Rayleigh quotient of r. Before the first step rho_old = 1 and
    p, s, h and phi_p are zero.
    """
    r = state["r"]
    S_r = matvec(r)
    rho = inner(r, r)
    beta = divide(rho, state["rho_old"])
    p, s = r + beta * state["p"], S_r + ridge * r + beta * state["s"]
    phi_p = inner(phi, r) + beta * state["phi_p"]
    h = divide(inner(r, S_r), rho) + ridge - beta * state["h"]
    gamma = divide(one, h)
    return {
        "w": state["w"] + gamma * p,
        "r": r - gamma * s,
        "p": p,
        "s": s,
        "rho_old": rho,
        "h": h,
        "phi_p": phi_p,
        "f": state["f"] + gamma * phi_p,
    }


def newton_schulz_step(u: Array, phi: Array, n_support: int) -> Array:
    """u_j <- 2 u_j - sum_i (phi_i . u_j) u_i over the supports i: X <- 2 X - X S X on u = X phi (Schulz 1933)."""
    return u + u - (u @ phi[:n_support].T) @ u[:n_support]
