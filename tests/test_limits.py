"""What a network cannot do, and what it can just do: the statements of chapter limits on width and on causal masks."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import product

import numpy as np
import pytest
import scipy.optimize
import survivors as known
import tolerances
import torch
from certificates import certifies
from factories import DTYPES, prompt_of, random_prompt
from hypothesis import given, settings
from hypothesis import strategies as st

from metarep_lib import (
    CausalMask,
    Program,
    Prompt,
    RidgeSystem,
    Transformer,
    TransformerConfig,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
)
from metarep_lib.construct import (
    copied_gradient_descent,
    input_basis,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    prefix_mask,
    repeat_context,
    token_groups,
    tokenise,
)
from metarep_lib.construct.exact import ExactTransformer
from metarep_lib.evidence import (
    Recurrence,
    blind_pair,
    certify_end_to_end,
    certify_step,
    narrow_gradient_descent_recurrence,
    narrow_ridge_gradient_descent_recurrence,
    survivors,
)
from metarep_lib.network import AttentionConfig, BlockConfig

seeds = st.integers(0, 10**6)
ridges = st.floats(1e-3, 1e3)


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


@certifies("thm-blind")
@settings(max_examples=40)
@given(st.integers(1, 6), st.data(), ridges, seeds)
def test_narrow_embeddings_are_blind(p, data, ridge, seed):
    m = data.draw(st.integers(1, p))
    W_E = embedding_of(np.random.default_rng(seed).standard_normal((p + 1, m)), p)
    pair = blind_pair(W_E, p, ridge)
    error = forced(pair, W_E)
    if m < p:
        tolerances.assert_within(error - 1 / (1 + ridge), 1e-12)
        assert all(prompt.phi.norm() == pytest.approx(1) and prompt.y.abs() == pytest.approx(1) for prompt in pair.prompts)
    assert error >= 1 / (4 + ridge) - 1e-12
    assert blind_pair(embedding_of(np.random.default_rng(seed).standard_normal((p + 1, p + 1)), p), p, ridge) is None


def simplex(x):
    """Small, so that the search starts in the case it is put in."""
    return np.vstack([x, x + 0.02 * np.eye(len(x))])


@certifies("thm-blind", mutant="1 / (3.9 + lambda) in the place of 1 / (4 + lambda)")
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
    assert 1 / (4 + ridge) - 1e-12 <= found < 1.005 / (4 + ridge)
    assert found < 1 / (3.9 + ridge) or ridge > 10  # mutant


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


@certifies("prop-continuous", mutant="m = p in the first point")
@pytest.mark.parametrize("seed", range(3))
def test_a_continuous_map_of_fewer_channels_takes_some_unit_vector_for_its_opposite(seed):
    p, ridge = 3, 0.5
    v, gap = nearest_antipodes(smooth_map(p + 1, p - 1, seed), p, seed)
    assert gap < 1e-9
    v = torch.from_numpy(v)[None]
    answers = [answer(Prompt(sign * v, torch.ones(1, dtype=torch.float64), v, ridge)).item() for sign in (1, -1)]
    assert answers == pytest.approx([1 / (1 + ridge), -1 / (1 + ridge)])
    assert nearest_antipodes(lambda z: z[:p] + 0.1 * np.tanh(z[:p]), p, seed)[1] > 0.1  # mutant


def next_on_the_fibre(E, start):
    """A point with the same E, 0.1 further along the direction in which E changes least."""
    tangent = np.linalg.svd(scipy.optimize.approx_fprime(start, E))[2][-1]
    fit = scipy.optimize.least_squares(
        lambda z: np.append(E(z) - E(start), (z - start) @ tangent - 0.1), start + 0.1 * tangent, xtol=1e-15, ftol=1e-15, gtol=1e-15
    )
    return fit.x, np.abs(E(fit.x) - E(start)).max()


@certifies("prop-continuous", mutant="m = p + 1 in the second point")
@pytest.mark.parametrize("seed", range(3))
def test_two_supports_that_a_continuous_map_confuses_are_told_apart_by_a_second_one(seed):
    p, ridge, start = 2, 0.5, np.array([1.0, 0.0, 1.0])
    other, gap = next_on_the_fibre(smooth_map(p + 1, p, seed), start)
    assert gap < 1e-10 and np.linalg.norm(other - start) < 0.5  # both in the set U of the proof
    rng = np.random.default_rng(seed)
    psi, z, x = rng.standard_normal((1, p)), rng.standard_normal(1), rng.standard_normal((4, p))

    def with_second(support):
        return answer(Prompt(*map(torch.from_numpy, (np.vstack([support[:p], psi]), np.append(support[p], z), x)), ridge))

    assert (with_second(other) - with_second(start)).abs().max() > 1e-3
    assert next_on_the_fibre(lambda z: z + 0.1 * np.tanh(z), start)[1] > 1e-3  # mutant: p + 1 channels need not confuse anything


# ---------------------------------------------------------------- width: one more channel is enough


@dataclass(frozen=True)
class Case:
    program: Program
    recurrence: Recurrence
    width: int
    n_blocks: int


CASES = {
    "narrow": Case(narrow_gradient_descent(2, 2, 0.25), narrow_gradient_descent_recurrence(0.25), 3, 2),
    "narrow with the ridge": Case(narrow_ridge_gradient_descent(2, 2, 0.25), narrow_ridge_gradient_descent_recurrence(0.25), 4, 3),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
def test_sizes_are_as_stated(case):
    network = assemble(case.program).transformer
    assert (case.program.width, case.program.n_blocks) == (case.width, case.n_blocks) == (network.config.d_model, len(network.config.schedule))
    assert case.program.n_parameters == sum(weight.numel() for weight in network.parameters())
    for p in (1, 7):
        program = narrow_gradient_descent(p, 9, 0.1)
        assert program.n_parameters == 3 * (p + 1) * (p + 3) and len(program.distinct_layers) == 1
        (attention,) = assemble(program).transformer.blocks[0].attention
        assert attention.config.n_heads == 1 and assemble(program).transformer.config.blocks[0].d_mlp == 0


@certifies("thm-narrow-network", "prop-ridge-channel")
@cases
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_weights_run_the_recurrence_exactly(case, dtype, k):
    network = assemble(case.program, dtype=dtype)
    weights, config = network.transformer.state_dict(), network.transformer.config
    for certificate in (
        certify_step(weights, config, network.basis, case.recurrence, seed=k, n_support=k, n_query=2),
        certify_end_to_end(weights, config, case.recurrence, seed=k, n_features=2, n_support=k, n_query=2),
    ):
        assert certificate.holds, certificate
        assert certificate.log2_error < -400


@certifies("thm-narrow-network", "prop-ridge-channel", mutant="every weight tripled, every gated unit dropped, every two blocks swapped")
@cases
def test_every_mutant_dies(case):
    left, n_mutants = survivors(assemble(case.program), case.recurrence, seed=5)
    assert set(left) == set(known.NARROW) and n_mutants >= 10


@certifies("thm-narrow-network", mutant="no ridge supports")
@pytest.mark.parametrize("k, p, ridge", [(1, 1, 1.0), (1, 4, 0.1), (5, 2, 1e-3), (12, 3, 1e3)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_narrow_network_is_gradient_descent_for_the_ridge_problem(k, p, ridge, dtype):
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
    shown = network.run(prompts.with_ridge_as_supports().to(dtype)).prediction.double()
    floor = tolerances.drift(dtype, 30) * max(1.0, float(textbook.abs().max()))
    tolerances.assert_within(shown - textbook, 4 * p * floor)
    bare = network.run(prompts.to(dtype)).prediction.double()  # mutant: the ridge left out
    assert (bare - textbook).abs().max() > 1e-4 * textbook.abs().max()


def narrow_ratio(size, y, ridge, blocks, along=1.0):
    """Error / bound of cor-exact-width on one support of this size, query at this cosine."""
    phi, x = torch.tensor([[size, 0.0]], dtype=torch.float64), torch.tensor([[along, (1 - along**2) ** 0.5]], dtype=torch.float64)
    prompt = Prompt(phi, torch.tensor([y], dtype=torch.float64), x, ridge)
    f = assemble(narrow_gradient_descent(2, blocks, 1 / (4 + ridge))).predict(prompt.with_ridge_as_supports())
    bound = (4 / (4 + ridge)) ** blocks / ridge**0.5
    return float((f - answer(prompt)).abs().max() - tolerances.drift(torch.float64, blocks) / ridge**0.5) / bound


@certifies("cor-exact-width", mutant="rate 3.9 / (4 + lambda)")
@settings(max_examples=30)
@given(st.floats(0, 2), st.floats(-2, 2), st.floats(-3, 2), st.integers(1, 30), st.floats(-1, 1))
def test_the_narrow_network_meets_every_tolerance(size, y, log_ridge, blocks, along):
    assert narrow_ratio(size, y, 10**log_ridge, blocks, along) <= 1


@certifies("cor-exact-width", mutant="rate 3.9 / (4 + lambda)")
def test_a_search_comes_close_to_the_rate(record_property):
    best = scipy.optimize.minimize(
        lambda z: -narrow_ratio(np.clip(z[0], 0, 2), 2.0, np.exp(np.clip(z[1], -10, 3)), 10),
        [0.5, -2.0],
        method="Nelder-Mead",
        options={"maxfev": 80},
    )
    record_property("tightness", float(-best.fun))
    assert 0.99 < -best.fun <= 1
    ridge = np.exp(np.clip(best.x[1], -10, 3))
    assert -best.fun * (4 / (4 + ridge)) ** 10 > (3.9 / (4 + ridge)) ** 10  # mutant


@certifies("prop-ridge-channel", mutant="lambda in the place of lambda / (1 - eta lambda)")
@pytest.mark.parametrize("ridge", [0.5, 2.0])
def test_the_ridge_as_a_channel_gives_a_larger_ridge_and_can_be_told_the_right_one(ridge):
    prompt = random_prompt(6, 3, 4, ridge, seed=3)
    eta = 1 / float(ridge_system(prompt).eigenvalues[-1])

    def with_ridge(other):
        return Prompt(prompt.phi, prompt.y, prompt.phi_query, other)

    says = assemble(narrow_ridge_gradient_descent(3, 400, eta))
    tolerances.assert_within(says.predict(prompt) - answer(with_ridge(ridge / (1 - eta * ridge))), 1e-11)
    tolerances.assert_within(says.predict(with_ridge(ridge / (1 + eta * ridge))) - answer(prompt), 1e-11)
    assert (says.predict(prompt) - answer(prompt)).abs().max() > 1e-4  # mutant


@certifies("prop-cg-width", mutant="t = 0, where r = p and alpha = 0")
@pytest.mark.parametrize("p", [1, 3])
def test_conjugate_gradient_needs_p_plus_three_channels_to_hold_its_books(p):
    def rank(t):
        rows = []
        for seed in range(2 * p + 8):
            prompt = random_prompt(4, p, 1, 0.5 + seed % 3, seed=seed)
            history = solvers.conjugate_gradient(ridge_system(prompt), t).history
            held = torch.cat([prompt.phi, *(history[name][t][:, None] for name in ("alpha", "r", "p"))], dim=1)
            rows.append(torch.cat([held, torch.ones(4, 1).double()], dim=1))  # a column of ones: affine reads
        return int(torch.linalg.matrix_rank(torch.cat(rows), rtol=1e-8))

    assert rank(1) == p + 3 + 1
    assert rank(0) == p + 1 + 1  # mutant
    if p > 1:
        assert rank(2) == p + 3 + 1


@pytest.mark.parametrize(
    "make", [lambda: narrow_gradient_descent(0, 1, 0.1), lambda: narrow_ridge_gradient_descent(2, 0, 0.1), lambda: copied_gradient_descent(2, 0, 0.1)]
)
def test_sizes_below_one_are_refused(make):
    with pytest.raises(ValueError, match="expected n_features and .* of at least 1.*this would work"):
        make()


# ---------------------------------------------------------------- the causal mask: what cannot be there


@certifies("prop-dual-out-of-reach", mutant="twice the bound")
@settings(max_examples=30)
@given(ridges, st.floats(-1, 1), st.floats(-100, 100))
def test_the_first_of_two_twins_cannot_know(ridge, y_1, held):
    twins = torch.ones(2, 1).double()
    alphas = [
        solvers.cholesky(ridge_system(Prompt(twins, torch.tensor([y_1, y_2], dtype=torch.float64), twins[:0], ridge))).alpha[0].item()
        for y_2 in (1.0, -1.0)
    ]
    bound = 1 / (ridge * (2 + ridge))
    assert alphas == pytest.approx([((1 + ridge) * y_1 - y_2) * bound for y_2 in (1, -1)], rel=1e-8, abs=1e-9 * bound)
    assert max(abs(alpha - held) for alpha in alphas) >= bound * (1 - 1e-9)
    assert max(abs(alpha - sum(alphas) / 2) for alpha in alphas) < 2 * bound  # mutant; the mean of the two attains the bound


@certifies("prop-dual-out-of-reach", mutant="the sum over j >= i")
@settings(max_examples=30)
@given(seeds, st.integers(2, 5))
def test_the_least_mean_squared_error_is_what_the_inverse_says(seed, k):
    """All 2^k sign patterns of the targets, each equally likely: the mean is exact."""
    rng = np.random.default_rng(seed)
    phi = rng.standard_normal((k, 3))
    inverse = np.linalg.inv(phi @ phi.T + 0.5 * np.eye(k))
    y = np.array(list(product([1.0, -1.0], repeat=k)))
    alpha = y @ inverse
    total = 0.0
    for i in range(k):
        bound = (inverse[i, i + 1 :] ** 2).sum()
        best = y[:, : i + 1] @ inverse[i, : i + 1]
        anything = np.tanh(y[:, : i + 1] @ rng.standard_normal(i + 1)) + rng.standard_normal()
        assert ((alpha[:, i] - anything) ** 2).mean() >= bound * (1 - 1e-9)
        assert ((alpha[:, i] - best) ** 2).mean() == pytest.approx(bound, abs=1e-12)
        assert ((alpha[:, i] - best) ** 2).mean() < (inverse[i, i:] ** 2).sum()  # mutant
        total += bound
    part = 0.5 * (1 - (np.diag(inverse) ** 2).sum() / (inverse**2).sum())
    assert total == pytest.approx(part * (alpha**2).sum(1).mean()) and part < 0.5


# ---------------------------------------------------------------- the causal mask: what is there instead


def rational_prompt(seed, k, p):
    rng = np.random.default_rng(seed)
    phi, y = (np.vectorize(Fraction, otypes=[object])(rng.integers(1, 4, shape)) for shape in ((k, p), (k,)))
    return phi, y, Fraction(int(rng.integers(1, 5)), 2)


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


def exact_tokens(phi, y, ridge):
    prompt = Prompt(*(torch.from_numpy(array.astype(float)) for array in (phi, y, phi[:0])), float(ridge))
    return np.vectorize(Fraction, otypes=[object])(tokenise(prompt).numpy()), token_groups(prompt)["support"]


@certifies("prop-causal-richardson", mutant="one step fewer; the whole of K", exact=True)
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("k, p", [(1, 2), (3, 1), (4, 2)])
def test_gradient_descents_weights_under_a_causal_mask_are_an_online_learner(k, p, diagonal):
    phi, y, ridge = rational_prompt(k + p, k, p)
    M, eta = lower(phi, ridge, diagonal), Fraction(1, 4)
    network = assemble(gradient_descent(p, k + 1, float(eta)))
    exact = ExactTransformer(network.transformer.state_dict(), network.transformer.config, Fraction, lambda n, d: n / d)
    tokens, support = exact_tokens(phi, y, ridge)
    alpha = 0 * y
    for x in exact.stream(tokens, CausalMask(strict=not diagonal, n_registers=2)):
        assert (x[support, network.basis["alpha"]][:, 0] == alpha).all()
        alpha = alpha + eta * (y - M @ alpha)
    learned, _ = online(phi, y, ridge, diagonal)
    assert (M @ learned == y).all()
    if not diagonal:
        steps = [0 * y]
        for _ in range(k):
            steps.append(steps[-1] + (y - M @ steps[-1]) / ridge)
        assert (steps[k] == learned).all()
        if k > 1:
            assert (steps[k - 1] != learned).any()  # mutant
    elif k > 1:
        assert ((phi @ phi.T + ridge * np.eye(k, dtype=int)) @ learned != y).any()  # mutant


@certifies("prop-causal-richardson", mutant="a step size just above 2 / max m_i")
@pytest.mark.parametrize("diagonal", [True, False])
def test_it_converges_below_the_critical_step_and_not_above(diagonal):
    prompt = random_prompt(6, 3, 1, 0.7, seed=4)
    M = torch.tril(prompt.phi @ prompt.phi.T, 0 if diagonal else -1) + 0.7 * torch.eye(6)
    critical = float(2 / M.diagonal().max())

    def after(step_size):
        error = torch.linalg.matrix_power(torch.eye(6) - step_size * M, 4096)
        return error.norm()

    assert after(0.99 * critical) < 1e-12
    assert after(1.01 * critical) > 1e6


@certifies("prop-causal-richardson")
@pytest.mark.parametrize("diagonal", [True, False])
def test_repeating_the_context_repeats_the_pass(diagonal):
    phi, y, ridge = rational_prompt(7, 3, 2)
    w, passes = 0 * phi[0], 3
    for phi_i, y_i in zip(np.vstack([phi] * passes), np.tile(y, passes)):
        w = w + phi_i * (y_i - phi_i @ w) / (ridge + (phi_i @ phi_i if diagonal else 0))
    assert (online(np.vstack([phi] * passes), np.tile(y, passes), ridge, diagonal)[1] == w).all()


def distance_ratio(phi, star, ridge, half=0.5):
    """Distance / bound, with `half` in the place of the bound's one half."""
    K = phi @ phi.T
    M = np.tril(K) + ridge * np.eye(len(K))
    off = np.linalg.solve(M, K @ star + ridge * star) - star
    h = ridge + half * (max(np.linalg.eigvalsh(K)[0], 0.0) + K.diagonal().min())
    return np.linalg.norm(off) * h / (np.linalg.norm(K - np.tril(K), 2) * np.linalg.norm(star))


