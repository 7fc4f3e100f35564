"""Tables that ship with packages, answered by constructed networks: do they solve, and what is the answer worth?

Six tables come with scikit-learn, twelve with statsmodels, which is needed for these alone (`pip install "metarep_lib[tables]"`).
Of a table at most 400 rows are drawn, of these two thirds are supports and the rest queries; `metarep_lib.solve` chooses everything
else by the supports. Held against two things that know no network: a Cholesky solution of the same system, and what a user
of scikit-learn would take, which chooses a ridge (and for the exponential kernel a width) of its own:

    linear        RidgeCV, RidgeClassifierCV
    exponential   KernelRidge with a Gaussian kernel, ridge and width by five-fold cross-validation
"""

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from sklearn import datasets
from sklearn.base import BaseEstimator
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from metarep_lib.asked import asked, at_least
from metarep_lib.estimators import Answer, solve
from metarep_lib.numerics import relative_error, solvers
from metarep_lib.studies.sweep import Sweep, Swept
from metarep_lib.warned import NumericalWarning

__all__ = ["SIZES", "SWEEP", "TABLES", "answered", "held_out", "medians", "risk", "run", "split"]

Rows = tuple[np.ndarray, np.ndarray]
Split = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
SEEDS = (0, 1, 2, 3, 4)
LARGEST = 400

FROM_SKLEARN: dict[str, Callable] = {
    "diabetes": lambda return_X_y: datasets.load_diabetes(return_X_y=return_X_y, scaled=False),
    "linnerud": datasets.load_linnerud,
    "wine": datasets.load_wine,
    "iris": datasets.load_iris,
    "breast cancer": datasets.load_breast_cancer,
    "digits": datasets.load_digits,
}
FROM_STATSMODELS = {
    "longley": ("TOTEMP", ""),
    "cpunish": ("EXECUTIONS", ""),
    "stackloss": ("STACKLOSS", ""),
    "copper": ("WORLDCONSUMPTION", ""),
    "scotland": ("YES", ""),
    "statecrime": ("murder", ""),
    "elnino": ("DEC", "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV"),
    "ccard": ("AVGEXP", ""),
    "star98": ("NABOVE", ""),
    "fair": ("affairs", ""),
    "randhie": ("mdvis", ""),
    "anes96": ("vote", "logpopul TVnews selfLR ClinLR DoleLR PID age educ income"),
}
"""What is asked for, and by which columns; without any, by those that the package calls explanatory."""

CLASSES = ("wine", "iris", "breast cancer", "digits", "anes96")
SIZES = ("supports", "features", "outputs", "kappa", "steps", "blocks", "away")
TABLES = (*FROM_SKLEARN, *FROM_STATSMODELS)


@cache
def table(name: str) -> Rows:
    """[n, p] features and [n] or [n, m] targets of one of `TABLES`, in their own units.

    Raises:
        ValueError: a name that is not among them.
        ModuleNotFoundError: a table of statsmodels without statsmodels.

    >>> [array.shape for array in table("linnerud")]
    [(20, 3), (20, 3)]
    """
    if name in FROM_SKLEARN:
        return FROM_SKLEARN[name](return_X_y=True)
    if name not in FROM_STATSMODELS:
        raise ValueError(f"table({name!r}): there are {', '.join(TABLES)}")
    from statsmodels import datasets as shipped  # an extra, for these tables alone

    target, columns = FROM_STATSMODELS[name]
    held = getattr(shipped, name).load_pandas()
    X = (held.data[columns.split()] if columns else held.exog).to_numpy(float)
    y = held.data[target].to_numpy(float)
    if name == "star98":  # of so many pupils as there are, the share
        y = y / (y + held.data["NBELOW"].to_numpy(float))
    return X, y


