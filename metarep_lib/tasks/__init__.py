"""The question: prompts made of synthetic or real data."""

from metarep_lib.tasks.classes import class_prompt
from metarep_lib.tasks.real import diabetes_prompt
from metarep_lib.tasks.synthetic import geometric_spectrum, synthetic_prompt

__all__ = ["class_prompt", "diabetes_prompt", "geometric_spectrum", "synthetic_prompt"]
