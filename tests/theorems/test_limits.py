"""What a narrow stream cannot do, and what one more channel can."""

from dataclasses import dataclass, replace
from fractions import Fraction

import flint
import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from exact_prompts import exact_tokens, exactly, prompt_of_rationals, rational_prompt, ridges, seeds
from factories import DTYPES, random_prompt
from metarep_lib import Prompt, RidgeSystem, Transformer, assemble, ridge_system, solvers
from metarep_lib.certify import blind_pair, certify_end_to_end, certify_step
from metarep_lib.certify.recurrences.dual import (
    narrow_gradient_descent_recurrence,
    narrow_ridge_gradient_descent_recurrence,
)
from metarep_lib.certify.statements import limits as statements
from metarep_lib.construct.algorithms import (
    copied_gradient_descent,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
)
from metarep_lib.network import AttentionConfig, BlockConfig, TransformerConfig
from metarep_lib.network.tokens import input_basis, prefix_mask, tokenise
from rationals import rational_cg, rationals


def answer(prompt):
    system = ridge_system(prompt)
    return system.predict(solvers.cholesky(system).alpha)


# ---------------------------------------------------------------- width: too narrow


def embedding_of(seen, p):
    """W_E of a network that embeds phi and y by these [p + 1, m] rows and the rest of a token at random."""
    W_E = torch.from_numpy(np.random.default_rng(0).standard_normal((input_basis(p).size, seen.shape[1])))
    W_E[: p + 1] = torch.as_tensor(seen)
    return W_E


def forced(pair, W_E):
    """Checks a blind pair against another solver; returns the error it forces."""
    first, second = pair.prompts
    a, b = (answer(prompt).item() for prompt in pair.prompts)
    tolerances.assert_within(torch.tensor([a - pair.answers[0], b - pair.answers[1]]), 1e-12)
    assert a >= -1e-12 and b <= 1e-12 and torch.equal(first.phi_query, second.phi_query)
    scale = W_E.abs().max()
    tolerances.assert_within(tokenise(first) @ W_E - tokenise(second) @ W_E, 1e-12 * max(1.0, float(scale)))
    for prompt in pair.prompts:
        assert prompt.phi.norm() <= 2 + 1e-12 and prompt.y.abs() <= 2 + 1e-12
    tolerances.assert_within(first.phi_query.norm() - 1, 1e-12)
    assert pair.error == pytest.approx((a - b) / 2, abs=1e-12)
    return pair.error


@certifies(
    "thm-blind",
    statement=statements.blind_bound,
    mutants={
        "p + 1 channels are blind as well": lambda m, p, ridge: statements.blind_bound(min(m, p), p, ridge),
        "unit lengths and answers +-1 / (1 + lambda) in p channels as well": lambda m, p, ridge: 1 / (1 + ridge) if m <= p else 0.0,
        "half the ridge in case 2": lambda m, p, ridge: 1 / (1 + ridge / 2) if m < p else statements.blind_bound(m, p, ridge),
    },
)
@settings(max_examples=20)
@given(st.integers(1, 6), ridges, seeds)
@example(2, 1.0, 0)
def test_narrow_embeddings_are_blind(statement, p, ridge, seed):
    for m in range(1, p + 2):
        W_E = embedding_of(np.random.default_rng(seed).standard_normal((p + 1, m)), p)
        pair = blind_pair(W_E, p, ridge)
        error = 0.0 if pair is None else forced(pair, W_E)
        assert error >= statement(m, p, ridge) - 1e-12
        if statement(m, p, ridge) > 1 / (4 + ridge):  # case 2
            tolerances.assert_within(error - statement(m, p, ridge), 1e-12)
            assert all(prompt.phi.norm() == pytest.approx(1) and prompt.y.abs() == pytest.approx(1) for prompt in pair.prompts)


