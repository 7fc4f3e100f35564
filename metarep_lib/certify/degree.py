"""Bounds on a rational function in place of its value: degree, and height in bits."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, eq=False)
class Factor:
    """A polynomial that stands in denominators: its degree, and the bits of its height. It is equal to itself alone."""

    degree: int
    bits: int


TWO = Factor(degree=0, bits=1)
Factors = dict[Factor, int]  # how often each


def least_common(one: Factors, other: Factors) -> Factors:
    """The least common multiple; one of the two itself where that is it, which is most often so."""
    missing = {factor: times for factor, times in other.items() if times > one.get(factor, 0)}
    return one | missing if missing else one


def product(one: Factors, other: Factors) -> Factors:
    if not (one and other):
        return one or other
    return one | {factor: times + one.get(factor, 0) for factor, times in other.items()}


def size(factors: Iterable) -> tuple[int, int]:
    """Degree and bits of a product of factors, each so many times."""
    degree = bits = 0
    for factor, times in factors:
        degree += times * factor.degree
        bits += times * factor.bits
    return degree, bits


class Degree:
    """Bounds for a rational function N / D with integer coefficients, without its value.

    `degree` bounds the degree of N, `bits` the base-2 logarithm of the sum of its absolute
    coefficients, and `denominator` is D as a multiset of factors, each with bounds of its own.
    The rules are those of fractions: the sum of absolute coefficients is at most multiplied by a product and
    added by a sum. A new divisor is a new factor; factors are never assumed to be equal.
    """

    def __init__(self, degree: int, bits: int, denominator: Factors, is_zero: bool = False):
        self.degree, self.bits, self.denominator, self.is_zero = degree, bits, denominator, is_zero

    @classmethod
    def constant(cls, value: Fraction) -> "Degree":
        """A dyadic rational; the power of two goes to the denominator."""
        power = value.denominator.bit_length() - 1
        return cls(
            0,
            abs(value.numerator).bit_length(),
            {TWO: power} if power else {},
            is_zero=value == 0,
        )

    @classmethod
    def variable(cls) -> "Degree":
        return cls(1, 0, {})

    def over(self, denominator: Factors) -> tuple[int, int]:
        """Degree and bits of the numerator once the fraction is written over a larger denominator."""
        own = self.denominator
        if denominator is own:
            return self.degree, self.bits
        missing = ((factor, times - own.get(factor, 0)) for factor, times in denominator.items())
        degree, bits = size(missing)
        return self.degree + degree, self.bits + bits

    def __add__(self, other: "Degree") -> "Degree":
        if self.is_zero or other.is_zero:
            return other if self.is_zero else self
        denominator = least_common(self.denominator, other.denominator)
        (degree, bits), (other_degree, other_bits) = self.over(denominator), other.over(denominator)
        return Degree(max(degree, other_degree), max(bits, other_bits) + 1, denominator)

    __sub__ = __add__  # the bounds do not see signs

    def __mul__(self, other: "Degree") -> "Degree":
        if self.is_zero or other.is_zero:
            return self if self.is_zero else other
        denominator = product(self.denominator, other.denominator)
        return Degree(self.degree + other.degree, self.bits + other.bits, denominator)

    def __truediv__(self, other: "Degree") -> "Degree":
        if (
            self.is_zero or other.is_zero
        ):  # 0 / 0 = 0, and 0 / 0 is the only quotient of a structural zero
            return Degree.constant(Fraction(0))
        inverse = Degree(0, 0, {Factor(other.degree, other.bits): 1})
        return self * inverse * Degree(*size(other.denominator.items()), {})

    @property
    def total(self) -> tuple[int, int]:
        """Degree and bits of the larger of numerator and denominator."""
        degree, bits = size(self.denominator.items())
        return max(self.degree, degree), max(self.bits, bits)
