"""How many steps a network of conjugate gradient takes to half of its digits, over random standardised prompts.

In exact arithmetic min(k, p + 1) steps are enough: K has at most p eigenvalues that are not zero, and the ridge adds one. Rounding
asks for more, the more so the larger the condition number, and for a large one float32 never gets there.
"""

import warnings

import numpy as np
import torch

from metarep_lib.construct import ConstructedTransformer, assemble
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.construct.digits import half_the_digits
from metarep_lib.numerics import ridge_system
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Sweep
from metarep_lib.warned import NumericalWarning

__all__ = ["SWEEP", "first_step", "posed", "run"]

DTYPES = {"float64": torch.float64, "float32": torch.float32}


def posed(features: int, rows: float, alike: float, ridge: float, seed: int) -> Prompt:
    """A standardised prompt in float64: rows a feature times as many supports as features, and at least four; a line with noise.

    Args:
        features: p.
        rows: k / p.
        alike: the correlation of any two features.
        ridge: lambda / p, of the mean of diag K.
        seed: of the draw.
    """
    rng = np.random.default_rng([seed, 2028])
    k = max(4, round(rows * features))
    X = np.sqrt(1 - alike) * rng.standard_normal((k, features))
    X += np.sqrt(alike) * rng.standard_normal((k, 1))
    y = X @ rng.standard_normal(features) + rng.standard_normal(k)
    return Prompt.from_arrays(X, y, X[:1], ridge=ridge * features)[0]


def first_step(network: ConstructedTransformer, prompt: Prompt) -> float:
    """The first step after which the relative residual is at most the root of the unit roundoff; inf where none is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        relative = network.run(prompt).relative_residual
    arrived = (relative <= half_the_digits(prompt.phi.dtype)).nonzero()
    return float(arrived[0]) if len(arrived) else np.inf


def run(features: int, rows: float, alike: float, ridge: float, seed: int) -> dict:
    """One point: min(k, p + 1), the condition number, and the first step that is near enough in float64 and in float32."""
    prompt = posed(features, rows, alike, ridge, seed)
    program = two_block_conjugate_gradient(features, steps=2 * features + 40)
    return {
        "exact": min(prompt.n_support, features + 1),
        "kappa": float(ridge_system(prompt).condition_number),
    } | {
        name: first_step(assemble(program, dtype=dtype), prompt.to(dtype))
        for name, dtype in DTYPES.items()
    }


SWEEP = Sweep(
    "steps-needed",
    {
        "features": [3, 10, 30],
        "rows": [0.5, 2.0, 8.0],
        "alike": [0.0, 0.9, 0.99],
        "ridge": [1e-6, 1e-4, 1e-2, 1.0],
    },
    [0, 1],
    run,
)
