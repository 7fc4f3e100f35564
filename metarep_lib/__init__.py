"""MetaRep: in-context learning as kernel ridge regression, in weights that run.

    prompt     the question as data
    network    one plain decoder, and how it is asked      what runs
    construct  programs over a named residual stream       what the weights say
    numerics   kernels, solvers, bounds                    the answer
    tasks      synthetic and real prompts                  the question
    estimators from your arrays to an answer               the front door
    certify    certificates in exact arithmetic, mutants   statements held to account
    train      recipes, the loop, trained weights          networks that learn
    evidence   probes, interventions, identification       instruments for any network
    adapters   functions, estimators, modules              your own network
    examine    one report: identified, excluded, untold    your network
    studies    sweeps, transfer, a blind line-up           experiments
    show       claims and figures                          the reader

>>> from metarep_lib import assemble, conjugate_gradient, diabetes_prompt, ridge_system, solvers
>>> prompt = diabetes_prompt(n_support=40, n_query=20, ridge=1.0, seed=0)
>>> network = assemble(conjugate_gradient(prompt.n_features, steps=12))
>>> system = ridge_system(prompt)
>>> oracle = system.predict(solvers.cholesky(system).alpha)
>>> bool((network.predict(prompt) - oracle).abs().max() < 1e-9)
True

A name is imported when it is asked for: what a notebook does not use costs it nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from metarep_lib import moved

if TYPE_CHECKING:  # what HOMES says, for those who read and do not run
    from metarep_lib.certify import certify_end_to_end, certify_step
    from metarep_lib.construct import ConstructedTransformer, Program, assemble
    from metarep_lib.construct.algorithms import (
        chebyshev,
        conjugate_gradient,
        gradient_descent,
        newton_schulz,
        softmax_conjugate_gradient,
        two_block_conjugate_gradient,
    )
    from metarep_lib.estimators import solve
    from metarep_lib.network import Transformer
    from metarep_lib.numerics import RidgeSystem, ridge_system, solvers
    from metarep_lib.numerics.kernels import ExponentialKernel
    from metarep_lib.prompt import Prompt, PromptError
    from metarep_lib.studies import load_sweep
    from metarep_lib.tasks import diabetes_prompt, geometric_spectrum, synthetic_prompt
    from metarep_lib.train import load_trained

__version__ = "0.1.0"

# room -> the names that can be imported from here
HOMES = {
    "prompt": "Prompt PromptError",
    "network": "Transformer",
    "construct": "ConstructedTransformer Program assemble",
    "construct.algorithms": (
        "chebyshev conjugate_gradient gradient_descent newton_schulz softmax_conjugate_gradient "
        "two_block_conjugate_gradient"
    ),
    "numerics": "RidgeSystem ridge_system solvers",
    "numerics.kernels": "ExponentialKernel",
    "tasks": "diabetes_prompt geometric_spectrum synthetic_prompt",
    "certify": "certify_end_to_end certify_step",
    "estimators": "solve",
    "train": "load_trained",
    "studies": "load_sweep",
}

__all__ = [
    "ConstructedTransformer",
    "ExponentialKernel",
    "Program",
    "Prompt",
    "PromptError",
    "RidgeSystem",
    "Transformer",
    "assemble",
    "certify_end_to_end",
    "certify_step",
    "chebyshev",
    "conjugate_gradient",
    "diabetes_prompt",
    "geometric_spectrum",
    "gradient_descent",
    "load_sweep",
    "load_trained",
    "newton_schulz",
    "ridge_system",
    "softmax_conjugate_gradient",
    "solve",
    "solvers",
    "synthetic_prompt",
    "two_block_conjugate_gradient",
]

former = moved.names(__name__)


def __getattr__(name: str) -> object:
    for room, names in HOMES.items():
        if name in names.split():
            module = import_module(f"{__name__}.{room}")
            found = getattr(module, name, None)
            found = import_module(f"{module.__name__}.{name}") if found is None else found
            globals()[name] = found
            return found
    return former(name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
