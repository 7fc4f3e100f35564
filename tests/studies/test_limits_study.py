"""The studies and statements of the chapter on masks and width, against what is known of them from elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.linalg import eigh
from scipy.optimize import minimize
from sklearn.linear_model import Ridge

from metarep_lib import Prompt, assemble, conjugate_gradient, gradient_descent
from metarep_lib.certify import leakage_by_change
from metarep_lib.certify.statements import limits as statements
from metarep_lib.construct.algorithms import causal_conjugate_gradient
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.studies import leaks, long_contexts, narrow_streams, sizes

ridges = pytest.mark.parametrize("ridge", [0.1, 1.0, 7.0])


def prompt_of(seed, k=12, p=4, q=5, n=3):
    rng = np.random.default_rng(seed)
    draw = (rng.standard_normal(shape) for shape in ((n, k, p), (n, k), (n, q, p)))
    return Prompt(*map(torch.from_numpy, draw), ridge=0.5)


# ---------------------------------------------------------------- statements


@ridges
def test_the_error_forced_is_that_of_the_proof_s_two_cases(ridge):
    """Cases s <= |v| and |v| < s, with the answers the proof writes down."""
    s, tau = 0.25, 0.5
    first = 0.5 * ((1 + s) + (1 - s)) / (1 + ridge)
    second = 0.5 * sum(one / (one**2 + ridge) for one in (1 + tau, 1 - tau))
    for kernel, error in (([0.0, 2.0, 2 * s], first), ([tau, 0.0, 1.0], second)):
        assert statements.forced_error(np.array(kernel), ridge) == pytest.approx(error, rel=1e-9)


@ridges
def test_a_search_over_kernels_comes_down_to_the_bound_and_not_below_it(ridge):
    starts = [*np.random.default_rng(1).standard_normal((4, 3)), np.array([0.95, 0.0, 1.0])]  # the last in its valley
    least = min(minimize(statements.forced_error, z, (ridge,), "Nelder-Mead").fun for z in starts)
    assert 1 / (4 + ridge) - 1e-9 <= least <= 1.02 / (4 + ridge)
    assert least < 1 / (3.8 + ridge)  # the mutant: 3.8 for 4


def test_the_narrow_network_s_error_by_hand():
    """The query along the support is the worst; there w_t = w* (1 - (1 - eta (phi^2 + lambda))^t)."""
    size, ridge, blocks = 0.3, 0.25, 10
    left = (1 - (size**2 + ridge) / (4 + ridge)) ** blocks
    by_hand = left * 2 * size / (size**2 + ridge)
    assert statements.narrow_error(size, ridge, blocks) == pytest.approx(by_hand, rel=1e-9)
    assert statements.narrow_used(size, np.log(ridge), blocks) == pytest.approx(by_hand / (4 / (4 + ridge)) ** blocks / 2, rel=1e-9)


def test_the_narrow_bound_is_used_up_and_a_faster_rate_is_passed():
    assert 0.99 < statements.narrow_used(0.02, -8.0) <= 1
    assert statements.narrow_used(0.02, -8.0) * (4 / 3.99) ** 10 > 1.01  # the mutant: 3.99 for 4


@pytest.mark.parametrize("ridge", [Fraction(1, 10), Fraction(1), Fraction(7)])
def test_what_a_twin_cannot_know(ridge):
    """alpha*_1 = ((1 + lambda) - y_2) / (lambda (2 + lambda)): half way between its two values, the bound is attained."""
    ends = [((1 + ridge) - y) / (ridge * (2 + ridge)) for y in (1, -1)]
    bound = statements.twin_bound(float(ridge))
    assert statements.twin_error(float(sum(ends) / 2), float(ridge)) == pytest.approx(bound, rel=1e-9)
    assert statements.twin_error(float(ends[0]), float(ridge)) == pytest.approx(2 * bound, rel=1e-9)


def test_the_part_out_of_reach_is_what_random_targets_show():
    phi = prompt_of(3, n=1).phi[0]
    A = phi @ phi.T + 0.5 * torch.eye(12).double()
    inverse, y = np.linalg.inv(A.numpy()), np.random.default_rng(0).standard_normal((12, 100_000))
    missed = np.triu(inverse, 1) @ y  # what conditional means of y_1 .. y_i leave
    share = (missed**2).sum() / ((inverse @ y) ** 2).sum()
    assert float(statements.out_of_reach(A)) == pytest.approx(share, rel=0.02)


@pytest.mark.parametrize("diagonal", [True, False])
def test_the_fixed_point_is_what_an_online_learner_leaves_behind(diagonal):
    prompt = prompt_of(4)
    w, found = torch.zeros(3, 4).double(), []
    for phi, y in zip(prompt.phi.unbind(1), prompt.y.unbind(1)):
        m = prompt.ridge + diagonal * phi.square().sum(-1)
        found.append((y - (phi * w).sum(-1)) / m)
        w = w + found[-1][:, None] * phi
    torch.testing.assert_close(statements.causal_fixed_point(prompt, diagonal), torch.stack(found, -1), rtol=1e-9, atol=1e-9)


def test_the_distance_is_the_formula_and_the_bound_the_proof_s_example_attains():
    b, ridge = 1e-3, 0.5
    phi = torch.tensor([[1.0, 0.0], [b, (1 - b**2) ** 0.5]], dtype=torch.float64)
    posed = phi, torch.tensor([0.0, 1.0]).double(), ridge
    K = (phi @ phi.T).numpy()
    M, U = np.tril(K) + ridge * np.eye(2), np.triu(K, 1)
    assert float(statements.causal_distance(*posed)) == pytest.approx(np.linalg.norm(np.linalg.solve(M, U @ [0, 1])), rel=1e-6)
    by_hand = b / (ridge + 0.5 * (eigh(K, eigvals_only=True)[0] + 1))
    assert float(statements.causal_distance_bound(*posed)) == pytest.approx(by_hand, rel=1e-6)
    used = float(statements.causal_distance(*posed)) / by_hand
    assert 0.999 < used <= 1 < used * (ridge + 0.6 * 2) / (ridge + 0.5 * 2)  # the mutant: 0.6 for the half


# ---------------------------------------------------------------- studies


def test_what_an_embedding_keeps_is_another_library_s_ridge_regression():
    """Without the last feature."""
    prompt, into = prompt_of(5), torch.eye(5).double()[:, [0, 1, 2, 4]]
    for one, (phi, y, query) in zip(narrow_streams.kept(prompt, into, into.T), zip(prompt.phi, prompt.y, prompt.phi_query)):
        other = Ridge(alpha=0.5, fit_intercept=False).fit(phi[:, :3].numpy(), y.numpy()).predict(query[:, :3].numpy())
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)


def test_the_principal_axes_keep_most_and_training_keeps_no_less_where_it_trains():
    prompt = prompt_of(6)
    into, out = narrow_streams.principal(prompt, 3)
    flat = prompt.phi.flatten(0, 1).numpy()
    lost = (np.linalg.svd(flat)[1][2:] ** 2).sum()
    assert (flat**2).sum() - ((flat @ into[:4].numpy()) ** 2).sum() == pytest.approx(lost, rel=1e-9)
    right = narrow_streams.answers(prompt)
    before, after = (
        (narrow_streams.kept(prompt, *pair) - right).square().mean()
        for pair in ((into, out), narrow_streams.fitted(prompt, (into, out)))
    )
    assert after < 0.9 * before


def test_all_channels_keep_all():
    train, held_out = prompt_of(7), prompt_of(8)
    whole = torch.eye(5).double()
    assert narrow_streams.off(held_out, whole, whole) < 1e-12
    principal, trained = narrow_streams.off_by_width(train, held_out, [1, 4])
    assert principal[0] == pytest.approx(1) and principal[1] < 1 and len(trained) == 2


def test_a_wrong_count_would_be_noticed():
    assert not any(map(sizes.miscounted, sizes.PROGRAMS.values()))
    assert sizes.miscounted(lambda p: gradient_descent(p, 8, 0.1) if p < 10 else conjugate_gradient(p, 8))


def test_every_pair_that_is_allowed_is_in_use_or_not():
    prompt = prompt_of(9, k=3, q=2, n=1)
    prompt = Prompt(prompt.phi[0], prompt.y[0], prompt.phi_query[0], 0.5)
    tokens, mask = tokenise(prompt), prefix_mask(prompt)
    network = assemble(gradient_descent(4, 2, 0.01)).transformer
    found = leakage_by_change(network, tokens, mask)
    drawn = leaks.in_use(found)
    assert (drawn == 0).sum() + leaks.unused(found) == found.allowed[-1].sum() and not (drawn == 1).any()
    blind = leakage_by_change(network, tokens, type(mask)(mask.n_prefix + 1), mask)
    readers, sources = np.nonzero(leaks.in_use(blind) == 1)
    assert sorted(zip(readers, sources)) == sorted(blind.pairs) and set(sources) == {mask.n_prefix}


def test_what_is_no_number_in_a_masked_token_poisons_softmax_heads_alone():
    """A weight of exactly zero times NaN is NaN; linear heads never touch it."""
    prompt = prompt_of(10, k=3, q=2, n=1)
    prompt = Prompt(prompt.phi[0], prompt.y[0], prompt.phi_query[0], 0.5)
    tokens, mask = tokenise(prompt), prefix_mask(prompt)
    assert leaks.poisons(narrow_streams.random_network(4, 8, 0, depth=2), tokens, mask)
    assert not leaks.poisons(assemble(gradient_descent(4, 2, 0.01)).transformer, tokens, mask)


def test_a_longer_context_helps_ridge_regression_by_the_square_root():
    """The error of least squares falls with 1 / sqrt(k): a factor of four from 40 to 640 supports."""
    ridge, causal = long_contexts.errors_of_weights([40, 640], draws=100, seed=1)
    assert ridge[0] / ridge[1] == pytest.approx(4, rel=0.25)
    assert causal[0] / causal[1] == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_passes_over_equal_supports_are_a_geometric_series(passes):
    """w = 1 - (1 - 1 / m)^(k passes), m = 1 + lambda with the diagonal and lambda without."""
    ones = torch.ones(3, 1).double()
    prompt = Prompt(ones, ones[:, 0], ones[:1], 1.5)
    for diagonal, m in ((True, 2.5), (False, 1.5)):
        said = long_contexts.of_online_learner(prompt, diagonal, passes).item()
        assert said == pytest.approx(1 - (1 - 1 / m) ** (3 * passes), rel=1e-9)


def test_of_one_support_the_fixed_point_with_the_diagonal_is_ridge_regression_and_the_strict_one_is_off_by_a_formula():
    """alpha is y / (lambda + phi^2), or y / lambda: too large by phi^2 / lambda of itself."""
    prompts, ridges = prompt_of(11, k=1), [0.5, 4.0]
    strict, own, solved = long_contexts.distances(assemble(causal_conjugate_gradient(4, 4)), prompts, ridges)
    expected = prompts.phi.square().sum(-1) / torch.tensor(ridges)
    torch.testing.assert_close(strict, expected, rtol=1e-9, atol=0)
    assert own.max() < 1e-12 and solved.max() < 1e-10
