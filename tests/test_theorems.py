"""The certificates: every labelled statement of the book, checked by running it, with a wrong version that fails.

Statements about rational functions are checked in exact arithmetic; inequalities on random inputs,
up to a committed floor for rounding (searched inputs: test_bounds.py).
"""

from fractions import Fraction

import numpy as np
import pytest
import torch
from certificates import certifies
from factories import prompt_of, random_prompt
from hypothesis import given
from hypothesis import strategies as st
from tolerances import assert_within

from metarep_lib import (
    RidgeSystem,
    assemble,
    conjugate_gradient,
    conjugate_gradient_bound,
    gradient_descent,
    gradient_descent_bound,
    prediction_factor,
    ridge_system,
    solvers,
)
from metarep_lib.construct import circuits, prefix_mask, token_groups, tokenise
from metarep_lib.construct.algorithms.frame import TARGET, krr_program
from metarep_lib.construct.exact import ExactTransformer
from metarep_lib.construct.program import Layer, Program
from metarep_lib.evidence import certify_end_to_end, certify_step, conjugate_gradient_recurrence, gradient_descent_recurrence
from metarep_lib.numerics.recurrences import conjugate_gradient_step, two_block_step

U = torch.finfo(torch.float64).eps
SHAPES = [(1, 1), (1, 3), (4, 2), (3, 5), (12, 4)]  # (supports, features): k = 1, p > k, k > p
shapes = pytest.mark.parametrize("k, p", SHAPES)
seeds = st.integers(0, 10**6)


# ---------------------------------------------------------------- the problem (chapter kernel-ridge)


def exact_solve(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """A^-1 b over the rationals by Gauss-Jordan elimination."""
    rows = np.concatenate([A, b[:, None]], axis=1)
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j, i] != 0)
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in range(len(rows)):
            if j != i:
                rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, -1]


