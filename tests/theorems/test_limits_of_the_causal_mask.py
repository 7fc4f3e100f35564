"""What a network under the causal mask cannot do, what it does instead, and what copies buy."""

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from exact_prompts import exact_tokens, exactly, prompt_of_rationals, rational_prompt, ridges, seeds
from factories import DTYPES, prompt_of, random_prompt
from metarep_lib import (
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
)
from metarep_lib.certify.statements import limits as statements
from metarep_lib.construct.algorithms import copied_gradient_descent, repeat_context
from metarep_lib.network import CausalMask
from metarep_lib.network.tokens import token_groups, tokenise
from rationals import exact_solve

# ---------------------------------------------------------------- the causal mask: what cannot be there


@certifies(
    "prop-dual-out-of-reach",
    statement=statements.twin_bound,
    mutants={"1 / lambda^2": lambda ridge: 1 / ridge**2, "1 / (lambda (1.99 + lambda))": lambda ridge: 1 / (ridge * (1.99 + ridge))},
)
@settings(max_examples=30)
@given(ridges, st.floats(-1, 1), st.floats(-100, 100))
@example(1.0, 0.5, 0.0)
def test_the_first_of_two_twins_cannot_know(statement, ridge, y_1, held):
    bound, mean = statement(ridge), (1 + ridge) * y_1 / (ridge * (2 + ridge))
    assert statements.twin_error(held, ridge, y_1) >= bound * (1 - 1e-9)
    assert statements.twin_error(mean, ridge, y_1) == pytest.approx(bound, rel=1e-8)  # half way between the two: attained
    for number in (mean + bound, mean - bound):  # alpha*_1 for y_2 = -1 and 1
        assert statements.twin_error(number, ridge, y_1) == pytest.approx(2 * bound, rel=1e-8)


@certifies(
    "prop-dual-out-of-reach",
    statement=lambda inverse, i: (inverse[i, i + 1 :] ** 2).sum(),
    mutants={
        "the sum over j >= i": lambda inverse, i: (inverse[i, i:] ** 2).sum(),
        "the sum over j > i + 1": lambda inverse, i: (inverse[i, i + 2 :] ** 2).sum(),
        "without the squares": lambda inverse, i: abs(inverse[i, i + 1 :]).sum(),
    },
)
@settings(max_examples=30)
@given(seeds, st.integers(2, 5))
@example(0, 4)
def test_the_least_mean_squared_error_is_what_the_inverse_says(statement, seed, k):
    """All 2^k sign patterns of the targets, each equally likely: the mean is exact."""
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((k, 3))
    inverse = np.linalg.inv(phi @ phi.T + 0.5 * np.eye(k))
    y = np.array(list(product([1.0, -1.0], repeat=k)))
    alpha = y @ inverse
    total = 0.0
    for i in range(k):
        bound = statement(inverse, i)
        best = y[:, : i + 1] @ inverse[i, : i + 1]
        anything = np.tanh(y[:, : i + 1] @ rng.standard_normal(i + 1)) + rng.standard_normal()
        assert ((alpha[:, i] - anything) ** 2).mean() >= bound * (1 - 1e-9)
        assert ((alpha[:, i] - best) ** 2).mean() == pytest.approx(bound, abs=1e-12)
        total += bound
    part = float(statements.out_of_reach(torch.from_numpy(phi @ phi.T + 0.5 * np.eye(k))))
    assert total == pytest.approx(part * (alpha**2).sum(1).mean()) and part < 0.5


# ---------------------------------------------------------------- the causal mask: what is there instead


def lower(phi, ridge, diagonal):
    K = phi @ phi.T
    return np.tril(K, 0 if diagonal else -1) + ridge * np.eye(len(phi), dtype=int)


def online(phi, y, ridge, diagonal):
    """alpha of the learner that reads the context once, and its weights."""
    w, alpha = 0 * phi[0], []
    for phi_i, y_i in zip(phi, y):
        alpha.append((y_i - phi_i @ w) / (ridge + (phi_i @ phi_i if diagonal else 0)))
        w = w + alpha[-1] * phi_i
    return np.array(alpha, dtype=object), w


