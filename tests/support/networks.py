"""Every constructed network with a certificate: a small program, and the recurrence it runs. One table for every test of mutants.

Two features (one input where the network makes features of it, one for two outputs), two steps, three supports; two with softmax heads.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from metarep_lib import Program
from metarep_lib.certify import Recurrence
from metarep_lib.certify.recurrences import dual, primal, softmax
from metarep_lib.construct import algorithms
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
    "gradient descent": Certified(algorithms.gradient_descent(2, 2, 0.25), expects=dual.gradient_descent_recurrence(0.25)),
    "gradient descent, two outputs": Certified(algorithms.gradient_descent(2, 2, 0.25, n_outputs=2), expects=dual.gradient_descent_recurrence(0.25)),
    "narrow": Certified(algorithms.narrow_gradient_descent(2, 2, 0.25), expects=dual.narrow_gradient_descent_recurrence(0.25)),
    "narrow with the ridge": Certified(algorithms.narrow_ridge_gradient_descent(2, 2, 0.25), expects=dual.narrow_ridge_gradient_descent_recurrence(0.25)),
    "chebyshev": Certified(algorithms.chebyshev(2, 2, 0.25, 3.0), expects=dual.chebyshev_recurrence(0.25, 3.0, 2)),
    "newton-schulz": Certified(algorithms.newton_schulz(2, 2, 0.25), expects=dual.newton_schulz_recurrence(0.25)),
    "conjugate gradient": Certified(algorithms.conjugate_gradient(2, 2), expects=dual.conjugate_gradient_recurrence()),
    "conjugate gradient, two outputs": Certified(algorithms.conjugate_gradient(2, 2, n_outputs=2), expects=dual.conjugate_gradient_recurrence()),
    "conjugate gradient, all to all": Certified(all_to_all(algorithms.conjugate_gradient(2, 2)), expects=dual.all_to_all_recurrence(dual.conjugate_gradient_recurrence())),
    "polynomial features": Certified(on_polynomial_features(algorithms.conjugate_gradient(4, 2), 1), expects=dual.features_first(dual.conjugate_gradient_recurrence())),
    "two blocks": Certified(algorithms.two_block_conjugate_gradient(2, 2), expects=dual.two_block_recurrence()),
    "two blocks, two outputs": Certified(algorithms.two_block_conjugate_gradient(1, 2, n_outputs=2), expects=dual.two_block_recurrence(2)),
    "jacobi": Certified(algorithms.jacobi_conjugate_gradient(2, 2), expects=dual.jacobi_recurrence()),
    "block, two outputs": Certified(algorithms.block_conjugate_gradient(1, 2, 2, 0.25), expects=dual.block_recurrence(2, 0.25)),
    "one block": Certified(algorithms.one_block_conjugate_gradient(2, 4, 0.5), expects=dual.one_block_recurrence(0.5)),
    "causal": Certified(algorithms.causal_conjugate_gradient(2, 2), expects=primal.causal_recurrence()),
    "feature scaled": Certified(algorithms.feature_scaled_conjugate_gradient(2, 2), expects=primal.feature_scaled_recurrence()),
    "gram chebyshev": Certified(algorithms.gram_chebyshev(2, 2, 0.25, 3.0), expects=primal.gram_chebyshev_recurrence(2, 0.25, 3.0, 2)),
    "gram chebyshev, causal": Certified(algorithms.gram_chebyshev(2, 2, 0.25, 3.0, causal=True), expects=primal.gram_chebyshev_recurrence(2, 0.25, 3.0, 2, causal=True)),
    "gram conjugate gradient": Certified(algorithms.gram_conjugate_gradient(2, 2), expects=primal.gram_conjugate_gradient_recurrence(2)),
    "gram conjugate gradient, causal": Certified(algorithms.gram_conjugate_gradient(2, 2, causal=True), expects=primal.gram_conjugate_gradient_recurrence(2, causal=True)),
    "gram squaring": Certified(algorithms.gram_squaring(2, 2, 0.25), expects=primal.gram_squaring_recurrence(2, 0.25)),
    "gram squaring, causal": Certified(algorithms.gram_squaring(2, 2, 0.25, causal=True), expects=primal.gram_squaring_recurrence(2, 0.25, causal=True)),
    "richardson": Certified(algorithms.richardson(2, 2, 0.5), expects=softmax.richardson_recurrence(0.5), n_support=2),
    "richardson, U": Certified(algorithms.richardson(2, 2, 0.5, U), expects=softmax.richardson_recurrence(0.5, U), n_support=2),
    "softmax cg": Certified(algorithms.softmax_conjugate_gradient(2, 2, 0.5), expects=softmax.softmax_conjugate_gradient_recurrence(0.5), n_support=2),
    "softmax cg, U, plain": Certified(algorithms.softmax_conjugate_gradient(2, 2, 2.0, U, "none"), expects=softmax.softmax_conjugate_gradient_recurrence(2.0, U, "none"), n_support=2),
    "softmax cg, jacobi": Certified(algorithms.softmax_conjugate_gradient(2, 2, 0.5, None, "jacobi"), expects=softmax.softmax_conjugate_gradient_recurrence(0.5, None, "jacobi"), n_support=2),
    "pipelined": Certified(algorithms.pipelined_conjugate_gradient(2, 2, 0.5), expects=softmax.pipelined_recurrence(0.5), n_support=2),
    "pipelined, U, jacobi": Certified(algorithms.pipelined_conjugate_gradient(2, 2, 0.5, U, "jacobi"), expects=softmax.pipelined_recurrence(0.5, U, "jacobi"), n_support=2),
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


