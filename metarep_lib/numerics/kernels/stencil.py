r"""Dot products from exponentials: central differences of the exponential, their error, and the best spacing in floats.

    psi_J(x) = sum_{j=1}^{J} c_j (e^{jx} - e^{-jx}),     c_j = (-1)^{j+1} C(2J, J-j) / (j C(2J, J))

is the odd combination of 2 J exponentials that is closest to x at 0. Its error is known in closed form,

    psi_J(x) - x = (-1)^{J+1} / C(2J, J)  int_0^x (2 sinh(tau / 2))^{2J} dtau,

so that s is psi_J(eps s) / eps up to C_J eps^{2J} |s|^{2J+1} exp(J (eps s)^2 / 12) with C_J = (J!)^2 / (2J + 1)!.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import comb

import numpy as np
import torch
from torch import Tensor

from metarep_lib.contents import Contents

__all__ = [
    "StencilKernel",
    "best_spacing",
    "rounding_gain",
    "stencil_coefficients",
    "stencil_constant",
    "stencil_error",
    "stencil_error_in_floats",
]


def stencil_coefficients(pairs: int) -> tuple[Fraction, ...]:
    """c_1, ..., c_J, exactly.

    Raises:
        ValueError: pairs below one.

    >>> [str(c) for c in stencil_coefficients(3)]
    ['3/4', '-3/20', '1/60']
    """
    if pairs < 1:
        raise ValueError(
            f"stencil_coefficients({pairs}): expected at least one pair of exponentials, e.g. stencil_coefficients(1)"
        )
    return tuple(
        Fraction((-1) ** (j + 1) * comb(2 * pairs, pairs - j), j * comb(2 * pairs, pairs))
        for j in range(1, pairs + 1)
    )


def stencil_constant(pairs: int) -> Fraction:
    """C_J = (J!)^2 / (2J + 1)! = 1 / ((2J + 1) C(2J, J)): |psi_J(x) - x| / |x|^{2J+1} tends to it as x goes to 0.

    >>> [str(stencil_constant(pairs)) for pairs in (1, 2, 3)]
    ['1/6', '1/30', '1/140']
    """
    return Fraction(1, (2 * pairs + 1) * comb(2 * pairs, pairs))


@dataclass(frozen=True, eq=False, repr=False)
class StencilKernel(Contents):
    """K_ij = psi_J(eps s) / eps with s = <phi_i, phi'_j>; sinh(eps s) / eps for one pair.

    Formed with sinh, so that nothing cancels between exp(eps s) and exp(-eps s).

    Args:
        pairs: J, half the number of exponentials.
        spacing: eps, positive.

    Raises:
        ValueError: pairs below one or a spacing that is not positive.

    >>> StencilKernel(pairs=1, spacing=0.5)(torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 0.5]]))
    tensor([[7.2537]])
    """

    pairs: int
    spacing: float

    def __post_init__(self) -> None:
        if self.pairs < 1 or not self.spacing > 0:
            raise ValueError(
                f"{self}: expected pairs >= 1 and spacing > 0, e.g. StencilKernel(pairs=1, spacing=2**-4)"
            )

    def __call__(self, phi: Tensor, phi_other: Tensor) -> Tensor:
        x = self.spacing * (phi @ phi_other.mT)
        terms = (
            float(2 * c) * torch.sinh(j * x)
            for j, c in enumerate(stencil_coefficients(self.pairs), start=1)
        )
        return sum(terms) / self.spacing


def stencil_error(pairs: int, x: float) -> float:
    """E_J(x) = |psi_J(x) / x - 1|, the relative error at x = eps s; increasing in x > 0, 0 at 0.

    By Gauss-Legendre quadrature of the closed form, whose integrand is positive: no cancellation at small x.

    >>> bool(abs(stencil_error(1, 1.0) - (np.sinh(1.0) - 1)) < 1e-15)
    True
    """
    nodes, weights = np.polynomial.legendre.leggauss(2 * pairs + 24)
    integrand = (2 * np.sinh((nodes + 1) * x / 4)) ** (2 * pairs)
    return float(weights @ integrand / 2 / comb(2 * pairs, pairs))


def rounding_gain(pairs: int, x: float) -> float:
    """R_J(x) = sum_j |c_j| (e^{jx} + e^{-jx}): by how much the stencil multiplies relative errors of its exponentials.

    >>> rounding_gain(1, 0.0), rounding_gain(2, 0.0)
    (1.0, 1.5)
    """
    return sum(
        2 * abs(float(c)) * np.cosh(j * x).item()
        for j, c in enumerate(stencil_coefficients(pairs), start=1)
    )


def stencil_error_in_floats(pairs: int, x: float, rounding: float) -> float:
    """E_J(x) + rounding R_J(x) / x: what is lost to the formula and what to a relative rounding of every exponential.

    >>> stencil_error_in_floats(1, 2.0**-4, 0.0) == stencil_error(1, 2.0**-4)
    True
    """
    return stencil_error(pairs, x) + rounding * rounding_gain(pairs, x) / x


def best_spacing(pairs: int, rounding: float) -> tuple[float, float]:
    """(x*, g*): where C_J x^{2J} + rounding R_J(0) / x is smallest, x = eps S, and how small it is.

    x* = (rounding R_J(0) / (2J C_J))^{1/(2J+1)} and g* = (2J + 1) C_J x*^{2J}.

    >>> x, best = best_spacing(1, 2.0**-53)
    >>> f"{x:.1e} {best:.1e}"
    '6.9e-06 2.4e-11'
    """
    C, R = float(stencil_constant(pairs)), rounding_gain(pairs, 0.0)
    x = (rounding * R / (2 * pairs * C)) ** (1 / (2 * pairs + 1))
    return x, (2 * pairs + 1) * C * x ** (2 * pairs)
