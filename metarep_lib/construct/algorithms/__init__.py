"""Functions that return a `Program`: one algorithm each."""

from metarep_lib.construct.algorithms.causal import causal_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev, chebyshev_coefficients
from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
from metarep_lib.construct.algorithms.gram import gram_chebyshev, gram_conjugate_gradient, gram_squaring
from metarep_lib.construct.algorithms.look_ahead import one_block_conjugate_gradient
from metarep_lib.construct.algorithms.newton_schulz import newton_schulz
from metarep_lib.construct.algorithms.two_block import jacobi_conjugate_gradient, two_block_conjugate_gradient

__all__ = [
    "causal_conjugate_gradient",
    "chebyshev",
    "chebyshev_coefficients",
    "conjugate_gradient",
    "gradient_descent",
    "gram_chebyshev",
    "gram_conjugate_gradient",
    "gram_squaring",
    "jacobi_conjugate_gradient",
    "newton_schulz",
    "one_block_conjugate_gradient",
    "two_block_conjugate_gradient",
]
