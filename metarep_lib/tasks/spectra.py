"""Named spectra of K + lambda I: n eigenvalues from 1 to kappa, ascending, as an iteration meets them.

What an iteration needs is decided by eigenvalues and targets alone, so these stand for kinds of prompts: nothing to hold on to
(spread, geometric), few distinct values (four clusters), features that are not centred (one outlier), kernels of finite and of
infinite smoothness (power law, fast decay). `geometric_spectrum` alone is one of Phi^T Phi, the ridge being added later, and descends from 1.
"""

from collections.abc import Callable

import numpy as np

from metarep_lib.asked import asked, at_least, positive


def spread(kappa: float, n: int) -> np.ndarray:
    """Dense at both ends, as the extrema of a Chebyshev polynomial: the hardest for its number of eigenvalues.

    >>> spread(9.0, 3).tolist()
    [1.0, 5.0, 9.0]
    """
    return (kappa + 1 - (kappa - 1) * np.cos(np.linspace(0, np.pi, n))) / 2


def four_clusters(kappa: float, n: int) -> np.ndarray:
    """Four geometric scales, each blurred by about one part in a hundred.

    >>> np.round(four_clusters(1000.0, 4), -1).tolist()
    [0.0, 10.0, 100.0, 1000.0]
    """
    scale = np.geomspace(1, kappa, 4)[np.arange(n) * 4 // n]
    logs = np.log(np.sort(scale * np.random.default_rng(1).uniform(0.99, 1, size=n)))
    # from 1 to kappa exactly
    return np.exp((logs - logs[0]) / (logs[-1] - logs[0]) * np.log(kappa))


def one_outlier(kappa: float, n: int) -> np.ndarray:
    """All but one in [1, 4], the last at kappa.

    >>> one_outlier(100.0, 4).tolist()
    [1.0, 2.5, 4.0, 100.0]
    """
    return np.append(np.linspace(1, min(kappa, 4), n - 1), kappa)


def power_law(kappa: float, n: int) -> np.ndarray:
    """lambda = 1 and eigenvalues of K that fall like i^-2.

    >>> power_law(37.0, 3).tolist()
    [5.0, 10.0, 37.0]
    """
    return 1 + (kappa - 1) / np.arange(n, 0, -1.0) ** 2


def fast_decay(kappa: float, n: int) -> np.ndarray:
    """lambda = 1 and eigenvalues of K that fall like e^(-i / 2), as for a Gaussian kernel.

    >>> fast_decay(2.0, 2)[-1].item()
    2.0
    """
    return 1 + (kappa - 1) * np.exp(-np.arange(n - 1.0, -1, -1) / 2)


@asked(kappa=positive, n=at_least(1), q=positive)
def crowded(kappa: float, n: int, q: float = 0.7) -> np.ndarray:
    """1 + (i - 1) / (n - 1) (kappa - 1) q^(n - i): crowded below, lonely above, where rounding hurts most (Strakos 1991).

    >>> crowded(9.0, 3, q=0.5).tolist()
    [1.0, 3.0, 9.0]
    """
    i = np.arange(1, n + 1)
    return 1 + (i - 1) / (n - 1) * (kappa - 1) * q ** (n - i)


SPECTRA: dict[str, Callable[[float, int], np.ndarray]] = {
    "spread": spread,
    "geometric": lambda kappa, n: np.geomspace(1, kappa, n),
    "four clusters": four_clusters,
    "one outlier": one_outlier,
    "power law": power_law,
    "fast decay": fast_decay,
}


@asked(n=at_least(1), condition=positive)
def geometric_spectrum(n: int, condition: float) -> np.ndarray:
    """n eigenvalues from 1 down to 1 / condition, evenly spaced on a log scale.

    >>> geometric_spectrum(3, 100.0)
    array([1.  , 0.1 , 0.01])
    """
    return np.geomspace(1.0, 1.0 / condition, n)
