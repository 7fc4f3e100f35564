"""Conjugate gradient in exact arithmetic, as good as: every number is a ball that provably holds the true one (Johansson 2017).

A run in floating point cannot certify a bound of exact arithmetic: rounding costs conjugate gradient its orthogonality, and it
takes steps that the exact iteration does not. Here the recurrence of the solvers runs on numbers of hundreds of bits that
carry their own error bound, with more bits until the errors asked for are known.
"""

from collections.abc import Sequence

import flint
import numpy as np
from torch import Tensor

from metarep_lib.asked import asked, at_least
from metarep_lib.numerics.steps import conjugate_gradient_step

FIRST_BITS, MOST_BITS = 2**10, 2**14


@asked(steps=at_least(0))
def exact_errors(
    eigenvalues: Sequence[float] | np.ndarray | Tensor,
    shares: Sequence[float] | np.ndarray | Tensor,
    steps: int,
) -> np.ndarray:
    """Relative A-norm errors of CG after 0 ... steps steps, without rounding, as the nearest floats.

    Args:
        eigenvalues: [n] positive; floats are taken as the rationals they are. A tensor is on the CPU.
        shares: [n] non-negative: parts of ||alpha*||_A^2; they need not sum to one.
        steps: t >= 0.

    Returns:
        [steps + 1] floats; exactly zero from the step on that ends the iteration, one for each distinct eigenvalue with a share.

    Raises:
        ValueError: eigenvalues or shares that are none.
        ArithmeticError: not even 2^14 bits are enough.

    >>> exact_errors([1.0, 9.0], [9.0, 1.0], 3).tolist()
    [1.0, 0.8, 0.0, 0.0]
    """
    values, parts = np.asarray(eigenvalues, dtype=float), np.asarray(shares, dtype=float)
    if (
        values.ndim != 1
        or values.shape != parts.shape
        or not (values > 0).all()
        or not (parts >= 0).all()
        or not parts.any()
    ):
        raise ValueError(
            f"exact_errors(eigenvalues={values}, shares={parts}): expected positive eigenvalues and as many non-negative shares,"
            " not all zero, e.g. exact_errors([1.0, 9.0], [9.0, 1.0], steps=2)"
        )
    # equal eigenvalues act as one
    values, where = np.unique(values[parts > 0], return_inverse=True)
    parts = np.bincount(where, parts[parts > 0])
    running = min(steps, len(values) - 1)
    bits = FIRST_BITS
    while (errors := errors_in_balls(values, parts, running, bits)) is None:
        bits *= 2
        if bits > MOST_BITS:
            raise ArithmeticError(
                f"exact_errors: {running} steps need more than {MOST_BITS} bits; ask for fewer steps"
            )
    return np.concatenate([errors, np.zeros(steps - running)])


def errors_in_balls(
    values: np.ndarray, parts: np.ndarray, steps: int, bits: int
) -> np.ndarray | None:
    """The errors, or None if so many bits do not fix them to the digits of a float."""
    before, flint.ctx.prec = flint.ctx.prec, bits
    try:
        A, shares = (
            np.array([flint.arb(x) for x in numbers], dtype=object) for numbers in (values, parts)
        )
        star = np.array([(share / a).sqrt() for share, a in zip(shares, A)], dtype=object)
        state = {"alpha": 0 * star, "r": A * star, "p": A * star}
        squares = [shares.sum()]
        for _ in range(steps):
            state = conjugate_gradient_step(
                state, lambda v: A * v, lambda a, b: (a * b).sum(), lambda n, d: n / d
            )
            squares.append((A * (state["alpha"] - star) ** 2).sum())
        errors = [(square / squares[0]).sqrt() for square in squares]
        if any(not error.is_finite() or error.rel_accuracy_bits() < 60 for error in errors):
            return None
        return np.array([float(error.mid()) for error in errors])
    finally:
        flint.ctx.prec = before
