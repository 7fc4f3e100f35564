"""Where conjugate gradient puts the roots of its polynomials: the Ritz values."""

import numpy as np

__all__ = ["error_by_roots", "residual", "ritz_values"]


def ritz_values(values: np.ndarray, shares: np.ndarray, t: int) -> list[np.ndarray]:
    """The roots of P_1 ... P_t, by Lanczos with full reorthogonalisation.

    Args:
        values: [n] eigenvalues.
        shares: [n] of the solution, in the norm of A.
        t: how many; fewer where there are fewer distinct eigenvalues.

    >>> [roots.round(9).tolist() for roots in ritz_values(np.array([1.0, 3.0]), np.array([3.0, 1.0]), 1)]
    [[2.0]]
    """
    basis, found = [np.sqrt(shares * values / (shares * values).sum())], []
    for _ in range(min(t, len(np.unique(values)))):
        Q = np.stack(basis, axis=1)
        found.append(np.linalg.eigvalsh(Q.T @ (values[:, None] * Q)))
        v = values * basis[-1]
        for _ in range(2):
            v = v - Q @ (Q.T @ v)
        basis.append(v / max(np.linalg.norm(v), 1e-300))
    return found


def residual(s: np.ndarray, roots: np.ndarray) -> np.ndarray:
    """P(s) of the polynomial with these roots and P(0) = 1.

    >>> residual(np.array([0.0, 2.0]), np.array([1.0, 4.0])).tolist()
    [1.0, -0.5]
    """
    return np.prod(1 - np.asarray(s)[:, None] / roots, axis=1)


def error_by_roots(values: np.ndarray, shares: np.ndarray, roots: np.ndarray) -> float:
    """The relative error in the norm of A: root mean square of P at the eigenvalues, by their shares."""
    return float(np.sqrt(shares / shares.sum() @ residual(values, roots) ** 2))