def most_forced(v, s, ridge):
    """The largest error that any pair which differs by a multiple of (v, s) forces on one feature, on a grid of pairs."""
    sides = np.linspace(-2, 2, 81)
    phi, y, c = np.meshgrid(sides, sides, np.linspace(0, 4, 81), indexing="ij")
    other, y_other = phi - c * v, y - c * s
    one, two = phi * y / (phi**2 + ridge), other * y_other / (other**2 + ridge)
    a, b = np.maximum(one, two), np.minimum(one, two)
    return ((a - b) / 2)[(abs(other) <= 2) & (abs(y_other) <= 2) & (a >= 0) & (b <= 0)].max()


@certifies("thm-blind", statement=lambda ridge: 2 / (4 + ridge), mutants={"a twentieth more": lambda ridge: 2.1 / (4 + ridge)})
def test_every_direction_of_blindness_has_a_pair_that_forces_the_error_and_not_much_more(statement):
    """Among all pairs, not those of the proof: the bound is at most a twentieth from the best one."""
    for ridge in (1.0, 20.0):
        for v, s in ((0.0, 1.0), (0.5, 1.0), (1.0, 1.0), (1.0, 0.5), (1.0, 0.0)):
            assert most_forced(v, s, ridge) >= statement(ridge) - 1e-12


@certifies(
    "thm-blind",
    statement=lambda length, s: (2 - 2 * length, 2 - 2 * s),
    mutants={"another target": lambda length, s: (2 - 2 * length, 2 - s), "features that the change does not reach": lambda length, s: (2 - length, 2 - 2 * s)},
    exact=True,
)
def test_a_pair_with_one_answer_zero_differs_by_what_is_not_seen(statement):
    e, ridge = np.array([3, 4]) / Fraction(5), Fraction(1, 3)
    for length, s in ((0, 1), (Fraction(1, 3), 1), (1, 1), (1, Fraction(2, 7)), (1, 0)):
        supports = [(2 * e, Fraction(2)), (statement(length, s)[0] * e, Fraction(statement(length, s)[1]))]
        assert all(phi @ phi <= 4 and abs(y) <= 2 for phi, y in supports)
        assert [y * (phi @ e) / (phi @ phi + ridge) for phi, y in supports] == [4 / (4 + ridge), 0]
        assert (supports[0][0] - supports[1][0] == 2 * length * e).all() and supports[0][1] - supports[1][1] == 2 * s


def simplex(x):
    """Small, so that the search starts in the case it is put in."""
    return np.vstack([x, x + 0.02 * np.eye(len(x))])


@certifies("thm-blind")
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("ridge", [0.05, 1.0, 20.0])
def test_a_search_over_embeddings_comes_down_to_the_bound(p, ridge, record_property):
    def error(kernel):
        W_E = embedding_of(np.linalg.svd(kernel[None])[2][1:].T, p)
        return forced(blind_pair(W_E, p, ridge), W_E)

    starts = np.random.default_rng(1).standard_normal((4, p + 1))
    starts[:, -1] = 1.1 * np.linalg.norm(starts[:, :-1], axis=1)  # a little more along the target than not: the hard case
    searches = [scipy.optimize.minimize(error, x, method="Nelder-Mead", options={"maxfev": 60, "initial_simplex": simplex(x)}) for x in starts]
    found = min(search.fun for search in searches)
    record_property("tightness", float(found * (4 + ridge)))
    assert 1 / (4 + ridge) - 1e-12 <= found < 1.005 / (4 + ridge)  # of the pairs of the proof: others force more


@certifies("thm-blind")
@pytest.mark.parametrize("seen", [np.zeros((3, 5)), np.outer([1.0, 2.0, 3.0], np.ones(7)), np.diag([1.0, 1.0, 0.0]), np.diag([0.0, 1.0, 1.0])])
def test_what_counts_is_the_rank_not_the_width(seen):
    W_E = embedding_of(seen, 2)
    tolerances.assert_within(forced(blind_pair(W_E, 2, 0.5), W_E) - 1 / 1.5, 1e-12)  # all have a kernel vector along phi, or along y alone


