"""Another rounding moves bits, by no more than the last place, and the same way every time."""

import numpy as np
import pytest
import torch

from metarep_lib.rounding import in_last_place
from metarep_lib.settings import ROUNDING, rounding_draw
from metarep_lib.tasks import (
    ExponentialPrior,
    LinearPrior,
    SpherePrior,
    class_prompt,
    clusters,
    column_prompt,
    designed_prompts,
    diabetes_prompt,
    sphere_task,
    synthetic_prompt,
)

MAKERS = {
    "synthetic": lambda: synthetic_prompt(np.array([1.0, 0.1]), 9, 3, 0.1, seed=0),
    "diabetes": lambda: diabetes_prompt(20, 5, 1.0, seed=0),
    "classes": lambda: class_prompt("iris", 30, 5, 1.0, seed=0),
    "column": lambda: column_prompt("wine", 0, 20, 5, seed=0),
    "designed": lambda: designed_prompts(clusters(2, 0.5, 2.0), 2, 8, 2, 4, seed=0, ridge=1.0),
    "sphere": lambda: sphere_task(20, 5, 3, noise=0.1, seed=0).prompt,
}
PRIORS = (LinearPrior(3), ExponentialPrior(3), SpherePrior(3))


def parts(prompt):
    return {name: getattr(prompt, name) for name in ("phi", "y", "phi_query", "y_query")}


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
def test_every_prompt_of_the_tasks_moves_in_its_last_place(make, monkeypatch):
    monkeypatch.delenv(ROUNDING, raising=False)
    plain = parts(make())
    monkeypatch.setenv(ROUNDING, "1")
    first, again = parts(make()), parts(make())
    monkeypatch.setenv(ROUNDING, "2")
    second = parts(make())
    for name, x in plain.items():
        assert torch.equal(first[name], again[name])
        assert (first[name] != x).any() and (first[name] != second[name]).any(), name
        assert ((first[name] - x).abs() <= torch.finfo(x.dtype).eps * x.abs()).all()  # one unit is at most this


def test_single_precision_is_drawn_again_and_half_precision_is_not(monkeypatch):
    monkeypatch.delenv(ROUNDING, raising=False)
    prompt = MAKERS["synthetic"]()
    plain, half = parts(prompt.to(torch.float32)), parts(prompt.to(torch.bfloat16))
    monkeypatch.setenv(ROUNDING, "1")
    first, again = parts(prompt.to(torch.float32)), parts(prompt.to(torch.float32))
    for name, x in plain.items():
        assert torch.equal(first[name], again[name]) and (first[name] != x).any()
        assert ((first[name] - x).abs() <= torch.finfo(x.dtype).eps * x.abs()).all()
        assert torch.equal(parts(prompt.to(torch.bfloat16))[name], half[name])
    assert torch.equal(prompt.to("cpu").phi, prompt.phi)


@pytest.mark.parametrize("prior", PRIORS, ids=lambda prior: type(prior).__name__)
def test_every_draw_of_a_prior_moves_too(prior, monkeypatch):
    sample = lambda: prior.sample(2, 5, torch.Generator().manual_seed(0))  # noqa: E731
    monkeypatch.delenv(ROUNDING, raising=False)
    plain = sample()
    monkeypatch.setenv(ROUNDING, "1")
    moved = sample()
    for name in ("x", "f", "y"):
        assert (getattr(plain, name) != getattr(moved, name)).any()
    assert torch.equal(plain.noise, moved.noise)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_third_of_all_entries_moves_up_a_third_down_and_zero_stays(dtype):
    x = torch.linspace(-3, 3, 3001, dtype=dtype)
    x[1500] = 0
    moved = in_last_place(x, draw=5)
    shares = [(moved > x).double().mean(), (moved < x).double().mean()]
    assert all(0.30 < share < 0.37 for share in shares)
    assert moved[1500] == 0


def test_a_setting_that_is_no_number_is_refused(monkeypatch):
    monkeypatch.setenv(ROUNDING, "twice")
    with pytest.raises(ValueError, match="METAREP_ROUNDING='twice': expected an integer"):
        rounding_draw()
