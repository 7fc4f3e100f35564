"""The study of the division circuit, against the processor's own division and exact fractions."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from factories import DTYPES
from metarep_lib import assemble
from metarep_lib.certify.statements.one_decoder import allowed, general_bound
from metarep_lib.construct.circuits import division as circuits
from metarep_lib.network import PrefixMask
from metarep_lib.studies import division


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_program_around_the_library_s_circuits_divides(dtype):
    c = 2.0**-40
    program = division.around(
        circuits.quotient_scores("N", "D", into="scores", scale=c),
        circuits.quotient("scores", into="quotient", scale=c),
    )
    N, D = division.operands(-3, dtype)
    said = assemble(program, dtype=dtype).transformer(division.tokens(N, D), PrefixMask(2))
    assert torch.equal(said[:, 2, 0], N / D)  # point 2 of the proposition: correctly rounded


@pytest.mark.parametrize("exponent", [-12, 0, 40])
def test_operands_have_the_size_that_was_asked_for_and_both_signs(exponent):
    N, D = division.operands(exponent, torch.float64)
    ratios = (N / D).numpy()
    assert (2.0**exponent <= abs(ratios)).all() and (abs(ratios) <= 2.0 ** (exponent + 1)).all()
    assert {-1.0, 1.0} == set(np.sign(ratios))


def test_errors_are_those_of_fractions():
    """Whoever answers with the numerator is off by |D - 1|."""
    found = division.errors(lambda N, D: N, [5], torch.float64)
    _, D = division.operands(5, torch.float64)
    expected = [float(abs(Fraction(d) - 1)) for d in D.tolist()]
    assert found.tolist() == [expected]
    assert np.isinf(division.errors(lambda N, D: N / 0, [5], torch.float64)).all()


@pytest.mark.parametrize(("dtype", "P"), [(torch.float64, 53), (torch.float32, 24)])
def test_sharp_operands_are_floats_as_the_proposition_says(dtype, P):
    N, D = division.sharp_operands(dtype)
    for m, n, d in zip(range(1, P - 1), N.tolist(), D.tolist(), strict=True):
        assert (Fraction(n), Fraction(d)) == (2**m + 2, 1 + Fraction(2**m, 2**P))


def test_what_is_allowed_is_the_smaller_bound_and_never_more_than_everything():
    tau, u = np.array([0.5, 1.0, 2.0, 2.0**10, 2.0**30]), 2.0**-24
    expected = [3 * u / (1 - 2 * u)] * 2 + [5 * u / (1 - 5 * u), general_bound(2.0**10, u), 1.0]
    np.testing.assert_allclose(allowed(tau, u), expected, rtol=1e-12)


def test_a_circuit_is_shown_beside_the_processor_s_own_division_in_every_dtype():
    N, D = torch.tensor([[1.0, 2.0**30], [0.3, 0.3]], dtype=torch.float64)
    shown = division.side_by_side(lambda N, D, c: c * N, N, D, [1.0, 0.5], DTYPES)
    single = np.float32(1) / np.float32(0.3)
    expected = {torch.float64: 1 / 0.3, torch.float32: float(single)}
    assert shown[0, ::2].tolist() == [expected[dtype] for dtype in DTYPES]
    assert shown[1].tolist() == [1.0, 2.0**30] * 2 and shown[2].tolist() == [0.5, 2.0**29] * 2


@pytest.mark.parametrize(("dtype", "P"), [(torch.float64, 53), (torch.float32, 24)])
def test_the_share_of_the_bound_is_that_of_fractions_and_leaves_out_what_keeps_no_digit(dtype, P):
    u, exponents = Fraction(1, 2**P), np.array([-3, 5, P - 2])  # the last keeps none
    found = np.full((3, 60), [[0.0], [2.0**-P], [9.0]])
    N, D = division.operands(5, dtype)
    sizes = [abs(Fraction(n) / Fraction(d)) for n, d in zip(N.tolist(), D.tolist())]
    expected = max(float(u / general_bound(size, u)) for size in sizes)
    assert division.share_of_bound(found, exponents, dtype) == pytest.approx(expected, rel=1e-6)
