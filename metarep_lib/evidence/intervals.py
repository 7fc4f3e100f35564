"""Intervals: over prompts by resampling, over the few seeds of a recipe by Student's law of their logarithms."""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from torch import Tensor

from metarep_lib.asked import asked, at_least, each, floats, positive

OF_SEEDS = each(positive, example="[1.0, 10.0, 100.0]")


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


@asked(values=OF_SEEDS)
def over_seeds(values: Sequence[float] | np.ndarray) -> tuple[float, float, float]:
    """Geometric mean of positive values, one for each seed, and the ends of its 95 % interval; NaN ends for a single seed.

    Logarithms are taken as normal (Student 1908). With three seeds the interval is wide, as it should be.

    >>> mean, low, high = over_seeds([1.0, 10.0, 100.0])
    >>> round(mean), low < 1 < 100 < high
    (10, True)
    """
    logs = np.log(np.asarray(values, dtype=float))
    if len(logs) < 2:
        return float(np.exp(logs[0])), float("nan"), float("nan")
    half = scipy.stats.t.isf(0.025, len(logs) - 1) * logs.std(ddof=1) / len(logs) ** 0.5
    mean = logs.mean()
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


@asked(values=OF_SEEDS, others=OF_SEEDS)
def ratio_over_seeds(
    values: Sequence[float] | np.ndarray, others: Sequence[float] | np.ndarray
) -> tuple[float, float, float]:
    """Ratio of the geometric means of two groups of seeds and the ends of its 95 % interval (Welch 1947); NaN ends if one group is a single seed.

    >>> ratio_over_seeds([2.0, 2.0], [1.0, 1.0])
    (2.0, 2.0, 2.0)
    """
    logs, other_logs = (np.log(np.asarray(group, dtype=float)) for group in (values, others))
    difference = logs.mean() - other_logs.mean()
    low = high = float("nan")
    if min(len(logs), len(other_logs)) > 1:
        low = high = difference
        if logs.std() + other_logs.std() > 0:
            test = scipy.stats.ttest_ind(logs, other_logs, equal_var=False)
            low, high = test.confidence_interval()
    return float(np.exp(difference)), float(np.exp(low)), float(np.exp(high))
