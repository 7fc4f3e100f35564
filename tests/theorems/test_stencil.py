"""Dot products as differences of softmax heads: the stencil, its kernel and its rounding."""

from fractions import Fraction
from functools import partial
from math import ceil, comb, exp, factorial, log

import mpmath
import numpy as np
import pytest
import torch

from certificates import certifies
from metarep_lib import Prompt, assemble, gradient_descent, ridge_system
from metarep_lib.certify import worst_case
from metarep_lib.construct.transforms import central_difference, with_softmax_products
from metarep_lib.numerics.kernels.stencil import (
    StencilKernel,
    best_spacing,
    rounding_gain,
    stencil_coefficients,
    stencil_constant,
    stencil_error,
    stencil_error_in_floats,
)
from sums_of_softmax import gram, psi

PAIRS = (1, 2, 3, 4, 7)
every_pairs = pytest.mark.parametrize("pairs", PAIRS)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


def kernel_of(pairs: int, spacing: float):
    """psi_J(eps s) / eps of float64 tensors with autograd, by the definition."""
    return lambda s: sum(2 * float(c) * torch.sinh(j * spacing * s) for j, c in enumerate(stencil_coefficients(pairs), start=1)) / spacing


# ---------------------------------------------------------------- the stencil


@every_pairs
def test_coefficients_solve_the_moment_conditions(pairs):
    c = stencil_coefficients(pairs)
    for m in range(pairs):
        assert 2 * sum(c[j - 1] * j ** (2 * m + 1) for j in range(1, pairs + 1)) == (1 if m == 0 else 0)
    gains = [gain for _, gain in central_difference(pairs, 0.5)]
    assert gains == [sign * float(2 * each) for each in c for sign in (1, -1)]
    assert [mu for mu, _ in central_difference(pairs, 0.5)] == [sign * j / 2 for j in range(1, pairs + 1) for sign in (1, -1)]


@certifies(
    "thm-stencil",
    statement=lambda J: Fraction((-1) ** (J + 1), comb(2 * J, J)),
    mutants={
        "the other sign of the integral": lambda J: Fraction((-1) ** J, comb(2 * J, J)),
        "another binomial coefficient": lambda J: Fraction((-1) ** (J + 1), comb(2 * J, J - 1)),
    },
    exact=True,
)
@every_pairs
def test_the_error_is_the_integral_as_an_identity_of_laurent_polynomials(statement, pairs):
    """In z = e^{x/2}: psi' - 1 is the factor before the integral times (z - 1/z)^{2J}, in fractions."""
    power = np.array([1], dtype=object)
    for _ in range(2 * pairs):  # (z - 1/z)^{2J}, coefficients of z^{-2J}, z^{-2J+2}, ...
        power = np.convolve(power, np.array([-1, 1], dtype=object))
    slope = np.zeros(2 * pairs + 1, dtype=object) * Fraction(0)
    for j, c in enumerate(stencil_coefficients(pairs), start=1):
        slope[pairs - j] += j * c
        slope[pairs + j] += j * c
    slope[pairs] -= 1
    assert (slope == statement(pairs) * power).all()


@certifies(
    "thm-stencil",
    statement=lambda J: Fraction(factorial(J) ** 2, factorial(2 * J + 1)),
    mutants={
        "the next smaller factorial in the constant": lambda J: Fraction(factorial(J) ** 2, factorial(2 * J)),
        "the next larger factorial": lambda J: Fraction(factorial(J) ** 2, factorial(2 * J + 2)),
    },
    exact=True,
)
@every_pairs
def test_taylor_coefficients_have_one_sign_and_begin_with_the_constant(statement, pairs):
    c = stencil_coefficients(pairs)
    error = [2 * sum(c[j - 1] * j ** (2 * m + 1) for j in range(1, pairs + 1)) / factorial(2 * m + 1) - (m == 0) for m in range(pairs + 12)]
    assert error[:pairs] == [0] * pairs
    assert all((-1) ** (pairs + 1) * each > 0 for each in error[pairs:])
    assert abs(error[pairs]) == statement(pairs) == stencil_constant(pairs)