@certifies(
    "prop-causal-richardson",
    statement=lower,
    mutants={
        "the whole of K": lambda phi, ridge, diagonal: phi @ phi.T + ridge * np.eye(len(phi), dtype=int),
        "the diagonal under the other mask": lambda phi, ridge, diagonal: lower(phi, ridge, not diagonal),
        "the upper triangle": lambda phi, ridge, diagonal: lower(phi, ridge, diagonal).T,
    },
    exact=True,
)
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("k, p", [(3, 1), (4, 2)])
def test_gradient_descents_weights_under_a_causal_mask_are_an_online_learner(statement, k, p, diagonal):
    phi, y, ridge = rational_prompt(k + p, k, p)
    M, eta = statement(phi, ridge, diagonal), Fraction(1, 4)
    network = assemble(gradient_descent(p, k + 1, float(eta)))
    tokens, support = exact_tokens(phi, y, ridge)
    alpha = 0 * y
    for x in exactly(network).stream(tokens, CausalMask(strict=not diagonal, n_registers=2)):
        assert (x[support, network.basis["alpha"]][:, 0] == alpha).all()
        alpha = alpha + eta * (y - M @ alpha)
    assert (M @ online(phi, y, ridge, diagonal)[0] == y).all()


@certifies(
    "prop-causal-richardson",
    statement=lambda k, ridge: (k, 1 / ridge),
    mutants={"k - 1 steps": lambda k, ridge: (k - 1, 1 / ridge), "another step size": lambda k, ridge: (k, 1 / (ridge + Fraction(1, 8)))},
    exact=True,
)
@pytest.mark.parametrize("k, p", [(1, 2), (3, 1), (4, 2)])
def test_under_the_strict_mask_the_network_is_there_after_as_many_steps_as_supports(statement, k, p):
    phi, y, _ = rational_prompt(k + p, k, p)
    ridge = Fraction(1, 2)  # one over it is a float
    steps, eta = statement(k, ridge)
    network = assemble(gradient_descent(p, k, float(eta)))
    tokens, support = exact_tokens(phi, y, ridge)
    states = list(exactly(network).stream(tokens, CausalMask(strict=True, n_registers=2)))
    assert (states[steps][support, network.basis["alpha"]][:, 0] == online(phi, y, ridge, False)[0]).all()


@certifies(
    "prop-causal-richardson",
    statement=lambda K, m: 2 / m.max(),
    mutants={
        "2.05 / max m_i": lambda K, m: 2.05 / m.max(),
        "1.95 / max m_i": lambda K, m: 1.95 / m.max(),
        "2 / lambda_max(K + lambda I), as without the mask": lambda K, m: 2 / (torch.linalg.eigvalsh(K)[-1] + 0.7),
    },
)
@pytest.mark.parametrize("diagonal", [True, False])
def test_it_converges_below_the_critical_step_and_not_above(statement, diagonal):
    prompt = random_prompt(6, 3, 1, 0.7, seed=4)
    K = prompt.phi @ prompt.phi.T
    M = torch.tril(K, 0 if diagonal else -1) + 0.7 * torch.eye(6)
    critical = float(statement(K, M.diagonal()))

    def after(step_size):
        error = torch.linalg.matrix_power(torch.eye(6) - step_size * M, 4096)
        return error.norm()

    assert after(0.99 * critical) < 1e-12
    assert after(1.01 * critical) > 1e6


def passes(phi, y, ridge, diagonal, times, keep=True):
    """The weights of the online learner after it has read the context so many times; `keep` what it knew before each."""
    w = 0 * phi[0]
    for _ in range(times):
        start = w if keep else 0 * w
        w = start + online(phi, y - phi @ start, ridge, diagonal)[1]  # it is the same learner of what is left to explain
    return w


@certifies(
    "prop-causal-richardson",
    statement=passes,
    mutants={
        "a pass fewer": lambda *context, times: passes(*context, times=times - 1),
        "every pass starts from nothing": lambda *context, times: passes(*context, times=times, keep=False),
    },
    exact=True,
)
@pytest.mark.parametrize("diagonal", [True, False])
def test_a_repeated_context_solves_for_what_as_many_passes_leave_behind(statement, diagonal):
    phi, y, ridge = rational_prompt(7, 3, 2)
    for times in (2, 3):
        repeated = np.vstack([phi] * times)
        alpha = exact_solve(lower(repeated, ridge, diagonal), np.tile(y, times))
        assert (repeated.T @ alpha == statement(phi, y, ridge, diagonal, times=times)).all()


