"""Real data as prompts: the diabetes study of Efron, Hastie, Johnstone and Tibshirani (2004).

442 patients, ten measurements each, and the progression of the disease one year later. It ships
with scikit-learn. A prompt shows some patients with their outcome and asks for others.
"""

import numpy as np
import torch
from sklearn.datasets import load_diabetes

from metarep_lib.asked import asked, at_least
from metarep_lib.prompt import Prompt


@asked(
    seed=at_least(0),
    n_prompts=at_least(1),
)
def diabetes_prompt(
    n_support: int,
    n_query: int,
    ridge: float,
    *,
    seed: int,
    n_prompts: int | None = None,
    among: np.ndarray | None = None,
) -> Prompt:
    """Patients as supports and queries, standardised by the *supports* alone, float64.

    Features and outcome are shifted and scaled by the mean and standard deviation over the
    supports of each prompt (a measurement that is constant there is only shifted), so that
    nothing of a query enters what the supports see.

    Args:
        n_support: k >= 2 patients with outcome.
        n_query: q other patients.
        ridge: lambda.
        seed: which patients; prompts of a batch draw independently.
        n_prompts: batch size; None gives one prompt without a batch axis.
        among: the patients to draw from, by their number in the study; all of them when None.

    Raises:
        ValueError: more patients asked for than there are.

    >>> prompt = diabetes_prompt(n_support=40, n_query=20, ridge=1.0, seed=0)
    >>> prompt.phi.shape, prompt.y_query.shape
    (torch.Size([40, 10]), torch.Size([20]))
    """
    X, outcome = load_diabetes(return_X_y=True, scaled=False)
    if among is not None:
        X, outcome = X[among], outcome[among]
    if n_support < 2 or n_query < 0 or n_support + n_query > len(outcome):
        raise ValueError(
            f"diabetes_prompt(n_support={n_support}, n_query={n_query}): expected n_support >= 2 and at most"
            f" {len(outcome)} patients together, e.g. n_support=40, n_query=20"
        )
    rng = np.random.default_rng(seed)
    patients = np.stack(
        [rng.permutation(len(outcome))[: n_support + n_query] for _ in range(n_prompts or 1)]
    )
    X, outcome = X[patients], outcome[patients, None]  # [prompts, k + q, 10], [prompts, k + q, 1]
    X, y = (standardise(values, n_support) for values in (X, outcome))
    parts = X[:, :n_support], y[:, :n_support, 0], X[:, n_support:], y[:, n_support:, 0]
    phi, y, phi_query, y_query = (
        torch.from_numpy(part if n_prompts else part[0]).contiguous() for part in parts
    )
    return Prompt(phi, y, phi_query, ridge=ridge, y_query=y_query).rounded()


def standardise(values: np.ndarray, n_support: int) -> np.ndarray:
    """[prompts, k + q, channels] with mean 0 and standard deviation 1 over the first k rows."""
    supports = values[:, :n_support]
    # the computed spread of equal numbers need not be 0
    varies = np.ptp(supports, axis=1, keepdims=True) > 0
    spread = np.where(varies, supports.std(axis=1, keepdims=True), 1.0)
    return (values - supports.mean(axis=1, keepdims=True)) / spread
