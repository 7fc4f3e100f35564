"""The studies and statements of the chapter on conditioning, against what is known of them from elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from metarep_lib import ridge_system
from metarep_lib.certify import worst_case
from metarep_lib.certify.statements.conditioning import (
    jacobi_condition,
    rate_used,
    sluis_bound,
    sluis_pair,
)
from metarep_lib.studies import conditioning, degenerate, load_sweep

SPECTRA = ("geometric", "clustered", "power law", "one outlier")


@pytest.mark.parametrize("kind", SPECTRA)
@pytest.mark.parametrize("basis", ["rotated", "aligned", "flat"])
def test_a_prompt_has_the_eigenvalues_that_were_chosen(kind, basis):
    system = ridge_system(conditioning.posed(kind, basis, 1e3, seed=4))
    chosen = np.sort(conditioning.eigenvalues(kind, 1e3))
    np.testing.assert_allclose(np.linalg.eigvalsh(system.A), chosen, atol=1e-14)
    if basis == "flat":
        np.testing.assert_allclose(system.A.diagonal(), chosen.mean(), rtol=1e-12)


@pytest.mark.parametrize("kind", [*SPECTRA, "scaled"])
def test_the_errors_are_those_of_another_library_s_conjugate_gradient(kind):
    """Over the first steps, which rounding leaves alone."""
    prompt = conditioning.posed(kind, "rotated", 10.0, seed=2)
    system, found = ridge_system(prompt), conditioning.run(kind, "rotated", 10.0, 2)
    A, y = system.A.numpy(), system.y.numpy()
    star = np.linalg.solve(A, y)
    iterates = [np.zeros_like(y)]
    cg(A, y, maxiter=8, rtol=0, atol=0, callback=lambda x: iterates.append(x.copy()))
    off = np.array(iterates[:9:2]) - star
    errors = np.sqrt(np.einsum("ti,ij,tj->t", off, A, off) / (star @ A @ star))
    np.testing.assert_allclose(found["cg_error"][:5], errors, rtol=1e-6, atol=1e-13)


def test_a_point_is_the_stored_row_where_rounding_leaves_it_alone():
    stored = load_sweep("conditioning").values("gd_error", kind="power law", basis="flat", kappa=1e2)[3]
    np.testing.assert_allclose(conditioning.run("power law", "flat", 1e2, 3)["gd_error"], stored, rtol=6e-4)
    stored = load_sweep("degenerate").values("gd_gap", kind="duplicated", ridge=1e-2)[1]
    np.testing.assert_allclose(degenerate.run("duplicated", 1e-2, 1)["gd_gap"], stored, rtol=6e-4)


def test_the_causes_are_what_they_are_called():
    prompt, turned = degenerate.posed("duplicated", 1e-4, seed=0)
    assert torch.equal(prompt.phi[:8], prompt.phi[24:])
    torch.testing.assert_close(prompt.phi @ prompt.phi.T, turned.phi @ turned.phi.T)
    singular = np.linalg.svd(degenerate.posed("collinear", 1e-4, 0)[0].phi, compute_uv=False)
    assert singular[1] < 0.05 * singular[0]


def exact_condition(A: list[list[int]]) -> float:
    """Of a symmetric 2 x 2 matrix of integers, by its characteristic polynomial."""
    (a, b), (_, d) = A
    half, root = Fraction(a + d, 2), (Fraction((a - d) ** 2, 4) + b * b) ** 0.5
    return float(half + root) / float(half - root)


@pytest.mark.parametrize("A", [[[2, 1], [1, 3]], [[100, 5], [5, 1]], [[4, 2], [2, 4]]])
def test_value_and_bound_of_the_scaling_by_hand(A):
    a, b, d = A[0][0], A[0][1], A[1][1]
    correlation = b / (a * d) ** 0.5  # of two supports: (1 + |c|) / (1 - |c|)
    matrix = torch.tensor(A, dtype=torch.float64)
    assert float(jacobi_condition(matrix)) == pytest.approx((1 + correlation) / (1 - correlation))
    assert float(sluis_bound(matrix, torch.ones(2).double())) == pytest.approx(2 * exact_condition(A))


def test_a_search_uses_a_good_part_of_the_bound_and_without_its_factor_passes_it():
    def used(flat, factor=1.0):
        A, e = sluis_pair(flat, 3)
        return factor * jacobi_condition(A) / sluis_bound(A, e)

    assert 0.3 <= worst_case(used, 12, seed=0) <= 1 + 1e-6
    assert worst_case(lambda flat: used(flat, factor=3), 12, seed=0) > 1.01  # the mutant: k left out


def test_the_rate_is_used_up_by_the_worst_spectrum_and_no_more():
    kappa, t = np.array([9.0]), np.arange(4)
    bound = 2 * 0.5**t
    assert rate_used(bound[None], kappa, t, "cg") == pytest.approx(1, abs=1e-3)
    assert rate_used(2 * bound[None], kappa, t, "cg") > 1.9
    assert rate_used((0.8**t)[None], kappa, t, "gd") == pytest.approx(1, abs=1e-3)
