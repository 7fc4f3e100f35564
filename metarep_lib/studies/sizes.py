"""Widths and numbers of parameters of programs, as polynomials in the number of features."""

from collections.abc import Callable, Iterator

from metarep_lib.construct import Program, assemble
from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    copied_gradient_descent,
    gradient_descent,
    jacobi_conjugate_gradient,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    newton_schulz,
    two_block_conjugate_gradient,
)

__all__ = ["PROGRAMS", "listed", "miscounted", "polynomial", "written"]

Polynomial = tuple[int, int, int]  # a p^2 + b p + c
PROGRAMS: dict[str, Callable[[int], Program]] = {  # all of eight steps
    "gradient descent, narrow": lambda p: narrow_gradient_descent(p, 8, 0.1),
    "  with the ridge as a channel": lambda p: narrow_ridge_gradient_descent(p, 8, 0.1),
    "gradient descent": lambda p: gradient_descent(p, 8, 0.1),
    "  on copies, causal": lambda p: copied_gradient_descent(p, 8, 0.1),
    "Chebyshev": lambda p: chebyshev(p, 8, 0.1, 1.0),
    "Newton-Schulz": lambda p: newton_schulz(p, 8, 0.1),
    "conjugate gradient, textbook": lambda p: conjugate_gradient(p, 8),
    "  two blocks": lambda p: two_block_conjugate_gradient(p, 8),
    "  two blocks, Jacobi": lambda p: jacobi_conjugate_gradient(p, 8),
    "  causal": lambda p: causal_conjugate_gradient(p, 8),
}


def polynomial(value: Callable[[int], int]) -> Polynomial:
    """The coefficients of a p^2 + b p + c, from the values at p = 1, 2, 3.

    >>> polynomial(lambda p: 3 * p**2 - p + 5)
    (3, -1, 5)
    """
    one, two, three = value(1), value(2), value(3)
    a = (three - 2 * two + one) // 2
    b = two - one - 3 * a
    return a, b, one - a - b


def written(a: int, b: int, c: int) -> str:
    """A polynomial with positive coefficients, as one reads it.

    >>> written(3, 1, 9), written(0, 2, 4)
    ('3 p^2 + p + 9', '2 p + 4')
    """
    terms = [f"{n} {of}".removeprefix("1 ") for n, of in ((a, "p^2"), (b, "p")) if n]
    return " + ".join([*terms, str(c)])


def counts(make: Callable[[int], Program]) -> tuple[Polynomial, Polynomial]:
    """Width and number of parameters."""
    return polynomial(lambda p: make(p).width), polynomial(lambda p: make(p).n_parameters)


def miscounted(make: Callable[[int], Program], p: int = 10) -> bool:
    """Whether the network of a program at p features has another width or number of weights than its polynomials say."""
    network = assemble(make(p)).transformer
    counted = network.config.d_model, sum(w.numel() for w in network.parameters())
    return counted != tuple(a * p**2 + b * p + c for a, b, c in counts(make))


def listed() -> Iterator[str]:
    """A line for every program: blocks, blocks stored, width, parameters.

    >>> list(listed())[1]
    'gradient descent, narrow            8      1  p + 1    3 p^2 + 12 p + 9'
    """
    yield f"{'eight steps':30} blocks stored  {'width':8} parameters"
    for name, make in PROGRAMS.items():
        width, parameters = map(lambda of: written(*of), counts(make))
        made = make(10)
        stored = len(assemble(made).transformer.blocks)
        yield f"{name:30} {made.n_blocks:6} {stored:6}  {width:8} {parameters}"