@certifies("prop-causal-distance")
@given(seeds, st.integers(2, 6), st.integers(1, 5), st.floats(-3, 3))
def test_the_distance_is_the_formula_and_within_its_bound(seed, k, p, log_ridge):
    rng = np.random.default_rng(seed)
    assert distance_ratio(rng.standard_normal((k, p)), rng.standard_normal(k), 10**log_ridge) <= 1 + 1e-9
    phi, y, ridge = rational_prompt(seed, 3, 2)
    A, learned = phi @ phi.T + ridge * np.eye(3, dtype=int), online(phi, y, ridge, True)[0]
    off = (
        np.linalg.inv(lower(phi, ridge, True).astype(float))
        @ np.triu(phi @ phi.T, 1).astype(float)
        @ np.linalg.solve(A.astype(float), y.astype(float))
    )
    assert np.allclose(off, learned.astype(float) - np.linalg.solve(A.astype(float), y.astype(float)), atol=1e-9)


@certifies("prop-causal-distance", mutant="without the one half: d + mu in the place of (d + mu) / 2")
def test_a_search_comes_close_to_the_distance_and_passes_a_larger_one(record_property):
    def search(half, start):
        def loss(z):
            return -distance_ratio(z[:9].reshape(3, 3), z[9:12], np.exp(np.clip(z[12], -5, 5)), half)

        return -scipy.optimize.minimize(loss, start, method="Powell", options={"maxiter": 12}).fun

    start = np.concatenate([np.eye(3).ravel() + 0.1, [0.0, 0.5, 1.0, 0.0]])
    tightness = search(0.5, start)
    record_property("tightness", float(tightness))
    assert 0.99 < tightness <= 1 + 1e-9
    assert search(1.0, start) > 1.1  # mutant