@certifies(
    "thm-stencil",
    statement=lambda J, x: (1, mpmath.exp(J * x**2 / 12)),
    mutants={
        "without the exponential factor": lambda J, x: (1, 1),
        "half of the exponent": lambda J, x: (1, mpmath.exp(J * x**2 / 24)),
        "a lower bound one hundredth larger": lambda J, x: (mpmath.mpf("1.01"), mpmath.exp(J * x**2 / 12)),
    },
)
@every_pairs
def test_the_error_lies_between_its_bounds(statement, pairs):
    for log_x in np.linspace(-3, 1.3, 11):
        for x in (mpmath.mpf(10) ** log_x, -(mpmath.mpf(10) ** log_x)):
            with mpmath.workdps(120):
                leading = mpmath.mpf(1) / stencil_constant(pairs).denominator * abs(x) ** (2 * pairs + 1)
                error, (lower, upper) = abs(psi(pairs, x) - x), statement(pairs, x)
                assert lower * leading <= error <= upper * leading
                assert abs(error / abs(x) / stencil_error(pairs, float(abs(x))) - 1) < 1e-12 * (1 + abs(x))


def test_a_search_finds_the_bound_attained_at_small_x():
    def share(flat, pairs=2):
        x = 0.2 + 3 * torch.sigmoid(flat[0])
        return (kernel_of(pairs, 1.0)(x) - x).abs() / (float(stencil_constant(pairs)) * x ** (2 * pairs + 1) * (pairs * x**2 / 12).exp())

    assert 0.99 < worst_case(share, 1, seed=0) <= 1 + 1e-9


def test_a_one_sided_difference_with_as_many_heads_has_order_one():
    x = mpmath.mpf("1e-6")
    one_sided, central = (mpmath.exp(x) - 1 - x) / x, (psi(1, x) - x) / x
    assert abs(one_sided / (x / 2) - 1) < 1e-5 and abs(central / (x**2 / 6) - 1) < 1e-5


# ---------------------------------------------------------------- its kernel


@certifies(
    "thm-stencil-kernel",
    statement=stencil_error,
    mutants={
        "one hundredth less than E": lambda J, x: 0.99 * stencil_error(J, x),
        "its leading term alone": lambda J, x: float(stencil_constant(J)) * x ** (2 * J),
    },
)
def test_the_kernel_differs_by_a_semidefinite_matrix_of_bounded_norm(statement):
    for seed in range(100):
        pairs, n, p, spacing = 1 + seed % 4, 1 + seed % 7, 1 + seed // 4 % 4, np.random.default_rng(seed).uniform(0.2, 2.0)
        phi, E = gram(seed, n, p), statement(pairs, spacing)
        K, made = phi @ phi.T, StencilKernel(pairs, spacing)(phi, phi)
        eigenvalues = torch.linalg.eigvalsh((-1) ** (pairs + 1) * (made - K))
        tiny = 1e-13 * rounding_gain(pairs, spacing) / spacing * n
        assert eigenvalues[0] >= -tiny
        assert eigenvalues[-1] <= E * torch.linalg.matrix_norm(K, 2) * (1 + 1e-9) + tiny
        k = gram(seed + 1, 3, p) @ phi.T
        assert ((StencilKernel(pairs, spacing)(gram(seed + 1, 3, p), phi) - k).abs() <= E * k.abs() + tiny).all()
        same = phi[:1].expand(n, p) / phi[0].norm()  # where it is attained
        gap = torch.linalg.matrix_norm(StencilKernel(pairs, spacing)(same, same) - same @ same.T, 2)
        assert abs(gap / (E * n) - 1) < 1e-6


@certifies(
    "thm-stencil-kernel",
    statement=lambda J: J % 2 == 1,
    mutants={"a semidefinite kernel for every number of heads": lambda J: True, "the other parity": lambda J: J % 2 == 0},
)
@pytest.mark.parametrize("spacing", ["0.25", "1e-3", "1e-9"])
def test_parity_decides_whether_the_kernel_is_semidefinite(statement, spacing):
    """Supports 1 and 2 on a line, v = (2, -1) in the null space of K, at every spacing."""
    with mpmath.workdps(400):
        for pairs in PAIRS:
            eps = mpmath.mpf(spacing)
            a, b, d = (psi(pairs, eps * s) / eps for s in (1, 2, 4))
            form = 4 * a - 4 * b + d
            assert form > 0 if statement(pairs) else form < 0
            assert (a * d - b**2 > 0) == statement(pairs)


