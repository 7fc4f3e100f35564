"""The scalars certificates compute with: a random prime field, or degree bounds, behind one interface."""

import random
from fractions import Fraction
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import flint

from metarep_lib.construct.degree import Degree

PRIME_BITS = 521
Scalar = TypeVar("Scalar")


class Isotropic(ArithmeticError):
    """A divisor vanished at the random point while its numerator did not; draw again.

    Over a finite field r . r = 0 does not mean r = 0: such vectors are called isotropic.
    """


@runtime_checkable
class Ring(Protocol[Scalar]):
    """How to make a scalar of a rational, draw a random one, and divide with 0 / 0 = 0."""

    def scalar(self, value: Fraction) -> Scalar: ...

    def draw(self) -> Scalar: ...

    def divide(self, numerator: Scalar, denominator: Scalar) -> Scalar: ...


class Field:
    """The integers modulo a random prime of 521 bits.

    >>> field = Field(seed=0)
    >>> half = field.scalar(Fraction(1, 2))
    >>> half + half == 1, field.divide(field.scalar(Fraction(0)), field.scalar(Fraction(0))) == 0
    (True, True)
    """

    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.context = flint.fmpz_mod_ctx(random_prime(seed))

    def scalar(self, value: Fraction) -> flint.fmpz_mod:
        return self.context(value.numerator) / self.context(value.denominator)

    def draw(self) -> flint.fmpz_mod:
        return self.context(self.random.getrandbits(2 * PRIME_BITS))  # twice the bits: as good as uniform

    def divide(self, numerator: flint.fmpz_mod, denominator: flint.fmpz_mod) -> flint.fmpz_mod:
        if denominator == 0:
            if numerator == 0:
                return numerator
            raise Isotropic
        return numerator / denominator


@cache  # hundreds of mutants are judged over the same prime
def random_prime(seed: int) -> int:
    """A proven prime of PRIME_BITS bits."""
    source = random.Random(f"prime {seed}")
    while True:
        candidate = source.getrandbits(PRIME_BITS) | 1 << (PRIME_BITS - 1) | 1
        if flint.fmpz(candidate).is_prime():
            return candidate


class Degrees:
    """Degree bounds: a drawn scalar is a variable."""

    scalar = staticmethod(Degree.constant)
    draw = staticmethod(Degree.variable)
    divide = staticmethod(Degree.__truediv__)
