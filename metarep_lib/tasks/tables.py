"""Any column of a real table from all the others: many small regressions nobody designed.

Wine: 13 chemical measurements of 178 wines. Diabetes: ten measurements of 442 patients and the progression of the disease.
Both ship with scikit-learn.
"""

import numpy as np
import torch
from sklearn.datasets import load_diabetes, load_wine

from metarep_lib.asked import asked, at_least
from metarep_lib.prompt import Prompt
from metarep_lib.tasks.diabetes import standardise
from metarep_lib.tasks.sphere import on_sphere


@asked()
def load_table(name: str) -> np.ndarray:
    """[rows, columns] the wine or the diabetes table, in its own units.

    Raises:
        ValueError: another name.

    >>> load_table("wine").shape, load_table("diabetes").shape
    ((178, 13), (442, 11))
    """
    if name == "wine":
        return load_wine().data
    if name == "diabetes":
        patients = load_diabetes(scaled=False)
        return np.column_stack([patients.data, patients.target])
    raise ValueError(f"load_table({name!r}): there are 'wine' and 'diabetes'")


@asked(column=at_least(0), seed=at_least(0))
def column_prompt(
    name: str, column: int, n_support: int, n_query: int, *, ridge: float = 1.0, seed: int
) -> Prompt:
    """One column as target, the others as features on the unit sphere, standardised by the supports alone, float64.

    Args:
        name: of the table.
        column: the target.
        n_support: k >= 2 rows with target.
        n_query: q other rows; their targets are `y_query`.
        ridge: lambda.
        seed: which rows.

    Raises:
        ValueError: an unknown table, or more rows than it has.

    >>> column_prompt("wine", 0, n_support=80, n_query=80, seed=0).phi.shape
    torch.Size([80, 12])
    """
    table = load_table(name)
    if n_support < 2 or n_query < 0 or n_support + n_query > len(table):
        raise ValueError(
            f"column_prompt({name!r}, n_support={n_support}, n_query={n_query}): expected n_support >= 2 and at most {len(table)} rows together,"
            " e.g. n_support=80, n_query=80"
        )
    rows = np.random.default_rng(seed).permutation(len(table))[: n_support + n_query]
    (values,) = standardise(table[None, rows], n_support)
    x, y = on_sphere(np.delete(values, column, axis=1)), values[:, column]
    parts = x[:n_support], y[:n_support].copy(), x[n_support:], y[n_support:].copy()
    phi, y, phi_query, y_query = map(torch.from_numpy, parts)
    return Prompt(phi, y, phi_query, ridge=ridge, y_query=y_query).rounded()
