"""MetaRep: in-context learning as kernel ridge regression, in weights that run.

    prompt     the question as data
    network    one plain decoder                          what runs
    construct  programs over a named residual stream      what the weights say
    numerics   kernels, solvers, bounds                   the answer
    tasks      synthetic and real prompts                 the question
    evidence   certificates and mutants                   the experiments
    show       claims and figures                         the reader

>>> from metarep_lib import assemble, conjugate_gradient, diabetes_prompt, ridge_system, solvers
>>> prompt = diabetes_prompt(n_support=40, n_query=20, ridge=1.0, seed=0)
>>> network = assemble(conjugate_gradient(prompt.n_features, steps=12))
>>> system = ridge_system(prompt)
>>> oracle = system.predict(solvers.cholesky(system).alpha)
>>> bool((network.predict(prompt) - oracle).abs().max() < 1e-9)
True
"""

from metarep_lib.construct import (
    ConstructedTransformer,
    Program,
    ProgramError,
    SinkUnderflow,
    assemble,
    block_conjugate_gradient,
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    jacobi_conjugate_gradient,
    kernel_product,
    newton_schulz,
    on_frozen_stack,
    on_polynomial_features,
    pipelined_conjugate_gradient,
    richardson,
    softmax_conjugate_gradient,
    softmax_smoother,
    two_block_conjugate_gradient,
)
from metarep_lib.network import (
    CausalMask,
    PairCausalMask,
    PrefixMask,
    Trace,
    Transformer,
    TransformerConfig,
)
from metarep_lib.numerics import (
    ExponentialKernel,
    Outcome,
    RidgeSystem,
    Solution,
    conjugate_gradient_bound,
    gradient_descent_bound,
    linear_kernel,
    nadaraya_watson,
    prediction_factor,
    ridge_system,
    solvers,
)
from metarep_lib.prompt import Prompt, PromptError
from metarep_lib.tasks import class_prompt, diabetes_prompt, geometric_spectrum, synthetic_prompt

__version__ = "0.1.0"

__all__ = [
    "CausalMask",
    "ConstructedTransformer",
    "ExponentialKernel",
    "Outcome",
    "PairCausalMask",
    "PrefixMask",
    "Program",
    "ProgramError",
    "Prompt",
    "PromptError",
    "RidgeSystem",
    "SinkUnderflow",
    "Solution",
    "Trace",
    "Transformer",
    "TransformerConfig",
    "assemble",
    "block_conjugate_gradient",
    "causal_conjugate_gradient",
    "chebyshev",
    "class_prompt",
    "conjugate_gradient",
    "conjugate_gradient_bound",
    "diabetes_prompt",
    "geometric_spectrum",
    "gradient_descent",
    "gradient_descent_bound",
    "jacobi_conjugate_gradient",
    "kernel_product",
    "linear_kernel",
    "nadaraya_watson",
    "newton_schulz",
    "on_frozen_stack",
    "on_polynomial_features",
    "pipelined_conjugate_gradient",
    "prediction_factor",
    "richardson",
    "ridge_system",
    "softmax_conjugate_gradient",
    "softmax_smoother",
    "solvers",
    "synthetic_prompt",
    "two_block_conjugate_gradient",
]