@certifies(
    "prop-causal-distance",
    statement=lambda K, diagonal: np.triu(K, 1 if diagonal else 0),
    mutants={
        "U without the diagonal under either mask": lambda K, diagonal: np.triu(K, 1),
        "U with the diagonal under either mask": lambda K, diagonal: np.triu(K),
        "the lower triangle": lambda K, diagonal: np.triu(K, 1 if diagonal else 0).T,
    },
    exact=True,
)
def test_the_distance_to_ridge_regression_is_the_formula(statement):
    for (k, p), diagonal in product([(1, 2), (3, 2), (4, 1)], [True, False]):
        phi, y, ridge = rational_prompt(k, k, p)
        star = exact_solve(phi @ phi.T + ridge * np.eye(k, dtype=int), y)
        off = online(phi, y, ridge, diagonal)[0] - star
        assert (off == exact_solve(lower(phi, ridge, diagonal), statement(phi @ phi.T, diagonal) @ star)).all()


def with_another_h(h):
    """The bound with this h(mu, d's, lambda) in the place of its own."""

    def bound(phi, star, ridge):
        K = phi @ phi.T
        other = h(torch.linalg.eigvalsh(K)[0].clamp(min=0), K.diagonal(), ridge)
        return statements.causal_distance_bound(phi, star, ridge) * statements.coercivity(K, ridge) / other

    return bound


@certifies(
    "prop-causal-distance",
    statement=statements.causal_distance_bound,
    mutants={
        "0.6 in the place of the half": with_another_h(lambda mu, d, ridge: ridge + 0.6 * (mu + d.min())),
        "d the largest K_ii": with_another_h(lambda mu, d, ridge: ridge + 0.5 * (mu + d.max())),
    },
)
@given(seeds, st.integers(2, 6), st.integers(1, 5), st.floats(-3, 3))
@example(0, 3, 3, 0.0)
def test_the_distance_to_ridge_regression_is_within_its_bound(statement, seed, k, p, log_ridge):
    rng = np.random.default_rng(seed)
    b = 0.01  # the proof's example, which attains the bound for b -> 0, next to a third support of any length
    example = np.array([[1.0, 0.0, 0.0], [b, (1 - b**2) ** 0.5, 0.0], [0.0, 0.0, 3.0]])
    for phi, star, ridge in (
        (example, np.array([0.0, 1.0, 0.0]), 1e-3),
        (rng.standard_normal((k, p)), rng.standard_normal(k), 10**log_ridge),
    ):
        posed = torch.from_numpy(phi), torch.from_numpy(star), ridge
        assert statements.causal_distance(*posed) <= statement(*posed) * (1 + 1e-9)


@certifies("prop-causal-distance")
def test_a_search_comes_close_to_the_distance(record_property):
    start = np.concatenate([np.eye(3).ravel() + 0.1, [0.0, 0.5, 1.0, 0.0]])
    search = scipy.optimize.minimize(lambda flat: -statements.causal_used(flat), start, method="Powell", options={"maxiter": 12})
    record_property("tightness", float(-search.fun))
    assert 0.99 < -search.fun <= 1 + 1e-9


@certifies(
    "prop-online-limits",
    statement=Fraction(1, 2),
    mutants={"1 is the critical m": Fraction(1), "1/3 is the critical m": Fraction(1, 3)},
    exact=True,
)
def test_below_a_half_the_fixed_point_grows_beyond_all_bounds_and_above_it_does_not(statement):
    k, ones = 600, np.full((600, 1), Fraction(1), dtype=object)
    for diagonal, ridge in product((False, True), (Fraction(1, 5), Fraction(9, 20), Fraction(11, 20), Fraction(3))):
        m, (_, w) = ridge + diagonal, online(ones, ones[:, 0], ridge, diagonal)
        assert w[0] == 1 - (1 - 1 / m) ** k
        assert (abs(w[0]) > 10**9) == (m < statement)


