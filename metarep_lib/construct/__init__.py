"""What the weights say: programs over named directions, and the assembly that makes them weights."""

from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    copied_gradient_descent,
    gradient_descent,
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
    jacobi_conjugate_gradient,
    kernel_product,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    newton_schulz,
    one_block_conjugate_gradient,
    pipelined_conjugate_gradient,
    repeat_context,
    richardson,
    softmax_conjugate_gradient,
    softmax_smoother,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.assemble import ConstructedTransformer, SinkUnderflow, assemble
from metarep_lib.construct.basis import Basis
from metarep_lib.construct.communication import all_to_all
from metarep_lib.construct.describe import describe
from metarep_lib.construct.features import on_frozen_stack, on_polynomial_features
from metarep_lib.construct.program import GUARD, Form, Head, Layer, Product, Program, ProgramError, Write
from metarep_lib.construct.stencil import central_difference, with_softmax_products
from metarep_lib.construct.tokens import bare_tokens, input_basis, prefix_mask, token_groups, tokenise
from metarep_lib.construct.wiring import Wire, wiring

__all__ = [
    "GUARD",
    "Basis",
    "ConstructedTransformer",
    "Form",
    "Head",
    "Layer",
    "Product",
    "Program",
    "ProgramError",
    "SinkUnderflow",
    "Wire",
    "Write",
    "all_to_all",
    "assemble",
    "bare_tokens",
    "block_conjugate_gradient",
    "causal_conjugate_gradient",
    "central_difference",
    "chebyshev",
    "conjugate_gradient",
    "copied_gradient_descent",
    "describe",
    "gradient_descent",
    "gram_chebyshev",
    "gram_conjugate_gradient",
    "gram_squaring",
    "input_basis",
    "jacobi_conjugate_gradient",
    "kernel_product",
    "narrow_gradient_descent",
    "narrow_ridge_gradient_descent",
    "newton_schulz",
    "on_frozen_stack",
    "on_polynomial_features",
    "one_block_conjugate_gradient",
    "pipelined_conjugate_gradient",
    "prefix_mask",
    "repeat_context",
    "richardson",
    "softmax_conjugate_gradient",
    "softmax_smoother",
    "token_groups",
    "tokenise",
    "two_block_conjugate_gradient",
    "wiring",
    "with_softmax_products",
]