@certifies("prop-online-limits", mutant="2 m in the place of 2 m - 1; m = 3/5 in the place of m < 1/2", exact=True)
@pytest.mark.parametrize("diagonal", [True, False])
@pytest.mark.parametrize("ridge", [Fraction(1, 5), Fraction(2, 5), Fraction(3, 5), Fraction(3)])
def test_the_fixed_point_does_not_learn_in_the_long_run(ridge, diagonal):
    k, m = 100, ridge + diagonal
    ones = np.full((k, 1), Fraction(1), dtype=object)
    _, w = online(ones, ones[:, 0], ridge, diagonal)
    assert w[0] == 1 - (1 - 1 / m) ** k and (abs(w[0]) > 10**9) == (m < Fraction(1, 2))  # mutant: at m = 3/5 it does not grow
    if m < Fraction(1, 2):
        return
    responses = [online(ones, np.eye(k, dtype=int)[i] + Fraction(0), ridge, diagonal)[1][0] for i in range(k)]  # w is linear in y
    variance = float(sum(response**2 for response in responses))
    assert variance == pytest.approx(float(1 / (2 * m - 1)), rel=1e-9)
    assert abs(variance - float(1 / (2 * m))) > 1e-2  # mutant
    assert float(k / (k + ridge) ** 2) < 1 / k < variance


