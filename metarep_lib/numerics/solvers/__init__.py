"""Solvers with full histories."""

from metarep_lib import moved
from metarep_lib.numerics.solvers import block_conjugate_gradient
from metarep_lib.numerics.solvers.iterations import (
    chebyshev,
    cholesky,
    conjugate_gradient,
    divide,
    gradient_descent,
)
from metarep_lib.numerics.solvers.preconditioning import (
    block_diagonal,
    jacobi,
    landmark_preconditioner,
    row_normalised,
    scaled,
    whitened,
)
from metarep_lib.numerics.solvers.s_step import s_step_conjugate_gradient
from metarep_lib.numerics.solvers.solution import Outcome, Solution

__all__ = [
    "Outcome",
    "Solution",
    "block_conjugate_gradient",
    "block_diagonal",
    "chebyshev",
    "cholesky",
    "conjugate_gradient",
    "divide",
    "gradient_descent",
    "jacobi",
    "landmark_preconditioner",
    "row_normalised",
    "s_step_conjugate_gradient",
    "scaled",
    "whitened",
]

__getattr__ = moved.names(__name__)
