"""How good answers are, beside those of somebody who knows no features: the mean of the targets, or the most frequent class."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from metarep_lib.evidence.intervals import paired_interval

FEWEST = 10
"""Rows below which an interval says nothing."""


@dataclass(frozen=True)
class Quality:
    """Answers where the target is known.

    Args:
        truth: [n] numbers, or labels.
        answers: [n] of the network.
        baseline: [n] of who knows no features.
        classes: whether they are labels.
    """

    truth: np.ndarray
    answers: np.ndarray
    baseline: np.ndarray
    classes: bool

    @property
    def error(self) -> float:
        """The mean of |answer - target|, or the share of wrong classes."""
        return float(errors(self.answers, self.truth, self.classes).mean())

    @property
    def baseline_error(self) -> float:
        return float(errors(self.baseline, self.truth, self.classes).mean())

    @property
    def explained(self) -> float:
        """1 - (sum of squared errors) / (that of the baseline), of numbers."""
        squares = [
            float(np.square(said - self.truth).sum()) for said in (self.answers, self.baseline)
        ]
        return 1 - squares[0] / squares[1] if squares[1] else float("nan")

    @property
    def gain(self) -> tuple[float, float, float] | None:
        """How much smaller the error is than the baseline's, with a paired bootstrap interval of 95 %; None for a few rows."""
        if len(self.truth) < FEWEST:
            return None
        difference = errors(self.baseline, self.truth, self.classes) - errors(
            self.answers, self.truth, self.classes
        )
        mean, low, high = paired_interval(torch.from_numpy(difference))
        return mean, low, high


def errors(said: np.ndarray, truth: np.ndarray, classes: bool) -> np.ndarray:
    """[n] distances of numbers, or 1 for a wrong class."""
    return (said != truth).astype(float) if classes else np.abs(said - truth)


def of_asked(answers: np.ndarray, truth: np.ndarray, taught: np.ndarray, classes: bool) -> Quality:
    """Answers at rows that did not teach, beside the mean or the most frequent class of those that did."""
    baseline = np.full(len(truth), most_frequent(taught) if classes else taught.mean())
    return Quality(truth, answers, baseline.astype(truth.dtype), classes)


def of_left_out(answers: np.ndarray, taught: np.ndarray, classes: bool) -> Quality:
    """Answers at every teaching row from the others, beside the mean or the most frequent class of the others."""
    n = len(taught)
    if not classes:
        return Quality(taught, answers, (taught.sum() - taught) / (n - 1), classes)
    counts = Counter(taught.tolist())
    baseline = [most_frequent_of(counts - Counter([label])) for label in taught.tolist()]
    return Quality(taught, answers, np.array(baseline, dtype=object), classes)


def most_frequent(labels: np.ndarray) -> str:
    return most_frequent_of(Counter(labels.tolist()))


def most_frequent_of(counts: Counter) -> str:
    """Of equally frequent ones the first in the alphabet."""
    return min(counts, key=lambda label: (-counts[label], label))
