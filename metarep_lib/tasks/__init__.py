"""The question: prompts made of synthetic or real data, and laws of tasks to train on."""

from metarep_lib import moved
from metarep_lib.tasks.classes import class_prompt
from metarep_lib.tasks.designs import clusters, designed_prompts, isotropic, spread
from metarep_lib.tasks.diabetes import diabetes_prompt
from metarep_lib.tasks.priors import (
    Draw,
    ExponentialPrior,
    LinearPrior,
    Prior,
    bayes,
    bayes_risk,
    bayes_untold,
)
from metarep_lib.tasks.shifts import Rescaled, SpherePrior, shifted
from metarep_lib.tasks.spectra import SPECTRA, crowded, geometric_spectrum
from metarep_lib.tasks.sphere import SphereTask, random_sphere_task, sphere_task
from metarep_lib.tasks.synthetic import synthetic_prompt
from metarep_lib.tasks.tables import column_prompt, load_table

__all__ = [
    "SPECTRA",
    "Draw",
    "ExponentialPrior",
    "LinearPrior",
    "Prior",
    "Rescaled",
    "SpherePrior",
    "SphereTask",
    "bayes",
    "bayes_risk",
    "bayes_untold",
    "class_prompt",
    "clusters",
    "column_prompt",
    "crowded",
    "designed_prompts",
    "diabetes_prompt",
    "geometric_spectrum",
    "isotropic",
    "load_table",
    "random_sphere_task",
    "shifted",
    "sphere_task",
    "spread",
    "synthetic_prompt",
]

__getattr__ = moved.names(__name__)
