"""The studies of the chapter on one effective dimension, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch

from metarep_lib.studies import knobs, load_sweep, plane, rates
from metarep_lib.studies.answers import answers
from metarep_lib.studies.sweep import Swept
from metarep_lib.tasks import SPECTRA


def test_a_point_of_the_sweep_is_the_stored_row():
    (row,) = [row for row in load_sweep("plane").rows if (row["law"], row["factor"], row["seed"]) == ("diabetes, linear", 10.0, 1)]
    found = plane.run("diabetes, linear", 10.0, 1)
    assert found["widths"] == row["widths"]
    seen = np.array(row["error"]) > 1e-8  # what lies below is rounding
    np.testing.assert_allclose(np.array(found["error"])[seen], np.array(row["error"])[seen], rtol=6e-4)
    np.testing.assert_allclose(found["bound"], row["bound"], rtol=1e-3, atol=1e-8)


def test_at_full_depth_and_width_nothing_is_lost_and_the_answer_is_that_of_the_primal():
    prompt = plane.posed("diabetes, linear", 1.0, seed=3)
    S = prompt.phi.T @ prompt.phi + prompt.ridge * torch.eye(10, dtype=torch.float64)
    f = prompt.phi_query @ torch.linalg.solve(S, prompt.phi.T @ prompt.y)
    torch.testing.assert_close(answers(prompt), f)
    assert ((plane.network(10).run(prompt).prediction[-1] - f).norm() / f.norm()) < 1e-8


def test_what_is_needed_is_read_off_a_row_by_hand():
    error = np.ones((2, len(plane.STEPS)))
    error[1, 3:] = 0.05  # the wider one, from the fourth depth on
    width, depth = plane.needed([{"widths": [2, 5], "error": error.ravel()}], "error", 0.1)
    assert (width.tolist(), depth.tolist()) == ([5], [plane.STEPS[3]])
    width, _ = plane.needed([{"widths": [2, 5], "error": np.ones(2 * len(plane.STEPS))}], "error", 0.1)
    assert np.isnan(width).all()


def test_the_tail_count_is_a_sum_of_what_is_beyond():
    mu, ridge = np.array([4.0, 1.0, 0.25]), 0.5
    weighted = mu**2 / (mu + ridge)
    for n in range(3):
        beyond = np.sqrt(weighted[n:].sum() / weighted.sum())
        assert plane.tail_count(mu, ridge, beyond + 1e-12) == n
        assert plane.tail_count(mu, ridge, beyond - 1e-12) == n + 1


def test_a_spectrum_that_fills_the_interval_falls_at_the_promised_rate_and_a_few_eigenvalues_faster():
    found = rates.of_many((10.0,), n=400)
    assert found["spread", 400, 10.0] == pytest.approx(rates.promised(10.0), rel=0.1)
    assert found["power law", 400, 10.0] > 1.2 * rates.promised(10.0)
    assert len(SPECTRA["spread"](10.0, 400)) == 400


def test_a_rate_is_read_off_between_a_tenth_and_the_floor():
    error = np.r_[1.0, 0.5, 0.2, 0.2 * np.exp(-2.0 * np.arange(1, 5))]  # falls by e^2 a step from the third on
    assert rates.rate(error, np.arange(7)) == pytest.approx(2.0)
    assert rates.rate(error, 5 * np.arange(7)) == pytest.approx(0.4)
    few = rates.of_networks(load_sweep("conditioning"))
    assert few["geometric", 32, 100.0] > rates.promised(100.0) and ("geometric", 32, 1e6) not in few


def test_a_number_of_steps_that_is_never_reached_is_no_number():
    grid = {"kernel": ["linear"], "knob": ["depth"], "level": [0, 1], "seed": [0, 1, 2]}
    rows = [
        dict(kernel="linear", knob="depth", level=level, seed=seed, value=10.0 * level, needed=(7 + seed, 81)[level], error=81.0)
        for level in (0, 1)
        for seed in (0, 1, 2)
    ]
    found, at = Swept(grid, rows, {}), dict(kernel="linear", knob="depth")
    assert knobs.levels(found, **at).tolist() == [0, 10]
    np.testing.assert_array_equal(knobs.turned(found, "needed", **at), [[7, np.nan], [8, np.nan], [9, np.nan]])
    np.testing.assert_array_equal(knobs.median(found, "needed", **at), [8, np.nan])
    assert knobs.median(found, "error", **at).tolist() == [81, 81]  # an error may be any number


def test_a_wider_law_s_corner_is_where_its_eigenvalues_end():
    """Of equal eigenvalues above the ridge all but a hundredth of them count for a tenth, since the weighted tail is a root."""
    rows = [
        {"law": "flat", "factor": factor, "mu": [1.0] * 100, "ridge": 1.0, "d_eff": 50.0 * factor} for factor in (1.0, 1.0, 10.0)
    ]
    assert plane.corner(Swept({}, rows, {}), "flat", tolerance=0.1) == (99, 50)