@certifies("thm-blind")
@pytest.mark.parametrize("kind", ["linear", "normalised", "softmax"])
@pytest.mark.parametrize("norm", ["none", "rms", "layer"])
def test_no_network_behind_the_embedding_sees_a_difference(kind, norm):
    p = 4
    block = BlockConfig((AttentionConfig(kind, 2, 3, 3),), 8, "silu", norm)
    for width in (2, 3, 4):
        config = TransformerConfig(input_basis(p).size, width, 1, (block,) * 3, (0, 1, 2, 0), norm)
        network = Transformer(config, torch.Generator().manual_seed(width)).double()
        pair = blind_pair(network.W_E, p, 0.3)
        with torch.no_grad():
            says = [network(tokenise(prompt), prefix_mask(prompt))[-1, 0].item() for prompt in pair.prompts]
        scale = max(1.0, abs(says[0]))
        assert abs(says[0] - says[1]) <= 1e-9 * scale
        assert max(abs(g - f) for g, f in zip(says, pair.answers)) >= pair.error - 1e-9 * scale
        assert any(abs(g - f) >= abs(f) - 1e-9 * scale for g, f in zip(says, pair.answers))  # zero would do as well


def test_an_embedding_of_other_tokens_is_refused():
    with pytest.raises(ValueError, match=r"blind_pair\(embedding=\[9, 3\], n_features=2\).*n_features=3"):
        blind_pair(torch.zeros(9, 3), 2, 1.0)


# ---------------------------------------------------------------- width: continuous embeddings


def smooth_map(n_in, n_out, seed):
    rng = np.random.default_rng(seed)
    A, b, B = rng.standard_normal((20, n_in)), rng.standard_normal(20), rng.standard_normal((n_out, 20))
    return lambda z: B @ np.tanh(A @ z + b)


def nearest_antipodes(E, p, seed):
    """The unit vector v with the smallest E(v, 1) - E(-v, 1) that is found, and that difference."""

    def gap(v):
        v = v / np.linalg.norm(v)
        return E(np.append(v, 1.0)) - E(np.append(-v, 1.0))

    starts = np.random.default_rng(seed).standard_normal((8, p))
    found = min((scipy.optimize.least_squares(gap, x, xtol=1e-15, ftol=1e-15, gtol=1e-15) for x in starts), key=lambda fit: fit.cost)
    return found.x / np.linalg.norm(found.x), np.abs(gap(found.x)).max()


@certifies(
    "prop-continuous",
    statement=lambda p, seed: smooth_map(p + 1, p - 1, seed),
    mutants={"m = p in the first point": lambda p, seed: lambda z: z[:p] + 0.1 * np.tanh(z[:p])},
)
@pytest.mark.parametrize("seed", range(3))
def test_a_continuous_map_of_fewer_channels_takes_some_unit_vector_for_its_opposite(statement, seed):
    p, ridge = 3, 0.5
    v, gap = nearest_antipodes(statement(p, seed), p, seed)
    assert gap < 1e-9
    v = torch.from_numpy(v)[None]
    answers = [answer(Prompt(sign * v, torch.ones(1, dtype=torch.float64), v, ridge)).item() for sign in (1, -1)]
    assert answers == pytest.approx([1 / (1 + ridge), -1 / (1 + ridge)])


