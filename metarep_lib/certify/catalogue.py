"""Which recurrence an algorithm is held against, by the function that makes its program.

The arguments are those of the recorded call. `n_features` and `steps` say how large and how often;
few recurrences need to know.
"""

from collections.abc import Callable

from torch import Tensor

from metarep_lib.certify.recurrence import Recurrence
from metarep_lib.certify.recurrences.dual import (
    all_to_all_recurrence,
    block_recurrence,
    chebyshev_recurrence,
    conjugate_gradient_recurrence,
    features_first,
    gradient_descent_recurrence,
    jacobi_recurrence,
    narrow_gradient_descent_recurrence,
    narrow_ridge_gradient_descent_recurrence,
    newton_schulz_recurrence,
    one_block_recurrence,
    two_block_recurrence,
)
from metarep_lib.certify.recurrences.primal import (
    causal_recurrence,
    feature_scaled_recurrence,
    gram_chebyshev_recurrence,
    gram_conjugate_gradient_recurrence,
    gram_squaring_recurrence,
)
from metarep_lib.certify.recurrences.softmax import (
    pipelined_recurrence,
    richardson_recurrence,
    softmax_conjugate_gradient_recurrence,
)
from metarep_lib.construct.algorithms.block_conjugate_gradient import block_conjugate_gradient
from metarep_lib.construct.algorithms.carried_gram import (
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
)
from metarep_lib.construct.algorithms.causal_conjugate_gradient import causal_conjugate_gradient
from metarep_lib.construct.algorithms.chebyshev import chebyshev
from metarep_lib.construct.algorithms.conjugate_gradient import conjugate_gradient
from metarep_lib.construct.algorithms.feature_scaled_conjugate_gradient import (
    feature_scaled_conjugate_gradient,
)
from metarep_lib.construct.algorithms.gradient_descent import gradient_descent
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
from metarep_lib.construct.algorithms.softmax_preconditioner import Preconditioner
from metarep_lib.construct.algorithms.two_block_conjugate_gradient import (
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.call import Call
from metarep_lib.construct.transforms.all_to_all import all_to_all
from metarep_lib.construct.transforms.polynomial_features import on_polynomial_features


class UnknownRecurrence(LookupError):
    """Nobody has said what a network is to be held against."""


def recurrence_of(call: Call) -> Recurrence:
    """The recurrence that a recorded call says.

    Raises:
        UnknownRecurrence: the table has no line for the function, with the functions it has.

    >>> recurrence_of(gradient_descent(3, steps=5, step_size=0.25).call).name
    'gradient_descent'
    """
    if call.function not in RECURRENCES:
        known = ", ".join(sorted(function.__name__ for function in RECURRENCES))
        raise UnknownRecurrence(
            f"no recurrence is known for {call.name}, only for {known};"
            " this would work: certify(network, recurrence=Recurrence(...))"
        )
    return RECURRENCES[call.function](**call.arguments)


def of_gradient_descent(
    n_features: int, steps: int, step_size: float, n_outputs: int
) -> Recurrence:
    return gradient_descent_recurrence(step_size)


def of_narrow(n_features: int, steps: int, step_size: float) -> Recurrence:
    return narrow_gradient_descent_recurrence(step_size)


def of_narrow_with_ridge(n_features: int, steps: int, step_size: float) -> Recurrence:
    return narrow_ridge_gradient_descent_recurrence(step_size)


def of_chebyshev(
    n_features: int, steps: int, smallest: float, largest: float, n_outputs: int
) -> Recurrence:
    return chebyshev_recurrence(smallest, largest, steps)


def of_newton_schulz(n_features: int, steps: int, scale: float, n_outputs: int) -> Recurrence:
    return newton_schulz_recurrence(scale)


def of_conjugate_gradient(n_features: int, steps: int, n_outputs: int) -> Recurrence:
    return conjugate_gradient_recurrence()


def of_two_blocks(n_features: int, steps: int, n_outputs: int) -> Recurrence:
    return two_block_recurrence(n_outputs)


def of_jacobi(n_features: int, steps: int) -> Recurrence:
    return jacobi_recurrence()


def of_block(n_features: int, steps: int, n_outputs: int, damping: float) -> Recurrence:
    return block_recurrence(n_outputs, damping)


def of_one_block(n_features: int, steps: int, scale: float) -> Recurrence:
    return one_block_recurrence(scale)


def of_causal(n_features: int, steps: int) -> Recurrence:
    return causal_recurrence()


def of_feature_scaled(n_features: int, steps: int) -> Recurrence:
    return feature_scaled_recurrence()


def of_gram_chebyshev(
    n_features: int, steps: int, smallest: float, largest: float, causal: bool
) -> Recurrence:
    return gram_chebyshev_recurrence(n_features, smallest, largest, steps, causal)


def of_gram_conjugate_gradient(n_features: int, steps: int, causal: bool) -> Recurrence:
    return gram_conjugate_gradient_recurrence(n_features, causal)


def of_gram_squaring(n_features: int, steps: int, step_size: float, causal: bool) -> Recurrence:
    return gram_squaring_recurrence(n_features, step_size, causal)


def of_richardson(n_features: int, steps: int, tau: float, U: Tensor | None) -> Recurrence:
    return richardson_recurrence(tau, U)


def of_softmax_conjugate_gradient(
    n_features: int, steps: int, tau: float, U: Tensor | None, preconditioner: Preconditioner
) -> Recurrence:
    return softmax_conjugate_gradient_recurrence(tau, U, preconditioner)


def of_pipelined(
    n_features: int, steps: int, tau: float, U: Tensor | None, preconditioner: Preconditioner
) -> Recurrence:
    return pipelined_recurrence(tau, U, preconditioner)


def of_all_to_all(program: Call) -> Recurrence:
    return all_to_all_recurrence(recurrence_of(program))


def of_polynomial_features(program: Call, n_inputs: int) -> Recurrence:
    return features_first(recurrence_of(program))


RECURRENCES: dict[Callable, Callable[..., Recurrence]] = {
    all_to_all: of_all_to_all,
    block_conjugate_gradient: of_block,
    causal_conjugate_gradient: of_causal,
    chebyshev: of_chebyshev,
    conjugate_gradient: of_conjugate_gradient,
    feature_scaled_conjugate_gradient: of_feature_scaled,
    gradient_descent: of_gradient_descent,
    gram_chebyshev: of_gram_chebyshev,
    gram_conjugate_gradient: of_gram_conjugate_gradient,
    gram_squaring: of_gram_squaring,
    jacobi_conjugate_gradient: of_jacobi,
    narrow_gradient_descent: of_narrow,
    narrow_ridge_gradient_descent: of_narrow_with_ridge,
    newton_schulz: of_newton_schulz,
    on_polynomial_features: of_polynomial_features,
    one_block_conjugate_gradient: of_one_block,
    pipelined_conjugate_gradient: of_pipelined,
    richardson: of_richardson,
    softmax_conjugate_gradient: of_softmax_conjugate_gradient,
    two_block_conjugate_gradient: of_two_blocks,
}