@certifies(
    "prop-online-limits",
    statement=lambda m: 1 / (2 * m - 1),
    mutants={"1 / (2 m)": lambda m: 1 / (2 * m), "1 / m^2, of the last support alone": lambda m: 1 / m**2},
)
@pytest.mark.parametrize("diagonal", [True, False])
def test_above_a_half_the_fixed_point_keeps_a_variance_that_ridge_regression_averages_away(statement, diagonal):
    k, ones = 100, np.full((100, 1), Fraction(1), dtype=object)
    for ridge in (Fraction(3, 5), Fraction(3)):
        responses = [online(ones, row + Fraction(0), ridge, diagonal)[1][0] for row in np.eye(k, dtype=int)]  # w is linear in y
        variance = sum(response**2 for response in responses)
        assert float(variance) == pytest.approx(float(statement(ridge + diagonal)), rel=1e-9)
        assert k / (k + ridge) ** 2 < Fraction(1, k) < variance


# ---------------------------------------------------------------- the causal mask: what copies buy


@certifies(
    "prop-copies",
    statement=lambda prompt, copies: repeat_context(prompt.with_ridge_as_supports(), copies),
    mutants={
        "a copy fewer": lambda prompt, copies: repeat_context(prompt.with_ridge_as_supports(), copies - 1),
        "the ridge left out": lambda prompt, copies: repeat_context(prompt, copies),
    },
    exact=True,
)
def test_a_copy_carries_a_step_exactly(statement):
    for k, p, copies in ((2, 2, 3), (3, 1, 2), (1, 1, 1)):  # after one step nobody has read the ridge
        rng = np.random.default_rng(k + p)
        Phi, y, x = (rng.integers(1, 4, shape) + Fraction(0) for shape in ((k, p), (k,), (2, p)))
        context = statement(prompt_of_rationals(Phi, y, 4, x), copies)  # the root of the ridge is a dyadic number
        network = assemble(copied_gradient_descent(p, copies, 0.25))
        exact = exactly(network)
        streams = list(exact.stream(np.vectorize(Fraction, otypes=[object])(tokenise(context).numpy()), CausalMask(strict=True, n_registers=2)))
        outputs = [exact.read(stream)[-2:, 0] for stream in streams[1:]]  # after the block that shows y, and after every step
        A, alpha = Phi @ Phi.T + 4 * np.eye(k, dtype=int), 0 * y
        for output in outputs:
            assert (output == x @ Phi.T @ alpha).all()
            alpha = alpha + Fraction(1, 4) * (y - A @ alpha)


@certifies(
    "prop-copies",
    statement=lambda p, c: (p + c + 3, c + 1, c),
    mutants={
        "p + c + 2 channels": lambda p, c: (p + c + 2, c + 1, c),
        "c blocks": lambda p, c: (p + c + 3, c, c),
        "a head in the first block too": lambda p, c: (p + c + 3, c + 1, c + 1),
    },
)
def test_the_network_for_copies_has_the_channels_blocks_and_heads_stated(statement):
    for p, c in ((1, 1), (3, 6)):
        network = assemble(copied_gradient_descent(p, c, 0.25)).transformer
        run = [network.blocks[at] for at in network.config.schedule]
        heads = [len(attention.W_Q) for block in run for attention in block.attention]
        assert (network.W_E.shape[1], len(run), sum(heads)) == statement(p, c)


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_in_floats_in_batches_and_in_size(dtype):
    prompts = prompt_of(10.0, 9, 3, 2, seed=2, n_prompts=3)
    eta = float(1 / ridge_system(prompts).eigenvalues.max())
    network = assemble(copied_gradient_descent(3, 6, eta), dtype=dtype)
    says = network.run(repeat_context(prompts.with_ridge_as_supports(), 6).to(dtype)).prediction[-1][:, -2:].double()
    tolerances.assert_within(says - assemble(gradient_descent(3, 6, eta)).predict(prompts), 8 * tolerances.drift(dtype, 6))
    with pytest.raises(ValueError, match=r"(?s)repeat_context.*(this would work|e\.g\. 3)"):
        repeat_context(prompts, 0)


def test_the_textbook_network_is_silent_under_a_causal_mask():
    prompt = prompt_of(10.0, 9, 3, 2, seed=2)
    network = assemble(conjugate_gradient(3, 4))
    *_, x = network.transformer.stream(tokenise(prompt), CausalMask(strict=True, n_registers=2))
    assert (x[token_groups(prompt)["support"], network.basis["alpha"]] == 0).all()
