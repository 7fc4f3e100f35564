"""Depth against width: Gram matrices carried by every token, sums foretold one step ahead; exact certificates, mutants, floats."""

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import flint
import numpy as np
import pytest
import scipy.optimize
import survivors as known
import tolerances
import torch
from certificates import certifies
from factories import DTYPES, prompt_of
from hypothesis import given, settings
from hypothesis import strategies as st

from metarep_lib import PrefixMask, Program, Prompt, assemble, ridge_system, solvers
from metarep_lib.construct import (
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
    newton_schulz,
    one_block_conjugate_gradient,
    prefix_mask,
    token_groups,
    tokenise,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.exact import ExactTransformer
from metarep_lib.evidence import (
    Recurrence,
    certify_end_to_end,
    certify_step,
    gram_chebyshev_recurrence,
    gram_conjugate_gradient_recurrence,
    gram_squaring_recurrence,
    is_looped,
    one_block_recurrence,
    survivors,
)
from metarep_lib.evidence.problem import random_prompt
from metarep_lib.evidence.rings import Field
from metarep_lib.numerics.recurrences import conjugate_gradient_step, look_ahead_step

P = 2


@dataclass(frozen=True)
class Case:
    """A program on two features, its recurrence, a wrong recurrence, and what it should say of itself."""

    program: Program
    recurrence: Recurrence
    wrong: Recurrence
    n_blocks: int
    width: int
    harmless: dict[str, str]


def twice_the_ridge(recurrence: Recurrence) -> Recurrence:
    return replace(recurrence, step=lambda state, problem, t: recurrence.step(state, replace(problem, ridge=problem.ridge + problem.ridge), t))


CASES = {
    "chebyshev": Case(
        gram_chebyshev(P, 2, 0.25, 3.0),
        gram_chebyshev_recurrence(P, 0.25, 3.0, 2),
        gram_chebyshev_recurrence(P, 0.25, 3.000001, 2),
        2 + 1,
        P**2 + 4 * P + 5,
        known.GRAM,
    ),
    "conjugate gradient": Case(
        gram_conjugate_gradient(P, 2),
        gram_conjugate_gradient_recurrence(P),
        twice_the_ridge(gram_conjugate_gradient_recurrence(P)),
        3 * 2 + 1,
        P**2 + 8 * P + 18,
        {},
    ),
    "squaring": Case(
        gram_squaring(P, 2, 0.25), gram_squaring_recurrence(P, 0.25), gram_squaring_recurrence(P, 0.2500001), 2 + 2, P**2 + 2 * P + 5, known.GRAM
    ),
    "chebyshev, causal": Case(
        gram_chebyshev(P, 2, 0.25, 3.0, causal=True),
        gram_chebyshev_recurrence(P, 0.25, 3.0, 2, causal=True),
        gram_chebyshev_recurrence(P, 0.2500001, 3.0, 2, causal=True),
        2 + 1,
        P**2 + 4 * P + 5,
        {},
    ),
    "conjugate gradient, causal": Case(
        gram_conjugate_gradient(P, 2, causal=True),
        gram_conjugate_gradient_recurrence(P, causal=True),
        twice_the_ridge(gram_conjugate_gradient_recurrence(P, causal=True)),
        3 * 2 + 1,
        P**2 + 8 * P + 18,
        known.GRAM_CONJUGATE_GRADIENT_CAUSAL,
    ),
    "squaring, causal": Case(
        gram_squaring(P, 2, 0.25, causal=True),
        gram_squaring_recurrence(P, 0.25, causal=True),
        gram_squaring_recurrence(P, 0.2500001, causal=True),
        2 + 2,
        P**2 + 2 * P + 5,
        {},
    ),
    "one block": Case(
        one_block_conjugate_gradient(P, 4, 0.5), one_block_recurrence(0.5), one_block_recurrence(0.5000001), 4 + 2, 2 * P + 35, known.ONE_BLOCK
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


# ---------------------------------------------------------------- what the theorems say of size, and exactly


@certifies("thm-gram-network", "thm-gram-cg", "prop-gram-squaring", "thm-one-block-network")
@cases
def test_depth_width_and_stored_blocks_are_as_stated(case):
    config = assemble(case.program).transformer.config
    assert (case.program.n_blocks, case.program.width) == (case.n_blocks, case.width) == (len(config.schedule), config.d_model)
    looped = {"gram_conjugate_gradient": 4, "gram_squaring": 3, "one_block_conjugate_gradient": 2}
    assert len(case.program.distinct_layers) == looped.get(case.program.name, case.n_blocks)


@certifies("thm-gram-network", "prop-gram-squaring", "thm-gram-cg")
@pytest.mark.parametrize("make", [lambda: gram_chebyshev(3, 4, 0.1, 2.0), lambda: gram_squaring(3, 4, 0.5), lambda: gram_conjugate_gradient(3, 4)])
def test_after_block_one_no_head_reads_a_prompt_token(make):
    program = make()
    names_of_registers = {"is_aggregator", "is_sink", "started"}
    for layer in program.layers[1:]:
        for write in layer.attention:
            for head in write.terms:
                assert program.name == "gram_conjugate_gradient"
                assert {name for _, key in head.score for name, _ in key.terms} <= names_of_registers
    first = {name for write in program.layers[0].attention for head in write.terms for _, key in head.score for name, _ in key.terms}
    assert not first <= names_of_registers  # the first block does read the prompt


@certifies(
    "thm-gram-network",
    "thm-gram-cg",
    "prop-gram-squaring",
    "thm-one-block-network",
    mutant="an end of the spectrum, a step, a scale off by a millionth, twice the ridge",
)
@cases
@pytest.mark.parametrize("k", [1, 4])
def test_the_weights_run_the_recurrence_exactly(case, k):
    network = assemble(case.program)
    weights, config = network.transformer.state_dict(), network.transformer.config
    settings = {"seed": k, "n_support": k, "n_query": 2}
    certificates = [
        certify_step(weights, config, network.basis, case.recurrence, t=t, n_inputs=P, **settings)
        for t in range(1 if is_looped(config, case.recurrence) else 2)
    ]
    certificates.append(certify_end_to_end(weights, config, case.recurrence, n_features=P, **settings))
    for certificate in certificates:
        assert certificate.holds, certificate
        assert certificate.log2_error < -400 or k == 1  # one support under the causal mask is told nothing: all outputs are zero
    if k > 1:
        step = certify_step(weights, config, network.basis, case.wrong, bound_error=False, **settings)
        whole = certify_end_to_end(weights, config, case.wrong, n_features=P, bound_error=False, **settings)
        assert not (step.holds and whole.holds)


@certifies("thm-gram-cg", "thm-one-block-network", mutant="one step fewer than termination needs")
@pytest.mark.parametrize("n_support", [4, 2])
@pytest.mark.parametrize(
    "make, recurrence, needed",
    [
        (lambda t: gram_conjugate_gradient(P, t), gram_conjugate_gradient_recurrence(P), P),
        (lambda t: gram_conjugate_gradient(P, t, causal=True), gram_conjugate_gradient_recurrence(P, causal=True), P),
        (lambda t: one_block_conjugate_gradient(P, t, 0.5), one_block_recurrence(0.5), P + 1),
    ],
    ids=["gram", "gram, causal", "one block"],
)
def test_the_solution_is_reached_at_termination_and_kept(make, recurrence, needed, n_support):
    for steps, reached in ((needed, True), (needed + 2, True), (needed - 1, False)):
        network = assemble(make(steps))
        whole = certify_end_to_end(
            network.transformer.state_dict(),
            network.transformer.config,
            recurrence,
            seed=4,
            n_features=P,
            n_support=n_support,
            terminates=True,
            bound_error=False,
        )
        if reached:
            assert whole.holds, whole
        elif n_support > needed:
            assert {entry.partition("[")[0] for entry in whole.mismatches} == {"f*"}


@certifies(
    "thm-gram-network",
    "thm-gram-cg",
    "prop-gram-squaring",
    "thm-one-block-network",
    mutant="every weight tripled, every gated unit dropped, every two blocks swapped",
)
@pytest.mark.parametrize("name", ["chebyshev", "conjugate gradient, causal", "squaring", "one block"])  # weights do not know the mask
def test_every_mutant_dies_or_is_known_to_be_harmless(name):
    case = CASES[name]
    left, n_mutants = survivors(assemble(case.program), case.recurrence, seed=5)
    assert set(left) == set(case.harmless)
    assert n_mutants > 100


# ---------------------------------------------------------------- squaring: 2^t steps of gradient descent


def squared(eigenvalues: torch.Tensor, weights: torch.Tensor, t: int) -> torch.Tensor:
    """||w* - w_t|| / ||w*|| / e^(-2^t / kappa) for a diagonal G with w* given and eta = 1 / lambda_max, as the proposition has it."""
    log_E = torch.log1p(-eigenvalues / eigenvalues.max()) * 2**t + 2**t * eigenvalues.min() / eigenvalues.max()  # both may leave the range alone
    return (log_E.exp() * weights).norm() / weights.norm()


@certifies("prop-gram-squaring", mutant="one square fewer")
@given(st.integers(0, 10**6), st.integers(1, 3))
@settings(max_examples=20, deadline=None)
def test_t_squares_are_two_to_the_t_steps_of_gradient_descent(seed, t):
    rng = np.random.default_rng(seed)
    Phi, b = rng.integers(-2, 3, (3, 2)), rng.integers(1, 4, 2)
    G = Phi.T @ Phi + np.eye(2, dtype=int)
    G = np.vectorize(Fraction, otypes=[object])(G)
    eta = Fraction(1, int(np.trace(G.astype(float))))

    def squares(count):
        E, w = np.array([[Fraction(int(i == j)) for j in range(2)] for i in range(2)]) - eta * G, eta * b
        for _ in range(count):
            w, E = w + E @ w, E @ E
        return w

    w = 0 * b * Fraction(1)
    for _ in range(2**t):
        w = w + eta * (b - G @ w)
    assert (squares(t) == w).all()
    assert (squares(t - 1) != w).any()


@certifies("prop-gram-squaring", mutant="an exponent of one more square")
@given(st.integers(0, 10**6), st.integers(0, 12), st.floats(0.0, 4.0))
@settings(deadline=None)
def test_the_error_of_squaring_is_bounded_on_random_inputs(seed, t, log_kappa):
    rng = np.random.default_rng(seed)
    eigenvalues = torch.from_numpy(10 ** (-log_kappa * np.concatenate([[0.0, 1.0], rng.random(5)])))
    ratio = squared(eigenvalues, torch.from_numpy(rng.standard_normal(7)), t)
    assert ratio <= 1 + 2**t * 16 * tolerances.unit_roundoff(torch.float64)
    if log_kappa > 1:
        extreme = torch.tensor([eigenvalues.min(), eigenvalues.max()])
        assert squared(extreme, torch.tensor([1.0, 0.0], dtype=torch.float64), t) * math.exp(2**t * float(extreme[0] / extreme[1])) > 1  # mutant


@certifies("prop-gram-squaring", mutant="an exponent of one more square")
def test_a_search_finds_the_error_bound_of_squaring_nearly_attained():
    def loss(flat):
        eigenvalues = torch.sigmoid(torch.from_numpy(flat[:4])) + 1e-3
        return -float(squared(eigenvalues, torch.from_numpy(flat[4:]), 6))

    found = min(
        (
            scipy.optimize.minimize(loss, np.random.default_rng(s).standard_normal(8), method="Nelder-Mead", options={"maxiter": 2000})
            for s in range(3)
        ),
        key=lambda f: f.fun,
    )
    assert 0.95 < -found.fun <= 1 + 1e-12
    eigenvalues = torch.sigmoid(torch.from_numpy(found.x[:4])) + 1e-3
    assert -found.fun * math.exp(2**6 * float(eigenvalues.min() / eigenvalues.max())) > 1  # mutant: e^(-2^(t + 1) / kappa)


# ---------------------------------------------------------------- looking ahead


def fractions(array: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda x: Fraction(int(x)), otypes=[object])(array)


def exact_quotient(numerator: Fraction, denominator: Fraction) -> Fraction:
    return Fraction(0) if numerator == denominator == 0 else numerator / denominator


divide = np.vectorize(exact_quotient, otypes=[object])


@certifies("thm-look-ahead", mutant="the other sign of omega; the sums of the step itself in the place of those foretold", exact=True)
@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_the_sums_of_the_next_step_are_quadratic_forms_of_this_ones(seed):
    """For any vectors and any theta and omega: nothing is assumed orthogonal."""
    rng = np.random.default_rng(seed)
    root, v, v_old = (fractions(rng.integers(-3, 4, shape)) for shape in ((4, 4), 4, 4))
    A, theta, omega = root @ root.T, Fraction(2, 3), Fraction(-5, 7)
    B = np.stack([A @ v, v, v_old], axis=1)
    z, other = np.array([Fraction(1), -theta, -omega]), np.array([Fraction(1), -theta, omega])
    H, J, v_next = B.T @ B, B.T @ A @ B, A @ v - theta * v - omega * v_old
    assert (z @ H @ z, z @ J @ z, (H @ z)[0]) == (v_next @ v_next, v_next @ A @ v_next, v_next @ A @ v)
    if (v_old != 0).any() and H[0, 2] != theta * H[1, 2]:
        assert other @ H @ other != v_next @ v_next
    if v_next @ v_next != v @ v:
        assert z @ H @ z != v @ v


@certifies("thm-look-ahead", mutant="another scale on the way; pi of the step before")
@given(st.integers(0, 10**6), st.integers(2, 4))
@settings(max_examples=20, deadline=None)
def test_unscaled_residuals_are_those_of_conjugate_gradient(seed, k):
    rng = np.random.default_rng(seed)
    Phi, y = fractions(rng.integers(-3, 4, (k, k))), fractions(rng.integers(1, 5, k))
    A, c, one, zero = Phi @ Phi.T + fractions(np.eye(k)), Fraction(1, 3), np.array([Fraction(1)]), np.array([Fraction(0)])

    def inner(a, b):
        return np.array([a @ b])

    textbook = [{"alpha": 0 * y, "r": y, "p": y}]
    for _ in range(k + 1):
        textbook.append(conjugate_gradient_step(textbook[-1], lambda v: A @ v, inner, divide))
    state = {
        "v": y,
        "Av": c * (A @ y),
        "v_old": 0 * y,
        "Av_old": 0 * y,
        "pi": one,
        "pi_old": zero,
        "theta": zero,
        "omega": zero,
        "vv": one,
        "f": 0 * y,
    }
    state |= dict.fromkeys(("h_2", "h_3", "j_3"), zero) | {"h_1": inner(y, y), "j_1": c * inner(y, A @ y)}
    for t in range(k + 2):
        assert (state["v"] == state["pi"] * textbook[t]["r"]).all() and state["pi"] != 0
        if (textbook[t]["r"] != 0).any() and t and state["pi"] != state["pi_old"]:
            assert (state["v"] != state["pi_old"] * textbook[t]["r"]).any()  # mutant
        if t == k + 1:
            break
        state = look_ahead_step(state, lambda v: A @ v, inner, divide, np.array([c]), one)
        assert (-state["f"] == textbook[t]["r"]).all()  # on supports f is minus the residual of the step before


# ---------------------------------------------------------------- one power of K in a block


def says(program: Program, seed: int, k: int = 6, q: int = 8) -> tuple[list[np.ndarray], np.ndarray, Field]:
    """What a network says at q queries after every block, over a prime field, and the columns k(x)^T A^j y."""
    field, network = Field(seed), assemble(program)
    problem = random_prompt(field, program.inputs.width("phi"), k, q)
    exact = ExactTransformer(network.transformer.state_dict(), network.transformer.config, field.scalar, field.divide)
    outputs = [exact.read(x)[-q:, 0] for x in exact.stream(problem.tokens, problem.mask)]
    powers = [problem.y]
    for _ in range(5):
        powers.append(problem.A @ powers[-1])
    return outputs, np.stack([problem.K_query @ v for v in powers], axis=1), field


def rank(columns: np.ndarray, field: Field) -> int:
    return flint.fmpz_mod_mat(*columns.shape, list(columns.flat), field.context).rank() if columns.size else 0


KRYLOV = {
    "gradient descent": gradient_descent(5, 4, 0.25),
    "chebyshev": chebyshev(5, 4, 0.25, 3.0),
    "textbook": conjugate_gradient(5, 1),
    "two blocks": two_block_conjugate_gradient(5, 2),
    "one block": one_block_conjugate_gradient(5, 3, 0.5),
}


@certifies("prop-one-power-a-block", mutant="one power fewer; squaring, which is no such network")
@pytest.mark.parametrize("name", KRYLOV)
def test_a_block_raises_the_power_of_the_kernel_matrix_by_one_at_most(name):
    outputs, powers, field = says(KRYLOV[name], seed=3)
    degrees = []
    for blocks, f in enumerate(outputs):
        inside = [rank(np.column_stack([powers[:, :d], f]), field) == d if d else bool((f == 0).all()) for d in range(6)]
        assert inside[min(blocks, 5)]
        degrees.append(inside.index(True))
    assert max(degrees) >= 1
    if name == "gradient descent":  # attained: no smaller bound holds for all
        assert degrees == list(range(len(outputs)))
    if name == "one block":
        assert degrees == [max(blocks - 2, 0) for blocks in range(len(outputs))]


@certifies("prop-one-power-a-block", mutant="one power fewer; squaring, which is no such network")
def test_a_network_that_squares_raises_it_faster():
    outputs, powers, field = says(gram_squaring(5, 2, 0.25), seed=3)
    assert len(outputs) - 1 == 4
    assert rank(np.column_stack([powers[:, :4], outputs[-1]]), field) == 4  # w_2 is the fourth iterate, after three blocks and one that reads it out
    outputs, powers, field = says(gram_squaring(5, 3, 0.25), seed=3)
    assert rank(np.column_stack([powers[:, :5], outputs[-1]]), field) == 5 and rank(powers, field) == 5  # all there is with five features
    outputs, powers, field = says(newton_schulz(5, 2, 0.25), seed=3)
    assert rank(np.column_stack([powers[:, :2], outputs[-1]]), field) == 3


# ---------------------------------------------------------------- floats


def scale_for(prompt: Prompt) -> float:
    return 2.0 ** round(math.log2(4 / float(ridge_system(prompt).eigenvalues[..., -1].max())))


def largest(prompt: Prompt) -> float:
    return float(ridge_system(prompt).eigenvalues[-1])


WIDE = {
    "gram conjugate gradient": lambda prompt, t: gram_conjugate_gradient(prompt.n_features, t),
    "squaring": lambda prompt, t: gram_squaring(prompt.n_features, min(t, 26), 1 / largest(prompt)),
}
wide = pytest.mark.parametrize("make", WIDE.values(), ids=WIDE.keys())


def final_error(program: Program, prompt: Prompt, dtype: torch.dtype) -> float:
    """Relative error of f at the queries, zero where both are zero; finiteness and the dtype are asserted in every block."""
    system = ridge_system(prompt)
    f = system.predict(solvers.cholesky(system).alpha)
    trace = assemble(program, dtype=dtype).run(prompt.to(dtype))
    assert trace.resid.dtype == dtype and trace.all_finite
    return tolerances.relative(trace.prediction[-1], f).max().item()


SCALES = [(torch.float64, kappa, *scales) for kappa in (1e2, 1e6) for scales in ((1.0, 1.0), (1e-3, 1e3), (1e3, 1e-3))]
SCALES += [(torch.float32, kappa, 1.0, 1.0) for kappa in (1e2, 1e4)]  # further out the guard of float32 is near: chapter depth-is-synchronisation


@wide
@pytest.mark.parametrize("dtype, kappa, feature_scale, target_scale", SCALES)
def test_carried_matrices_solve_at_every_scale_three_times_past_convergence(make, dtype, kappa, feature_scale, target_scale):
    prompt = prompt_of(kappa, 24, 8, 5, seed=3, feature_scale=feature_scale, target_scale=target_scale)
    tolerances.assert_within(final_error(make(prompt, 90), prompt, dtype), tolerances.prediction(dtype, kappa), "f")


FAST = {
    "orthonormal": torch.eye(6),
    "one support": torch.tensor([[1.0, -2.0, 0.5]]),
    "all the same": torch.ones(7, 2),
    "two eigenvalues": torch.cat([torch.eye(4), 3 * torch.eye(4)]),
}


@pytest.mark.parametrize("phi", FAST.values(), ids=FAST.keys())
@pytest.mark.parametrize("ridge", [1e-3, 1e6])
@pytest.mark.parametrize("dtype", DTYPES)
def test_fast_termination_is_survived(phi, ridge, dtype):
    phi = phi.double()
    for target in (torch.randn(len(phi), generator=torch.Generator().manual_seed(1)).double(), torch.zeros(len(phi)).double()):
        prompt = Prompt(phi, target, phi[:1], ridge)
        kappa = float(ridge_system(prompt).condition_number)
        for make in WIDE.values():
            tolerances.assert_within(final_error(make(prompt, 24), prompt, dtype), tolerances.prediction(dtype, kappa), "carried")
        if dtype == torch.float64 or len(phi) > 1:  # float32 and one support: v_t leaves the range, see the chapter
            error = final_error(one_block_conjugate_gradient(phi.shape[1], 12, scale_for(prompt)), prompt, dtype)
            tolerances.assert_within(error, max(tolerances.unit_roundoff(dtype) ** 0.5, WANDERS * looking_ahead(dtype, kappa)), "one block")


def looking_ahead(dtype: torch.dtype, kappa: float) -> float:
    """The error of f that looking ahead reaches, relative: 64 u kappa^2.

    The sums foretold are differences of sums over A'v, so their relative error is u ||A'v||^2 / ||v_next||^2, and theta and pi
    inherit it. Two factors of kappa are what is seen (20 u kappa^2 at worst), not what is proved.
    """
    return 64 * tolerances.unit_roundoff(dtype) * kappa**2


WANDERS = 2.0**9  # past convergence the error is not flat: up to 4000 u kappa^2 was seen, committed is 2^15 u kappa^2


@pytest.mark.parametrize(
    "dtype, kappa", [(torch.float64, 10.0), (torch.float64, 1e2), (torch.float64, 1e4), (torch.float32, 10.0), (torch.float32, 1e2)]
)
def test_one_block_reaches_its_floor_at_every_scale(dtype, kappa):
    for feature_scale in (1.0, 1e-3, 1e3) if dtype == torch.float64 else (1.0,):
        prompts = prompt_of(kappa, 24, 8, 5, seed=7, feature_scale=feature_scale, n_prompts=10)
        system = ridge_system(prompts)
        f = system.predict(solvers.cholesky(system).alpha)
        trace = assemble(one_block_conjugate_gradient(8, 40, scale_for(prompts)), dtype=dtype).run(prompts.to(dtype))
        assert trace.resid.dtype == dtype and trace.all_finite
        error = tolerances.relative(trace.prediction, f)  # [steps + 1, prompts]
        tolerances.assert_within(error.min(0).values, looking_ahead(dtype, kappa), "best")
        tolerances.assert_within(error[30:], WANDERS * looking_ahead(dtype, kappa), "later")


def test_the_curve_of_the_one_block_network_is_the_textbooks():
    prompt = prompt_of(50.0, 24, 8, 5, seed=2)
    system = ridge_system(prompt)
    textbook = system.predict(solvers.conjugate_gradient(system, 9).history["alpha"])
    ours = assemble(one_block_conjugate_gradient(8, 9, scale_for(prompt))).run(prompt).prediction
    torch.testing.assert_close(ours[:7], textbook[:7], rtol=1e-8, atol=1e-9)
    other = assemble(one_block_conjugate_gradient(8, 9, 16 * scale_for(prompt))).run(prompt).prediction
    torch.testing.assert_close(ours[:7], other[:7], rtol=1e-8, atol=1e-9)  # the scale changes no iterate


def test_the_scale_keeps_the_stream_in_range():
    prompt = prompt_of(100.0, 24, 8, 5, seed=2)
    size = [
        assemble(one_block_conjugate_gradient(8, 40, c * scale_for(prompt))).run(prompt)["pi", "sink"][-1].abs().log10() for c in (0.25, 1.0, 4.0)
    ]
    assert size[0] < size[1] - 15 and size[1] + 15 < size[2]


@pytest.mark.parametrize("make", [lambda: gram_conjugate_gradient(6, 36, causal=True), lambda: gram_chebyshev(6, 90, 0.01, 1.1, causal=True)])
def test_every_prefix_is_solved_in_one_pass_and_nothing_reads_the_future(make):
    prompt = prompt_of(1e2, 24, 6, 0, seed=1)
    network = assemble(make())
    trace = network.run(prompt)
    assert trace.all_finite
    bound = 1e-12 if network.program.name == "gram_conjugate_gradient" else 1e-6  # Chebyshev: 2 (9/11)^90
    for i in range(24):
        past = prompt.phi[:i]
        w = torch.linalg.solve(past.T @ past + prompt.ridge * torch.eye(6, dtype=torch.float64), past.T @ prompt.y[:i])
        assert (trace["w", "support"][-1][i] - w).norm() <= bound * (w.norm() + 1)
        assert abs(trace.prediction[-1][i] - prompt.phi[i] @ w) <= bound * (w.norm() * prompt.phi[i].norm() + 1)
    y, phi = prompt.y.clone(), prompt.phi.clone()
    y[6] += 1.0
    phi[7] *= 2.0
    changed = network.run(Prompt(phi, y, prompt.phi_query, prompt.ridge))
    assert torch.equal(trace.prediction[:, :7], changed.prediction[:, :7])
    assert (trace.prediction[-1, 7:] != changed.prediction[-1, 7:]).all()


def test_both_masks_use_the_same_weights():
    assert replace(gram_conjugate_gradient(3, 2), causal=True) == gram_conjugate_gradient(3, 2, causal=True)
    assert replace(gram_squaring(3, 2, 0.5), causal=True) == gram_squaring(3, 2, 0.5, causal=True)


@certifies("thm-gram-network", "thm-gram-cg", mutant="a network that keeps attending")
def test_supports_may_be_erased_after_block_one():
    prompt = prompt_of(50.0, 20, 5, 4, seed=4)
    system = ridge_system(prompt)
    ends = [float(system.eigenvalues[i]) for i in (0, -1)]
    for program, erasable in (
        (gram_chebyshev(5, 20, *ends), True),
        (gram_conjugate_gradient(5, 6), True),
        (gram_squaring(5, 6, 1 / ends[1]), True),
        (two_block_conjugate_gradient(5, 6), False),
    ):
        network = assemble(program)
        stream = list(network.transformer.stream(tokenise(prompt), prefix_mask(prompt)))
        kept = torch.cat([stream[1][:2], stream[1][token_groups(prompt)["query"]]])
        for index in network.transformer.config.schedule[1:]:
            kept = network.transformer.blocks[index](kept, PrefixMask(2))
        change = tolerances.relative(network.transformer.read(kept)[2:, 0], network.predict(prompt)).item()
        assert (change < 1e-13) == erasable, program.name


def test_primal_and_dual_chebyshev_say_the_same():
    prompt = prompt_of(30.0, 20, 5, 4, seed=4)
    ends = [float(ridge_system(prompt).eigenvalues[i]) for i in (0, -1)]
    primal, dual = (assemble(make(5, 12, *ends)).run(prompt).prediction for make in (gram_chebyshev, chebyshev))
    torch.testing.assert_close(primal, dual, rtol=1e-11, atol=1e-12)
    conjugate = [assemble(make(5, 2)).run(prompt).prediction[-1] for make in (gram_conjugate_gradient, conjugate_gradient)]
    assert (conjugate[0] - conjugate[1]).norm() > 1e-3 * conjugate[1].norm()  # their conjugate gradients do not


@pytest.mark.parametrize(
    "make",
    [gram_conjugate_gradient, one_block_conjugate_gradient, lambda p, t: gram_chebyshev(p, t, 0.1, 1.0), lambda p, t: gram_squaring(p, t, 0.1)],
)
def test_no_features_or_no_steps_are_refused(make):
    for p, t in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            make(p, t)
    with pytest.raises(ValueError, match="0 < smallest < largest"):
        gram_chebyshev(3, 3, 2.0, 1.0)
