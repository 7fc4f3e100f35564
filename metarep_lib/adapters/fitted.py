"""Any estimator with `fit` and `predict`, fitted anew to the supports of every prompt."""

from copy import deepcopy
from dataclasses import dataclass, replace
from inspect import isclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone

from metarep_lib.adapters.function import FunctionAnswerer, as_answerer
from metarep_lib.asked import AskedWrongly, asked
from metarep_lib.contents import shown
from metarep_lib.prompt import Prompt, a_prompt


@dataclass(frozen=True)
class InContext:
    """(phi, y, phi_query) to the predictions of a fresh copy of an estimator; this one is never fitted."""

    estimator: Any

    def __call__(self, phi: np.ndarray, y: np.ndarray, phi_query: np.ndarray) -> Any:
        is_known = callable(getattr(self.estimator, "get_params", None))
        fresh = clone(self.estimator) if is_known else deepcopy(self.estimator)
        fresh.fit(phi, y)
        return fresh.predict(phi_query)


@asked(prompt=a_prompt(single=False, supports=2, queries=1))
def fitted_in_context(
    estimator: Any, prompt: Prompt, *, name: str | None = None
) -> FunctionAnswerer:
    """An estimator in the manner of scikit-learn as an answerer: fitted to the supports, asked at the queries.

    Args:
        estimator: an object with `fit(X, y)` and `predict(X)`, e.g. KernelRidge(alpha=0.1) or TabPFNRegressor(); a copy of it is
            fitted to every prompt, and what it has been fitted to before is forgotten. Its ridge is its own: that of a prompt is not read.
        prompt: one that it answers, on which it is tried.
        name: for errors; that of its class where there is none.

    Raises:
        AskedWrongly: no estimator, one that raises, or one whose answers depend on what it has seen before or on chance.

    >>> from sklearn.linear_model import Ridge
    >>> prompt = Prompt(torch.eye(2), torch.tensor([1.0, 2.0]), torch.eye(2), ridge=1.0)
    >>> fitted_in_context(Ridge(alpha=1.0, fit_intercept=False), prompt).predict(prompt)
    tensor([0.5000, 1.0000])
    """
    said = name or (estimator if isclass(estimator) else type(estimator)).__name__
    call = f"fitted_in_context({said})"
    if isclass(estimator):
        raise AskedWrongly(f"{call}: this is a class, expected an estimator; try {said}()")
    missing = [m for m in ("fit", "predict") if not callable(getattr(estimator, m, None))]
    if missing:
        raise AskedWrongly(
            f"{call}: {shown(estimator)} has no {' and no '.join(missing)}, expected an estimator with"
            " fit(X, y) and predict(X), e.g. Ridge(alpha=0.1); for a function as_answerer(predict, prompt)"
        )
    answerer = as_answerer(InContext(estimator), prompt, arrays="numpy", name=said)
    before = answerer.predict(prompt)
    answerer.predict(replace(prompt, y=prompt.y.flip(prompt.phi.ndim - 2) + 1, y_query=None))
    if not torch.equal(answerer.predict(prompt), before) or not answerer.traits.is_deterministic:
        raise AskedWrongly(
            f"{call}: its answers to one prompt differ from one time to the next, so that it draws at"
            " random or keeps what it was fitted to; expected a fit that starts anew; this would work:"
            " an estimator with random_state=0, whose fit uses nothing of an earlier one"
        )
    return answerer
