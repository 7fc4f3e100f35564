"""Block conjugate gradient itself: in fractions, where it breaks down, its rate, and the careful solver in floats."""

import operator
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import scipy.linalg
import scipy.optimize
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tolerances
from certificates import certifies
from factories import DTYPES
from metarep_lib import RidgeSystem, solvers
from metarep_lib.certify.statements.several_outputs import (
    outlier_problem,
    outlier_rate,
    shared_search_error,
)
from metarep_lib.numerics.solvers import Outcome
from metarep_lib.numerics.solvers import block_conjugate_gradient as block
from metarep_lib.numerics.steps import block_step, conjugate_gradient_step
from systems import direct

seeds = st.integers(0, 10**6)


# ---------------------------------------------------------------- exact block conjugate gradient


def fractions(array: np.ndarray) -> np.ndarray:
    return np.vectorize(lambda x: Fraction(int(x)), otypes=[object])(array)


def quotient(numerator: Fraction, denominator: Fraction) -> Fraction:
    return Fraction(0) if numerator == denominator == 0 else numerator / denominator


DIVIDE = np.vectorize(quotient, otypes=[object])


def solve(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A^-1 B over the rationals, B [n, m]."""
    rows, n = np.concatenate([A, B], axis=1), len(A)
    for i in range(n):
        pivot = next(j for j in range(i, n) if rows[j, i] != 0)
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in (j for j in range(n) if j != i):
            rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, n:]


def basis_of(columns: np.ndarray) -> np.ndarray:
    """The columns that are not combinations of those before them."""
    rows, chosen, rank = columns.copy(), [], 0
    for j in range(columns.shape[1]):
        pivot = next((i for i in range(rank, len(rows)) if rows[i, j] != 0), None)
        if pivot is None:
            continue
        rows[[rank, pivot]] = rows[[pivot, rank]]
        for i in range(rank + 1, len(rows)):
            rows[i] = rows[i] - rows[i, j] / rows[rank, j] * rows[rank]
        chosen.append(j)
        rank += 1
    return columns[:, chosen]


def krylov(A: np.ndarray, Y: np.ndarray, t: int) -> np.ndarray:
    """A basis of the block Krylov space K_t(A, Y)."""
    blocks = [Y]
    for _ in range(t - 1):
        blocks.append(A @ blocks[-1])
    return basis_of(np.concatenate(blocks, axis=1))


def best(A: np.ndarray, Y: np.ndarray, V: np.ndarray) -> np.ndarray:
    """Of every column the element of span V next to A^-1 y in the A-norm: V^T A V c = V^T y."""
    return V @ solve(V.T @ A @ V, V.T @ Y) if V.shape[1] else 0 * Y


def exact_block(A: np.ndarray, Y: np.ndarray, steps: int) -> list[dict[str, np.ndarray]]:
    """States of `block_step`, the recurrence the network runs, over the rationals."""
    m = Y.shape[1]
    identity, states = fractions(np.eye(m)), [dict.fromkeys(("alpha", "p", "s", "s_hat"), 0 * Y) | {"r": Y}]
    for _ in range(steps):
        states.append(block_step(states[-1], lambda v: A @ v, lambda a, b: a.T @ b, DIVIDE, identity, fractions(np.zeros(1))))
    return states


def exact_separate(A: np.ndarray, Y: np.ndarray, steps: int) -> list[np.ndarray]:
    """Iterates of one conjugate gradient for every column."""
    states = [{"alpha": 0 * Y, "r": Y, "p": Y}]
    for _ in range(steps):
        states.append(conjugate_gradient_step(states[-1], lambda v: A @ v, lambda a, b: (a * b).sum(0), DIVIDE))
    return [state["alpha"] for state in states]


def energies(A: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """The squared A-norm of every column."""
    return (errors * (A @ errors)).sum(0)


def random_problem(seed: int, k: int, m: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """A positive definite integer matrix and integer targets of at most this rank."""
    rng = np.random.default_rng(seed)
    Phi = rng.integers(-2, 3, (k, k))
    Y = rng.integers(-3, 4, (k, rank)) @ rng.integers(-2, 3, (rank, m)) if rank < m else rng.integers(-3, 4, (k, m))
    return fractions(Phi @ Phi.T + np.eye(k)), fractions(Y)


def with_spectrum(eigenvalues: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """A rational symmetric matrix with these eigenvalues, and its orthogonal eigenvectors: a reflection."""
    k = len(eigenvalues)
    v = fractions(np.arange(1, k + 1))
    reflection = fractions(np.eye(k)) - 2 * np.outer(v, v) / (v @ v)
    return reflection @ np.diag(fractions(np.array(eigenvalues))) @ reflection, reflection


def optimal(A: np.ndarray, Y: np.ndarray, t: int) -> np.ndarray:
    return best(A, Y, krylov(A, Y, t))


@certifies(
    "thm-block-optimal",
    statement=optimal,
    mutants={
        "optimal over one more power of A": lambda A, Y, t: optimal(A, Y, t + 1),
        "over one power less": lambda A, Y, t: optimal(A, Y, t - 1),
        "every output over its own powers alone": lambda A, Y, t: exact_separate(A, Y, t)[t],
    },
    exact=True,
)
def test_block_iterates_are_the_best_of_the_block_krylov_space(statement):
    for seed in range(25):
        k, m, rank = np.random.default_rng(seed).integers((1, 1, 0), (6, 5, 5)).tolist()
        A, Y = random_problem(seed, k, m, rank)
        states, star, ranks, P = exact_block(A, Y, 4), solve(A, Y), [], np.zeros((k, 0), dtype=object)
        for t in range(1, 4):
            V, alpha, p = krylov(A, Y, t), states[t]["alpha"], states[t]["p"]
            assert (alpha == statement(A, Y, t)).all()
            assert (states[t]["r"] == Y - A @ alpha).all() and not (states[t]["r"].T @ V).any()
            assert not (p.T @ A @ P).any()  # conjugate to all before
            gram = p.T @ A @ p
            assert (gram == np.diag(gram.diagonal())).all()  # and to each other
            P = np.concatenate([P, p], axis=1)
            assert basis_of(P).shape[1] == V.shape[1]  # together they span the space
            ranks.append(int(np.count_nonzero(gram.diagonal())))
            assert (alpha == star).all() == (not states[t + 1]["p"].any())  # done exactly when no direction is left
        assert ranks == sorted(ranks, reverse=True)


@certifies(
    "thm-block-optimal",
    statement=operator.le,
    mutants={"always better than alone": operator.lt, "no better than alone": operator.ge},
    exact=True,
)
def test_no_output_is_worse_off_than_alone_in_exact_arithmetic(statement):
    for seed in range(25):
        k, m, rank = np.random.default_rng(seed).integers((1, 1, 1), (6, 5, 5)).tolist()
        A, Y = random_problem(seed, k, m, rank)
        star = solve(A, Y)
        for t, (together, alone) in enumerate(zip(exact_block(A, Y, 3), exact_separate(A, Y, 3), strict=True)):
            assert statement(energies(A, together["alpha"] - star), energies(A, alone - star)).all(), t


GENERIC = {  # eigenvalues and outputs -> when block conjugate gradient ends
    ((1, 2, 3, 4), 2): 2,  # simple: ceil(4 / 2)
    ((1, 2, 3, 4, 5), 2): 3,
    ((1, 2, 3, 4, 5), 3): 2,
    ((1, 2, 3), 5): 1,
    ((1, 1, 2, 2, 3, 3), 2): 3,  # every eigenvalue as often as there are outputs: no step is saved
    ((1, 1, 1, 2, 3, 4), 3): 2,
    ((7, 7, 7, 7), 2): 1,
}


def generic(eigenvalues: tuple[int, ...], m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A, its eigenvectors and m targets in general position."""
    A, vectors = with_spectrum(list(eigenvalues))
    return A, vectors, vectors @ fractions(np.array([[(i + 2) ** b + (b == i) for b in range(m)] for i in range(len(eigenvalues))]))


@certifies(
    "cor-block-termination",
    statement=(lambda s, d, r: -(-d // r), lambda s, d, r: s, lambda r: r),
    mutants={
        "multiplicities counted once": (lambda s, d, r: -(-s // r), lambda s, d, r: s, lambda r: r),
        "d / r rounded down": (lambda s, d, r: d // r, lambda s, d, r: s, lambda r: r),
        "one step fewer than eigenvalues at most": (lambda s, d, r: -(-d // r), lambda s, d, r: s - 1, lambda r: r),
        "separate iterations need less than r times as many": (lambda s, d, r: -(-d // r), lambda s, d, r: s, lambda r: Fraction(99, 100) * r),
    },
    exact=True,
)
def test_block_conjugate_gradient_ends_between_d_over_r_and_s(statement):
    least, most, times = statement
    for (eigenvalues, m), expected in GENERIC.items():
        A, vectors, Y = generic(eigenvalues, m)
        ends, last, s, d, r = terminations(A, vectors, list(eigenvalues), Y)
        assert ends == expected and exact_block(A, Y, ends)[ends - 1]["r"].any()
        assert least(s, d, r) <= ends <= most(s, d, r) and last <= s <= times(r) * ends
        if d == r * s or d == s == len(A):  # both ends are attained
            assert ends == least(s, d, r)
    for seed in range(20):
        eigenvalues, m, A, vectors, Y = random_termination(seed)
        ends, last, s, d, r = terminations(A, vectors, eigenvalues, Y)
        assert last <= s <= d and (r == 0 or least(s, d, r) <= ends <= most(s, d, r) and s <= times(r) * ends)


def random_termination(seed: int) -> tuple[list[int], int, np.ndarray, np.ndarray, np.ndarray]:
    """Up to six eigenvalues, some equal, and two to four targets, perhaps dependent or zero."""
    rng = np.random.default_rng(seed)
    eigenvalues, m = rng.integers(1, 5, rng.integers(1, 7)).tolist(), int(rng.integers(2, 5))
    A, vectors = with_spectrum(eigenvalues)
    return eigenvalues, m, A, vectors, fractions(rng.integers(-2, 3, (len(eigenvalues), m)))


def terminations(A: np.ndarray, vectors: np.ndarray, eigenvalues: list[int], Y: np.ndarray) -> tuple[int, int, int, int, int]:
    """When block CG and the last of the separate ones are done; s, d and r of the statement."""
    k = len(A)
    states, separate, star = exact_block(A, Y, k), exact_separate(A, Y, k), solve(A, Y)
    ends = next(t for t, state in enumerate(states) if not state["r"].any())
    last = next(t for t, alpha in enumerate(separate) if (alpha == star).all())
    parts_of = {value: vectors.T[[i for i, other in enumerate(eigenvalues) if other == value]] @ Y for value in set(eigenvalues)}
    ranks = [basis_of(part).shape[1] for part in parts_of.values()]
    return ends, last, sum(rank > 0 for rank in ranks), sum(ranks), basis_of(Y).shape[1]


@certifies(
    "cor-block-depth",
    statement=(lambda m: Fraction(2 * m, m + 1), lambda m: m + 1, lambda s, d, r: d == r * s),
    mutants={
        "a hundredth smaller than 2 m / (m + 1)": (lambda m: Fraction(99, 100) * Fraction(2 * m, m + 1), lambda m: m + 1, lambda s, d, r: d == r * s),
        "never shallower": (lambda m: Fraction(1), lambda m: m + 1, lambda s, d, r: d == r * s),
        "m t* more than s": (lambda m: Fraction(2 * m, m + 1), lambda m: m, lambda s, d, r: d == r * s),
        "deeper as soon as some output needs all s steps": (lambda m: Fraction(2 * m, m + 1), lambda m: m + 1, lambda s, d, r: True),
    },
    exact=True,
)
def test_block_conjugate_gradient_is_less_than_twice_as_shallow(statement):
    ratio, blocks, full = statement
    attaining = [(list(range(1, 2 * m + 1)), m, *generic(tuple(range(1, 2 * m + 1)), m)) for m in (2, 3)]
    for eigenvalues, m, A, vectors, Y in [*attaining, *(random_termination(seed) for seed in range(20))]:
        ends, last, s, d, r = terminations(A, vectors, eigenvalues, Y)
        if r:
            assert blocks(m) * ends > s
            assert Fraction(2 * last, (m + 1) * ends) <= ratio(m)
            assert not (full(s, d, r) and last == s) or (m + 1) * ends > 2 * last


# ---------------------------------------------------------------- breakdown


def textbook_step(A: np.ndarray, alpha: np.ndarray, R: np.ndarray, P: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """O'Leary's step over the rationals; raises StopIteration where a Gram matrix is singular."""
    W = A @ P
    gamma = solve(P.T @ W, R.T @ R)
    R_next = R - W @ gamma
    return alpha + P @ gamma, R_next, R_next + P @ solve(R.T @ R, R_next.T @ R_next)


def dependent(columns: np.ndarray) -> bool:
    return basis_of(columns).shape[1] < columns.shape[1]


@certifies(
    "prop-block-breakdown",
    statement=lambda R, Y: dependent(R),
    mutants={
        "when targets are dependent": lambda R, Y: dependent(Y),
        "as soon as one output is solved, not a combination": lambda R, Y: bool((R == 0).all(axis=0).any()),
        "when all is solved": lambda R, Y: not R.any(),
    },
    exact=True,
)
def test_the_textbook_form_breaks_down_exactly_when_residuals_are_dependent(statement):
    finished = fractions(np.diag([1, 2, 3])), fractions(np.array([[1, 1], [1, 0], [1, 0]]))  # the second output takes one step
    combined = finished[0], finished[1] @ fractions(np.array([[1, 0], [1, 1]]))  # and here a combination of outputs
    draws = [np.random.default_rng(seed).integers((2, 2, 1), (6, 4, 4)).tolist() for seed in range(20)]
    for A, Y in [finished, combined, *(random_problem(seed, *sizes) for seed, sizes in enumerate(draws))]:
        alpha, R, P = 0 * Y, Y, Y
        for t in range(len(A) + 1):
            singular = dependent(P.T @ A @ P)
            assert singular == statement(R, Y)
            if singular:
                break
            alpha, R, P = textbook_step(A, alpha, R, P)
            assert (alpha == exact_block(A, Y, t + 1)[-1]["alpha"]).all()
        assert singular  # at the latest when all is solved


@certifies("prop-block-breakdown", exact=True)
def test_one_finished_output_stops_all_others():
    A, Y = fractions(np.diag([1, 2, 3])), fractions(np.array([[1, 1], [1, 0], [1, 0]]))
    assert not dependent(Y)
    _, R, P = textbook_step(A, 0 * Y, Y, Y)
    assert R[:, 0].any() and not R[:, 1].any()
    with pytest.raises(StopIteration):
        textbook_step(A, 0 * Y, R, P)
    assert not exact_block(A, Y, 2)[2]["r"].any()  # with rank care: done in two steps
    system = RidgeSystem(
        torch.diag(torch.tensor([1.0, 2.0, 3.0]).double()), torch.tensor([[1.0, 1], [1, 0], [1, 0]]).double(), torch.zeros(0, 3).double()
    )
    careful = block.conjugate_gradient(system, 3)
    assert careful.outcome is Outcome.CONVERGED and careful.history["rank"].tolist() == [2, 1, 0]


# ---------------------------------------------------------------- the rate


@certifies("thm-block-rate")
@settings(max_examples=60)
@given(seed=seeds, m=st.integers(1, 3), t=st.integers(1, 6), log_kappa=st.floats(0.1, 3))
def test_the_rate_without_outliers_holds_on_random_inputs(seed, m, t, log_kappa):
    rng = np.random.default_rng(seed)
    small, bulk = np.sort(10 ** rng.uniform(-3, -1, m)), np.sort(10 ** (log_kappa * np.r_[0, rng.uniform(0, 1, 16), 1]))
    eigenvalues, Y = torch.from_numpy(np.r_[small, bulk]), torch.from_numpy(rng.standard_normal((m + 18, m)))
    system = RidgeSystem(torch.diag(eigenvalues), Y, torch.zeros(0, m + 18, dtype=torch.float64))
    star = Y / eigenvalues[:, None]
    error = block.conjugate_gradient(system, t).alpha - star
    error, size = ((eigenvalues[:, None] * e.square()).sum(0).sqrt() for e in (error, star))
    floor = tolerances.floor(torch.float64, float(eigenvalues[-1] / eigenvalues[0])) * size
    assert (error <= outlier_rate(eigenvalues, Y, t) + floor).all()
    torch.testing.assert_close(block.rate_bound(system, torch.tensor([t]))[0], outlier_rate(eigenvalues, Y, t), rtol=1e-6, atol=0)


@cache
def searched_rate(m: int, t: int) -> tuple[float, torch.Tensor, torch.Tensor]:
    """The largest value / bound that L-BFGS finds for the first output, with the eigenvalues and the targets that have it; kappa is 25."""
    size = m * t - 1 + (m * t + 1) * m

    def problem(flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return outlier_problem(flat, m, t, kappa=25.0)

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        flat = torch.from_numpy(flat).requires_grad_()
        eigenvalues, Y = problem(flat)
        value = -(shared_search_error(eigenvalues, Y, t) / outlier_rate(eigenvalues, Y, t))[0].log()
        value.backward()
        return value.item(), flat.grad.nan_to_num().numpy()

    found = []
    for seed in range(2):
        start = np.random.default_rng(seed).standard_normal(size)
        found.append(scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-15, 15)] * len(start), options={"maxiter": 400}))
    at = min(found, key=lambda one: one.fun)
    return float(np.exp(-at.fun)), *problem(torch.from_numpy(at.x))


@certifies(
    "thm-block-rate",
    statement=outlier_rate,
    mutants={
        "degree t instead of t - 1": lambda eigenvalues, Y, t: outlier_rate(eigenvalues, Y, t + 1),
        "without the factor two": lambda eigenvalues, Y, t: outlier_rate(eigenvalues, Y, t) / 2,
        "a fifth smaller": lambda eigenvalues, Y, t: 0.8 * outlier_rate(eigenvalues, Y, t),
    },
)
@pytest.mark.parametrize(("m", "t"), [(1, 4), (2, 3)])
def test_the_search_attains_the_rate_and_never_passes_it(statement, m, t, record_property):
    tightness, eigenvalues, Y = searched_rate(m, t)
    limit = 1 / (1 + (4 / 6) ** (2 * (t - 1)))  # 2 c^t stands for 1 / T_t
    assert 0.9 * limit < tightness <= limit * (1 + 1e-6)
    assert shared_search_error(eigenvalues, Y, t)[0] <= statement(eigenvalues, Y, t)[0]
    record_property("tightness", tightness)
    print(f"block rate, m = {m}, step {t}: value / bound = {tightness:.6f} of at most {limit:.6f}")


@certifies(
    "thm-block-rate",
    statement=lambda m: m,
    mutants={"one eigenvalue more removed than there are outputs": lambda m: m + 1},
)
@pytest.mark.parametrize("m", [1, 2])
def test_no_more_eigenvalues_are_removed_than_there_are_outputs(statement, m):
    small, bulk = [0.01, 0.02][:m], [1.0, *np.linspace(20, 25, 12)]
    weights = np.r_[[1e4] * m, 1e2, [1.0] * 12]  # heavy where eigenvalues are small, so that every one of them must be found
    Y = torch.from_numpy(weights[:, None] * np.random.default_rng(m).standard_normal((m + 13, m)))
    eigenvalues = torch.tensor(small + bulk, dtype=torch.float64)
    assert (shared_search_error(eigenvalues, Y, 3) <= outlier_rate(eigenvalues, Y, 3, removed=statement(m))).all()


# ---------------------------------------------------------------- the solvers in floats


KINDS = ("independent", "rank two", "nearly the same", "duplicates", "zero", "scales")


def system_of(kind: str, kappa: float, k: int, m: int, seed: int, dtype: torch.dtype = torch.float64) -> RidgeSystem:
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((k, k)))[0]
    A, Y = (Q * np.geomspace(1, 1 / kappa, k)) @ Q.T, rng.standard_normal((k, m))
    Y = {
        "independent": Y,
        "rank two": rng.standard_normal((k, 2)) @ rng.standard_normal((2, m)),
        "nearly the same": Y[:, :1] + 1e-9 * Y,
        "duplicates": np.repeat(Y[:, :1], m, axis=1),
        "zero": 0 * Y,
        "scales": Y * np.geomspace(1e-8, 1e8, m),
    }[kind]
    return RidgeSystem(*(torch.from_numpy(x).to(dtype) for x in ((A + A.T) / 2, Y)), torch.zeros(0, k, dtype=dtype))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kappa", "k", "m"), [(10.0, 1, 3), (10.0, 6, 6), (1e2, 6, 9), (1e2, 40, 4), (1e4, 40, 4)])
def test_the_careful_solver_is_a_direct_solve_whatever_the_targets(kind, dtype, kappa, k, m):
    system = system_of(kind, kappa, k, m, seed=k + m, dtype=dtype)
    tolerance = 32 * tolerances.unit_roundoff(dtype) * kappa
    solution = block.conjugate_gradient(system, 3 * k, tolerance)
    assert solution.outcome is Outcome.CONVERGED
    error = tolerances.relative(solution.alpha.mT, direct(system).mT)
    tolerances.assert_within(error, tolerances.solution(dtype, kappa))
    rank = {"rank two": 2, "duplicates": 1, "zero": 0, "nearly the same": None if dtype == torch.float64 else 1}.get(kind, m)
    if rank is not None:
        assert solution.history["rank"][0] == min(rank, k, m)


def test_the_careful_solver_takes_the_exact_iterates():
    A, Y = random_problem(3, 5, 2, 2)
    states = exact_block(A, Y, 2)
    system = RidgeSystem(torch.from_numpy(A.astype(float)), torch.from_numpy(Y.astype(float)), torch.zeros(0, 5).double())
    for solver in (block.conjugate_gradient, block.textbook_conjugate_gradient):
        history = solver(system, 2).history
        for t, state in enumerate(states):
            for name in ("alpha", "r"):
                expected = torch.from_numpy(state[name].astype(float))
                tolerances.assert_within((history[name][t] - expected) / Y.astype(float).max(), 1e-12, f"{name} {t}")


@settings(max_examples=25)
@given(seed=seeds, m=st.integers(1, 5), kind=st.sampled_from(KINDS))
def test_no_output_is_ever_worse_off_than_alone(seed, m, kind):
    system, steps, kappa = system_of(kind, 100.0, 20, m, seed), 12, 100.0
    alone = RidgeSystem(system.A.expand(m, 20, 20), system.y.mT.contiguous(), torch.zeros(m, 0, 20).double())
    star = direct(system)
    together = block.conjugate_gradient(system, steps).history["alpha"]
    separate = solvers.conjugate_gradient(alone, steps).history["alpha"].mT
    ours, theirs = (system.norm(alpha - star) for alpha in (together, separate))
    assert (ours <= theirs * (1 + 1e-6) + tolerances.floor(torch.float64, kappa) * system.norm(star)).all()


def test_a_batch_is_as_many_single_systems():
    singles = [system_of(kind, 100.0, 12, 3, seed=1) for kind in KINDS]
    batch = RidgeSystem(*(torch.stack([getattr(one, name) for one in singles]) for name in ("A", "y", "K_query")))
    together = block.conjugate_gradient(batch, 8)
    assert together.outcomes.shape == (6, 3)
    for i, (one, rank) in enumerate(zip(singles, (3, 2, 3, 1, 0, 3), strict=True)):
        alone = block.conjugate_gradient(one, 8)
        for history in (together.history["rank"][:, i], alone.history["rank"]):
            assert history[:4].tolist() == [rank] * 4  # three directions a step fill twelve dimensions in four; what is left then is rounding
        torch.testing.assert_close(together.alpha[i], alone.alpha, rtol=1e-9, atol=1e-9)


def test_numeric_trouble_is_an_outcome_and_misuse_an_error():
    system = system_of("independent", 10.0, 6, 2, seed=0)
    indefinite = RidgeSystem(-system.A, system.y, system.K_query)
    for solver in (block.conjugate_gradient, block.textbook_conjugate_gradient):
        assert solver(system, 0).outcome is Outcome.NOT_CONVERGED
        assert solver(indefinite, 3).outcome is Outcome.BREAKDOWN
        with pytest.raises(ValueError, match=r"y with shape \[6\]"):
            solver(RidgeSystem(system.A, system.y[:, 0], system.K_query), 3)
        with pytest.raises(ValueError, match="steps=-1"):
            solver(system, -1)
    assert block.conjugate_gradient(RidgeSystem(system.A * torch.inf, system.y, system.K_query), 3).outcome in (Outcome.NON_FINITE, Outcome.BREAKDOWN)
    with pytest.raises(ValueError, match="rank_tolerance=2"):
        block.conjugate_gradient(system, 3, rank_tolerance=2)
    duplicates = system_of("duplicates", 10.0, 6, 2, seed=0)
    assert block.textbook_conjugate_gradient(duplicates, 6).outcome is not Outcome.CONVERGED
