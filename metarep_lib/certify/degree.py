"""Bounds on a rational function in place of its value: degree, and height in bits."""

from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from itertools import count


@dataclass(frozen=True)
class Factor:
    """A polynomial that stands in denominators: an identity, its degree, and the bits of its height."""

    identity: int
    degree: int
    bits: int


TWO = Factor(identity=-1, degree=0, bits=1)
FRESH = count()


class Degree:
    """Bounds for a rational function N / D with integer coefficients, without its value.

    `degree` bounds the degree of N, `bits` the base-2 logarithm of the sum of its absolute
    coefficients, and `denominator` is D as a multiset of factors, each with bounds of its own.
    The rules are those of fractions: the sum of absolute coefficients is at most multiplied by a product and
    added by a sum. A new divisor is a new factor; factors are never assumed to be equal.
    """

    def __init__(self, degree: int, bits: int, denominator: Counter[Factor], is_zero: bool = False):
        self.degree, self.bits, self.denominator, self.is_zero = degree, bits, denominator, is_zero

    @classmethod
    def constant(cls, value: Fraction) -> "Degree":
        """A dyadic rational; the power of two goes to the denominator."""
        power = value.denominator.bit_length() - 1
        return cls(
            0,
            abs(value.numerator).bit_length(),
            Counter({TWO: power} if power else {}),
            is_zero=value == 0,
        )

    @classmethod
    def variable(cls) -> "Degree":
        return cls(1, 0, Counter())

    def over(self, denominator: Counter[Factor]) -> tuple[int, int]:
        """Degree and bits of the numerator once the fraction is written over a larger denominator."""
        missing = (denominator - self.denominator).items()
        return (
            self.degree + sum(times * factor.degree for factor, times in missing),
            self.bits + sum(times * factor.bits for factor, times in missing),
        )

    def __add__(self, other: "Degree") -> "Degree":
        if self.is_zero or other.is_zero:
            return other if self.is_zero else self
        denominator = self.denominator | other.denominator  # least common multiple
        (degree, bits), (other_degree, other_bits) = self.over(denominator), other.over(denominator)
        return Degree(max(degree, other_degree), max(bits, other_bits) + 1, denominator)

    __sub__ = __add__  # the bounds do not see signs

    def __mul__(self, other: "Degree") -> "Degree":
        if self.is_zero or other.is_zero:
            return self if self.is_zero else other
        return Degree(
            self.degree + other.degree, self.bits + other.bits, self.denominator + other.denominator
        )

    def __truediv__(self, other: "Degree") -> "Degree":
        if (
            self.is_zero or other.is_zero
        ):  # 0 / 0 = 0, and 0 / 0 is the only quotient of a structural zero
            return Degree.constant(Fraction(0))
        inverse = Degree(0, 0, Counter({Factor(next(FRESH), other.degree, other.bits): 1}))
        flipped_degree = sum(times * factor.degree for factor, times in other.denominator.items())
        flipped_bits = sum(times * factor.bits for factor, times in other.denominator.items())
        return self * inverse * Degree(flipped_degree, flipped_bits, Counter())

    @property
    def total(self) -> tuple[int, int]:
        """Degree and bits of the larger of numerator and denominator."""
        below = [
            sum(times * getattr(factor, of) for factor, times in self.denominator.items())
            for of in ("degree", "bits")
        ]
        return max(self.degree, below[0]), max(self.bits, below[1])