@certifies("thm-stencil-kernel", statement=(2, 4), mutants={"an odd J": (1, 3)})
def test_four_heads_are_negative_on_the_null_space(statement):
    for seed in range(100):
        p = 1 + seed % 2
        phi = gram(seed, p + 2, p)
        null = torch.linalg.svd(phi.T).Vh[p:]
        form = null @ StencilKernel(statement[seed // 2 % 2], 1.0)(phi, phi) @ null.T
        assert torch.linalg.eigvalsh(form)[-1] <= 1e-13


def shares_of(pairs: int, n: int = 6, p: int = 2):
    """Functions of a flat vector: operator error, solution error, and the sharper solution bound, each over its bound."""

    def parts(flat):
        phi = flat[: n * p].reshape(n, p)
        phi = phi / phi.norm(dim=-1).max()
        y, ridge, spacing = flat[n * p : n * p + n], (flat[-2] - 4).exp(), 0.1 + 1.5 * torch.sigmoid(flat[-1])
        K, identity = phi @ phi.T, torch.eye(n, dtype=torch.float64)
        made = kernel_of(pairs, spacing)(K)
        E = (kernel_of(pairs, spacing)(torch.ones((), dtype=torch.float64)) - 1).abs()
        e = E * torch.linalg.matrix_norm(K, 2)
        alpha, solved = (torch.linalg.solve(M + ridge * identity, y) for M in (K, made))
        return torch.linalg.matrix_norm(made - K, 2) / e, (alpha - solved).norm(), e, ridge, y.norm(), solved.norm()

    def solution(flat):
        _, moved, e, ridge, _, solved = parts(flat)
        return moved * ridge / (e * solved)

    def sharper(flat):
        _, moved, e, ridge, y, _ = parts(flat)
        return moved * ridge * (ridge + e) / (e * y)

    return lambda flat: parts(flat)[0], solution, sharper


N_VARIABLES = 6 * 2 + 6 + 2


@certifies("thm-stencil-kernel", "thm-stencil-predictor", statement=1.0, mutants={"bounds one hundredth smaller": 0.99})
@pytest.mark.parametrize("pairs", [1, 3])
def test_a_search_comes_close_to_the_bounds_and_never_passes_them(statement, pairs, record_property):
    """From other starts it comes as close; least of eight: 0.9999 for the operator and the sharper bound, 0.38 for the solution."""
    operator, solution, sharper = shares_of(pairs)
    for name, share, tight in (("sharper", sharper, 0.9), ("operator", operator, 0.999), ("solution", solution, 0.3)):
        found = worst_case(share, N_VARIABLES, seed=pairs, starts=2)
        record_property(name, float(found))
        assert tight < found <= statement * (1 + 1e-7), (name, found)


# ---------------------------------------------------------------- rounding


@certifies(
    "thm-stencil-floats",
    statement=stencil_error_in_floats,
    mutants={
        "no growth of the exponentials: R at zero": lambda J, x, rounding: stencil_error(J, x) + rounding * rounding_gain(J, 0.0) / x,
        "roundings that do not grow where x is small": lambda J, x, rounding: stencil_error(J, x) + rounding * rounding_gain(J, x),
        "no error but that of rounding": lambda J, x, rounding: rounding * rounding_gain(J, x) / x,
    },
)
def test_rounding_of_the_worst_sign_stays_below_its_bound(statement):
    """Every sum is off by Mu times its absolute terms, with the signs that hurt most; S = 1, one term at s = 1, which alone attains it."""
    for seed in range(100):
        rng, pairs, alone = np.random.default_rng(seed), (1, 2, 3, 6)[seed // 2 % 4], seed % 2
        x, rounding = mpmath.mpf(10) ** rng.uniform(-4, 0.3), mpmath.mpf(10) ** rng.uniform(-12, -2)
        s, v = ([mpmath.mpf(each) for each in draw] for draw in (rng.uniform(-1, 1, 3), rng.standard_normal(3)))
        s[0], v[1:] = mpmath.mpf(1), [mpmath.mpf(0)] * 2 if alone else v[1:]
        computed = mpmath.mpf(0)
        sign = 1 if sum(w * (psi(pairs, x * t) / x - t) for t, w in zip(s, v)) >= 0 else -1
        for j, c in enumerate(stencil_coefficients(pairs), start=1):
            c = mpmath.mpf(c.numerator) / c.denominator / x
            for up in (1, -1):
                terms = [mpmath.exp(up * j * x * t) * w for t, w in zip(s, v)]
                computed += up * c * sum(terms) + sign * abs(c) * rounding * sum(map(abs, terms))
        off = abs(computed - sum(t * w for t, w in zip(s, v)))
        bound = statement(pairs, float(x), float(rounding)) * sum(map(abs, v))
        assert off <= bound * (1 + 1e-9)
        assert not alone or off >= bound * (1 - 1e-9)


def leading(pairs: int, rounding: float, x: float) -> float:
    """C_J x^{2J} + M u R_J(0) / x."""
    return float(stencil_constant(pairs)) * x ** (2 * pairs) + rounding * rounding_gain(pairs, 0.0) / x


def stated_spacing(pairs: int, rounding: float, root: int = 1, times: int = 1) -> tuple[float, float]:
    """x* and g*; `root` and `times` are what stands beside 2J in the exponent and in the factor."""
    C = float(stencil_constant(pairs))
    x = (rounding * rounding_gain(pairs, 0.0) / (2 * pairs * C)) ** (1 / (2 * pairs + root))
    return x, (2 * pairs + times) * C * x ** (2 * pairs)


@certifies(
    "thm-stencil-floats",
    statement=stated_spacing,
    mutants={
        "the exponent 1 / 2J in the place of 1 / (2J + 1)": partial(stated_spacing, root=0),
        "2J in the place of 2J + 1 in the least value": partial(stated_spacing, times=0),
    },
)
@every_pairs
@pytest.mark.parametrize("rounding", [1e-15, 1e-7, 1e-2])
def test_the_best_spacing_is_the_best(statement, pairs, rounding):
    x, least = statement(pairs, rounding)
    assert abs(leading(pairs, rounding, x) / least - 1) < 1e-12
    assert all(leading(pairs, rounding, x * factor) > least for factor in (0.5, 0.99, 1.01, 2.0))
    for at in x * np.geomspace(0.1, 10, 21):
        assert stencil_error_in_floats(pairs, at, rounding) >= leading(pairs, rounding, at) * (1 - 1e-12)
    assert np.allclose(best_spacing(pairs, rounding), (x, least), rtol=1e-12, atol=0)


@certifies(
    "thm-stencil-floats",
    statement=(lambda ln: ceil(ln / 4), lambda J: 8 * J**0.5 * exp(J / 64)),
    mutants={
        "half as many heads": (lambda ln: ceil(ln / 8), lambda J: 8 * J**0.5 * exp(J / 64)),
        "one pair of heads fewer": (lambda ln: max(1, ceil(ln / 4) - 1), lambda J: 8 * J**0.5 * exp(J / 64)),
        "half of the rounding": (lambda ln: ceil(ln / 4), lambda J: 4 * J**0.5 * exp(J / 64)),
        "a rounding that does not grow with J": (lambda ln: ceil(ln / 4), lambda J: 8),
    },
)
def test_digits_cost_heads(statement):
    heads, gain = statement
    for rounding in (6 * 2.0**-53, 6 * 2.0**-24, 6 * 2.0**-8):
        for log_delta in np.linspace(-0.1, -18, 40):
            delta = 10.0**log_delta
            pairs = heads(log(1 / delta))
            assert stencil_error(pairs, 0.25) <= delta
            assert stencil_error_in_floats(pairs, 0.25, rounding) <= delta + rounding * gain(pairs)


ROUNDINGS = 6


@pytest.mark.parametrize("pairs", [1, 2, 8])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 4])
def test_a_forward_pass_keeps_the_rounding_model(dtype, pairs, n):
    """One step of gradient descent with step size 1 predicts k(x) . y, one product; a hundred prompts each."""
    rounding = ROUNDINGS * torch.finfo(dtype).eps / 2
    rng = np.random.default_rng(n + pairs)
    features = torch.from_numpy(rng.uniform(-1, 1, (100, n + 3, 1)))
    features[:, [0, n]] = 1.0
    prompts = Prompt(features[:, :n], torch.from_numpy(rng.standard_normal((100, n))), features[:, n:], 1.0).to(dtype)
    exact = ridge_system(prompts.to(torch.float64))
    at, _ = best_spacing(pairs, rounding)
    for spacing in 2.0 ** np.round(np.log2(at) + np.array([-5.0, -2.0, 0.0])):
        program = with_softmax_products(gradient_descent(1, 1, 1.0), central_difference(pairs, spacing))
        f = assemble(program, dtype=dtype).predict(prompts).double()
        error = (f - exact.predict(exact.y)).abs().amax(-1) / exact.y.abs().sum(-1)
        assert error.max() <= stencil_error_in_floats(pairs, spacing, rounding)
