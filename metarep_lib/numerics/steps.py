"""One step of each algorithm, in the names the residual stream uses.

Only +, -, * are used, and three operations handed in: `matvec` (v to A v), `inner` (a . b as an
array that multiplies a vector) and `divide`. So the same lines run on batches of torch tensors (the
solvers) and on arrays over a prime field (the certificates). A state maps names to arrays.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from metarep_lib.asked import array_or_number, asked, holding
from metarep_lib.asked.rules import Rule, Sizes
from metarep_lib.asked.shapes import broadcasts
from metarep_lib.contents import describe

Array = TypeVar("Array")
State = dict[str, Array]
MatVec = Callable[[Array], Array]
Inner = Callable[[Array, Array], Array]
Divide = Callable[[Array, Array], Array]


def why_no_step(step_size: Any, sizes: Sizes) -> str:
    if why := array_or_number.reason(step_size, sizes):
        return why
    r = sizes["=state"]["r"] if "=state" in sizes else step_size
    fits = broadcasts(*(getattr(x, "shape", ()) for x in (step_size, r)))
    return "" if fits else f"is {describe(step_size)} for r of {describe(r)}"


a_step = Rule("a number, or an array that broadcasts with r, e.g. 0.1", why_no_step)


@asked(state=holding("alpha", "r"), step_size=a_step)
def gradient_descent_step(state: State, matvec: MatVec, step_size: Array) -> State:
    """alpha <- alpha + eta r, r <- r - eta A r."""
    alpha, r = state["alpha"], state["r"]
    return {"alpha": alpha + step_size * r, "r": r - step_size * matvec(r)}


def split_gradient_descent_step(
    state: State, matvec: MatVec, step_size: Array, ridge: Array
) -> State:
    """alpha <- alpha + eta r, r <- (1 - eta lambda) (r - eta K r): a step on K, then one on the ridge.

    `matvec` is K alone and `ridge` one number for every entry, 0 where an entry has no diagonal (a query).
    """
    alpha, r = state["alpha"], state["r"]
    after = r - step_size * matvec(r)
    return {"alpha": alpha + step_size * r, "r": after - step_size * ridge * after}


def chebyshev_step(state: State, matvec: MatVec, c: Array, g: Array) -> State:
    """alpha <- alpha + d, r <- r - A d, d <- c d + g r (Saad 2003, algorithm 12.1)."""
    d = state["d"]
    r = state["r"] - matvec(d)
    return {"alpha": state["alpha"] + d, "r": r, "d": c * d + g * r}


@asked(state=holding("alpha", "r", "p"))
def conjugate_gradient_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array | None = None
) -> State:
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
    return {
        "alpha": alpha,
        "r": r,
        "p": p,
        "rho": rho,
        "sigma": sigma,
        "gamma": gamma,
        "rho_next": rho_next,
        "beta": beta,
    }


def richardson_step(state: State, matvec: MatVec, m: Array) -> State:
    """alpha <- alpha + z, z <- z - m A z: Richardson's iteration preconditioned by the diagonal m, carried by z = m r."""
    alpha, z = state["alpha"], state["z"]
    return {"alpha": alpha + z, "z": z - m * matvec(z)}


def quotients(rho: Array, delta: Array, state: State, divide: Divide) -> tuple[Array, Array, Array]:
    """beta, gamma and gamma beta of a step whose sums r . z = rho and z . w = delta are taken at once (Chronopoulos and Gear 1989)."""
    curvature = delta * state["c"] - state["started"] * rho * rho
    beta = divide(rho, state["rho_old"])
    gamma = divide(rho * state["c"], curvature)
    return beta, gamma, divide(rho * rho * state["gamma"], curvature)


def two_block_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array, one: Array
) -> State:
    """CG preconditioned by the diagonal m, all sums at once (Chronopoulos and Gear 1989); with m = one plain CG.

    Here p and s = A p belong to the step just made: p_t, where the textbook state holds p_t+1. Before
    the first step started = 0, c = rho_old = 1 and everything else but r is 0.
    """
    r, p, s = state["r"], state["p"], state["s"]
    z = m * r
    w = matvec(z)
    rho, delta = inner(r, z), inner(z, w)
    beta, gamma, gamma_beta = quotients(rho, delta, state, divide)
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


def token_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array, one: Array
) -> State:
    """The same CG of Chronopoulos and Gear with one division for each of 1 / rho_old, 1 / c and gamma, in the primal: w, with f = phi . w.

    `inner` sums the channels of one token, so that every token solves by itself; z = m r is carried where m is no constant one.
    """
    r, phi = state["r"], state["phi"]
    z = m * r
    u = matvec(z)
    rho, delta = inner(r, z), inner(z, u)
    beta, psi = divide(rho, state["rho_old"]), divide(rho, state["c"]) * rho
    gamma = divide(rho, delta - state["started"] * psi)
    p, s, phi_p = (
        z + beta * state["p"],
        u + beta * state["s"],
        inner(phi, z) + beta * state["phi_p"],
    )
    return {
        "w": state["w"] + gamma * p,
        "r": r - gamma * s,
        "p": p,
        "s": s,
        "phi_p": phi_p,
        "f": state["f"] + gamma * phi_p,
        "c": gamma * rho,
        "rho_old": rho,
        "started": one,
    }


