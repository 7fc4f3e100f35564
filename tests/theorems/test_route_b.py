"""The certificates: every labelled statement of the book, checked by running it, with wrong versions that fail.

Statements about rational functions are checked in exact arithmetic; inequalities on random inputs,
up to a committed floor for rounding (searched inputs: test_bounds.py).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from certificates import certifies
from factories import prompt_of, random_prompt
from metarep_lib import (
    RidgeSystem,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
)
from metarep_lib.certify import Recurrence, certify_end_to_end, certify_step
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.certify.recurrences.dual import (
    conjugate_gradient_recurrence,
    gradient_descent_recurrence,
    kernel_alone,
)
from metarep_lib.construct.algorithms.krr_program import TARGET, krr_program
from metarep_lib.construct.circuits import division as division_circuits
from metarep_lib.construct.circuits import linear
from metarep_lib.construct.program import Form, Layer, Product, Program, Write
from metarep_lib.network.tokens import prefix_mask, token_groups, tokenise
from metarep_lib.numerics.bounds import (
    conjugate_gradient_bound,
    gradient_descent_bound,
    prediction_factor,
)
from metarep_lib.numerics.steps import (
    gradient_descent_step,
    two_block_step,
)
from rationals import exact_quotient, exact_solve, identity, rational_cg, rationals
from sizes import size
from tolerances import assert_within

U = torch.finfo(torch.float64).eps
SHAPES = [(1, 1), (1, 3), (4, 2), (3, 5), (12, 4)]  # (supports, features): k = 1, p > k, k > p
shapes = pytest.mark.parametrize("k, p", SHAPES)
N_SEEDS = 100


# ---------------------------------------------------------------- the circuits


REGISTERS = dict.fromkeys(["a", "b", "n", "d", "s", "out", "r"], 1)


def circuit(*layers: Layer) -> Program:
    """A program on two features over the registers; a starts at y."""
    return krr_program("circuit", 2, ["is_aggregator", "is_sink"], REGISTERS, {"a": TARGET}, layers)


def one_block(attention: tuple[Write, ...] = (), mlp: tuple[Write, ...] = ()) -> Program:
    return circuit(Layer(1, "circuit", attention, mlp))


def passes(program: Program, zero_on_registers: tuple[str, ...] = ()) -> Iterator[tuple[dict, dict, dict]]:
    """What every name holds before and after the blocks, exactly, and who is who: a prompt, random in a, b, n and d.

    Both registers hold the same n and d.
    """
    network = assemble(program).transformer
    exact = ExactTransformer(network.state_dict(), network.config, Fraction, lambda n, d: n / d)
    for seed in range(N_SEEDS):
        prompt, rng = random_prompt(3, 2, 2, ridge=0.5, seed=seed), np.random.default_rng(seed)
        tokens = np.vectorize(Fraction, otypes=[object])(tokenise(prompt).numpy())
        before = next(exact.stream(tokens, prefix_mask(prompt)))
        for name in ("a", "b", "n", "d"):
            before[:, program.stream[name]] = rationals(rng, len(before), 1) + Fraction(1, 7)
            if name in zero_on_registers or name in "nd":
                before[:2, program.stream[name]] = Fraction(0) if name in zero_on_registers else before[0, program.stream[name]]
        *_, after = exact.blocks(before, prefix_mask(prompt), network.config.schedule)
        yield named(before, program), named(after, program), dict(token_groups(prompt))


def named(x: np.ndarray, program: Program) -> dict[str, np.ndarray]:
    """name -> [T] or, for phi, [T, p]."""
    return {name: x[:, program.stream[name]] if name == "phi" else x[:, program.stream[name]][:, 0] for name in program.stream}


@certifies(
    "lem-mat-vec",
    statement=lambda phi, v, supports: phi @ phi[supports].T @ v[supports],
    mutants={
        "queries are read too": lambda phi, v, supports: phi @ phi.T @ v,
        "the first support is not read": lambda phi, v, supports: phi @ phi[supports][1:].T @ v[supports][1:],
    },
    exact=True,
)
def test_mat_vec_adds_the_kernel_matrix_times_a_vector(statement):
    for before, after, groups in passes(one_block(attention=(linear.mat_vec("a", into="out"),))):
        assert (after["out"] == statement(before["phi"], before["a"], groups["support"])).all()


@certifies("lem-reduction", statement=(("a",), ("b",)), mutants={"neither is zero on the registers": ((),)}, exact=True)
def test_reduction_adds_the_inner_product_on_the_registers_and_nowhere_else(statement):
    for zero_on_registers in statement:
        for before, after, groups in passes(one_block(attention=(linear.reduce("a", "b", into="out"),)), zero_on_registers):
            total = before["a"][groups["support"]] @ before["b"][groups["support"]]
            assert (after["out"][:2] == total).all() and (after["out"][2:] == 0).all()


def division(scale: float, read_scale: float | None = None, on_sink: Form | None = None) -> Program:
    """N / D by the scores c N and D - c N (or others on the sink) and the gain 1 / c (or that of another scale)."""
    scores = division_circuits.quotient_scores("n", "d", into="s", scale=scale)
    if on_sink is not None:
        scores = Write("s", (scores.terms[0], Product(Form("is_sink"), on_sink)))
    read = division_circuits.quotient("s", into="out", scale=read_scale or scale)
    return circuit(Layer(1, "scores", mlp=(scores,)), Layer(1, "read", attention=(read,)))


@certifies(
    "lem-division",
    statement=division,
    mutants={
        "half of the gain 1 / c": lambda c: division(c, read_scale=2 * c),
        "D in the place of D - c N on the sink": lambda c: division(c, on_sink=Form("d")),
    },
    exact=True,
)
@pytest.mark.parametrize("scale", [1.0, 2.0**-40, 2.0**3])
def test_division_gives_the_quotient_to_every_token(statement, scale):
    for before, after, _ in passes(statement(scale)):
        assert (after["out"] == before["n"][0] / before["d"][0]).all()


@certifies(
    "lem-update",
    statement=lambda a, b, n, d: -2 * a * b + a * d / 2 + n,
    mutants={
        "the other sign": lambda a, b, n, d: 2 * a * b + a * d / 2 + n,
        "one product forgotten": lambda a, b, n, d: -2 * a * b + n,
        "d read after it has been cleared": lambda a, b, n, d: -2 * a * b + a * (d - d) / 2 + n,
    },
    exact=True,
)
def test_an_update_adds_products_of_the_same_token_and_clears_exactly(statement):
    products = linear.times("a", "b", -2.0), linear.times("a", "d", 0.5), linear.copy("n")
    for before, after, _ in passes(one_block(mlp=(linear.update("out", *products), linear.clear("d")))):
        assert (after["out"] == statement(*(before[name] for name in "abnd"))).all()
        assert (after["d"] == 0).all() and (before["d"] != 0).all()


# ---------------------------------------------------------------- the networks, exactly


def parts(program: Program, dtype: torch.dtype = torch.float64) -> tuple:
    network = assemble(program, dtype=dtype)
    return network.transformer.state_dict(), network.transformer.config, network.basis


def changed(recurrence: Recurrence, step: Callable) -> Recurrence:
    """The same with another step, made of the step it has: (state before, problem, state after) to the state after."""
    return replace(recurrence, step=lambda state, problem, t: step(state, problem, recurrence.step(state, problem, t)))


@certifies(
    "prop-gd-network",
    statement=gradient_descent_recurrence(0.25),
    mutants={
        "a step size off by a millionth": gradient_descent_recurrence(0.25 * (1 + 1e-6)),
        "the ridge forgotten": changed(
            gradient_descent_recurrence(0.25),
            lambda state, problem, after: gradient_descent_step(state, kernel_alone(problem), problem.number(0.25)),
        ),
    },
    exact=True,
)
@shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_gradient_descent_network_is_certified(statement, k, p, dtype):
    weights, config, basis = parts(gradient_descent(p, 3, step_size=0.25), dtype)
    step = certify_step(weights, config, basis, statement, seed=k, n_support=k, n_query=2)
    assert step.holds, step
    assert step.log2_error < -400
    whole = certify_end_to_end(weights, config, basis, statement, seed=p, n_support=k, n_query=2)
    assert whole.holds, whole
    assert whole.log2_error < -400


@certifies(
    "thm-cg-network",
    statement=conjugate_gradient_recurrence(),
    mutants={
        "directions that forget those before": changed(
            conjugate_gradient_recurrence(), lambda state, problem, after: after | {"p": after["r"]}
        ),
        "a residual that is not updated": changed(
            conjugate_gradient_recurrence(), lambda state, problem, after: after | {"r": state["r"]}
        ),
    },
    exact=True,
)
@shapes
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_conjugate_gradient_network_is_certified_through_termination(statement, k, p, dtype):
    weights, config, basis = parts(conjugate_gradient(p, min(k, p + 1) + 1), dtype)
    step = certify_step(weights, config, basis, statement, seed=k, n_support=k, n_query=2)
    assert step.holds, step
    assert step.log2_error < -400
    whole = certify_end_to_end(weights, config, basis, statement, seed=p, n_support=k, n_query=2, terminates=True)
    assert whole.holds, whole
    assert whole.log2_error < -400


@certifies(
    "prop-gd-network",
    statement=lambda p, t: (p + 5, t, 1),
    mutants={"one channel fewer": lambda p, t: (p + 4, t, 1), "tensors of its own for every step": lambda p, t: (p + 5, t, t)},
)
def test_gradient_descent_takes_one_block_a_step_and_p_plus_five_channels(statement):
    for p, t in ((1, 2), (2, 7), (9, 3)):
        assert size(gradient_descent(p, t, 0.1)) == statement(p, t)


@certifies(
    "thm-cg-network",
    statement=lambda p, t: (p + 16, 5 * t, 5),
    mutants={"one channel fewer": lambda p, t: (p + 15, 5 * t, 5), "four blocks a step": lambda p, t: (p + 16, 4 * t, 4)},
)
def test_conjugate_gradient_takes_five_blocks_a_step_and_p_plus_sixteen_channels(statement):
    for p, t in ((1, 2), (2, 7), (9, 3)):
        assert size(conjugate_gradient(p, t)) == statement(p, t)


# ---------------------------------------------------------------- conjugate gradient and its rate


def in_span(V: np.ndarray, v: np.ndarray) -> bool:
    """Whether v is a combination of the independent columns of V."""
    return bool((V @ exact_solve(V.T @ V, V.T @ v) == v).all())


@certifies("lem-cg-optimal", statement=lambda t: t, mutants={"over one more direction": lambda t: t + 1}, exact=True)
def test_conjugate_gradient_is_orthogonal_conjugate_and_optimal(statement):
    for seed in range(N_SEEDS):
        rng, k = np.random.default_rng(seed), 2 + seed % 3
        Phi, y = rng.integers(-3, 4, (k, k)).astype(object), rng.integers(1, 5, k) + Fraction(0)
        A = Phi @ Phi.T + identity(k)
        states = rational_cg(A, y, k)
        end = next((s for s, state in enumerate(states) if (state["r"] == 0).all()), k)
        R, P = (np.array([state[name] for state in states[:end]]) for name in "rp")
        for gram in (R @ R.T, P @ A @ P.T):
            assert (gram[~np.eye(end, dtype=bool)] == 0).all() and (gram.diagonal() > 0).all()
        assert all((state["r"] == y - A @ state["alpha"]).all() for state in states)
        krylov = [y]
        for t in range(1, end):
            assert in_span(np.array(krylov).T, P[t - 1]) and in_span(np.array(krylov).T, R[t - 1])
            krylov.append(A @ krylov[-1])
            V = np.array(krylov[: statement(t)]).T  # the best in their span, by elimination, in the norm of A
            assert (states[t]["alpha"] == V @ exact_solve(V.T @ A @ V, V.T @ y)).all()


@certifies("thm-cg-rate", "prop-gd-rate", "cor-prediction")
@given(seed=st.integers(0, 10**6), log_kappa=st.floats(0.3, 5))
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


def slow_system(kappa: float, t: int) -> tuple[RidgeSystem, torch.Tensor]:
    """A system on which t steps do as badly as t steps can, and its solution: the error is 1 / T_t of {eq}`eq-minmax`."""
    nodes = np.cos(np.arange(t + 1) * np.pi / t)  # extrema of T_t, ends included
    eigenvalues = (kappa + 1) / 2 + (kappa - 1) / 2 * nodes
    pulls = np.array([np.prod([abs(b / (b - a)) for b in eigenvalues if b != a]) for a in eigenvalues])
    alpha = np.sqrt(pulls / pulls.sum() / eigenvalues)  # the weights that make P's extrema equal the minimum of sum w P^2
    system = RidgeSystem(torch.diag(torch.tensor(eigenvalues)), torch.tensor(eigenvalues * alpha), torch.zeros(1, t + 1).double())
    return system, torch.tensor(alpha)


@certifies(
    "thm-cg-rate",
    statement=lambda kappa, t: 2 * ((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** t,
    mutants={
        "a factor of 1.99": lambda kappa, t: 1.99 * ((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** t,
        "one step ahead": lambda kappa, t: 2 * ((math.sqrt(kappa) - 1) / (math.sqrt(kappa) + 1)) ** (t + 1),
    },
)
def test_the_rate_is_attained_up_to_a_thousandth(statement):
    for kappa, t in ((9.0, 6), (100.0, 20)):
        system, star = slow_system(kappa, t)
        error = float(system.norm(solvers.conjugate_gradient(system, t).alpha - star) / system.norm(star))
        assert 0.999 * statement(kappa, t) < error <= statement(kappa, t)
        assert_within(float(conjugate_gradient_bound(torch.tensor(kappa).double(), torch.tensor(t))) / statement(kappa, t) - 1, 1e-12)


def prediction_bound(system: RidgeSystem, star: torch.Tensor, kappa: float, t: int, share: float = 1.0) -> torch.Tensor:
    return share * prediction_factor(system, star) * conjugate_gradient_bound(torch.tensor(kappa).double(), torch.tensor(t))


@certifies(
    "cor-prediction",
    statement=prediction_bound,
    mutants={
        "a factor of 1.99": lambda *given: prediction_bound(*given, share=0.995),
        "the plain length of alpha*": lambda system, star, *given: prediction_bound(system, star, *given) * star.norm() / system.norm(star),
        "k(x)^T A^-1 k(x) without its root": lambda system, star, *given: (
            prediction_bound(system, star, *given) * prediction_factor(system, star) / system.norm(star)
        ),
    },
)
def test_a_query_attains_the_bound_on_its_prediction(statement):
    for kappa, t in ((9.0, 6), (100.0, 20)):
        system, star = slow_system(kappa, t)
        error = solvers.conjugate_gradient(system, t).alpha - star
        system = RidgeSystem(system.A, system.y, (system.A @ error)[None])  # k(x) = A e: equal sides in Cauchy and Schwarz
        gap, bound = (system.K_query @ error).abs(), statement(system, star, kappa, t)
        assert 0.999 * bound < gap <= bound


@certifies(
    "prop-gd-rate",
    statement=lambda low, high: (2 / (low + high), (high - low) / (high + low)),
    mutants={
        "the step size 1 / lambda_max is the best": lambda low, high: (1 / high, 1 - low / high),
        "the factor of conjugate gradient": lambda low, high: (2 / (low + high), (high**0.5 - low**0.5) / (high**0.5 + low**0.5)),
        "one hundredth faster": lambda low, high: (2 / (low + high), 0.99 * (high - low) / (high + low)),
    },
)
def test_the_gradient_descent_rate_is_attained_and_no_step_size_beats_it(statement):
    eigenvalues = torch.tensor([1.0, 4.0, 9.0], dtype=torch.float64)

    def slowest(step_size: float, t: int) -> float:
        """The largest ratio of errors over targets along an eigenvector."""
        found = 0.0
        for star in torch.eye(3, dtype=torch.float64):
            system = RidgeSystem(torch.diag(eigenvalues), eigenvalues * star, torch.zeros(1, 3).double())
            found = max(found, float(system.norm(solvers.gradient_descent(system, t, step_size).alpha - star) / system.norm(star)))
        return found

    step_size, factor = statement(1.0, 9.0)
    assert all(slowest(other, 1) >= factor - 1e-12 for other in np.linspace(0.01, 0.25, 49))
    for t in (1, 5):
        assert_within(slowest(step_size, t) - factor**t, 1e-12)
        assert_within(gradient_descent_bound(torch.tensor(9.0).double(), torch.tensor(t)) - factor**t, 1e-12)


@certifies("cor-termination", statement=len, mutants={"one step fewer": lambda multiplicities: len(multiplicities) - 1}, exact=True)
@pytest.mark.parametrize("multiplicities", [(5,), (3, 2), (1, 4, 2), (2, 1, 1, 3)])
def test_conjugate_gradient_ends_after_as_many_steps_as_distinct_eigenvalues(statement, multiplicities):
    k = sum(multiplicities)
    v = np.arange(1, k + 1)
    reflection = identity(k) - 2 * Fraction(1, int(v @ v)) * np.outer(v, v)  # rational, orthogonal
    A = reflection @ np.diag(np.repeat(np.arange(1, len(multiplicities) + 1), multiplicities)) @ reflection
    states = rational_cg(A, np.arange(1, k + 1) ** 2, k)
    end = statement(multiplicities)
    assert (states[end]["r"] == 0).all() and (states[k]["alpha"] == states[end]["alpha"]).all()


@certifies("cor-termination", statement=lambda k, p: min(k, p + 1), mutants={"p steps are enough": min}, exact=True)
def test_a_linear_kernel_has_few_distinct_eigenvalues_and_its_network_ends_as_early(statement):
    for k, p in SHAPES:
        rng, steps = np.random.default_rng(3), statement(k, p)
        Phi, y = rng.integers(-3, 4, (k, p)).astype(object), rng.integers(1, 5, k).astype(object)
        assert (rational_cg(Phi @ Phi.T + identity(k), y, steps)[-1]["r"] == 0).all()
        asked = {"n_support": k, "terminates": True, "bound_error": False}
        assert certify_end_to_end(*parts(conjugate_gradient(p, steps)), conjugate_gradient_recurrence(), seed=p, **asked).holds


@certifies(
    "thm-two-block",
    statement=lambda rho, delta, c: rho * c / (delta * c - rho**2),
    mutants={
        "the other sign in the denominator": lambda rho, delta, c: rho * c / (delta * c + rho**2),
        "rho / delta at every step": lambda rho, delta, c: rho / delta,
    },
    exact=True,
)
def test_one_round_of_sums_is_enough(statement):
    divide = np.vectorize(exact_quotient, otypes=[object])
    for seed in range(N_SEEDS):
        rng, k = np.random.default_rng(seed), 2 + seed % 3
        Phi, y = rng.integers(-3, 4, (k, k)).astype(object), rng.integers(1, 5, k) + Fraction(0)
        A, one, zero = Phi @ Phi.T + identity(k), np.array([Fraction(1)]), np.array([Fraction(0)])
        textbook = rational_cg(A, y, k)
        state = {"alpha": 0 * y, "r": y, "p": 0 * y, "s": 0 * y, "c": one, "rho_old": one, "gamma": zero, "started": zero}
        for before, after in zip(textbook, textbook[1:], strict=False):
            if (before["r"] == 0).all():
                break
            rho, delta, c = before["r"] @ before["r"], before["r"] @ A @ before["r"], state["c"]
            assert after["gamma"] == (statement(rho, delta, c) if state["started"] else rho / delta)
            state = two_block_step(state, lambda v: A @ v, lambda a, b: np.array([a @ b]), divide, one, one)
            assert (state["p"] == before["p"]).all() and (state["s"] == A @ before["p"]).all()
            assert state["c"] == after["gamma"] * rho and (state["alpha"] == after["alpha"]).all() and (state["r"] == after["r"]).all()
