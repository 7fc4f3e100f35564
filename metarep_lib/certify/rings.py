"""The scalars certificates compute with: a random prime field, or degree bounds, behind one interface.

The exponential of a softmax head becomes a *random function* F of the score: one table for all heads and for the recurrence
they are held against, so that equal scores have equal values, which is all that is used of exp besides F(0) = 1 and
F(log lambda) = lambda. An identity that holds for every such F holds for exp.
"""

import random
from fractions import Fraction
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import flint

from metarep_lib.certify.degree import Degree

PRIME_BITS = 521
Scalar = TypeVar("Scalar")


class Isotropic(ArithmeticError):
    """A divisor vanished at the random point while its numerator did not; draw again.

    Over a finite field r . r = 0 does not mean r = 0: such vectors are called isotropic.
    """


@runtime_checkable
class Ring(Protocol[Scalar]):
    """How to make a scalar of a rational, draw a random one, divide with 0 / 0 = 0, and take F of a score.

    `guard` stands for every guard of the network, the number that turns 0 / 0 into 0: a variable, so that an identity holds
    whatever the guard is, and a guard that meets another weight than it should is seen.
    """

    guard: Scalar

    def scalar(self, value: Fraction) -> Scalar: ...

    def draw(self) -> Scalar: ...

    def divide(self, numerator: Scalar, denominator: Scalar) -> Scalar: ...

    def exponential(self, score: Scalar) -> Scalar: ...

    def logarithm(self, value: Scalar) -> Scalar: ...


class Field:
    """The integers modulo a random prime of 521 bits.

    Args:
        seed: of the prime and of everything drawn.
        guarded: whether the guard is a random element; otherwise it is 0, the limit in which a solver's end is exact.

    >>> field = Field(seed=0)
    >>> half = field.scalar(Fraction(1, 2))
    >>> half + half == 1, field.divide(field.scalar(Fraction(0)), field.scalar(Fraction(0))) == 0
    (True, True)
    >>> score, other = field.draw(), field.draw()
    >>> field.exponential(score - score) == 1, field.exponential(score) == field.exponential(score), field.exponential(score) == field.exponential(other)
    (True, True, False)
    """

    def __init__(self, seed: int, guarded: bool = True):
        self.random = random.Random(seed)
        self.context = flint.fmpz_mod_ctx(random_prime(seed))
        self.guard = self.draw() if guarded else self.context(0)
        self.table = {0: self.context(1)}

    def scalar(self, value: Fraction) -> flint.fmpz_mod:
        return self.context(value.numerator) / self.context(value.denominator)

    def draw(self) -> flint.fmpz_mod:
        # twice the bits: as good as uniform
        return self.context(self.random.getrandbits(2 * PRIME_BITS))

    def divide(self, numerator: flint.fmpz_mod, denominator: flint.fmpz_mod) -> flint.fmpz_mod:
        if denominator == 0:
            if numerator == 0:
                return numerator
            raise Isotropic
        return numerator / denominator

    def exponential(self, score: flint.fmpz_mod) -> flint.fmpz_mod:
        """F(score), drawn when it is first asked for."""
        if int(score) not in self.table:
            self.table[int(score)] = self.draw()
        return self.table[int(score)]

    def logarithm(self, value: flint.fmpz_mod) -> flint.fmpz_mod:
        """A fresh random score of which F is this value."""
        score = self.draw()
        self.table[int(score)] = value
        return score


@cache  # hundreds of mutants are judged over the same prime
def random_prime(seed: int) -> int:
    """A proven prime of PRIME_BITS bits."""
    source = random.Random(f"prime {seed}")
    while True:
        candidate = source.getrandbits(PRIME_BITS) | 1 << (PRIME_BITS - 1) | 1
        if flint.fmpz(candidate).is_prime():
            return candidate


class Degrees:
    """Degree bounds: a drawn scalar is a variable, and so is every value of F.

    That holds as long as different scores have different values at the random point. `collisions` bounds the degree of the product
    of all differences of two scores, which is not zero there exactly when they do.
    """

    scalar = staticmethod(Degree.constant)
    draw = staticmethod(Degree.variable)
    divide = staticmethod(Degree.__truediv__)

    def __init__(self) -> None:
        self.guard = Degree.variable()
        self.scores = [Degree.constant(Fraction(0))]

    def exponential(self, score: Degree) -> Degree:
        self.scores.append(score)
        return Degree.constant(Fraction(1)) if score.is_zero else Degree.variable()

    def logarithm(self, value: Degree) -> Degree:
        self.scores.append(Degree.variable())
        return Degree.variable()

    @property
    def collisions(self) -> tuple[int, int]:
        """Degree and bits of the product of the differences of any two scores."""
        pairs = len(self.scores) * (len(self.scores) - 1) // 2
        degree, bits = (max(of) for of in zip(*(score.total for score in self.scores)))
        return pairs * 2 * degree, pairs * (2 * bits + 1)
