"""Functions that return a `Program`: one algorithm a file, under its name."""

from metarep_lib import moved
from metarep_lib.construct.algorithms.block_conjugate_gradient import block_conjugate_gradient
from metarep_lib.construct.algorithms.carried_gram import (
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
)
from metarep_lib.construct.algorithms.causal_conjugate_gradient import causal_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev
from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.copied_gradient_descent import (
    copied_gradient_descent,
    repeat_context,
)
from metarep_lib.construct.algorithms.feature_scaled_conjugate_gradient import (
    feature_scaled_conjugate_gradient,
)
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
from metarep_lib.construct.algorithms.momentum import gradient_descent_plus_plus, momentum
from metarep_lib.construct.algorithms.narrow_gradient_descent import (
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
)
from metarep_lib.construct.algorithms.newton_schulz import newton_schulz
from metarep_lib.construct.algorithms.one_block_conjugate_gradient import (
    one_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms.richardson import richardson
from metarep_lib.construct.algorithms.softmax_conjugate_gradient import (
    pipelined_conjugate_gradient,
    softmax_conjugate_gradient,
)
from metarep_lib.construct.algorithms.softmax_smoother import kernel_product, softmax_smoother
from metarep_lib.construct.algorithms.two_block_conjugate_gradient import (
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)

__all__ = [
    "block_conjugate_gradient",
    "causal_conjugate_gradient",
    "chebyshev",
    "conjugate_gradient",
    "copied_gradient_descent",
    "feature_scaled_conjugate_gradient",
    "gradient_descent",
    "gradient_descent_plus_plus",
    "gram_chebyshev",
    "gram_conjugate_gradient",
    "gram_squaring",
    "jacobi_conjugate_gradient",
    "kernel_product",
    "momentum",
    "narrow_gradient_descent",
    "narrow_ridge_gradient_descent",
    "newton_schulz",
    "one_block_conjugate_gradient",
    "pipelined_conjugate_gradient",
    "repeat_context",
    "richardson",
    "softmax_conjugate_gradient",
    "softmax_smoother",
    "two_block_conjugate_gradient",
]

__getattr__ = moved.names(__name__)
