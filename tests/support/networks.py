"""Every constructed network with a certificate: a small program, and the recurrence it runs. One table for every test of mutants.

Two features (one input where the network makes features of it, one for two outputs), two steps, three supports; two with softmax heads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib import Program, softmax_conjugate_gradient
from metarep_lib.certify import Recurrence
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
from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    feature_scaled_conjugate_gradient,
    gradient_descent,
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
    jacobi_conjugate_gradient,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    newton_schulz,
    one_block_conjugate_gradient,
    pipelined_conjugate_gradient,
    richardson,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.assemble import ConstructedTransformer
from metarep_lib.construct.transforms import all_to_all, on_polynomial_features

U = torch.tensor([[0.5, 2.0], [1.0, -1.0], [0.0, 3.0]], dtype=torch.float64)


@dataclass(frozen=True)
class Certified:
    """A program and what its weights are certified to run: said here, not read off the program's record, so that a wrong record is seen."""

    program: Program
    expects: Recurrence
    n_support: int = 3


NETWORKS = {
    "gradient descent": Certified(gradient_descent(2, 2, 0.25), expects=gradient_descent_recurrence(0.25)),
    "gradient descent, two outputs": Certified(gradient_descent(2, 2, 0.25, n_outputs=2), expects=gradient_descent_recurrence(0.25)),
    "narrow": Certified(narrow_gradient_descent(2, 2, 0.25), expects=narrow_gradient_descent_recurrence(0.25)),
    "narrow with the ridge": Certified(narrow_ridge_gradient_descent(2, 2, 0.25), expects=narrow_ridge_gradient_descent_recurrence(0.25)),
    "chebyshev": Certified(chebyshev(2, 2, 0.25, 3.0), expects=chebyshev_recurrence(0.25, 3.0, 2)),
    "newton-schulz": Certified(newton_schulz(2, 2, 0.25), expects=newton_schulz_recurrence(0.25)),
    "conjugate gradient": Certified(conjugate_gradient(2, 2), expects=conjugate_gradient_recurrence()),
    "conjugate gradient, two outputs": Certified(conjugate_gradient(2, 2, n_outputs=2), expects=conjugate_gradient_recurrence()),
    "conjugate gradient, all to all": Certified(all_to_all(conjugate_gradient(2, 2)), expects=all_to_all_recurrence(conjugate_gradient_recurrence())),
    "polynomial features": Certified(on_polynomial_features(conjugate_gradient(4, 2), 1), expects=features_first(conjugate_gradient_recurrence())),
    "two blocks": Certified(two_block_conjugate_gradient(2, 2), expects=two_block_recurrence()),
    "two blocks, two outputs": Certified(two_block_conjugate_gradient(1, 2, n_outputs=2), expects=two_block_recurrence(2)),
    "jacobi": Certified(jacobi_conjugate_gradient(2, 2), expects=jacobi_recurrence()),
    "block, two outputs": Certified(block_conjugate_gradient(1, 2, 2, 0.25), expects=block_recurrence(2, 0.25)),
    "one block": Certified(one_block_conjugate_gradient(2, 4, 0.5), expects=one_block_recurrence(0.5)),
    "causal": Certified(causal_conjugate_gradient(2, 2), expects=causal_recurrence()),
    "feature scaled": Certified(feature_scaled_conjugate_gradient(2, 2), expects=feature_scaled_recurrence()),
    "gram chebyshev": Certified(gram_chebyshev(2, 2, 0.25, 3.0), expects=gram_chebyshev_recurrence(2, 0.25, 3.0, 2)),
    "gram chebyshev, causal": Certified(gram_chebyshev(2, 2, 0.25, 3.0, causal=True), expects=gram_chebyshev_recurrence(2, 0.25, 3.0, 2, causal=True)),
    "gram conjugate gradient": Certified(gram_conjugate_gradient(2, 2), expects=gram_conjugate_gradient_recurrence(2)),
    "gram conjugate gradient, causal": Certified(gram_conjugate_gradient(2, 2, causal=True), expects=gram_conjugate_gradient_recurrence(2, causal=True)),
    "gram squaring": Certified(gram_squaring(2, 2, 0.25), expects=gram_squaring_recurrence(2, 0.25)),
    "gram squaring, causal": Certified(gram_squaring(2, 2, 0.25, causal=True), expects=gram_squaring_recurrence(2, 0.25, causal=True)),
    "richardson": Certified(richardson(2, 2, 0.5), expects=richardson_recurrence(0.5), n_support=2),
    "richardson, U": Certified(richardson(2, 2, 0.5, U), expects=richardson_recurrence(0.5, U), n_support=2),
    "softmax cg": Certified(softmax_conjugate_gradient(2, 2, 0.5), expects=softmax_conjugate_gradient_recurrence(0.5), n_support=2),
    "softmax cg, U, plain": Certified(softmax_conjugate_gradient(2, 2, 2.0, U, "none"), expects=softmax_conjugate_gradient_recurrence(2.0, U, "none"), n_support=2),
    "softmax cg, jacobi": Certified(softmax_conjugate_gradient(2, 2, 0.5, None, "jacobi"), expects=softmax_conjugate_gradient_recurrence(0.5, None, "jacobi"), n_support=2),
    "pipelined": Certified(pipelined_conjugate_gradient(2, 2, 0.5), expects=pipelined_recurrence(0.5), n_support=2),
    "pipelined, U, jacobi": Certified(pipelined_conjugate_gradient(2, 2, 0.5, U, "jacobi"), expects=pipelined_recurrence(0.5, U, "jacobi"), n_support=2),
}


def as_built(network: ConstructedTransformer) -> dict[str, Tensor]:
    """The weights of a network as they are: what a theorem on it states."""
    return network.transformer.state_dict()


def feature_doubled(network: ConstructedTransformer) -> dict[str, Tensor]:
    """A mutant that every certificate must refuse: the embedding reads the first feature as twice what it is."""
    weights = network.transformer.state_dict()
    W_E = weights["W_E"].clone()
    W_E[network.program.inputs["phi"].start] *= 2
    return weights | {"W_E": W_E}


def target_added(network: ConstructedTransformer) -> dict[str, Tensor]:
    """Another: the embedding also writes the target into the last direction of the stream."""
    weights = network.transformer.state_dict()
    W_E = weights["W_E"].clone()
    W_E[network.program.inputs["y"], -1] += 1
    return weights | {"W_E": W_E}


