"""Four findings of the sketch this book began with, each made again as it was, then with one thing put right."""

import numpy as np
from scipy.special import softmax
from scipy.stats import rankdata

__all__ = ["explosion", "exponential_krr", "high_dimension", "posed", "rms", "width_errors"]

Array = np.ndarray


def rms(e: Array) -> float:
    """Root mean square.

    >>> float(rms(np.array([3.0, -3.0])))
    3.0
    """
    return np.sqrt((e**2).mean())


def rank_correlation(f: Array, t: Array) -> float:
    return np.corrcoef(rankdata(f), rankdata(t))[0, 1]


def posed(
    n: int, q: int, p: int, seed: int, own_weights: bool, condition: float | None = None
) -> tuple[Array, Array, Array, Array]:
    """Features, targets, features of queries and the truth there; the generator of the weights shared with the features, or its own."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n + q, p))
    if condition:
        x = np.linalg.qr(x)[0] * np.sqrt(np.geomspace(1, condition, p))
    rng = np.random.default_rng([seed, 1] if own_weights else seed)
    w = rng.standard_normal(p)
    return x[:n], x[:n] @ w + 0.1 * rng.standard_normal(n), x[n:], x[n:] @ w


def exponential_krr(x: Array, y: Array, x_query: Array, tau: float, scaled: bool = False) -> Array:
    """Ridge regression with kernel e^(<a, b> / tau) and ridge 0.01.

    Scaled: the same predictions with no large number, by e^(<a, b> / tau) = d(a) g(a, b) d(b), g a
    Gaussian kernel and d(a) = e^(||a||^2 / (2 tau)).
    """

    def size(z: Array) -> Array:
        return (z**2).sum(1) / (2 * tau)

    K, K_query = x @ x.T / tau, x_query @ x.T / tau
    if not scaled:
        return np.exp(K_query) @ np.linalg.solve(np.exp(K) + 0.01 * np.eye(len(y)), y)
    G = np.exp(K - size(x)[:, None] - size(x))
    G[np.diag_indices(len(y))] += 0.01 * np.exp(-2 * size(x))
    beta = np.linalg.solve(G, np.exp(-size(x)) * y)
    return np.exp(K_query - size(x)) @ beta


def explosion(seed: int) -> dict[str, float]:
    """The sketch's exponential-kernel oracle of a linear task of condition number 500.

    `raw`: error in standard deviations of the truth; `apart`: relative difference of the two orders
    of operations; `tame`: error with inputs on the sphere; `infinite`: whether the kernel matrix
    overflows at tau = 0.02.
    """
    x, y, x_query, truth = posed(32, 32, 8, seed, own_weights=True, condition=500.0)
    direct, scaled = (exponential_krr(x, y, x_query, 0.5, way) for way in (False, True))
    length, length_query = (np.linalg.norm(z, axis=1) for z in (x, x_query))
    on, on_query = x / length[:, None], x_query / length_query[:, None]
    said, aim = exponential_krr(on, y / length, on_query, 0.5), truth / length_query
    with np.errstate(over="ignore"):
        infinite = np.isinf(np.exp(x @ x.T / 0.02)).any()
    return {
        "raw": rms(direct - truth) / truth.std(),
        "apart": rms(direct - scaled) / rms(scaled),
        "tame": rms(said - aim) / aim.std(),
        "infinite": float(infinite),
    }


def high_dimension(seed: int) -> dict[str, float]:
    """64 features and 48 supports: rank correlation of linear ridge regression with `shared` and `own` generators of the weights.

    `supports`: effective supports of the sketch's smoother; `worse`: its error over that of the mean target.
    """
    found = {}
    for own_weights, name in ((False, "shared"), (True, "own")):
        x, y, x_query, truth = posed(48, 16, 64, seed, own_weights)
        linear = x_query @ x.T @ np.linalg.solve(x @ x.T + 0.01 * np.eye(48), y)
        found[name] = rank_correlation(linear, truth)
    s = softmax(x_query @ x.T, axis=1)
    found["supports"] = (1 / (s**2).sum(1)).mean()
    return found | {"worse": rms(s @ y - truth) / rms(y.mean() - truth)}


def width_errors(widths: tuple[int, ...], signal: bool, seed: int) -> list[float]:
    """Held-out error of ridge regression on that many random directions of 32; without a signal the targets are pure noise."""
    draw = [np.random.default_rng([seed, purpose]) for purpose in range(5)]
    x, x_query = (draw[i].standard_normal((k, 32)) for i, k in ((0, 64), (1, 200)))
    w = int(signal) * draw[2].standard_normal(32) / 32**0.5
    noise = draw[3].standard_normal(64) * (0.1 if signal else 1.0)
    errors = []
    for m in widths:
        U = draw[4].standard_normal((32, m)) / m**0.5
        a, b = x @ U, x_query @ U
        alpha = np.linalg.solve(a @ a.T + 0.01 * np.eye(64), x @ w + noise)
        errors.append(rms(b @ a.T @ alpha - x_query @ w))
    return errors
