"""Classification as regression with several outputs: the class of every support as a one-hot target.

Three data sets that ship with scikit-learn: handwritten digits (64 pixels, ten classes), wines (13 measurements, three
cultivars) and irises (4 measurements, three species). Since the targets of a support add up to one, the centred targets of
all classes add up to zero: their rank is one below the number of classes, up to rounding.
"""

from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_digits, load_iris, load_wine

from metarep_lib.asked import asked, at_least
from metarep_lib.prompt import Prompt
from metarep_lib.tasks.diabetes import standardise

DATA = {"digits": load_digits, "wine": load_wine, "iris": load_iris}


@asked(seed=at_least(0))
def class_prompt(
    data: Literal["digits", "wine", "iris"],
    n_support: int,
    n_query: int,
    ridge: float,
    *,
    seed: int,
) -> Prompt:
    """Labelled examples as supports, others as queries; features standardised, targets centred, by the *supports* alone, float64.

    Args:
        data: which data set.
        n_support: k >= 2 labelled examples.
        n_query: q other examples.
        ridge: lambda.
        seed: which examples.

    Returns:
        A prompt with y [k, m] and y_query [q, m], a column for each class; the class of a query is its largest entry.

    Raises:
        ValueError: an unknown data set, or more examples asked for than it has.

    >>> prompt = class_prompt("iris", n_support=60, n_query=20, ridge=1.0, seed=0)
    >>> prompt.phi.shape, prompt.n_outputs, bool(prompt.y.sum(-1).abs().max() < 1e-12)
    (torch.Size([60, 4]), 3, True)
    """
    if data not in DATA:
        raise ValueError(f"class_prompt(data={data!r}): expected one of {', '.join(DATA)}")
    X, labels = DATA[data](return_X_y=True)
    if n_support < 2 or n_query < 0 or n_support + n_query > len(labels):
        raise ValueError(
            f"class_prompt({data!r}, n_support={n_support}, n_query={n_query}): expected n_support >= 2 and at most {len(labels)} examples"
            " together, e.g. n_support=40, n_query=20"
        )
    chosen = np.random.default_rng(seed).permutation(len(labels))[: n_support + n_query]
    one_hot = np.eye(labels.max() + 1)[labels[chosen]]
    X = standardise(X[None, chosen], n_support)[0]
    Y = one_hot - one_hot[:n_support].mean(axis=0)
    phi, y, phi_query, y_query = map(
        torch.from_numpy, (X[:n_support], Y[:n_support], X[n_support:], Y[n_support:])
    )
    return Prompt(phi, y, phi_query, ridge=ridge, y_query=y_query).rounded()
