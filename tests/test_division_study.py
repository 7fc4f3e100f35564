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
