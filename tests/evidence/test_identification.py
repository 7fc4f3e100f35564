"""Identification: candidates against the solvers, marks against algebra, the method against networks whose algorithm is known."""

import itertools
from dataclasses import replace
from fractions import Fraction

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import certifies
from metarep_lib import (
    RidgeSystem,
    assemble,
    gradient_descent,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.certify.statements.which_algorithm import ridge_by_polynomial
from metarep_lib.construct.algorithms import (
    gradient_descent_plus_plus,
    gram_conjugate_gradient,
    momentum,
)
from metarep_lib.evidence import over_seeds, paired_interval, ratio_over_seeds
from metarep_lib.evidence.identify import (
    KERNEL,
    LINEAR,
    MATCHED,
    SCHEDULED,
    Posed,
    additivity_gap,
    compared,
    fit_candidate,
    fitted_readout,
    judge,
    own_head,
    query_streams,
    spectral_gains,
)
from metarep_lib.evidence.identify.by_ridge import by_ridge
from metarep_lib.evidence.identify.candidates import MATCHED_KERNEL, RIDGE_PATH, Candidate
from metarep_lib.evidence.identify.spectral_marks import best_filter, primal_spectrum
from metarep_lib.evidence.identify.tuning import best_steps
from metarep_lib.evidence.probe.other_basis import in_other_basis, signed_permutation
from metarep_lib.numerics.solvers import jacobi
from metarep_lib.numerics.spectrum.filters import Filter, Spectrum
from metarep_lib.studies import lineup, searched_prompts
from metarep_lib.tasks import clusters, designed_prompts, isotropic, spread
from metarep_lib.train import load_trained
from rationals import rational_cg, rationals

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


# rivals of equal count

NOTHING = torch.zeros(0, dtype=torch.float64)


def test_a_falling_ridge_path_is_ridge_regression_with_ridges_in_geometric_progression():
    from sklearn.linear_model import Ridge

    prompts = posed(4, 2)
    unit = prompts.linear.eigenvalues[:, -1].mean().item()
    logs = {"fourfold ridge path": [-0.5], "tenfold ridge path": [-0.5], "falling ridge path": [-0.5, -0.3]}
    for candidate in (candidate for candidate in MATCHED if "ridge path" in candidate.method):
        factor = {"fourfold ridge path": 1 / 4, "tenfold ridge path": 1 / 10, "falling ridge path": 10**-0.3}[candidate.method]
        path = candidate.path(prompts, torch.tensor(logs[candidate.method], dtype=torch.float64), 4, prompts)
        assert not candidate.may_jump and (path[0] == 0).all() and len(path) == 5
        for t in range(1, 5):
            ridge = Ridge(alpha=unit * 10**-0.5 * factor ** (t - 1), fit_intercept=False).fit(prompts.prompt.phi[1].numpy(), prompts.prompt.y[1].numpy())
            np.testing.assert_allclose(path[t, 1], ridge.predict(prompts.prompt.phi_query[1].numpy()), rtol=1e-6)


@pytest.mark.parametrize("scaling", ["none", "primal", "jacobi"])
def test_conjugate_gradient_with_a_ridge_each_layer_holds_that_of_every_ridge(scaling):
    one, many = (Candidate("conjugate gradient", scaling=scaling, ridge_each_layer=each) for each in (False, True))
    prompts = posed(5, 3)
    path = many.path(prompts, NOTHING, 3, prompts).view(4, many.at_once, 3, Q)
    for r in (0, 30, 60):
        torch.testing.assert_close(path[:, r], one.path(prompts, RIDGE_PATH[[r]].log10(), 3, prompts), rtol=1e-8, atol=1e-10)


def test_rivals_have_as_many_numbers_as_the_ridge_path_or_one():
    names = [candidate.name for candidate in (*LINEAR, *SCHEDULED, *MATCHED, *KERNEL, *MATCHED_KERNEL)]
    assert len(set(names)) == len(names)
    counts = {candidate.name: candidate.numbers(6) for candidate in (*LINEAR, *SCHEDULED, *MATCHED)}
    assert counts["ridge path"] == counts["conjugate gradient (a ridge each layer)"] == counts["conjugate gradient (primal, a ridge each layer)"] == 6
    assert counts["conjugate gradient"] == counts["tenfold ridge path"] == 1
    assert counts["GD++"] == counts["falling ridge path"] == 2
    assert counts["gradient descent (scheduled)"] == 7
    assert sorted(candidate.numbers(6) for candidate in MATCHED_KERNEL) == [2, 2, 7] and KERNEL[-1].numbers(6) == 7


@given(seed=seeds)
@settings(max_examples=30)
def test_best_places_among_several_ridges_are_those_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    table = rng.random((3, 4, 5))  # layers, steps, ridges
    if seed % 2:
        table[1] = np.nan
    allowed = [steps for steps in itertools.product(range(4), repeat=3) if all(b - a in (0, 1) for a, b in zip((0, *steps), steps))]
    least = min(np.nansum([table[layer, t].min() for layer, t in enumerate(steps)]) for steps in allowed)
    places, misfit = best_steps(table.reshape(3, -1), may_jump=False, at_once=5)
    assert np.isclose(misfit, least / (2 if seed % 2 else 3))
    assert np.isclose(np.nansum(table.reshape(3, -1)[range(3), list(places)]), least)


def test_a_name_goes_to_the_candidate_of_fewest_numbers_and_a_ridge_path_has_one_each_layer():
    tuning, judging = posed(1, 16), posed(2, 24)
    truth = Candidate("tenfold ridge path")
    said = [truth.path(x, torch.tensor([-0.5], dtype=torch.float64), 3, tuning)[1:] for x in (tuning, judging)]
    fits = {name: fit_candidate(Candidate(name), tuning, said[0], seed=0) for name in ("ridge path", "tenfold ridge path", "conjugate gradient")}
    assert judge(list(fits.values()), judging, said[1], same=1e-2).name == "tenfold ridge path"
    mean, low, high = compared(fits["conjugate gradient"], fits["tenfold ridge path"], judging, said[1])
    assert 0 < low < mean < high
    np.testing.assert_allclose(compared(fits["tenfold ridge path"], fits["conjugate gradient"], judging, said[1])[0], -mean)


@pytest.mark.parametrize("scaling", ["none", "primal"])
def test_by_ridge_finds_the_ridge_and_the_gap_is_that_of_the_solver_there(scaling):
    many = Candidate("conjugate gradient", scaling=scaling, ridge_each_layer=True)
    one = replace(many, ridge_each_layer=False)
    tuning, judging, other = posed(1, 16), posed(2, 24), posed(3, 24).prompt.y
    at = RIDGE_PATH[[30]].log10()
    seen, judged = (3 * one.path(x, at, 2, tuning)[2] for x in (tuning, judging))
    held = by_ridge(many, NOTHING, tuning, seen, judging, judged, other, 2)
    misfit, gap = held.best
    assert misfit < 1e-12 and held.tuned.argmin() == len(RIDGE_PATH) + 30
    alone = additivity_gap(lambda prompt: one.path(Posed.of(prompt), at, 2, tuning)[2:], judging.prompt, other)
    np.testing.assert_allclose(gap, alone.item(), rtol=1e-6)
    assert held.as_additive(1.0) < 1e-12 < held.as_additive(gap / 2)  # what is more additive describes it less well
    assert held.as_additive(0.0) == float("inf")
    assert (held.gap[:, 0] < held.gap.amax(-1) / 2).all()  # a gap at one ridge says nothing of another
    with pytest.raises(ValueError, match="ridge_each_layer=True"):
        by_ridge(one, at, tuning, seen, judging, judged, other, 2)


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

@pytest.mark.parametrize(
    "label, program",
    [
        ("gradient descent", gradient_descent(P, 3, 0.04)),
        ("conjugate gradient", two_block_conjugate_gradient(P, 3)),
        ("conjugate gradient (primal)", gram_conjugate_gradient(P, 3)),
    ],
)
def test_a_constructed_network_is_named_in_any_basis_and_the_readout_makes_no_difference_to_that(label, program):
    tuning, judging = posed(1, 16), posed(2, 24)
    network = assemble(program)
    subject = network
    R = signed_permutation(network.transformer.config.d_model, torch.Generator().manual_seed(0))
    turned = replace(network, transformer=in_other_basis(network.transformer, R))
    assert (own_head(turned, query_streams(turned, judging.prompt)) == own_head(subject, query_streams(subject, judging.prompt))).all()
    assert (query_streams(turned, judging.prompt) != query_streams(subject, judging.prompt)).any()
    seen, judged = (own_head(turned, query_streams(turned, x.prompt))[1:] for x in (tuning, judging))
    some = [candidate for candidate in LINEAR if candidate.name in ("gradient descent", "conjugate gradient", "conjugate gradient (primal)", "ridge path")]
    verdict = judge([fit_candidate(candidate, tuning, seen, seed=0) for candidate in some], judging, judged)
    assert verdict.name == label
    for other, (low, high) in verdict.intervals.items():
        assert (low > 0) == (other != label) and high >= low
    garbled = judged[:, torch.randperm(len(judged[0]), generator=torch.Generator().manual_seed(1))]
    assert judge(list(verdict.fits.values()), judging, garbled).name == "none"


def test_fitted_readouts_do_not_see_the_basis_but_look_ahead():
    prompts, others = posed(1, 40), posed(2, 40)
    network = assemble(two_block_conjugate_gradient(P, 3))
    subject = network
    streams, more = query_streams(subject, prompts.prompt), query_streams(subject, others.prompt)
    said, end = own_head(subject, streams)[-1], own_head(subject, more)[-1]
    R = torch.linalg.qr(torch.randn(streams.shape[-1], streams.shape[-1], generator=torch.Generator().manual_seed(0)).double())[0]
    plain = fitted_readout(streams, said)(more, end)
    turned = fitted_readout(streams @ R, said)(more @ R, end)
    torch.testing.assert_close(plain, turned, rtol=1e-5, atol=1e-5)
    own = own_head(subject, more)
    middle = 3  # inside the second step
    assert (plain[middle] - end).square().sum() < 0.8 * (own[middle] - end).square().sum()


def test_the_line_up_names_candidates_and_its_mutants_keep_every_number():
    members = list(lineup(3, 4, 2, 1))
    names = {candidate.name for candidate in (*LINEAR, *SCHEDULED, *KERNEL)}
    assert {member.label for member in members} <= names | {"none"}
    assert len({member.label for member in members}) >= 10 and "conjugate gradient (primal)" in {member.label for member in members}
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


def test_intervals_over_seeds_are_those_of_student_and_welch_and_cover():
    from scipy import stats

    rng = np.random.default_rng(1)
    values, others = np.exp(rng.standard_normal(3)), np.exp(rng.standard_normal(5))
    mean, low, high = over_seeds(values)
    theirs = stats.ttest_1samp(np.log(values), 0.0).confidence_interval()
    np.testing.assert_allclose([mean, low, high], np.exp([np.log(values).mean(), *theirs]))
    ratio, low, high = ratio_over_seeds(values, others)
    theirs = stats.ttest_ind(np.log(values), np.log(others), equal_var=False).confidence_interval()
    np.testing.assert_allclose([ratio, low, high], [stats.gmean(values) / stats.gmean(others), *np.exp(theirs)])
    assert np.isnan([over_seeds([2.0])[1:], ratio_over_seeds([2.0], values)[1:]]).all()
    covered = [low <= 1 <= high for _, low, high in (over_seeds(np.exp(0.3 * rng.standard_normal(3))) for _ in range(1000))]
    assert 925 < sum(covered) < 975


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

def descended(A: np.ndarray, y: np.ndarray, steps: int) -> np.ndarray:
    """Gradient descent with step sizes that know nothing of the targets."""
    x = 0 * y
    for t in range(steps):
        x = x + Fraction(1, 40 + t) * (y - A @ x)
    return x


def steepest(A: np.ndarray, y: np.ndarray, steps: int) -> np.ndarray:
    x = 0 * y
    for _ in range(steps):
        r = y - A @ x
        x = x + (r @ r) / (r @ A @ r) * r
    return x


def conjugate(A: np.ndarray, y: np.ndarray, steps: int) -> np.ndarray:
    return rational_cg(A, y, steps)[steps]["alpha"]


@certifies(
    "prop-additive",
    statement=(descended,),
    mutants={"step sizes fitted to the targets": (descended, steepest), "conjugate gradient before it ends": (descended, conjugate)},
    exact=True,
)
def test_a_function_of_the_matrix_alone_is_additive(statement):
    for seed in range(15):
        rng = np.random.default_rng(seed)
        B, x, z, t = rationals(rng, 3, 3), rationals(rng, 3) + Fraction(1, 7), rationals(rng, 3) + Fraction(1, 11), int(rng.integers(1, 3))
        A = B @ B.T + unit(3)
        for method in statement:
            assert (method(A, x, t) + method(A, z, t) == method(A, x + z, t)).all()


@certifies(
    "prop-additive",
    statement=lambda values: len(set(values)),
    mutants={
        "one step earlier": lambda values: len(set(values)) - 1,
        "one step later": lambda values: len(set(values)) + 1,
        "eigenvalues counted with their multiplicity": len,
    },
    exact=True,
)
def test_conjugate_gradient_is_additive_from_the_number_of_distinct_eigenvalues_on(statement):
    for seed in range(15):
        rng = np.random.default_rng(seed)
        values = [Fraction(int(v), 3) for v in rng.choice(np.arange(1, 40), size=rng.integers(1, 5), replace=False)]
        values += values[:2]
        A, y, z = np.diag(values), rationals(rng, len(values)) + Fraction(1, 7), rationals(rng, len(values)) + Fraction(1, 11)
        for t in range(1, len(values) + 1):
            additive = (conjugate(A, y, t) + conjugate(A, z, t) == conjugate(A, y + z, t)).all()
            assert additive == (t >= statement(values))


def test_the_gap_of_networks_is_what_the_proposition_says():
    prompts = posed(3, 8)
    other = posed(4, 8).prompt.y
    for program, additive in ((two_block_conjugate_gradient(P, 2), False), (gradient_descent(P, 3, 0.03), True)):
        subject = assemble(program)
        gap = additivity_gap(lambda prompt, network=subject: own_head(network, query_streams(network, prompt))[1:], prompts.prompt, other)[-1]
        assert (gap < 1e-20) == additive and (additive or gap > 1e-4)


@certifies(
    "prop-newton-is-descent",
    statement=lambda t: 2**t,
    mutants={
        "as many steps of gradient descent as of Newton, and one": lambda t: t + 1,
        "one step fewer": lambda t: 2**t - 1,
        "twice as many": lambda t: 2 ** (t + 1),
    },
    exact=True,
)
def test_newton_is_gradient_descent_seen_at_powers_of_two(statement):
    for seed in range(15):
        rng = np.random.default_rng(seed)
        B, y, c = rationals(rng, 3, 3), rationals(rng, 3) + Fraction(1, 7), Fraction(1, int(rng.integers(5, 50)))
        A, alpha = B @ B.T + unit(3), [0 * y]
        for _ in range(2**5):
            alpha.append(alpha[-1] + c * (y - A @ alpha[-1]))
        X = c * unit(3)
        for t in range(5):
            assert (X @ y == alpha[statement(t)]).all()
            X = 2 * X - X @ A @ X


def unit(n: int) -> np.ndarray:
    return np.eye(n, dtype=int) + Fraction(0)


def distinct(rng: np.random.Generator, t: int) -> list[int]:
    """t distinct numbers other than zero."""
    return rng.choice(np.arange(1, 60), size=t, replace=False).tolist()


@certifies(
    "prop-distinct-eigenvalues",
    statement=distinct,
    mutants={
        "one number fewer": lambda rng, t: distinct(rng, t - 1),
        "one number more": lambda rng, t: distinct(rng, t + 1),
        "two of them equal": lambda rng, t: (2 * distinct(rng, max(t - 1, 1)))[:t],
        "zero among them": lambda rng, t: [0, *distinct(rng, t - 1)],
    },
    exact=True,
)
def test_as_many_gains_as_steps_fix_the_polynomial_and_fewer_do_not(statement):
    """P - Q = sum_j a_j s^j over 1 <= j <= t: it vanishes at the numbers for a = 0 alone exactly if the matrix of powers has rank t."""
    for seed, t in itertools.product(range(15), range(1, 5)):
        numbers = statement(np.random.default_rng(seed), t)
        rows = [[number ** (j + 1) for j in range(t)] for number in numbers]
        assert rank(rows, t) == t
        assert all(rank(rows[:i] + rows[i + 1 :], t) < t for i in range(len(rows)))


def rank(rows: list[list[int]], width: int) -> int:
    return flint.fmpz_mat(len(rows), width, [entry for row in rows for entry in row]).rank()


OVERSHOOTS = {
    "ridge path": lambda rate, t: False,
    "Newton": lambda rate, t: False,
    "gradient descent": lambda rate, t: rate > 1 and t % 2 == 1,
}


@certifies(
    "prop-overshoot",
    statement=OVERSHOOTS,
    mutants={
        "Newton from a large start": OVERSHOOTS | {"Newton": lambda rate, t: rate > 1},
        "gradient descent with a large step size, always": OVERSHOOTS | {"gradient descent": lambda rate, t: rate > 1},
        "gradient descent after odd steps, always": OVERSHOOTS | {"gradient descent": lambda rate, t: t % 2 == 1},
        "gradient descent never": OVERSHOOTS | {"gradient descent": lambda rate, t: False},
        "the ridge path with a large ridge": OVERSHOOTS | {"ridge path": lambda rate, t: rate > 1},
    },
    exact=True,
)
def test_what_can_overshoot_and_what_cannot(statement):
    """The methods are run for one eigenvalue s and one target; rate is eta s, c s or mu s."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        s, y = Fraction(int(rng.integers(1, 99)), 9), Fraction(int(rng.integers(1, 99)), 7)
        for rate in (Fraction(1, 3), Fraction(1), Fraction(3, 2), Fraction(2), Fraction(7, 3)):
            descent, newton = Fraction(0), rate / s
            for t in range(1, 6):
                descent = descent + rate / s * (y - s * descent)
                newton = 2 * newton - newton * s * newton
                gains = {"ridge path": y / (s + rate / s) * s / y, "Newton": newton * s, "gradient descent": descent * s / y}
                for method, gain in gains.items():
                    assert (gain > 1) == statement[method](rate, t), (method, rate, t)
                assert gains["ridge path"] != 1


@certifies(
    "prop-ridge-by-polynomial",
    statement=ridge_by_polynomial,
    mutants={
        "a polynomial of one degree less": lambda t, a, b, mu: ridge_by_polynomial(t - 1, a, b, mu),
        "a polynomial of one degree more": lambda t, a, b, mu: ridge_by_polynomial(t + 1, a, b, mu),
        "the ridge once": lambda t, a, b, mu: ridge_by_polynomial(t, a, b, mu / 2),
        "no ridge": lambda t, a, b, mu: ridge_by_polynomial(t, a, b, 0.0),
    },
)
def test_a_polynomial_comes_this_close_to_the_ridge_filter_and_no_closer(statement):
    for t, a, b, mu in [(1, 1.0, 4.0, 0.5), (3, 0.2, 9.0, 0.3), (6, 0.1, 40.0, 1.0)]:
        assert np.isclose(remez(np.linspace(a, b, 4001), t, -mu), statement(t, a, b, mu), rtol=1e-3)


def remez(x: np.ndarray, degree: int, one_at: float) -> float:
    """The smallest maximum of |P| on the grid over P of this degree that is one at `one_at`, by linear programming; here P = 1 - (s + mu) c."""
    from scipy.optimize import linprog

    basis = np.stack([np.cos(j * np.arccos(2 * (x - x.min()) / (x.max() - x.min()) - 1)) for j in range(degree + 1)], axis=1)
    at_zero = np.polynomial.chebyshev.chebvander(np.array([2 * (one_at - x.min()) / (x.max() - x.min()) - 1]), degree)
    ones = np.ones((len(x), 1))
    A_ub = np.block([[basis, -ones], [-basis, -ones]])
    result = linprog([*np.zeros(degree + 1), 1], A_ub=A_ub, b_ub=np.zeros(2 * len(x)), A_eq=np.append(at_zero, [[0]], axis=1), b_eq=[1], bounds=(None, None))
    return float(result.fun)


