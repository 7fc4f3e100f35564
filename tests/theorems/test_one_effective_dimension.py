"""Width and depth together: the joint bound on random and searched inputs, its corollary, the ridge's shift; laws and learned maps."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from certificates import certifies
from factories import answer, random_prompt
from metarep_lib import Prompt, assemble, ridge_system, solvers, two_block_conjugate_gradient
from metarep_lib.certify import worst_case
from metarep_lib.numerics import best_projection, projected, random_projection, spanned_features
from metarep_lib.numerics.bounds import (
    capacity_bound,
    conjugate_gradient_bound,
    distinct_eigenvalues,
    prediction_factor,
    width_bound,
)
from metarep_lib.numerics.spectrum import depth_laws as depth
from metarep_lib.studies.capacity import LAWS, POOL, in_common_coordinates, learn_map, pool
from rationals import exact_solve, rationals

seeds = st.integers(0, 10**6)


def unit(n: int) -> np.ndarray:
    return np.eye(n, dtype=int) + Fraction(0)


def narrow_predictions(prompt: Prompt, W: torch.Tensor, steps: int) -> torch.Tensor:
    """[steps + 1, q] f_(m,t), by the textbook solver."""
    system = ridge_system(projected(prompt, W))
    return system.predict(solvers.conjugate_gradient(system, steps).history["alpha"])


@certifies(
    "thm-capacity",
    statement=capacity_bound,
    mutants={
        "the depth bound alone": lambda prompt, W, steps: capacity_bound(prompt, W, steps) - width_bound(prompt, W),
        "the width bound alone": lambda prompt, W, steps: width_bound(prompt, W).expand(steps + 1, -1),
        "the larger of the two": lambda prompt, W, steps: torch.maximum(width_bound(prompt, W), capacity_bound(prompt, W, steps) - width_bound(prompt, W)),
        "nothing left to depth from m steps on": lambda prompt, W, steps: capacity_bound(prompt, W, steps + 1)[1:],
    },
)
def test_width_and_depth_together_are_bounded_by_their_sum(statement):
    for seed in range(100):
        rng = np.random.default_rng(seed)
        k, p, ridge = *rng.integers((2, 2), (13, 8)).tolist(), 10 ** rng.uniform(-2, 2)
        prompt = random_prompt(k, p, 4, ridge, seed=seed)
        for W in (random_projection(p, p - 1, torch.Generator().manual_seed(seed)), best_projection(prompt, 1)):
            gap = (narrow_predictions(prompt, W, 9) - answer(prompt)).abs()
            assert (gap <= statement(prompt, W, 9) * (1 + 1e-9) + 1e-10 * prompt.y.norm() / prompt.ridge).all()


def test_a_search_comes_near_the_bound_and_not_beyond_it():
    def ratio(flat: torch.Tensor) -> torch.Tensor:
        prompt = Prompt(flat[:12].reshape(4, 3), flat[12:16], flat[16:19].reshape(1, 3), 0.5)
        W = torch.linalg.qr(flat[19:25].reshape(3, 2)).Q.mT
        system = ridge_system(projected(prompt, W))
        said = system.predict(solvers.conjugate_gradient(system, 1).alpha)
        kappa = system.condition_number  # after one step 1 / T_1 = (kappa - 1) / (kappa + 1)
        of_depth = (kappa - 1) / (kappa + 1) * prediction_factor(system, solvers.cholesky(system).alpha)
        return ((said - answer(prompt)).abs() / (width_bound(prompt, W) + of_depth)).squeeze()

    found = worst_case(ratio, 25, seed=0, starts=2)
    assert 0.5 < found <= 1 + 1e-8


def largest_over_ridge(prompt: Prompt) -> torch.Tensor:
    """(mu_1 + lambda) / lambda"""
    return torch.linalg.matrix_norm(prompt.phi, 2).square() / prompt.ridge + 1


@certifies(
    "thm-capacity",
    statement=largest_over_ridge,
    mutants={
        "a narrow system has no larger condition number than the full one": lambda prompt: ridge_system(prompt).condition_number,
        "mu_1 / lambda": lambda prompt: largest_over_ridge(prompt) - 1,
    },
)
def test_a_narrow_system_has_a_smaller_effective_dimension_but_not_a_smaller_condition_number(statement):
    orthogonal = Prompt(3 * torch.eye(5, dtype=torch.float64), torch.ones(5).double(), torch.zeros(0, 5).double(), ridge=0.4)  # its condition number is one
    for seed, prompt in enumerate([orthogonal, *(random_prompt(7, 5, 0, ridge=0.4, seed=seed) for seed in range(20))]):
        mu = torch.linalg.svdvals(prompt.phi).square()
        for m in (1, 3):
            narrow = projected(prompt, random_projection(5, m, torch.Generator().manual_seed(seed)))
            mu_narrow = torch.linalg.svdvals(narrow.phi).square()
            assert (mu_narrow <= mu[: len(mu_narrow)] * (1 + 1e-12)).all()
            assert depth.effective_dimension(mu_narrow, 0.4) <= depth.effective_dimension(mu, 0.4)
            assert ridge_system(narrow).condition_number <= statement(prompt) * (1 + 1e-12)


@given(seed=seeds, n=st.integers(1, 7), steps=st.integers(0, 9))
def test_the_least_bound_over_windows_is_the_curve_that_the_count_inverts(seed, n, steps):
    values = torch.from_numpy(np.exp(np.random.default_rng(seed).uniform(0, 8, n)))
    curve = depth.outlier_errors(values, steps)
    assert curve[0] == 1 and (curve.diff() <= 1e-12).all()
    kappa = values.max() / values.min()
    assert (curve <= conjugate_gradient_bound(kappa, torch.arange(steps + 1)).clamp(max=1) + 1e-12).all()
    for accuracy in (0.3, 1e-2, 1e-5):
        promised = depth.outlier_steps(values, accuracy)
        assert promised > steps or curve[promised] <= accuracy * (1 + 1e-9)
        assert promised == 0 or promised - 1 > steps or curve[promised - 1] > accuracy * (1 - 1e-9)


def test_eigenvalues_at_the_ridge_count_once():
    prompt = random_prompt(9, 4, 0, ridge=0.25, seed=0)
    whole = torch.unique(ridge_system(prompt).eigenvalues.round(decimals=9))
    torch.testing.assert_close(distinct_eigenvalues(prompt), whole, rtol=1e-7, atol=1e-7)
    wide = random_prompt(3, 5, 0, ridge=0.25, seed=0)
    torch.testing.assert_close(distinct_eigenvalues(wide), ridge_system(wide).eigenvalues)


def slow(c: float) -> float:
    """What CG keeps of its error in a step where the condition number is 1 + c."""
    return (math.sqrt(1 + c) - 1) / (math.sqrt(1 + c) + 1)


def bracket(c: float, j: int) -> float:
    """Of the corollary: what width leaves, and what j steps more than outliers leave."""
    return math.sqrt(c) / (1 + c) + 2 * slow(c) ** j


def along(singular_values: list[float], y: list[float], query: list[float]) -> Prompt:
    """A prompt whose features lie along the axes, and as many supports without features as targets are left over."""
    phi = torch.zeros(len(y), len(singular_values), dtype=torch.float64)
    phi.diagonal().copy_(torch.tensor(singular_values, dtype=torch.float64))
    return Prompt(phi, torch.tensor(y).double(), torch.tensor([query]).double(), ridge=1.0)


def one_count_cases() -> list[tuple[Prompt, float]]:
    cases = [
        (along([10.0, 1.0], [0, 1], [0, 1]), 1e-2),  # the second exceeds c lambda: one is too few
        (along([1e3, 1e2, 0.5], [0, 0, 1], [0, 0, 1]), 0.25),  # what width leaves is attained
        (along([1.0], [1, 1], [1]), 1e-3),  # two eigenvalues, both of which the answer needs
    ]
    for seed in range(100):
        prompt, c = random_prompt(10, 7, 5, ridge=1.0, seed=seed), 10 ** np.random.default_rng(seed).uniform(-3, 0)
        cases.append((Prompt(prompt.phi * 3.0 ** -torch.arange(7).double(), prompt.y, prompt.phi_query, 1.0), c))
    return cases


@certifies(
    "cor-one-count",
    statement=lambda c, n, j: (n, n + j, bracket(c, j)),
    mutants={
        "a width one short of the count": lambda c, n, j: (n - 1, n + j, bracket(c, j)),
        "one step fewer": lambda c, n, j: (n, n + j - 1, bracket(c, j)),
        "what width leaves without its root": lambda c, n, j: (n, n + j, bracket(c, j) + (c - math.sqrt(c)) / (1 + c)),
    },
)
def test_one_count_serves_width_and_depth(statement):
    """The narrowest map, the fewest steps and the bracket, for n eigenvalues above c lambda and j steps more; lambda is one."""
    for case, (prompt, c) in enumerate(one_count_cases()):
        n, j = int((torch.linalg.svdvals(prompt.phi).square() > c).sum()), 1 + max(case - 2, 0) % 4
        narrowest, steps, left = statement(c, n, j)
        for m in range(max(narrowest, 1), prompt.n_features + 1):
            gap = (narrow_predictions(prompt, best_projection(prompt, m), steps)[-1] - answer(prompt)).abs()
            assert (gap <= left * prompt.phi_query.norm(dim=-1) * prompt.y.norm() * (1 + 1e-9) + 1e-12).all()


@certifies(
    "cor-one-count",
    statement=lambda c: math.sqrt(c) / (1 + c),
    mutants={"a hundredth less": lambda c: 0.99 * math.sqrt(c) / (1 + c), "a hundredth more": lambda c: 1.01 * math.sqrt(c) / (1 + c)},
)
def test_what_width_leaves_is_attained(statement):
    for c in (1e-3, 0.25, 1.0):
        prompt = along([10.0, math.sqrt(c)], [0, 1], [0, 1])
        gap = (answer(projected(prompt, best_projection(prompt, 1))) - answer(prompt)).abs().item()
        assert math.isclose(gap, statement(c), rel_tol=1e-9)


@certifies(
    "cor-one-count",
    statement=(lambda c: c / 2, lambda c: (1 + c) / c),
    mutants={
        "what depth leaves at one more step, a third of c": (lambda c: c / 3, lambda c: (1 + c) / c),
        "the count over the effective dimension, 1 / c": (lambda c: c / 2, lambda c: 1 / c),
    },
)
def test_how_much_one_more_step_leaves_and_how_large_the_count_is(statement):
    last, count = statement
    for c in np.geomspace(1e-4, 1, 30):
        assert 2 * slow(c) <= last(c) * (1 + 1e-9)
        for mu in (np.full(5, c * (1 + 1e-9)), np.geomspace(1e-5, 1e3, 20)):  # the first are as small as can be and are counted all the same
            assert (mu > c).sum() <= count(c) * depth.effective_dimension(torch.from_numpy(mu), 1.0)


@certifies(
    "prop-ridge-shift",
    statement=lambda A, y, k, h: -h * (k @ exact_solve(A + h * unit(4), exact_solve(A, y))),
    mutants={
        "-h k A^-1 y, one solve alone": lambda A, y, k, h: -h * (k @ exact_solve(A, y)),
        "-h k A^-2 y, as if h were small": lambda A, y, k, h: -h * (k @ exact_solve(A, exact_solve(A, y))),
        "twice the step": lambda A, y, k, h: -2 * h * (k @ exact_solve(A + h * unit(4), exact_solve(A, y))),
        "the other sign": lambda A, y, k, h: h * (k @ exact_solve(A + h * unit(4), exact_solve(A, y))),
    },
    exact=True,
)
def test_a_change_of_the_ridge_shifts_predictions_by_two_solves(statement):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        Phi, y, query = rationals(rng, 4, 3), rationals(rng, 4) + Fraction(1, 7), rationals(rng, 3) + Fraction(1, 9)
        A, k = Phi @ Phi.T + Fraction(1, 2) * unit(4), Phi @ query
        for h in (Fraction(1, 5), Fraction(-2, 5)):  # above minus the ridge
            assert k @ exact_solve(A + h * unit(4), y) - k @ exact_solve(A, y) == statement(A, y, k, h)


def derivative(prompt: Prompt, power: int = 2, root: float = 0.5) -> torch.Tensor:
    """By the ridge, at every query: minus the sum over singular vectors of mu^root / (mu + lambda)^power."""
    U, s, Vh = torch.linalg.svd(prompt.phi, full_matrices=False)
    return -(prompt.phi_query @ Vh.mT * s ** (2 * root) / (s**2 + prompt.ridge) ** power) @ (U.mT @ prompt.y)


@certifies(
    "prop-ridge-shift",
    statement=derivative,
    mutants={
        "mu + lambda to the first power": lambda prompt: derivative(prompt, power=1),
        "mu for its root": lambda prompt: derivative(prompt, root=1.0),
        "the other sign": lambda prompt: -derivative(prompt),
    },
)
@pytest.mark.parametrize("k, p", [(9, 4), (4, 9)])
def test_the_derivative_by_the_ridge_is_that_of_autograd(statement, k, p):
    for seed in range(10):
        prompt = random_prompt(k, p, 3, ridge=0.2, seed=seed)

        def f(ridge: torch.Tensor, prompt: Prompt = prompt) -> torch.Tensor:
            A = prompt.phi @ prompt.phi.mT + ridge * torch.eye(k, dtype=torch.float64)
            return prompt.phi_query @ prompt.phi.mT @ torch.linalg.solve(A, prompt.y)

        by_ridge = torch.autograd.functional.jacobian(f, torch.tensor(0.2, dtype=torch.float64))
        torch.testing.assert_close(by_ridge, statement(prompt), rtol=1e-8, atol=1e-10)


@certifies(
    "prop-ridge-shift",
    statement=lambda before, after: before + after,
    mutants={
        "the larger of the two errors": torch.maximum,
        "the error after the change": lambda before, after: after,
        "the sum, one hundredth smaller": lambda before, after: 0.99 * (before + after),
    },
)
def test_a_network_shifts_as_ridge_regression_does_up_to_its_two_depth_errors(statement):
    network = assemble(two_block_conjugate_gradient(6, 4))
    for seed in range(20):
        prompt = random_prompt(9, 6, 4, ridge=0.2, seed=seed)
        moved = Prompt(prompt.phi, prompt.y, prompt.phi_query, 0.5)
        before, after = (network.run(one).prediction for one in (prompt, moved))
        shift, errors = answer(moved) - answer(prompt), [(said - answer(one)).abs() for said, one in ((before, prompt), (after, moved))]
        assert ((after - before - shift).abs() <= statement(*errors) + 1e-10).all()


@pytest.mark.parametrize("law", LAWS)
def test_laws_draw_what_they_say_and_score_nobody_they_learn_from(law):
    made, learned_from = LAWS[law].prompt(0), pool(law)
    assert learned_from.phi.shape[0] == POOL and made.phi.shape[-1] == learned_from.phi.shape[-1]
    raw, again = LAWS[law].prompt(0), LAWS[law].prompt(1)
    assert raw.phi.equal(made.phi) and not again.phi.equal(made.phi)
    held = LAWS[law].coordinates(made)
    if LAWS[law].kernel:
        K = LAWS[law].kernel(made.phi, made.phi)
        torch.testing.assert_close(held.phi @ held.phi.mT, K, rtol=1e-9, atol=1e-9 * K.max().item())


def test_learning_beats_its_own_start_and_inducing_points_are_a_projection():
    W = learn_map("diabetes, linear", 2, seed=0, steps=60)
    torch.testing.assert_close(W @ W.mT, torch.eye(2, dtype=torch.float64))
    start = learn_map("diabetes, linear", 2, seed=0, steps=0)
    batch = pool("diabetes, linear")

    def loss(W: torch.Tensor) -> torch.Tensor:
        narrow = Prompt(batch.phi @ W.mT, batch.y, batch.phi_query @ W.mT, batch.ridge)
        return (answer(narrow) - batch.y_query).square().mean()

    assert loss(W) < loss(start)
    law = LAWS["sphere, exponential"]
    raw, landmarks = law.prompt(0), law.prompt(1).phi[:5]
    wide, W = in_common_coordinates(raw, law.kernel, landmarks)
    torch.testing.assert_close(answer(wide), answer(law.coordinates(raw)), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(answer(projected(wide, W)), answer(spanned_features(raw, law.kernel, anchors=landmarks)), rtol=1e-6, atol=1e-6)
