"""What the weights say: programs over named directions, and the assembly that makes them weights."""

from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    jacobi_conjugate_gradient,
    kernel_product,
    newton_schulz,
    pipelined_conjugate_gradient,
    richardson,
    softmax_conjugate_gradient,
    softmax_smoother,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.assemble import ConstructedTransformer, SinkUnderflow, assemble
from metarep_lib.construct.basis import Basis
from metarep_lib.construct.describe import describe
from metarep_lib.construct.features import on_frozen_stack, on_polynomial_features
from metarep_lib.construct.program import GUARD, Form, Head, Layer, Product, Program, ProgramError, Write
from metarep_lib.construct.tokens import input_basis, prefix_mask, token_groups, tokenise
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
    "assemble",
    "causal_conjugate_gradient",
    "chebyshev",
    "conjugate_gradient",
    "describe",
    "gradient_descent",
    "input_basis",
    "jacobi_conjugate_gradient",
    "kernel_product",
    "newton_schulz",
    "on_frozen_stack",
    "on_polynomial_features",
    "pipelined_conjugate_gradient",
    "prefix_mask",
    "richardson",
    "softmax_conjugate_gradient",
    "softmax_smoother",
    "token_groups",
    "tokenise",
    "two_block_conjugate_gradient",
    "wiring",
]
