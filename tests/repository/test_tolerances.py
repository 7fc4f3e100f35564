"""Tolerances have room for every rounding, and none for a mistake."""

import pytest
import torch

import tolerances
from factories import DTYPES, prompt_of
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
)

N_DRAWS = 200


def drawn_errors(build, kappa: float, shape: tuple[int, int], dtype: torch.dtype, ridge: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares of the tolerances of alpha and f that a network uses on two hundred prompts, told `ridge` times the ridge."""
    k, p = shape
    prompt = prompt_of(kappa, k, p, seed=3, n_prompts=N_DRAWS)
    system = ridge_system(prompt)
    star, kappa = solvers.cholesky(system).alpha, float(system.condition_number.max())
    told = Prompt(prompt.phi, prompt.y, prompt.phi_query, ridge * prompt.ridge).to(dtype)
    trace = assemble(build(p, kappa), dtype=dtype).run(told)
    alpha = tolerances.relative(trace["alpha", "support"][-1], star) / tolerances.solution(dtype, kappa)
    f = tolerances.relative(trace.prediction[-1], system.predict(star)) / tolerances.prediction(dtype, kappa)
    return alpha, f


NETWORKS = {
    "conjugate gradient": lambda p, kappa: conjugate_gradient(p, min(3 * p + 3, 30)),
    "gradient descent": lambda p, kappa: gradient_descent(p, int(40 * kappa), 2 / (1 + 2 / (kappa - 1))),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kappa", [1.5, 10.0])
def test_nineteen_draws_in_twenty_use_less_than_a_tenth(network, dtype, kappa):
    for share in drawn_errors(NETWORKS[network], kappa, (24, 6), dtype):
        assert share.quantile(0.95) <= 0.1 and share.max() <= 1


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_ridge_that_is_a_little_wrong_uses_more_than_all(dtype):
    wrong = 1 + 2e4 * tolerances.unit_roundoff(dtype)
    for share in drawn_errors(NETWORKS["conjugate gradient"], 10.0, (24, 6), dtype, wrong):
        assert share.quantile(0.05) > 1
