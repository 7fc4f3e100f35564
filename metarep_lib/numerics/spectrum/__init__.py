"""What the eigenvalues say: errors of every step, filters, and how many steps are needed."""

from metarep_lib.numerics.spectrum import depth_laws, errors
from metarep_lib.numerics.spectrum.filters import (
    Filter,
    PolynomialFilter,
    Spectrum,
    best_polynomial,
    krylov_degree,
    tune,
)

__all__ = [
    "Filter",
    "PolynomialFilter",
    "Spectrum",
    "best_polynomial",
    "depth_laws",
    "errors",
    "krylov_degree",
    "tune",
]
