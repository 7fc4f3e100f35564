"""How fast the error of conjugate gradient falls, beside the rate that the condition number promises."""

import numpy as np
import torch

from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.studies.conditioning import KEPT
from metarep_lib.studies.sweep import Swept
from metarep_lib.tasks import SPECTRA

__all__ = ["of_many", "of_networks", "promised", "rate"]

Found = dict[tuple[str, int, float], float]  # (spectrum, number of eigenvalues, condition number)


def rate(error: np.ndarray, at: np.ndarray) -> float:
    """Fall of ln(error) per step between the last step above a tenth and the first at 1e-8, or the last there is.

    >>> round(rate(0.5 ** np.arange(10), np.arange(10)), 6)  # ln 2
    0.693147
    """
    error = error.clip(1e-8, 1)
    i, j = np.nonzero(error > 0.1)[0][-1], np.nonzero(error == error.min())[0][0]
    return float(np.log(error[i] / error[j]) / (at[j] - at[i]))


def promised(kappa: float) -> float:
    """ln((sqrt(kappa) + 1) / (sqrt(kappa) - 1)).

    >>> round(promised(9.0), 6)  # ln 2
    0.693147
    """
    return float(np.log((np.sqrt(kappa) + 1) / (np.sqrt(kappa) - 1)))


def of_networks(swept: Swept) -> Found:
    """Of networks on 32 eigenvalues in the sweep `conditioning`, median over seeds; none where sixty steps were not enough."""
    found: Found = {}
    for kind in swept.knobs["kind"][:4]:
        for kappa in swept.knobs["kappa"][1:]:
            errors = swept.values("cg_error", kind=kind, basis="rotated", kappa=kappa)
            if (errors <= 0.1).any(axis=1).all():
                found[kind, 32, kappa] = float(np.median([rate(error, KEPT) for error in errors]))
    return found


def of_many(kappas: tuple[float, ...], n: int) -> Found:
    """Of conjugate gradient on n eigenvalues, median over five draws of random targets."""
    generator, found = np.random.default_rng(0), {}
    for kappa in kappas:
        many = {name: SPECTRA[name](kappa, n) for name in ("spread", "geometric", "power law")}
        many["random"] = np.r_[1, generator.uniform(1, kappa, n - 2), kappa]
        for kind, values in many.items():
            shares = torch.from_numpy(generator.chisquare(1, (5, n)) / values)
            errors = spectral.conjugate_gradient_errors(torch.from_numpy(values), shares, 120)
            fell = [rate(error, np.arange(121)) for error in errors.mT.numpy()]
            found[kind, n, kappa] = float(np.median(fell))
    return found
