"""Functions that return a `Program`: one algorithm each."""

from metarep_lib.construct.algorithms.block import block_conjugate_gradient
from metarep_lib.construct.algorithms.causal import causal_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev, chebyshev_coefficients
from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
from metarep_lib.construct.algorithms.newton_schulz import newton_schulz
from metarep_lib.construct.algorithms.two_block import jacobi_conjugate_gradient, two_block_conjugate_gradient

__all__ = [
    "block_conjugate_gradient",
    "causal_conjugate_gradient",
    "chebyshev",
    "chebyshev_coefficients",
    "conjugate_gradient",
    "gradient_descent",
    "jacobi_conjugate_gradient",
    "newton_schulz",
    "two_block_conjugate_gradient",
]
