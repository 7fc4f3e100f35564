"""Linear algebra and conjugate gradient over the rationals, for statements that no rounding may blur."""

from fractions import Fraction

import numpy as np

from metarep_lib.numerics.steps import conjugate_gradient_step


def exact_solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^-1 b over the rationals by Gauss-Jordan elimination."""
    rows = np.concatenate([A, b[:, None]], axis=1)
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j, i] != 0)
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in range(len(rows)):
            if j != i:
                rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, -1]


def rationals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.vectorize(lambda n, d: Fraction(int(n), int(d)), otypes=[object])(rng.integers(-5, 6, shape), rng.integers(1, 4, shape))


def identity(n: int) -> np.ndarray:
    return np.eye(n, dtype=int) + Fraction(0)


def rational_cg(A: np.ndarray, y: np.ndarray, steps: int) -> list[dict[str, np.ndarray]]:
    """States of conjugate gradient over the rationals, 0 / 0 = 0."""
    y = np.vectorize(Fraction, otypes=[object])(y)
    states = [{"alpha": 0 * y, "r": y, "p": y}]
    divide = np.vectorize(exact_quotient, otypes=[object])
    for _ in range(steps):
        states.append(conjugate_gradient_step(states[-1], lambda v: A @ v, lambda a, b: np.array([a @ b]), divide))
    return states


def exact_quotient(numerator: Fraction, denominator: Fraction) -> Fraction:
    return Fraction(0) if numerator == denominator == 0 else numerator / denominator


def rational_pcg(A: np.ndarray, y: np.ndarray, m: np.ndarray, steps: int) -> list[dict[str, np.ndarray]]:
    """States of CG preconditioned by the diagonal m, over the rationals."""
    y, m = y + Fraction(0), m + Fraction(0)
    states = [{"alpha": 0 * y, "r": y, "p": m * y}]
    divide = np.vectorize(lambda n, d: Fraction(0) if n == d == 0 else n / d, otypes=[object])
    for _ in range(steps):
        states.append(conjugate_gradient_step(states[-1], lambda v: A @ v, lambda a, b: np.array([a @ b]), divide, m))
    return states
