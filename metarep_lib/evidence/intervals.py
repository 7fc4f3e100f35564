"""Intervals by resampling."""

import numpy as np
from torch import Tensor

from metarep_lib.asked import asked, at_least, floats


@asked(difference=floats("B"), n_resamples=at_least(1))
def paired_interval(difference: Tensor, n_resamples: int = 2000) -> list[float]:
    """Mean of paired differences, [B], and the ends of its 95 % bootstrap interval, resampling prompts.

    >>> import torch
    >>> paired_interval(torch.ones(8))
    [1.0, 1.0, 1.0]
    """
    values = difference.double().numpy()
    picks = np.random.default_rng(0).integers(len(values), size=(n_resamples, len(values)))
    return [float(values.mean()), *np.quantile(values[picks].mean(1), [0.025, 0.975]).tolist()]
