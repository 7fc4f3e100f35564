"""The network asked: in passes of as many rows as fit, and its answer for every teaching row from the others."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from metarep_lib.command.csv_table import BadFile
from metarep_lib.command.held_out import MOST
from metarep_lib.command.question import Question
from metarep_lib.estimators import Answer, solve
from metarep_lib.warned import DigitsLost, NotConverged, NumericalWarning, TemperatureOutOfRange

REMEDIES = {
    NotConverged: "a larger --ridge",
    TemperatureOutOfRange: "features without outliers (logarithms, ranks), or --kernel linear",
    DigitsLost: "targets in another unit, or --kernel linear",
}
"""What would work from the command line, where the library's message names arguments of its own."""


@dataclass(frozen=True)
class Answered:
    """What the network said.

    Args:
        values: [q] numbers, or labels.
        first: the answer of the first pass, with the network and the prompt.
        notes: what the library warned of, one line a kind.
    """

    values: np.ndarray
    first: Answer
    notes: tuple[str, ...]


def ask_all(
    question: Question,
    ridge: float | str,
    kernel: str,
    seen: Callable[[int], Callable[[], object]] | None = None,
) -> Answered:
    """The answers to a question; after the first pass with the ridge and the temperature that were chosen in it.

    Raises:
        BadFile: numbers that the library refuses.
    """
    X, y, X_query = question.X, question.y, question.X_query
    parts = [X_query[start : start + MOST] for start in range(0, len(X_query), MOST)]
    chosen = {"ridge": ridge, "tau": None}
    answers = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", NumericalWarning)
        for part in parts:
            try:
                answer = solve(
                    X, y, part, kernel=kernel, classes=question.classes, seen=seen, **chosen
                )
            except (ValueError, ArithmeticError) as error:
                raise BadFile(question.teaching.table.path, str(error)) from error
            answers.append(answer)
            chosen = {"ridge": answer.ridge, "tau": answer.tau}
    first_of_a_kind = {each.category: each.message for each in reversed(caught)}
    notes = tuple(note(message) for message in first_of_a_kind.values())
    return Answered(np.concatenate([said(answer) for answer in answers]), answers[0], notes)


def said(answer: Answer) -> np.ndarray:
    if answer.labels is None:
        return answer.prediction.numpy()
    return np.array(answer.labels, dtype=object)


def note(warning: Warning | str) -> str:
    """A warning in one line."""
    problem, _, remedy = str(warning).partition("; this would work: ")
    remedy = REMEDIES.get(type(warning), remedy)
    return " ".join(f"{problem}; this would work: {remedy}".split())


def left_out(answer: Answer) -> np.ndarray:
    r"""[k] what the solved system says at every teaching row when it is taught by the others.

    y_i - lambda (A^-1 y)_i / (lambda (A^-1)_ii - 1/k) with A = K + lambda I; 1/k is the intercept of the linear kernel. Scaling and ridge
    are those of all rows.
    """
    A, y, k = answer.system.A, answer.prompt.y, answer.prompt.n_support
    inverse = torch.linalg.inv_ex(A).inverse
    of_intercept = 1 / k if answer.tau is None else 0.0
    residual: Tensor = answer.ridge * (inverse @ y)
    share = answer.ridge * inverse.diagonal() - of_intercept
    prediction = y - residual / (share if y.ndim == 1 else share.unsqueeze(-1))
    if answer.units.labels is None:
        return answer.units.back(prediction).numpy()
    return np.array(answer.units.label(prediction), dtype=object)