def block_step(
    state: State, matvec: MatVec, gram: Inner, divide: Divide, identity: Array, damping: Array
) -> State:
    """Block CG (O'Leary 1980) with directions conjugate to each other, one after the other, so that dependent ones become 0.

    Every name holds a column for each of m outputs; `gram` (a, b to a^T b) gives m x m matrices; s = A p, and s_hat has
    its columns over p_c . s_c. Before the first step everything but r is 0.
    """
    alpha, r, p, s = state["alpha"], state["r"], state["p"], state["s"]
    w = matvec(r)
    beta, rho, delta = gram(state["s_hat"], r), gram(r, r), gram(r, w)
    sigma = delta - gram(s, r).T @ beta
    p, s = r - p @ beta, w - s @ beta
    last, columns_hat = len(identity) - 1, []
    for c in range(last + 1):
        pivot = sigma[c, c : c + 1] + damping * delta[c, c : c + 1]
        gamma, p_c, s_c = divide(rho[c], pivot), p[:, c : c + 1], s[:, c : c + 1]
        alpha, r = alpha + p_c * gamma, r - s_c * gamma
        columns_hat.append(divide(s_c, pivot) * identity[c])
        if c < last:
            mu = divide(sigma[c], pivot) * identity[c + 1 :].sum(0)  # of the outputs behind c
            p, s = p - p_c * mu, s - s_c * mu
            sigma, rho = sigma - mu[:, None] * sigma[c], rho - mu[:, None] * rho[c]
    s_hat = sum(columns_hat[1:], columns_hat[0])
    return {"alpha": alpha, "r": r, "p": p, "s": s, "s_hat": s_hat}


def pipelined_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, m: Array, one: Array
) -> State:
    """CG preconditioned by the diagonal m, the product running ahead of the sums (Ghysels and Vanroose 2014, algorithm 4).

    Carried along, and equal to it in exact arithmetic: z = m r, w = A z, s = A p, q = m s, v = A q. p, s, q and v belong to the step just
    made; before the first all of them are 0, started = 0 and c = rho_old = 1.
    """
    r, z, w, p, s, q, v = (state[name] for name in ("r", "z", "w", "p", "s", "q", "v"))
    m_w = m * w
    n = matvec(m_w)
    rho, delta = inner(r, z), inner(z, w)
    beta, gamma, gamma_beta = quotients(rho, delta, state, divide)
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


def causal_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, ridge: Array, phi: Array, one: Array
) -> State:
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


@asked()
def look_ahead_step(
    state: State, matvec: MatVec, inner: Inner, divide: Divide, scale: Array, one: Array
) -> State:
    """CG by unscaled residuals v = pi r of A' = scale A (Lanczos 1952), with the quotients taken from the sums of the step before.

    With B = [A'v, v, v_old] and z = (1, -theta, -omega): v_next = B z, so v_next . v_next = z . h and v_next . A' v_next = z . j
    with h = B^T B z and j = B^T A' B z, whose middle entry is h_1. Before the first step h_1 = v . v, j_1 = v . A' v, pi = vv = 1,
    everything else but v and Av is zero. The prediction f = -v / pi is that of the state before.
    """
    v, Av, v_old, Av_old, zero = state["v"], state["Av"], state["v_old"], state["Av_old"], one - one
    norm = along(state["h_1"], state["h_2"], state["h_3"], state["theta"], state["omega"])
    curvature = along(state["j_1"], state["h_1"], state["j_3"], state["theta"], state["omega"])
    theta = one + divide(curvature - norm, norm)
    omega = divide(state["h_1"], state["vv"])
    AAv = scale * matvec(Av)
    return {
        "v": along(Av, v, v_old, theta, omega),
        "Av": along(AAv, Av, Av_old, theta, omega),
        "v_old": v,
        "Av_old": Av,
        "h_1": along(inner(Av, Av), inner(Av, v), inner(Av, v_old), theta, omega),
        "h_2": along(inner(Av, v), inner(v, v), inner(v, v_old), theta, omega),
        "h_3": along(inner(Av, v_old), inner(v, v_old), inner(v_old, v_old), theta, omega),
        "j_1": along(inner(Av, AAv), inner(Av, Av), inner(Av, Av_old), theta, omega),
        "j_3": along(inner(Av, Av_old), inner(Av, v_old), inner(v_old, Av_old), theta, omega),
        "theta": theta,
        "omega": omega,
        "vv": inner(v, v),
        "pi": along(zero, state["pi"], state["pi_old"], theta, omega),
        "pi_old": state["pi"],
        "f": divide(zero - v, state["pi"]),
    }


def along(first: Array, second: Array, third: Array, theta: Array, omega: Array) -> Array:
    """first - theta second - omega third."""
    return first - theta * second - omega * third
