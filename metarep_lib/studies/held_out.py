"""Does the oracle learn from its prompt? Its error at patients it has not seen, against that of the mean of the supports."""

import torch

from metarep_lib.studies.answers import answers
from metarep_lib.tasks import diabetes_prompt

__all__ = ["errors"]

N_PROMPTS, N_QUERY = 10, 100


def errors(n_support: int, device: torch.device | str = "cpu") -> dict[str, torch.Tensor]:
    """[10] root mean squared errors at 100 queries, in standard deviations of the outcomes there, by predictor.

    ``"oracle"`` is ridge regression with the ridge 1, ``"mean"`` the mean of the supports' targets.
    """
    prompts = diabetes_prompt(n_support, N_QUERY, 1.0, seed=n_support, n_prompts=N_PROMPTS)
    prompts = prompts.to(device)
    said = {"oracle": answers(prompts), "mean": prompts.y.mean(-1, keepdim=True)}
    return {
        name: (prediction - prompts.y_query).square().mean(-1).sqrt() / prompts.y_query.std(-1)
        for name, prediction in said.items()
    }