@asked(seed=at_least(0))
def split(name: str, seed: int) -> Split:
    """Supports and queries: X, y, X_query and y_query of a table, at most 400 rows, two thirds of them supports.

    >>> X, y, X_query, y_query = split("iris", seed=0)
    >>> len(X), len(X_query)
    (100, 50)
    """
    X, y = table(name)
    rows = np.random.default_rng([seed, 2027]).permutation(len(X))[:LARGEST]
    supports, queries = np.split(rows, [2 * len(rows) // 3])
    return X[supports], y[supports], X[queries], y[queries]


def answered(name: str, kernel: str, drawn: Split, **given: object) -> Answer:
    """What a network made for the supports says, without the warnings."""
    X, y, X_query, _ = drawn
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NumericalWarning)
        return solve(X, y, X_query, kernel=kernel, classes=name in CLASSES, **given)


def risk(name: str, said: np.ndarray | Sequence, drawn: Split) -> float:
    """Of classes the share that is wrong; of numbers the squared error over that of the supports' mean, on average over outputs.

    >>> drawn = split("diabetes", seed=0)
    >>> round(risk("diabetes", np.full(len(drawn[3]), drawn[1].mean()), drawn), 12)
    1.0
    """
    _, y, _, truth = drawn
    if name in CLASSES:
        return float(np.mean(np.asarray(said) != truth))
    error, mean = (np.square(one - truth).mean(0) for one in (np.asarray(said), y.mean(0)))
    return float(np.mean(error / mean))


def held_out(name: str, answer: Answer, drawn: Split) -> float:
    """The risk of an answer at its queries."""
    said = answer.labels if name in CLASSES else answer.prediction.numpy()
    return risk(name, said, drawn)


def from_oracle(answer: Answer) -> float:
    """||f - f*|| / ||f*|| over queries and outputs, f* by Cholesky, standardised."""
    system, units = answer.system, answer.units
    exact = system.predict(solvers.cholesky(system).alpha)
    said = (answer.prediction - units.mean) / units.spread
    return float(relative_error(said.flatten(), exact.flatten()))


def theirs(name: str, kernel: str, drawn: Split) -> float:
    """The risk of scikit-learn's own estimator, on the same split."""
    X, y, X_query, _ = drawn
    if kernel == "linear":
        made = RidgeClassifierCV if name in CLASSES else RidgeCV
        chosen = made(alphas=len(X) * np.logspace(-6, 4, 41))
        return risk(name, make_pipeline(StandardScaler(), chosen).fit(X, y).predict(X_query), drawn)
    labels = np.unique(y)
    targets = (y[:, None] == labels).astype(float) if name in CLASSES else y
    mean = targets.mean(0)
    said = mean + gaussian().fit(X, targets - mean).predict(X_query)
    return risk(name, labels[said.argmax(-1)] if name in CLASSES else said, drawn)


def gaussian() -> BaseEstimator:
    """Kernel ridge regression by e^(-gamma |x - x'|^2) of standardised features, gamma and ridge chosen by cross-validation."""
    grid = {
        "kernelridge__alpha": np.logspace(-4, 2, 7),
        "kernelridge__gamma": np.logspace(-4, 0, 9),
    }
    model = make_pipeline(StandardScaler(), KernelRidge(kernel="rbf"))
    return GridSearchCV(model, grid, scoring="neg_mean_squared_error", cv=5)


def run(table: str, kernel: str, seed: int) -> dict:
    """One point: sizes, condition number, what the network took, how far it is from Cholesky, and both risks."""
    drawn = split(table, seed)
    answer = answered(table, kernel, drawn)
    prompt = answer.prompt
    return {
        "supports": prompt.n_support,
        "features": prompt.n_features,
        "outputs": prompt.n_outputs,
        "kappa": float(answer.system.condition_number),
        "ridge": answer.ridge,
        "steps": answer.steps,
        "blocks": answer.blocks,
        "residual": answer.residual,
        "away": from_oracle(answer),
        "risk": held_out(table, answer, drawn),
        "theirs": theirs(table, kernel, drawn),
    }


SWEEP = Sweep("your-tables", {"table": TABLES, "kernel": ["linear", "exponential"]}, SEEDS, run)


def medians(swept: Swept, results: Sequence[str], **fixed: str) -> np.ndarray:
    """[tables, results] medians over the splits."""
    return np.stack([np.median(swept.values(name, **fixed), -1) for name in results], -1)
