"""Exercises of the chapter "Dot products from softmax"."""

import math

import torch

from metarep_lib.exercises.grading import Exercise, need, numbers


def check_coefficients(coefficients) -> None:
    c = numbers(coefficients, (2,))
    made = [
        sum(2 * float(c[j - 1]) * math.sinh(j * spacing) for j in (1, 2)) / spacing
        for spacing in (0.2, 0.1)
    ]
    need(
        abs(made[0] - 1) <= 0.05,
        f"at spacing 0.2 the exponentials make {made[0]:.3g} of s = 1; first of all c_1 + 2 c_2 must be a half, the slope at 0",
    )
    order = math.log2(abs(made[0] - 1) / max(abs(made[1] - 1), 1e-300))
    need(
        order > 3.5,
        f"halving the spacing divides the error by 2^{order:.1f}; with four heads 2^4 is possible, if the cubic terms cancel",
    )


def product_error(spacing: float) -> float:
    """Largest error of (e^(eps s) - e^(-eps s)) / (2 eps) in float64 for s up to 2, as the sum would be formed by heads."""
    s = torch.linspace(-2, 2, 401, dtype=torch.float64)
    return float((((spacing * s).exp() - (-spacing * s).exp()) / (2 * spacing) - s).abs().max())


def check_spacing(spacing) -> None:
    found = float(numbers(spacing, ()))
    need(1e-300 < found < 10, "expected a spacing between 0 and 10")
    best = min(product_error(2.0**-j) for j in range(1, 40))
    said = product_error(found)
    side = "the formula" if found > 1e-5 else "rounding"
    need(
        said <= 30 * best,
        f"the error is {said:.0e} and could be {best:.0e}: here {side} is what costs",
    )


EXERCISES = (
    Exercise(
        difficulty=2,
        minutes=15,
        check=check_coefficients,
        solution="""
# c_1 (e^x - e^-x) + c_2 (e^2x - e^-2x) = 2 (c_1 + 2 c_2) x + 2 (c_1 + 8 c_2) x^3 / 6 + ...
coefficients = (2 / 3, -1 / 12)
""",
        wrong={
            "two heads": "coefficients = (1 / 2, 0.0)",
            "a sign": "coefficients = (2 / 3, 1 / 12)",
            "the slope alone": "coefficients = (1 / 4, 1 / 8)",
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_spacing,
        solution="""
# the formula's error is eps^2 up to a constant, that of rounding u / eps: they meet at eps = u^(1/3)
spacing = (2.0**-53) ** (1 / 3)
""",
        wrong={
            "the smaller the better": "spacing = 1e-12",
            "the square root": "spacing = (2.0**-53) ** (1 / 2)",
            "large, to be safe from rounding": "spacing = 0.1",
        },
    ),
)
