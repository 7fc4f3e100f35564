"""Identification: candidates against the solvers, marks against algebra, the method against networks whose algorithm is known."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from certificates import certifies
from hypothesis import given, settings
from hypothesis import strategies as st
from test_theorems import rational_cg, rationals

from metarep_lib import RidgeSystem, assemble, gradient_descent, ridge_system, solvers, two_block_conjugate_gradient
from metarep_lib.construct import gradient_descent_plus_plus, momentum
from metarep_lib.evidence import (
    KERNEL,
    LINEAR,
    SCHEDULED,
    Candidate,
    Posed,
    Subject,
    additivity_gap,
    best_filter,
    fit_candidate,
    fitted_readout,
    in_other_basis,
    judge,
    lineup,
    load_trained,
    paired_interval,
    primal_spectrum,
    searched_prompts,
    signed_permutation,
    spectral_gains,
)
from metarep_lib.evidence.identification import best_steps
from metarep_lib.numerics import jacobi
from metarep_lib.numerics.filters import Filter, Spectrum
from metarep_lib.tasks import clusters, designed_prompts, isotropic, spread

seeds = st.integers(0, 10**6)
P, K, Q = 5, 8, 6


def posed(seed: int, n: int = 12, spectra=None) -> Posed:
    return Posed.of(designed_prompts(spectra or spread(0.1, 3.0), n, K, Q, P, seed=seed, ridge=1.0))


def logs_of(candidate: Candidate, posed: Posed, steps: int, **scalars: float) -> torch.Tensor:
    """In the units of `Candidate.path`, from the scalars themselves."""
    unit = posed.linear.eigenvalues[:, -1].mean().item()
    units = {"ridge": unit, "smallest": unit, "largest": unit, "eta": 1 / unit, "gamma": 1 / unit, "beta": 1.0}
    return torch.tensor([scalars[name] / units[name] for name in candidate.free(steps)], dtype=torch.float64).log10()


# candidates: the solvers of the library, and a direct solution, say the same

@pytest.mark.parametrize(
    "candidate, scalars",
    [
        (Candidate("gradient descent"), {"ridge": 0.7, "eta": 0.02}),
        (Candidate("Chebyshev"), {"ridge": 0.7, "smallest": 0.7, "largest": 30.0}),
        (Candidate("conjugate gradient"), {"ridge": 0.7}),
        (Candidate("conjugate gradient", scaling="jacobi"), {"ridge": 0.7}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@given(seed=seeds)
@settings(max_examples=5)
def test_a_candidate_is_the_solver_of_its_name(candidate, scalars, seed):
    prompts = posed(seed, 3)
    system = ridge_system(prompts.prompt)
    system = RidgeSystem(system.A - (1.0 - 0.7) * torch.eye(K), system.y, system.K_query)
    solution = {
        "gradient descent": lambda: solvers.gradient_descent(system, 4, 0.02),
        "Chebyshev": lambda: solvers.chebyshev(system, 4, 0.7, 30.0),
        "conjugate gradient": lambda: solvers.conjugate_gradient(system, 4),
        "conjugate gradient (jacobi)": lambda: solvers.conjugate_gradient(system, 4, preconditioner=jacobi(system)),
    }[candidate.name]()
    path = candidate.path(prompts, logs_of(candidate, prompts, 4, **scalars), 4, prompts)
    torch.testing.assert_close(path, system.predict(solution.history["alpha"]), rtol=1e-8, atol=1e-8)


def test_primal_conjugate_gradient_is_that_of_scipy():
    from scipy.sparse.linalg import cg

    prompts = posed(3, 1)
    candidate = Candidate("conjugate gradient", scaling="primal")
    path = candidate.path(prompts, logs_of(candidate, prompts, 3, ridge=0.7), 3, prompts)[:, 0]
    phi, y, phi_query = (tensor[0].numpy() for tensor in (prompts.prompt.phi, prompts.prompt.y, prompts.prompt.phi_query))
    found = [np.zeros(P)]
    cg(phi.T @ phi + 0.7 * np.eye(P), phi.T @ y, maxiter=3, rtol=0, callback=lambda w: found.append(w.copy()))
    np.testing.assert_allclose(path.numpy(), np.array(found) @ phi_query.T, rtol=1e-8, atol=1e-10)


def test_the_ridge_path_is_ridge_regression_and_brings_all_steps_at_once():
    from sklearn.linear_model import Ridge

    prompts = posed(4, 2)
    path = LINEAR[-1].path(prompts, torch.zeros(0), 1, prompts)
    unit = prompts.linear.eigenvalues[:, -1].mean().item()
    assert LINEAR[-1].may_jump and (path[0] == 0).all()
    for i in (1, 40, 85):
        mu = unit * 10 ** (1 - 7 * (i - 1) / 84)
        ridge = Ridge(alpha=mu, fit_intercept=False).fit(prompts.prompt.phi[1].numpy(), prompts.prompt.y[1].numpy())
        np.testing.assert_allclose(path[i, 1], ridge.predict(prompts.prompt.phi_query[1].numpy()), rtol=1e-6)


@pytest.mark.parametrize("exponential", [False, True])
def test_steps_of_the_same_scalars_are_the_scheduled_method(exponential):
    kernel = "exponential" if exponential else "linear"
    tied, own = Candidate("gradient descent", kernel), Candidate("gradient descent", kernel, scheduled=True)
    prompts = posed(5, 3)
    shared = torch.tensor([-2.0, 0.3, -0.2] if exponential else [-2.0, -0.2], dtype=torch.float64)
    repeated = torch.cat([shared[:-1], shared[-1:].expand(4)])
    torch.testing.assert_close(tied.path(prompts, shared, 4, prompts), own.path(prompts, repeated, 4, prompts))


# networks for momentum and GD++: the recurrences of numerics.filters

@pytest.mark.parametrize(
    "program, held, ridge",
    [
        (momentum(P, 5, 0.03, 0.4), Filter("momentum", {"eta": torch.full((5,), 0.03), "beta": torch.full((5,), 0.4)}), 1.0),
        (gradient_descent_plus_plus(P, 5, 0.03, 0.004), Filter("GD++", {"eta": torch.full((5,), 0.03), "gamma": torch.full((5,), 0.004)}), 0.0),
    ],
)
def test_the_new_networks_run_the_filters_of_their_names(program, held, ridge):
    prompt = posed(6, 4).prompt
    system = ridge_system(prompt)
    spectrum = Spectrum.of(RidgeSystem(system.A - (1 - ridge) * torch.eye(K), system.y, system.K_query))
    network = assemble(program)
    torch.testing.assert_close(network.predict(prompt), spectrum.predict(held))
    eta = network.run(prompt).prediction[1]
    torch.testing.assert_close(eta, 0.03 * system.predict(prompt.y))  # the first step of either is one of gradient descent
    assert (network.run(prompt).prediction[2] - spectrum.predict(held)).abs().max() > 1e-3


# designs

@given(seed=seeds, count=st.integers(1, 4))
@settings(max_examples=20)
def test_clusters_have_as_many_places_as_asked_for_and_stay_in_range(seed, count):
    s = clusters(count, 0.2, 2.0, blur=0.01)(np.random.default_rng(seed), 12)
    order = np.sort(s)
    assert 0.19 < order[0] and order[-1] < 2.1
    assert (np.diff(np.log(order)) > 0.021).sum() <= count - 1


def test_designed_prompts_have_the_spectra_chosen_and_differ_in_all_else():
    chosen = clusters(2, 0.5, 2.0, blur=0.0)
    a, b = (designed_prompts(chosen, 3, K, Q, 4, seed=seed, ridge=1.0) for seed in (1, 1))
    assert (a.phi == b.phi).all() and (a.y == b.y).all()
    S = a.phi.mT @ a.phi / K
    assert len({round(float(s), 6) for s in torch.linalg.eigvalsh(S).flatten()}) == 6
    off = S - S.diagonal(dim1=-2, dim2=-1).diag_embed()
    assert off.abs().max() > 0.1  # rotated
    rows = designed_prompts(isotropic(K), 2, K, Q, 4, seed=2, ridge=1.0)
    assert torch.isfinite(rows.phi).all()
    with pytest.raises(ValueError, match="at least as many supports"):
        designed_prompts(chosen, 1, 3, Q, 4, seed=0, ridge=1.0)


# steps by dynamic programming: brute force says the same

@given(seed=seeds, may_jump=st.booleans())
@settings(max_examples=40)
def test_best_steps_are_those_of_brute_force(seed, may_jump):
    from itertools import product

    rng = np.random.default_rng(seed)
    table = rng.random((3, 4))
    if seed % 2:
        table[1] = np.nan
    allowed = [
        steps
        for steps in product(range(4), repeat=3)
        if all(b >= a if may_jump else b - a in (0, 1) for a, b in zip((0, *steps), steps))
    ]
    totals = {steps: np.nansum(table[range(3), steps]) for steps in allowed}
    steps, misfit = best_steps(table, may_jump)
    assert np.isclose(misfit, min(totals.values()) / (2 if seed % 2 else 3))
    assert np.isclose(totals[steps], min(totals.values()))


# the method on networks it should know

@pytest.mark.parametrize("label, program", [("gradient descent", gradient_descent(P, 3, 0.04)), ("conjugate gradient", two_block_conjugate_gradient(P, 3))])
def test_a_constructed_network_is_named_in_any_basis_and_the_readout_makes_no_difference_to_that(label, program):
    tuning, judging = posed(1, 16), posed(2, 24)
    network = assemble(program)
    subject = Subject.of(network)
    R = signed_permutation(network.transformer.config.d_model, torch.Generator().manual_seed(0))
    turned = Subject(in_other_basis(network.transformer, R), subject.question)
    assert (turned.read(turned.streams(judging.prompt)) == subject.read(subject.streams(judging.prompt))).all()
    assert (turned.streams(judging.prompt) != subject.streams(judging.prompt)).any()
    seen, judged = (turned.read(turned.streams(x.prompt))[1:] for x in (tuning, judging))
    some = [candidate for candidate in LINEAR if candidate.name in ("gradient descent", "conjugate gradient", "ridge path")]
    verdict = judge([fit_candidate(candidate, tuning, seen, seed=0) for candidate in some], judging, judged)
    assert verdict.name == label
    for other, (low, high) in verdict.intervals.items():
        assert (low > 0) == (other != label) and high >= low
    garbled = judged[:, torch.randperm(len(judged[0]), generator=torch.Generator().manual_seed(1))]
    assert judge(list(verdict.fits.values()), judging, garbled).name == "none"


def test_fitted_readouts_do_not_see_the_basis_but_look_ahead():
    prompts, others = posed(1, 40), posed(2, 40)
    network = assemble(two_block_conjugate_gradient(P, 3))
    subject = Subject.of(network)
    streams, more = subject.streams(prompts.prompt), subject.streams(others.prompt)
    said, end = subject.read(streams)[-1], subject.read(more)[-1]
    R = torch.linalg.qr(torch.randn(streams.shape[-1], streams.shape[-1], generator=torch.Generator().manual_seed(0)).double())[0]
    plain = fitted_readout(streams, said)(more, end)
    turned = fitted_readout(streams @ R, said)(more @ R, end)
    torch.testing.assert_close(plain, turned, rtol=1e-5, atol=1e-5)
    own = subject.read(more)
    middle = 3  # inside the second step
    assert (plain[middle] - end).square().sum() < 0.8 * (own[middle] - end).square().sum()


def test_the_line_up_names_candidates_and_its_mutants_keep_every_number():
    members = list(lineup(3, 4, 2, 1))
    names = {candidate.name for candidate in (*LINEAR, *SCHEDULED, *KERNEL)}
    assert {member.label for member in members} <= names | {"none"}
    assert len({member.label for member in members}) >= 10
    same_shape = [member for member in members if member.program.name == "gradient_descent" and not any(layer.step > 2 for layer in member.program.layers)]
    plain, mixed = same_shape[0].transformer.state_dict(), same_shape[-1].transformer.state_dict()
    assert same_shape[0].label == "gradient descent" and same_shape[-1].label == "none"
    for name, weight in plain.items():
        assert torch.equal(weight.flatten().sort().values, mixed[name].flatten().sort().values)
    assert any((weight != mixed[name]).any() for name, weight in plain.items())


def test_networks_with_norms_have_no_other_basis():
    with pytest.raises(ValueError, match="norm='none'"):
        in_other_basis(load_trained("softmax-gp", 0).transformer, torch.eye(64))


def test_searched_prompts_are_worse_for_the_rival_than_drawn_ones():
    tuning = posed(1, 16)
    newton, descent = (next(c for c in LINEAR if c.name == name) for name in ("Newton", "gradient descent"))
    logs = torch.tensor([-1.7, -0.1], dtype=torch.float64)

    def truth(x: Posed) -> torch.Tensor:
        return newton.path(x, logs, 3, tuning)[1:]

    rival = fit_candidate(descent, tuning, truth(tuning), seed=0)
    found = Posed.of(searched_prompts(truth, rival, 0.1, 3.0, 4, K, Q, P, seed=0))
    s = torch.linalg.eigvalsh(found.prompt.phi.mT @ found.prompt.phi) / K
    assert 0.099 < s.min() and s.max() < 3.01
    drawn = posed(2, 16)
    assert rival.misfits(found, truth(found)).mean() > 2 * rival.misfits(drawn, truth(drawn)).mean()


def test_paired_intervals_see_what_is_common_and_cover():
    rng = np.random.default_rng(0)
    hard = rng.exponential(size=200)  # prompts differ much more than the two candidates do
    _, low, high = paired_interval(torch.from_numpy(0.01 * rng.random(200) + (hard - hard)))
    assert 0 < low < 0.005 < high
    covered = [low <= 0 <= high for _, low, high in (paired_interval(torch.from_numpy(rng.standard_normal(40)), 400) for i in range(100))]
    assert 85 <= sum(covered) <= 100


# marks

@given(seed=seeds)
@settings(max_examples=10)
def test_a_filter_is_found_with_its_gain(seed):
    prompts = posed(seed, 30).prompt
    spectrum = primal_spectrum(prompts)
    true = Filter("gradient descent", {"eta": torch.full((4,), 0.02)})
    said = spectrum.predict(true)
    found = best_filter(spectrum, said)
    assert (spectrum.predict(found) - said).square().sum() < 1e-4 * said.square().sum()
    gains = spectral_gains(prompts, said.unsqueeze(0), torch.tensor([0.1, 0.3, 1.0, 3.0], dtype=torch.float64))
    s = K * torch.tensor([0.1, 0.3, 1.0, 3.0], dtype=torch.float64)
    ends = 1 - (1 - 0.02 * s) ** 4
    assert (gains.mean[0] > ends[:-1] - 1e-9).all() and (gains.mean[0] < ends[1:] + 1e-9).all()
    with pytest.raises(ValueError, match="as many queries"):
        spectral_gains(designed_prompts(spread(0.1, 3.0), 2, K, 2, P, seed=0, ridge=1.0), said[None], s)


# theorems of the chapter

@certifies("prop-additive", mutant="as many steps as there are distinct eigenvalues", exact=True)
@given(seed=seeds, t=st.integers(1, 2))
@settings(max_examples=15)
def test_conjugate_gradient_is_not_additive_before_it_ends_and_a_filter_always_is(seed, t):
    rng = np.random.default_rng(seed)
    values = np.array(sorted(rng.choice(np.arange(1, 40), size=3, replace=False)), dtype=object) * Fraction(1, 3)
    A, e = np.diag(values), np.eye(3, dtype=int) + Fraction(0)

    def reach(y: np.ndarray, steps: int) -> np.ndarray:
        return rational_cg(A, y, steps)[steps]["alpha"]

    def additive(steps: int) -> bool:
        return all(sum(reach(e[i], steps)[j] for i in range(3)) == reach(e.sum(0), steps)[j] for j in range(3))

    assert not additive(t)
    assert additive(3)
    x, z = rationals(rng, 3), rationals(rng, 3)
    descend = lambda y: [sum((1 - values[i] / 40) ** s for s in range(t)) * y[i] / 40 for i in range(3)]  # noqa: E731
    assert all(a + b == c for a, b, c in zip(descend(x), descend(z), descend(x + z)))


def test_the_gap_of_networks_is_what_the_proposition_says():
    prompts = posed(3, 8)
    other = posed(4, 8).prompt.y
    for program, additive in ((two_block_conjugate_gradient(P, 2), False), (gradient_descent(P, 3, 0.03), True)):
        subject = Subject.of(assemble(program))
        gap = additivity_gap(lambda prompt, s=subject: s.read(s.streams(prompt))[1:], prompts.prompt, other)[-1]
        assert (gap < 1e-20) == additive and (additive or gap > 1e-4)


@certifies("prop-newton-is-descent", mutant="as many steps of gradient descent as of Newton", exact=True)
@given(seed=seeds, t=st.integers(0, 4))
@settings(max_examples=15)
def test_newton_is_gradient_descent_seen_at_powers_of_two(seed, t):
    rng = np.random.default_rng(seed)
    B = rationals(rng, 3, 3)
    A, c, identity = B @ B.T + np.eye(3, dtype=int), Fraction(1, int(rng.integers(5, 50))), np.eye(3, dtype=int) + Fraction(0)

    def descended(steps: int) -> np.ndarray:
        X = 0 * identity
        for _ in range(steps):
            X = X + c * (identity - A @ X)
        return X

    X = c * identity
    for _ in range(t):
        X = 2 * X - X @ A @ X
    assert (X == descended(2**t)).all()
    assert t < 2 or (X != descended(t + 1)).any()


@certifies("prop-distinct-eigenvalues", mutant="one eigenvalue fewer", exact=True)
@given(seed=seeds, t=st.integers(1, 3))
@settings(max_examples=15)
def test_as_many_gains_as_steps_fix_the_polynomial_and_fewer_do_not(seed, t):
    rng = np.random.default_rng(seed)
    s = [Fraction(int(v), 7) for v in rng.choice(np.arange(1, 60), size=t, replace=False)]
    coefficients = [Fraction(int(v), 5) for v in rng.integers(-9, 9, size=t)]

    def value(c: list[Fraction], x: Fraction) -> Fraction:
        return 1 + sum(a * x ** (j + 1) for j, a in enumerate(c))

    matrix = np.array([[x ** (j + 1) for j in range(t)] for x in s], dtype=object)
    solved = solve_exactly(matrix, np.array([value(coefficients, x) - 1 for x in s], dtype=object))
    assert list(solved) == coefficients  # t gains: one polynomial
    bump = np.array([Fraction(1)], dtype=object)  # x prod (1 - x / s_i) over t - 1 of them: another one with the same gains there
    for x in s[1:]:
        bump = np.append(bump, 0) - np.append(0, bump) / x
    other = [a + b for a, b in zip(coefficients, bump)]
    assert all(value(other, x) == value(coefficients, x) for x in s[1:])
    assert value(other, s[0]) != value(coefficients, s[0])


def solve_exactly(matrix: np.ndarray, right: np.ndarray) -> np.ndarray:
    rows = np.column_stack([matrix, right])
    for i in range(len(rows)):
        pivot = next(j for j in range(i, len(rows)) if rows[j, i] != 0)
        rows[[i, pivot]] = rows[[pivot, i]]
        rows[i] = rows[i] / rows[i, i]
        for j in range(len(rows)):
            if j != i:
                rows[j] = rows[j] - rows[j, i] * rows[i]
    return rows[:, -1]


@certifies("prop-overshoot", mutant="gradient descent with a step size above 1 / s", exact=True)
@given(seed=seeds)
@settings(max_examples=30)
def test_what_can_overshoot_and_what_cannot(seed):
    rng = np.random.default_rng(seed)
    s, mu, t = Fraction(int(rng.integers(1, 99)), 9), Fraction(int(rng.integers(1, 99)), 50), int(rng.integers(1, 5))
    assert 0 < s / (s + mu) < 1
    eta = Fraction(int(rng.integers(1, 50)), 50) / s
    assert 1 - (1 - eta * s) ** t <= 1
    larger = eta + 1 / s
    assert 1 - (1 - larger * s) ** (2**t) <= 1  # Newton after t >= 1 steps, whatever its start
    assert 1 - (1 - larger * s) ** (2 * t - 1) > 1  # the mutant: odd steps of gradient descent


@certifies("prop-ridge-by-polynomial", mutant="a polynomial of one degree less, at the same bound")
@pytest.mark.parametrize("t, kappa", [(1, 4.0), (3, 9.0), (6, 40.0)])
def test_a_polynomial_comes_this_close_to_the_ridge_filter_and_no_closer(t, kappa):
    a, b = 1.0, kappa
    bound = 1 / np.cosh(t * np.arccosh((b + a) / (b - a)))
    x = np.linspace(a, b, 4001)
    best = lambda degree: remez(x, degree)  # noqa: E731
    assert np.isclose(best(t), bound, rtol=1e-3)
    assert best(t - 1) > 1.05 * bound


def remez(x: np.ndarray, degree: int) -> float:
    """The smallest maximum of |P| on the grid over P of this degree with P(0) = 1, by linear programming."""
    from scipy.optimize import linprog

    if degree == 0:
        return 1.0
    basis = np.stack([np.cos(j * np.arccos(2 * (x - x.min()) / (x.max() - x.min()) - 1)) for j in range(degree + 1)], axis=1)
    at_zero = np.polynomial.chebyshev.chebvander(np.array([-2 * x.min() / (x.max() - x.min()) - 1]), degree)
    ones = np.ones((len(x), 1))
    A_ub = np.block([[basis, -ones], [-basis, -ones]])
    result = linprog([*np.zeros(degree + 1), 1], A_ub=A_ub, b_ub=np.zeros(2 * len(x)), A_eq=np.append(at_zero, [[0]], axis=1), b_eq=[1], bounds=(None, None))
    return float(result.fun)


