"""The studies and statements of the chapter on depth laws, against what is known of them from elsewhere."""

import math

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg

from metarep_lib.certify import worst_case
from metarep_lib.certify.statements import depth_laws as statement
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.studies import gaussian_in_the_plane, promises, ritz


def test_ritz_values_are_eigenvalues_of_another_projection_and_in_the_end_all_of_them():
    rng = np.random.default_rng(0)
    values, shares = rng.uniform(1, 10, 6), rng.uniform(size=6)
    found = ritz.ritz_values(values, shares, 6)
    start = np.sqrt(shares * values)  # right-hand side in the eigenbasis
    for t in (2, 3):
        Q = np.linalg.qr(np.stack([values**j * start for j in range(t)], 1))[0]
        np.testing.assert_allclose(found[t - 1], np.linalg.eigvalsh(Q.T @ np.diag(values) @ Q), rtol=1e-9)
    np.testing.assert_allclose(found[5], np.sort(values), rtol=1e-8)
    assert ritz.error_by_roots(values, shares, found[5]) < 1e-6


def test_the_bound_of_krylov_methods_by_hand_and_reached_by_a_search():
    kappa = 9.0  # T_2(5 / 4) = 2 * 25 / 16 - 1
    assert statement.krylov_bound(2, kappa) == pytest.approx(8 / 17)

    def used(z, t):
        return spectral.worst_error(statement.within(z, kappa)) / statement.krylov_bound(t, kappa)

    assert 0.99 < worst_case(lambda z: used(z, 3), 4, seed=0) <= 1 + 1e-9
    assert worst_case(lambda z: used(z, 4), 4, seed=0) > 1.5  # the mutant: a step more


def test_the_bound_of_outliers_by_hand_and_reached_by_far_ones():
    far, b = torch.tensor([1e6], dtype=torch.float64), 4.0
    none = torch.zeros(0, dtype=torch.float64)
    assert float(statement.outlier_bound(none, torch.tensor([8.0]), b, 1)) == pytest.approx(7 / 8 * 3 / 5)
    assert float(statement.outlier_bound(torch.tensor([0.5]), none, b, 1)) == pytest.approx(7 * 3 / 5)
    inside = (1 + b) / 2 - (b - 1) / 2 * torch.cos(torch.arange(4).double() * math.pi / 3)
    error = spectral.worst_error(torch.cat([inside, far]))
    assert 0.999 < error / statement.outlier_bound(none, far, b, steps=3) <= 1 + 1e-9
    assert error > 1.5 * statement.outlier_bound(none, far, b, steps=4)  # the mutant: the outlier costs no step


def test_the_law_of_the_effective_dimension_by_a_threshold_at_a_time():
    mu, accuracy = torch.tensor([1.0, 3.0]).double(), torch.tensor(1e-3).double()
    d_eff = 0.5 + 0.75
    by_hand = min(
        (1 + c) / c * d_eff + math.acosh(1e3) / math.log((math.sqrt(1 + c) + 1) / (math.sqrt(1 + c) - 1))
        for c in np.logspace(-2, 4, 200)
    )
    assert float(statement.effective_law(mu, accuracy)) == pytest.approx(by_hand)


def test_a_kernel_has_the_effective_dimension_of_numpy_and_a_bias_adds_less_than_one():
    system = gaussian_in_the_plane.posed(32, seed=1)
    mu = np.linalg.eigvalsh(system.A.numpy()) - gaussian_in_the_plane.RIDGE
    found = gaussian_in_the_plane.needs([(32, 0.0), (32, 1e4)])
    assert found["d_eff"][1, 0] == pytest.approx((mu / (mu + gaussian_in_the_plane.RIDGE)).sum())
    assert (found["d_eff"][:, 1] < found["d_eff"][:, 0] + 1).all()
    assert (found["exact"] <= found["law"]).all()


def test_steps_taken_are_those_of_another_library_where_rounding_decides_nothing():
    values, shares = torch.linspace(1, 9, 30).double(), torch.ones(30).double()
    y, star, steps = np.sqrt(values.numpy()), 1 / np.sqrt(values.numpy()), []
    cg(np.diag(values.numpy()), y, maxiter=20, rtol=0, atol=0, callback=lambda x: steps.append(x.copy()))
    error = [np.sqrt((values.numpy() * (x - star) ** 2).sum() / 30) for x in steps]
    assert promises.taken(values, shares, 1e-3, most=20) == 1 + next(t for t, e in enumerate(error) if e <= 1e-3)


def test_laws_are_kept_on_a_few_random_spectra_and_blocks_are_in_order():
    assert all(0 < ratio <= 1 for ratios in promises.kept(spectra=3, seed=0).values() for ratio in ratios)
    published, descent, textbook, two_blocks, chebyshev, newton = (
        blocks[0] for blocks in promises.blocks_promised([1e4]).values()
    )  # fmt: skip
    assert published > descent > textbook > two_blocks > chebyshev > newton
