"""What chapter depth-frontier measures: named spectra, the floor and the delay of conjugate gradient in floats, counts of networks."""

import math
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from factories import DTYPES, prompt_of
from metarep_lib import (
    Prompt,
    RidgeSystem,
    assemble,
    chebyshev,
    conjugate_gradient,
    newton_schulz,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import climb, exact_errors
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.numerics.spectrum import errors as spectral
from metarep_lib.tasks import SPECTRA, crowded
from tolerances import assert_within, unit_roundoff

FLOOR = 16.0  # the committed constant: error <= 1 / T_t + FLOOR u kappa in the norm of A


@pytest.mark.parametrize("name", [*SPECTRA, "crowded"])
@given(log_kappa=st.floats(0.01, 8), n=st.integers(4, 40))
def test_named_spectra_ascend_from_one_to_kappa(name, log_kappa, n):
    values = (SPECTRA | {"crowded": crowded})[name](10**log_kappa, n)
    assert len(values) == n and (np.diff(values) >= -1e-12 * values[1:]).all()
    assert values[-1] == pytest.approx(10**log_kappa, rel=1e-9)
    if name in ("power law", "fast decay"):  # the ridge is one, K has full rank
        assert values[0] > 1
    else:
        assert values[0] == pytest.approx(1, rel=1e-9)


def test_a_climb_reaches_the_top_and_stays_in_reach():
    ratio, z = climb(lambda z: -(z - 2).square().sum(), np.zeros(3))
    assert ratio == pytest.approx(1) and z.tolist() == pytest.approx([2] * 3, abs=1e-4)
    ratio, z = climb(lambda z: z.sum(), np.zeros(2), reach=1.5)
    assert z.tolist() == [1.5, 1.5] and ratio == pytest.approx(math.exp(3))


def prompt_with(values: np.ndarray, seed: int) -> tuple[Prompt, RidgeSystem, torch.Tensor]:
    """A prompt whose K + lambda I has these eigenvalues, with equal shares: the prompt, its system, alpha*."""
    n = len(values)
    Q = torch.from_numpy(np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0])
    values = torch.from_numpy(values)
    prompt = Prompt(Q * (values - 0.5).sqrt(), Q @ values.sqrt(), torch.zeros(0, n, dtype=torch.float64), ridge=0.5)
    return prompt, ridge_system(prompt), Q @ values.rsqrt()


def paths(prompt: Prompt, steps: int, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """alpha after every step, in float64, of the solver and of both networks run in this dtype."""
    held = prompt.to(dtype)
    made = {"solver": solvers.conjugate_gradient(ridge_system(held), steps).history["alpha"]}
    for name, network in networks(prompt.n_features, steps, dtype).items():
        made[name] = network.run(held)["alpha", "support"]
    return {name: alpha.double() for name, alpha in made.items()}


@cache
def networks(n_features: int, steps: int, dtype: torch.dtype) -> dict:
    orders = {"textbook": conjugate_gradient, "two blocks": two_block_conjugate_gradient}
    return {name: assemble(program(n_features, steps), dtype=dtype) for name, program in orders.items()}


def bound_in_kappa(kappa: float, n: int) -> torch.Tensor:
    return 1 / torch.cosh(torch.arange(n, dtype=torch.float64) * depth.interval_rate(kappa))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kappa", [3.0, 30.0, 1e3])
def test_the_bound_in_kappa_survives_rounding_up_to_the_floor(dtype, kappa):
    """Nineteen of two hundred prompts in twenty use less than a tenth of the floor, and all stay below it."""
    prompt = prompt_of(kappa, 20, 8, 1, n_prompts=200)
    system = ridge_system(prompt)
    star, kappa = solvers.cholesky(system).alpha, float(system.condition_number.max())
    for name, alpha in paths(prompt, 60, dtype).items():
        errors = system.norm(alpha - star) / system.norm(star)
        excess = (errors - bound_in_kappa(kappa, 61)[:, None]).clamp(min=0).amax(0)
        assert_within(excess.quantile(0.95), FLOOR * unit_roundoff(dtype) * kappa, name)
        assert excess.max() <= FLOOR * unit_roundoff(dtype) * kappa


def test_a_search_does_not_find_the_floor_exceeded(record_property):
    def excess(x: np.ndarray) -> float:
        kappa = 10 ** (1 + 2 * x[0])
        values, shares = torch.from_numpy(kappa ** np.r_[0, x[1:8], 1]).float(), torch.from_numpy(10 ** (-4 * x[8:17])).float()
        errors = spectral.conjugate_gradient_errors(values, shares, 40).double()
        return float((errors - bound_in_kappa(kappa, 41)).max() / (unit_roundoff(torch.float32) * kappa))

    generator = np.random.default_rng(0)
    best = max((excess(x), tuple(x)) for x in generator.uniform(size=(60, 17)))
    for _ in range(120):
        x = np.clip(np.array(best[1]) + 0.1 * generator.standard_normal(17), 0, 1)
        best = max(best, (excess(x), tuple(x)))
    record_property("tightness", float(best[0] / FLOOR))
    assert 0.01 < best[0] <= FLOOR / 8


def test_rounding_delays_the_networks_as_it_delays_the_solver_and_breaks_the_law_of_outliers():
    values, accuracy = crowded(1e4, 24), 1e-3
    law = depth.outlier_steps(torch.from_numpy(values), accuracy)
    exact = spectral.settling_step(torch.from_numpy(exact_errors(values, np.ones(24), 24)), accuracy)
    assert exact <= law
    for dtype in DTYPES:
        steps = {"solver": [], "textbook": [], "two blocks": []}
        for seed in range(7):  # medians over rotations: on one of them a rounding decides
            prompt, system, star = prompt_with(values, seed)
            for name, alpha in paths(prompt, 100, dtype).items():
                steps[name].append(int(spectral.settling_step(system.norm(alpha - star) / system.norm(star), accuracy)))
        taken = {name: float(np.median(counts)) for name, counts in steps.items()}
        assert taken["solver"] > 1.2 * law
        assert abs(taken["textbook"] / taken["solver"] - 1) <= 0.2
        assert abs(taken["two blocks"] / taken["solver"] - 1) <= 0.5


@pytest.mark.parametrize("name", ["spread", "one outlier", "fast decay"])
def test_networks_need_what_the_closed_forms_say(name):
    prompt, system, star = prompt_with(SPECTRA[name](50.0, 12), seed=1)
    eigenvalues, shares = spectral.spectral_shares(system)
    a, b = float(eigenvalues[0]), float(eigenvalues[-1])
    for accuracy in (1e-2, 1e-6):
        most = depth.krylov_steps(b / a, accuracy)
        expected = int(spectral.chebyshev_needs(eigenvalues, shares, accuracy, a, b, most))
        alpha = assemble(chebyshev(12, most, a, b)).run(prompt)["alpha", "support"]
        assert int(spectral.settling_step(system.norm(alpha - star) / system.norm(star), accuracy)) == expected
        descent = spectral.gradient_descent_needs(eigenvalues, shares, accuracy)
        doublings = math.ceil(math.log2(int(descent)))
        asked = Prompt(prompt.phi, prompt.y, prompt.phi, prompt.ridge).with_ridge_as_supports()
        said = assemble(newton_schulz(12, doublings, 2 / (a + b))).predict(asked)
        alpha = torch.linalg.solve(prompt.phi @ prompt.phi.T, said)  # asked at the supports, it says K alpha
        assert system.norm(alpha - star) <= accuracy * (1 + 1e-6) * system.norm(star)