def next_on_the_fibre(E, start):
    """A point with the same E, 0.1 further along the direction in which E changes least."""
    tangent = np.linalg.svd(scipy.optimize.approx_fprime(start, E))[2][-1]
    fit = scipy.optimize.least_squares(
        lambda z: np.append(E(z) - E(start), (z - start) @ tangent - 0.1), start + 0.1 * tangent, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    return fit.x, np.abs(E(fit.x) - E(start)).max()


@certifies(
    "prop-continuous",
    statement=lambda p, seed: smooth_map(p + 1, p, seed),
    mutants={"m = p + 1 in the second point": lambda p, seed: lambda z: z + 0.1 * np.tanh(z)},
)
@pytest.mark.parametrize("seed", range(3))
def test_two_supports_that_a_continuous_map_confuses_are_told_apart_by_a_second_one(statement, seed):
    p, ridge, start = 2, 0.5, np.array([1.0, 0.0, 1.0])
    other, gap = next_on_the_fibre(statement(p, seed), start)
    assert gap < 1e-10 and np.linalg.norm(other - start) < 0.5  # both in the set U of the proof
    rng = np.random.default_rng(seed)
    psi, z, x = rng.standard_normal((1, p)), rng.standard_normal(1), rng.standard_normal((4, p))

    def with_second(support):
        return answer(Prompt(*map(torch.from_numpy, (np.vstack([support[:p], psi]), np.append(support[p], z), x)), ridge))

    assert (with_second(other) - with_second(start)).abs().max() > 1e-3


# ---------------------------------------------------------------- width: one more channel is enough


STEP = 0.25
MAKERS = {"narrow": narrow_gradient_descent, "narrow with the ridge": narrow_ridge_gradient_descent}
RECURRENCES = {"narrow": narrow_gradient_descent_recurrence, "narrow with the ridge": narrow_ridge_gradient_descent_recurrence}
kinds = pytest.mark.parametrize("kind", MAKERS)


@dataclass(frozen=True)
class Sizes:
    """What a network of p features and t steps is made of: channels, blocks, heads and gated units in all blocks."""

    width: int
    n_blocks: int
    n_heads: int
    n_units: int


def narrow_sizes(kind, p, t):
    return Sizes(p + 1, t, t, 0) if kind == "narrow" else Sizes(p + 2, t + 1, t, t + 1)


@certifies(
    "thm-narrow-network",
    "prop-ridge-channel",
    statement=narrow_sizes,
    mutants={
        "p channels": lambda kind, p, t: replace(narrow_sizes(kind, p, t), width=p),
        "a block fewer": lambda kind, p, t: replace(narrow_sizes(kind, p, t), n_blocks=narrow_sizes(kind, p, t).n_blocks - 1),
        "one gated unit in all": lambda kind, p, t: replace(narrow_sizes(kind, p, t), n_units=1),
    },
)
@kinds
def test_the_tensors_are_of_the_sizes_stated(statement, kind):
    for p, t in ((1, 9), (7, 2)):
        network = assemble(MAKERS[kind](p, t, STEP)).transformer
        run = [network.blocks[at] for at in network.config.schedule]
        heads = [len(attention.W_Q) for block in run for attention in block.attention]
        units = [len(block.mlp.W_out) for block in run]
        assert Sizes(network.W_E.shape[1], len(run), sum(heads), sum(units)) == statement(kind, p, t)
        assert len({id(weight) for block in run for attention in block.attention for weight in attention.parameters()}) == 4  # one head, shared


@certifies(
    "thm-narrow-network",
    "prop-ridge-channel",
    statement=STEP,
    mutants={"another step size": 1.01 * STEP},
    exact=True,
)
@kinds
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_weights_run_the_recurrence_exactly(statement, kind, dtype, k):
    network, recurrence = assemble(MAKERS[kind](2, 2, STEP), dtype=dtype), RECURRENCES[kind](statement)
    weights, config = network.transformer.state_dict(), network.transformer.config
    for certificate in (
        certify_step(weights, config, network.basis, recurrence, seed=k, n_support=k, n_query=2),
        certify_end_to_end(weights, config, network.basis, recurrence, seed=k, n_support=k, n_query=2),
    ):
        assert certificate.holds, certificate
        assert certificate.log2_error < -400


@certifies(
    "thm-narrow-network",
    statement=Prompt.with_ridge_as_supports,
    mutants={
        "the ridge left out": lambda prompt: prompt,
        "supports of length lambda instead of its root": lambda prompt: replace(prompt, ridge=prompt.ridge**2).with_ridge_as_supports(),
    },
)
@pytest.mark.parametrize("k, p, ridge", [(1, 1, 0.7), (1, 4, 0.1), (5, 2, 1e-3), (12, 3, 1e3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_narrow_network_is_gradient_descent_for_the_ridge_problem(statement, k, p, ridge, dtype):
    prompts = random_prompt(k, p, 3, ridge, seed=k + p, batch=(2,))
    system = ridge_system(prompts)
    eta = float(1 / system.eigenvalues.max())
    textbook = torch.stack(
        [
            RidgeSystem(A, y, q).predict(solvers.gradient_descent(RidgeSystem(A, y, q), 30, eta).history["alpha"])
            for A, y, q in zip(system.A, system.y, system.K_query)
        ],
        1,
    )
    network = assemble(narrow_gradient_descent(p, 30, eta), dtype=dtype)
    shown = network.run(statement(prompts).to(dtype)).prediction.double()
    floor = tolerances.drift(dtype, 30) * max(1.0, float(textbook.abs().max()))
    tolerances.assert_within(shown - textbook, 4 * p * floor)


@certifies(
    "cor-exact-width",
    statement=statements.narrow_bound,
    mutants={
        "rate 3.99 / (4 + lambda)": lambda ridge, blocks: statements.narrow_bound(ridge, blocks) * (3.99 / 4) ** blocks,
        "1 / (1.01 sqrt(lambda))": lambda ridge, blocks: statements.narrow_bound(ridge, blocks) / 1.01,
    },
)
@settings(max_examples=30)
@given(st.floats(0, 2), st.floats(-3, 2), st.integers(1, 30))
@example(0.01, -4.0, 20)
def test_the_narrow_network_meets_every_tolerance(statement, size, log_ridge, blocks):
    """The target is the largest there may be, and the error is proportional to it; one query of many lies along the support."""
    ridge = 10**log_ridge
    rounding = tolerances.drift(torch.float64, blocks) / ridge**0.5
    assert statements.narrow_error(size, ridge, blocks) <= statement(ridge, blocks) + rounding


@certifies("cor-exact-width")
def test_a_search_comes_close_to_the_rate(record_property):
    start, few = [0.5, -2.0], {"maxfev": 80}
    tightness = -scipy.optimize.minimize(lambda z: -statements.narrow_used(*z), start, method="Nelder-Mead", options=few).fun
    record_property("tightness", float(tightness))
    assert 0.99 < tightness <= 1 + 1e-9


def shrunken_sum(K, y, ridge, eta, steps):
    """The sum of eta r_u over u < steps, r_u = (1 - eta lambda)^(u + 1) (I - eta K)^u y."""
    r, total = (1 - eta * ridge) * y, 0 * y
    for _ in range(steps):
        total, r = total + eta * r, (1 - eta * ridge) * (r - eta * K @ r)
    return total


@certifies(
    "prop-ridge-channel",
    statement=shrunken_sum,
    mutants={
        "r_u has shrunk u times": lambda K, y, ridge, eta, steps: shrunken_sum(K, y, ridge, eta, steps) / (1 - eta * ridge),
        "one step and one multiplication by K at once, I - eta (K + lambda I)": lambda K, y, ridge, eta, steps: shrunken_sum(
            K + ridge * np.eye(len(K), dtype=int), y, 0 * ridge, eta, steps
        ),
        "a term more": lambda K, y, ridge, eta, steps: shrunken_sum(K, y, ridge, eta, steps + 1),
    },
    exact=True,
)
@pytest.mark.parametrize("k, p", [(1, 2), (3, 1), (4, 2)])
def test_what_the_network_with_the_ridge_as_a_channel_says_is_a_sum_of_shrunken_residuals(statement, k, p):
    phi, y, ridge = rational_prompt(k + p, k, p)
    query, steps = phi[:1] + 1, 4
    network = assemble(narrow_ridge_gradient_descent(p, steps, STEP))
    exact = exactly(network)
    tokens, _ = exact_tokens(phi, y, ridge, query)
    _, *outputs = [exact.read(x)[-1, 0] for x in exact.stream(tokens, network.question(prompt_of_rationals(phi, y, ridge, query)).mask)]
    for s, output in enumerate(outputs):
        assert output == query[0] @ phi.T @ statement(phi @ phi.T, y, ridge, Fraction(STEP), s)


@certifies(
    "prop-ridge-channel",
    statement=(statements.ridge_reached, statements.ridge_to_tell),
    mutants={
        "the ridge it is given": (lambda ridge, eta: ridge, statements.ridge_to_tell),
        "lambda (1 - eta lambda) to be told": (statements.ridge_reached, lambda ridge, eta: ridge * (1 - eta * ridge)),
    },
)
@pytest.mark.parametrize("ridge", [0.5, 2.0])
def test_the_ridge_as_a_channel_gives_a_larger_ridge_and_can_be_told_the_right_one(statement, ridge):
    prompt = random_prompt(6, 3, 4, ridge, seed=3)
    eta = 1 / float(ridge_system(prompt).eigenvalues[-1])

    def with_ridge(other):
        return Prompt(prompt.phi, prompt.y, prompt.phi_query, other)

    says, (solved, told) = assemble(narrow_ridge_gradient_descent(3, 400, eta)), (of(ridge, eta) for of in statement)
    tolerances.assert_within(says.predict(prompt) - answer(with_ridge(solved)), 1e-11)
    tolerances.assert_within(says.predict(with_ridge(told)) - answer(prompt), 1e-11)


def books(p, t, seed):
    """[4, p + 4] of a prompt of four supports: phi, alpha_t, r_t, p_t and a one, over the rationals; no rows where r has become zero."""
    rng = np.random.default_rng(seed)
    phi, y, ridge = rationals(rng, 4, p), rationals(rng, 4), Fraction(1, 2) + seed % 3
    states = rational_cg(phi @ phi.T + ridge * np.eye(4, dtype=int), y, t)
    if any((state["r"] == 0).all() for state in states):
        return np.zeros((0, p + 4), dtype=object)
    return np.column_stack([phi, *(states[t][name] for name in ("alpha", "r", "p")), np.full(4, Fraction(1))])


def exact_rank(rows):
    return flint.fmpq_mat([[flint.fmpq(x.numerator, x.denominator) for x in row] for row in rows]).rank()


@certifies(
    "prop-cg-width",
    statement=lambda p: (range(1, p + 1), p + 3),
    mutants={
        "t = 0, where r = p and alpha = 0": lambda p: (range(p + 1), p + 3),
        "p + 4 channels": lambda p: (range(1, p + 1), p + 4),
    },
    exact=True,
)
@pytest.mark.parametrize("p", [1, 2, 3])
def test_conjugate_gradient_needs_p_plus_three_channels_to_hold_its_books(statement, p):
    """The rows of all supports span as many dimensions as independent reads need channels; a one more for what affine reads add."""
    steps, channels = statement(p)
    for t in steps:
        rows = np.vstack([books(p, t, seed) for seed in range(p + 4)])
        assert exact_rank(rows) == channels + 1


@pytest.mark.parametrize(
    "make", [lambda: narrow_gradient_descent(0, 1, 0.1), lambda: narrow_ridge_gradient_descent(2, 0, 0.1), lambda: copied_gradient_descent(2, 0, 0.1)]
)
def test_sizes_below_one_are_refused(make):
    with pytest.raises(ValueError, match="expected a whole number >= 1, e.g. 3|of at least 1.*this would work"):
        make()