def rationals(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return np.vectorize(lambda n, d: Fraction(int(n), int(d)), otypes=[object])(rng.integers(-5, 6, shape), rng.integers(1, 4, shape))


@certifies("thm-krr", mutant="twice the ridge", exact=True)
@shapes
def test_the_dual_solution_is_the_only_zero_of_the_gradient(k, p):
    rng = np.random.default_rng(k + 10 * p)
    Phi, y, ridge = rationals(rng, k, p), rationals(rng, k), Fraction(1, 3)
    alpha = exact_solve(Phi @ Phi.T + ridge * np.eye(k, dtype=int), y)
    weights = Phi.T @ alpha

    def gradient(w, shown_ridge=ridge):
        return Phi.T @ (Phi @ w - y) + shown_ridge * w

    def J(w):
        return ((y - Phi @ w) ** 2).sum() + ridge * (w**2).sum()

    assert (gradient(weights) == 0).all()
    step = rationals(rng, p) + 1
    assert J(weights + step) > J(weights) < J(weights - step)
    assert (gradient(weights, 2 * ridge) != 0).any() or (weights == 0).all()  # mutant: the wrong ridge


@certifies("prop-kappa", mutant="without the one")
@shapes
def test_kappa_is_at_most_one_plus_norm_over_ridge_with_equality_iff_singular(k, p):
    system = ridge_system(random_prompt(k, p, 1, ridge=0.5, seed=k * p))
    norm_K = system.eigenvalues[-1] - 0.5
    bound = 1 + norm_K / 0.5
    assert system.condition_number <= bound * (1 + 1e-10)
    assert (system.condition_number > bound * (1 - 1e-10)) == (p < k)
    if p < k:  # mutant: without the one
        assert system.condition_number > norm_K / 0.5


@certifies("prop-primal-dual", mutant="another step size in the primal")
def test_primal_and_dual_gradient_descent_agree_and_conjugate_gradients_do_not():
    prompt = random_prompt(7, 3, 4, ridge=0.5, seed=1)
    dual = ridge_system(prompt)
    primal = RidgeSystem(prompt.phi.T @ prompt.phi + 0.5 * torch.eye(3), prompt.phi.T @ prompt.y, prompt.phi_query)
    step_size = float(1 / dual.eigenvalues[-1])
    paths = [s.predict(solvers.gradient_descent(s, 20, step_size).history["alpha"]) for s in (dual, primal)]
    torch.testing.assert_close(*paths, rtol=1e-12, atol=1e-12)
    wrong = primal.predict(solvers.gradient_descent(primal, 20, 1.1 * step_size).history["alpha"])  # mutant: another step size
    assert (wrong - paths[0]).abs().max() > 1e-3

    # the proof's own example, in fractions
    phi, y, A = np.array([[1, 0], [0, 2]]), np.array([1, 1]), np.diag([2, 5])
    w_dual = phi.T @ first_step(A, y)
    w_primal = first_step(A, phi.T @ y)
    assert list(w_dual) == [Fraction(2, 7), Fraction(4, 7)]
    assert list(w_primal) == [Fraction(5, 22), Fraction(5, 11)]


def first_step(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    return rational_cg(A, y, 1)[-1]["alpha"]


def rational_cg(A: np.ndarray, y: np.ndarray, steps: int) -> list[dict[str, np.ndarray]]:
    """States of conjugate gradient over the rationals, 0 / 0 = 0."""
    y = np.vectorize(Fraction, otypes=[object])(y)
    states = [{"alpha": 0 * y, "r": y, "p": y}]
    divide = np.vectorize(lambda n, d: Fraction(0) if n == d == 0 else n / d, otypes=[object])
    for _ in range(steps):
        states.append(conjugate_gradient_step(states[-1], lambda v: A @ v, lambda a, b: np.array([a @ b]), divide))
    return states


# ---------------------------------------------------------------- the circuits


REGISTERS = dict.fromkeys(["a", "b", "n", "d", "s", "out", "r"], 1)


def one_block(attention=(), mlp=(), n_features: int = 2) -> Program:
    """A program of one block over registers a, b, n, d, s and out; a starts at y, out is read."""
    layers = [Layer(1, "circuit", tuple(attention), tuple(mlp))]
    return krr_program("circuit", n_features, ["is_aggregator", "is_sink"], REGISTERS, {"a": TARGET}, layers)


def run_block(program: Program, seed: int, zero_on_registers=("a", "b")) -> tuple[np.ndarray, np.ndarray, dict]:
    """A random rational stream before and after the block, exactly; phi, ridge, flags and one as in a prompt."""
    prompt = random_prompt(3, program.stream.width("phi"), 2, ridge=0.5, seed=seed)
    network = assemble(program)
    exact = ExactTransformer(network.transformer.state_dict(), network.transformer.config, Fraction, lambda n, d: n / d)
    rng = np.random.default_rng(seed)
    tokens = np.vectorize(Fraction, otypes=[object])(tokenise(prompt).numpy())
    before = next(exact.stream(tokens, prefix_mask(prompt)))
    for name in ("a", "b", "n", "d"):
        before[:, program.stream[name]] = rationals(rng, len(before), 1) + Fraction(1, 7)
    for name in zero_on_registers:
        before[:2, program.stream[name]] = Fraction(0)
    (after,) = exact.blocks(before, prefix_mask(prompt), (0,))
    return before, after, dict(token_groups(prompt))


def column(x: np.ndarray, program: Program, name: str) -> np.ndarray:
    return x[:, program.stream[name]][:, 0]


@certifies("lem-mat-vec", mutant="queries are read too", exact=True)
@given(seed=seeds)
def test_mat_vec_adds_the_kernel_matrix_times_a_vector(seed):
    program = one_block(attention=[circuits.mat_vec("a", into="out")])
    before, after, groups = run_block(program, seed)
    phi, a = before[:, program.stream["phi"]], column(before, program, "a")
    supports = groups["support"]
    expected = phi @ phi[supports].T @ a[supports]
    assert (column(after, program, "out") == expected).all()
    assert (expected != phi @ phi.T @ a).any()  # mutant: if the queries were read too


@certifies("lem-reduction", mutant="registers that are not zero", exact=True)
@given(seed=seeds)
def test_reduction_adds_the_inner_product_on_the_registers_and_nowhere_else(seed):
    program = one_block(attention=[circuits.reduce("a", "b", into="out")])
    before, after, groups = run_block(program, seed)
    a, b, out = (column(x, program, name) for x, name in ((before, "a"), (before, "b"), (after, "out")))
    total = a[groups["support"]] @ b[groups["support"]]
    assert (out[:2] == total).all() and (out[2:] == 0).all()
    before, after, _ = run_block(program, seed, zero_on_registers=())  # mutant: the proviso dropped
    a, b = column(before, program, "a"), column(before, program, "b")
    assert column(after, program, "out")[0] != a[groups["support"]] @ b[groups["support"]]


@certifies("lem-division", mutant="scores and gain of different scale", exact=True)
@pytest.mark.parametrize("scale", [1.0, 2.0**-40, 2.0**3])
@given(seed=seeds)
def test_division_gives_the_quotient_to_every_token(scale, seed):
    program = division_program(scale, scale)
    quotients, out = divided(program, seed)
    assert (out == quotients[0]).all()
    _, wrong = divided(division_program(scale, 2 * scale), seed)  # mutant: gain and scores of different scale
    assert (wrong != quotients[0]).all()


def division_program(scale: float, read_scale: float) -> Program:
    scores = Layer(1, "scores", mlp=(circuits.quotient_scores("n", "d", into="s", scale=scale),))
    read = Layer(1, "read", attention=(circuits.quotient("s", into="out", scale=read_scale),))
    return krr_program("division", 2, ["is_aggregator", "is_sink"], REGISTERS, {"a": TARGET}, [scores, read])


def divided(program: Program, seed: int) -> tuple[np.ndarray, np.ndarray]:
    prompt = random_prompt(3, 2, 2, ridge=0.5, seed=seed)
    network = assemble(program)
    exact = ExactTransformer(network.transformer.state_dict(), network.transformer.config, Fraction, lambda n, d: n / d)
    tokens = np.vectorize(Fraction, otypes=[object])(tokenise(prompt).numpy())
    before = next(exact.stream(tokens, prefix_mask(prompt)))
    rng = np.random.default_rng(seed)
    numerator, denominator = rationals(rng, 2) + Fraction(1, 7)
    before[:2, program.stream["n"]], before[:2, program.stream["d"]] = numerator, denominator
    *_, after = exact.blocks(before, prefix_mask(prompt), (0, 1))
    return np.array([numerator / denominator]), column(after, program, "out")


@certifies("lem-update", mutant="the other sign", exact=True)
@given(seed=seeds)
def test_an_update_adds_products_of_the_same_token_and_clears_exactly(seed):
    writes = [circuits.update("out", circuits.times("a", "b", -2.0), circuits.copy("n")), circuits.clear("d")]
    program = one_block(mlp=writes)
    before, after, _ = run_block(program, seed)
    a, b, n = (column(before, program, name) for name in "abn")
    assert (column(after, program, "out") == -2 * a * b + n).all()
    assert (column(after, program, "d") == 0).all() and (column(before, program, "d") != 0).all()
    assert (column(after, program, "out") != 2 * a * b + n).any()  # mutant: the sign


# ---------------------------------------------------------------- the networks, exactly

def parts(program: Program, dtype: torch.dtype = torch.float64) -> tuple:
    network = assemble(program, dtype=dtype)
    return network.transformer.state_dict(), network.transformer.config, network.basis


@certifies("prop-gd-network", mutant="a step size off by a millionth", exact=True)
@shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradient_descent_network_is_certified(k, p, dtype):
    weights, config, basis = parts(gradient_descent(p, 3, step_size=0.25), dtype)
    recurrence = gradient_descent_recurrence(0.25)
    certificates = [
        certify_step(weights, config, basis, recurrence, seed=k, n_support=k, n_query=2),
        certify_end_to_end(weights, config, recurrence, seed=p, n_features=p, n_support=k, n_query=2),
    ]
    for certificate in certificates:
        assert certificate.holds, certificate
        assert certificate.log2_error < -400
    assert not certify_step(weights, config, basis, gradient_descent_recurrence(0.2500001), seed=k, n_support=k).holds  # mutant


@certifies("thm-cg-network", mutant="one step fewer than termination needs", exact=True)
@shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_conjugate_gradient_network_is_certified_through_termination(k, p, dtype):
    steps = min(k, p + 1)
    weights, config, basis = parts(conjugate_gradient(p, steps + 1), dtype)
    recurrence = conjugate_gradient_recurrence()
    certificates = [
        certify_step(weights, config, basis, recurrence, seed=k, n_support=k, n_query=2),
        certify_end_to_end(weights, config, recurrence, seed=p, n_features=p, n_support=k, n_query=2, terminates=True),
    ]
    for certificate in certificates:
        assert certificate.holds, certificate
        assert certificate.log2_error < -400
    if steps > 1:  # mutant: one step too few cannot be the solution
        weights, config, _ = parts(conjugate_gradient(p, steps - 1), dtype)
        short = certify_end_to_end(weights, config, recurrence, seed=p, n_features=p, n_support=k, terminates=True, bound_error=False)
        assert [entry[:2] for entry in short.mismatches] == ["f*"]


@certifies("prop-gd-network", "thm-cg-network")
def test_depth_and_width_are_as_stated():
    for p in (1, 2, 9):
        assert (conjugate_gradient(p, 7).stream.size, len(conjugate_gradient(p, 7).layers)) == (p + 16, 35)
        assert (gradient_descent(p, 7, 0.1).stream.size, len(gradient_descent(p, 7, 0.1).layers)) == (p + 5, 7)
        assert len(assemble(conjugate_gradient(p, 7)).transformer.blocks) == 5
        assert len(assemble(gradient_descent(p, 7, 0.1)).transformer.blocks) == 1


# ---------------------------------------------------------------- conjugate gradient and its rate


@certifies("lem-cg-optimal", mutant="optimal over one more direction", exact=True)
@given(seed=seeds, k=st.integers(2, 4))
def test_conjugate_gradient_is_orthogonal_conjugate_and_optimal(seed, k):
    rng = np.random.default_rng(seed)
    Phi, y = rng.integers(-3, 4, (k, k)).astype(object), rng.integers(1, 5, k).astype(object)
    A = Phi @ Phi.T + np.eye(k, dtype=object)
    states = rational_cg(A, y, k)
    t = next((s for s, state in enumerate(states) if (state["r"] == 0).all()), k)  # where it ends
    R, P = (np.array([state[name] for state in states[:t]]) for name in "rp")
    for gram in (R @ R.T, P @ A @ P.T):
        assert (gram[~np.eye(t, dtype=bool)] == 0).all() and (gram.diagonal() > 0).all()
    assert all((state["r"] == y - A @ state["alpha"]).all() for state in states)

    def error(alpha):
        e = alpha - exact_solve(A + Fraction(0), y + Fraction(0))
        return e @ A @ e

    for s in range(1, t):
        basis = [y + Fraction(0)]
        for _ in range(s - 1):
            basis.append(A @ basis[-1])
        alpha = states[s]["alpha"]
        for direction in basis:  # a minimum over the span: moving along any of its directions is worse
            assert error(alpha + direction / 1000) > error(alpha) < error(alpha - direction / 1000)
        assert error(alpha + states[s]["r"] / 10**6) < error(alpha)  # mutant: over a larger space it is none


@certifies("thm-cg-rate", "prop-gd-rate", "cor-prediction")
@given(seed=seeds, log_kappa=st.floats(0.3, 5))
def test_rates_and_prediction_bound_hold_up_to_rounding(seed, log_kappa):
    prompts = prompt_of(10**log_kappa, 20, 12, 4, seed=seed, n_prompts=3)
    systems = ridge_system(prompts)
    star = solvers.cholesky(systems).alpha
    kappa, t = systems.condition_number, torch.arange(41)[:, None]
    floor = 100 * U * kappa

    cg = solvers.conjugate_gradient(systems, 40).history["alpha"]
    error = systems.norm(cg - star) / systems.norm(star)
    assert (error <= conjugate_gradient_bound(kappa, t) + floor).all()

    gap = (systems.predict(cg) - systems.predict(star)).abs()
    factor = prediction_factor(systems, star)
    assert (gap <= factor * (conjugate_gradient_bound(kappa, t) + floor)[..., None]).all()

    extremes = systems.eigenvalues[..., [0, -1]]
    for i in range(3):
        one = RidgeSystem(systems.A[i], systems.y[i], systems.K_query[i])
        gd = solvers.gradient_descent(one, 40, float(2 / extremes[i].sum())).history["alpha"]
        ratio = one.norm(gd - star[i]) / one.norm(star[i])
        assert (ratio <= gradient_descent_bound(kappa[i], t[:, 0]) + floor[i]).all()


@certifies("thm-cg-rate", mutant="without the factor two")
def test_the_rate_without_the_factor_two_is_false():
    """Mutant: at Chebyshev nodes of degree t, with the worst right-hand side, the error is 1 / T_t > ((sqrt kappa - 1) / (sqrt kappa + 1))^t."""
    kappa, t = 100.0, 6
    nodes = np.cos(np.arange(t + 1) * np.pi / t)  # extrema of T_t, ends included
    eigenvalues = (kappa + 1) / 2 + (kappa - 1) / 2 * nodes
    pulls = np.array([np.prod([abs(b / (b - a)) for b in eigenvalues if b != a]) for a in eigenvalues])
    alpha = np.sqrt(pulls / pulls.sum() / eigenvalues)  # the weights that make P's extrema equal the minimum of sum w P^2
    system = RidgeSystem(torch.diag(torch.tensor(eigenvalues)), torch.tensor(eigenvalues * alpha), torch.zeros(1, t + 1).double())
    star = torch.tensor(alpha)
    error = (system.norm(solvers.conjugate_gradient(system, t).alpha - star) / system.norm(star)).item()
    bound = conjugate_gradient_bound(torch.tensor(kappa, dtype=torch.float64), torch.tensor(t)).item()
    assert bound / 2 < error <= bound
    assert error > 0.9 * bound  # the constant is sharp


@certifies("prop-gd-rate", mutant="a smaller factor for another step size")
def test_the_gradient_descent_rate_is_attained_and_no_step_size_beats_it():
    eigenvalues = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)
    factor = gradient_descent_bound(torch.tensor(9.0, dtype=torch.float64), torch.tensor(1)).item()
    for step_size in np.linspace(0.01, 0.25, 49):
        worst = 0.0
        for i in range(3):
            star = torch.eye(3, dtype=torch.float64)[i]
            system = RidgeSystem(torch.diag(eigenvalues), eigenvalues * star, torch.zeros(1, 3).double())
            worst = max(worst, (system.norm(solvers.gradient_descent(system, 1, step_size).alpha - star) / system.norm(star)).item())
        assert worst >= factor - 1e-12
        if abs(step_size - 0.2) < 1e-9:  # 2 / (1 + 9)
            assert_within(abs(worst - factor), 1e-12)


@certifies("cor-termination", mutant="one step fewer", exact=True)
@pytest.mark.parametrize("multiplicities", [(5,), (3, 2), (1, 4, 2), (2, 1, 1, 3)])
def test_conjugate_gradient_ends_after_as_many_steps_as_distinct_eigenvalues(multiplicities):
    m = len(multiplicities)
    k = sum(multiplicities)
    v = np.arange(1, k + 1)
    reflection = np.eye(k, dtype=int) + np.zeros((k, k), dtype=object) - 2 * Fraction(1, int(v @ v)) * np.outer(v, v)  # rational, orthogonal
    A = reflection @ np.diag(np.repeat(np.arange(1, m + 1), multiplicities)) @ reflection
    states = rational_cg(A, np.arange(1, k + 1) ** 2, k)
    assert (states[m]["r"] == 0).all() and (states[k]["alpha"] == states[m]["alpha"]).all()
    assert (states[m - 1]["r"] != 0).any()  # mutant: one step fewer


@certifies("cor-termination")
@shapes
def test_a_linear_kernel_has_few_distinct_eigenvalues(k, p):
    rng = np.random.default_rng(3)
    Phi, y = rng.integers(-3, 4, (k, p)).astype(object), rng.integers(1, 5, k).astype(object)
    states = rational_cg(Phi @ Phi.T + np.eye(k, dtype=object), y, min(k, p + 1))
    assert (states[-1]["r"] == 0).all()


@certifies("thm-two-block", mutant="the other sign in the denominator of gamma", exact=True)
@given(seed=seeds, k=st.integers(2, 4))
def test_one_round_of_sums_is_enough(seed, k):
    rng = np.random.default_rng(seed)
    Phi, y = rng.integers(-3, 4, (k, k)).astype(object), rng.integers(1, 5, k).astype(object)
    A = Phi @ Phi.T + np.eye(k, dtype=object)
    textbook = rational_cg(A, y, k)
    one, zero = np.array([Fraction(1)]), np.array([Fraction(0)])
    y = y + Fraction(0)
    state = {"alpha": 0 * y, "r": y, "p": 0 * y, "s": 0 * y, "c": one, "rho_old": one, "gamma": zero, "started": zero}
    for t in range(k):
        if (textbook[t]["r"] == 0).all():
            break
        rho, delta, old = state["r"] @ state["r"], state["r"] @ A @ state["r"], state
        state = two_block_step(state, lambda v: A @ v, lambda a, b: np.array([a @ b]), np.vectorize(exact_quotient, otypes=[object]), one, one)
        assert (state["p"] == textbook[t]["p"]).all() and (state["s"] == A @ textbook[t]["p"]).all()
        for name in ("alpha", "r"):
            assert (state[name] == textbook[t + 1][name]).all()
        if t:  # the formula itself, and a mutant: the other sign
            gamma = rho * old["c"] / (delta * old["c"] - rho**2)
            assert gamma == textbook[t + 1]["gamma"] != rho * old["c"] / (delta * old["c"] + rho**2)


def exact_quotient(numerator: Fraction, denominator: Fraction) -> Fraction:
    return Fraction(0) if numerator == denominator == 0 else numerator / denominator
