"""The question: prompts made of synthetic or real data, and laws of tasks to train on."""

from metarep_lib.tasks.priors import Draw, ExponentialPrior, LinearPrior, Prior, bayes, bayes_risk
from metarep_lib.tasks.real import diabetes_prompt
from metarep_lib.tasks.spectra import SPECTRA, crowded
from metarep_lib.tasks.synthetic import geometric_spectrum, synthetic_prompt

__all__ = [
    "SPECTRA",
    "Draw",
    "ExponentialPrior",
    "LinearPrior",
    "Prior",
    "bayes",
    "bayes_risk",
    "crowded",
    "diabetes_prompt",
    "geometric_spectrum",
    "synthetic_prompt",
]