# ---------------------------------------------------------------- the causal mask: what copies buy


@certifies("prop-copies", mutant="a copy fewer; the ridge left out", exact=True)
@pytest.mark.parametrize("k, p, copies", [(1, 1, 1), (2, 2, 3), (3, 1, 2)])
def test_a_copy_carries_a_step_exactly(k, p, copies):
    rng = np.random.default_rng(k + p)
    prompt = Prompt(
        *(torch.from_numpy(rng.integers(1, 4, shape).astype(float)) for shape in ((k, p), (k,), (2, p))), ridge=4.0
    )  # its root is a dyadic number
    context = repeat_context(prompt.with_ridge_as_supports(), copies)
    network = assemble(copied_gradient_descent(p, copies, 0.25))
    exact = ExactTransformer(network.transformer.state_dict(), network.transformer.config, Fraction, lambda n, d: n / d)
    streams = list(exact.stream(np.vectorize(Fraction, otypes=[object])(tokenise(context).numpy()), network.mask(context)))
    outputs = [exact.read(stream)[-2:, 0] for stream in streams[1:]]  # after the block that shows y, and after every step

    Phi, y, x = (np.vectorize(Fraction, otypes=[object])(array.numpy()) for array in (prompt.phi, prompt.y, prompt.phi_query))
    A, alpha, expected = Phi @ Phi.T + 4 * np.eye(k, dtype=int), 0 * y, []
    for _ in range(copies + 1):
        expected.append(x @ Phi.T @ alpha)
        alpha = alpha + Fraction(1, 4) * (y - A @ alpha)
    assert all((ours == theirs).all() for ours, theirs in zip(outputs, expected, strict=True))
    assert (outputs[-1] != expected[-2]).any()  # mutant: a copy fewer
    bare = repeat_context(prompt, copies)
    *_, last = exact.stream(np.vectorize(Fraction, otypes=[object])(tokenise(bare).numpy()), network.mask(bare))
    assert copies == 1 or (exact.read(last)[-2:, 0] != expected[-1]).any()  # mutant: no ridge


@pytest.mark.parametrize("dtype", DTYPES)
def test_copies_in_floats_in_batches_and_in_size(dtype):
    prompts = prompt_of(10.0, 9, 3, 2, seed=2, n_prompts=3)
    eta = float(1 / ridge_system(prompts).eigenvalues.max())
    network = assemble(copied_gradient_descent(3, 6, eta), dtype=dtype)
    assert network.program.width == 3 + 6 + 3 and network.program.n_blocks == 7
    assert network.program.n_parameters == sum(weight.numel() for weight in network.transformer.parameters())
    says = network.predict(repeat_context(prompts.with_ridge_as_supports(), 6).to(dtype))[:, -2:].double()
    tolerances.assert_within(says - assemble(gradient_descent(3, 6, eta)).predict(prompts), 8 * tolerances.drift(dtype, 6))
    with pytest.raises(ValueError, match="repeat_context.*this would work"):
        repeat_context(prompts, 0)


def test_the_textbook_network_is_silent_under_a_causal_mask():
    prompt = prompt_of(10.0, 9, 3, 2, seed=2)
    network = assemble(conjugate_gradient(3, 4))
    *_, x = network.transformer.stream(tokenise(prompt), CausalMask(strict=True, n_registers=2))
    assert (x[token_groups(prompt)["support"], network.basis["alpha"]] == 0).all()
