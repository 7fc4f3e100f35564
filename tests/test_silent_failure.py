"""The smoother as a network, what bounds it, what an error can hide, and what a prompt alone can tell of it."""

import math
from fractions import Fraction

import flint
import numpy as np
import pytest
import scipy.special
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.stats import spearmanr
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import LeaveOneOut, cross_val_predict

from certificates import certifies
from factories import random_prompt
from metarep_lib import ExponentialKernel, Prompt, assemble, nadaraya_watson, ridge_system, softmax_smoother
from metarep_lib.evidence import diagnose, load_sweep, rank_correlation, reference_solver, score
from metarep_lib.evidence.diagnostics import AGREEMENT, LOSS, TOLERANCE
from metarep_lib.numerics import (
    effective_supports,
    first_order_bound,
    flat_logits_bound,
    hidden_order_bound,
    hiding_threshold,
    leading_logit_bound,
    left_out,
    one_step_order_bound,
    share_on_sphere,
    smoother_left_out,
    smoother_weights,
    tuned_ridge_regression,
)
from metarep_lib.tasks import column_prompt, load_table, random_sphere_task, sphere_task

FLOOR = 1e-12  # a few thousand roundings of sums of at most a few hundred terms of size one
seeds = st.integers(0, 10**6)


# ---------------------------------------------------------------- one head as a network


@given(seed=seeds, log_tau=st.floats(-2, 2), k=st.integers(1, 7), p=st.integers(1, 4))
def test_the_network_is_the_smoother_at_every_temperature(seed, log_tau, k, p):
    prompt, tau = random_prompt(k, p, 3, ridge=0.5, seed=seed), 10**log_tau
    network = assemble(softmax_smoother(p, tau))
    weights = scipy.special.softmax(prompt.phi_query.numpy() @ prompt.phi.numpy().T / tau, axis=-1)
    # 1 / tau is rounded as a weight and as a divisor: relative u in the logits, up to 1e4 of them
    np.testing.assert_allclose(network.predict(prompt), weights @ prompt.y.numpy(), rtol=0, atol=1e-11 * max(1, 1 / tau))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_batches_outputs_and_precisions(dtype):
    single = random_prompt(6, 3, 4, ridge=0.5, seed=1, batch=(2,))
    several = Prompt(single.phi, torch.stack([single.y, -2 * single.y], dim=-1), single.phi_query, 0.5).to(dtype)
    said = assemble(softmax_smoother(3, 0.7, n_outputs=2), dtype=dtype).predict(several)
    expected = nadaraya_watson(single, ExponentialKernel(0.7))
    torch.testing.assert_close(said.double(), torch.stack([expected, -2 * expected], dim=-1), rtol=0, atol=20 * torch.finfo(dtype).eps)


def test_every_weight_of_the_network_matters_and_the_registers_are_not_read():
    prompt = random_prompt(4, 2, 3, ridge=0.5, seed=2)
    network = assemble(softmax_smoother(2, 0.5))
    said = network.predict(prompt)
    unread = {"W_E": {3, 4, 5, 6, 7}}  # ridge and the flags: embedded for every program, used by others
    for name, weight in network.transformer.named_parameters():
        for index in weight.nonzero().tolist():
            held = weight[tuple(index)].item()
            weight[tuple(index)] = 3 * held
            changed = not torch.allclose(network.predict(prompt), said, rtol=1e-9)
            weight[tuple(index)] = held
            assert changed == (index[0] not in unread.get(name, set())), (name, index)
    (heads,) = network.transformer.blocks[0].attention
    assert heads.config.hidden_keys == (0, 1)


@pytest.mark.parametrize("tau", [0.0, -1.0, math.nan])
def test_a_temperature_that_is_not_positive_is_refused(tau):
    with pytest.raises(ValueError, match="expected a positive temperature"):
        softmax_smoother(2, tau)


# ---------------------------------------------------------------- the two regimes


def average(logits: np.ndarray, y: np.ndarray) -> float:
    return float(scipy.special.softmax(logits) @ y)


def first_order(logits: np.ndarray, y: np.ndarray) -> float:
    return float(y.mean() + ((logits - logits.mean()) * y).mean())


def searched(value, n: int, delta: float, seed: int) -> float:
    """The largest |value(logits, y)| that L-BFGS finds over logits in [0, delta] and y in [0, 1]."""
    box = [(0, delta)] * n + [(0, 1)] * n
    start = np.random.default_rng(seed).uniform(size=2 * n) * [high for _, high in box]
    found = minimize(lambda flat: -abs(value(flat[:n], flat[n:])), start, method="L-BFGS-B", bounds=box, options={"maxiter": 200})
    return float(-found.fun)


@certifies("thm-flat-logits", mutant="tanh(delta / 5), and n / cosh^2(delta / 3) effective supports")
@given(seed=seeds, n=st.integers(1, 9), delta=st.floats(0, 12))
def test_flat_logits_stay_near_the_mean(seed, n, delta):
    rng = np.random.default_rng(seed)
    logits, y = rng.uniform(0, delta, n) + rng.normal(), 3 * rng.uniform(size=n) - 1
    assert abs(average(logits, y) - y.mean()) <= flat_logits_bound(delta) * np.ptp(y) + FLOOR
    assert effective_supports(torch.from_numpy(logits).softmax(-1)) >= n / math.cosh(delta / 2) ** 2 - FLOOR


def test_flat_logits_bounds_are_attained_and_no_search_passes_them():
    for n in (2, 5, 9):  # one support of n, at the length that makes 1 / (1 + e^(delta / 2)) = 1 / n
        delta = 2 * math.log(n - 1) if n > 2 else 1e-9
        logits, y = np.zeros(n), np.zeros(n)
        logits[0], y[0] = delta, 1
        assert abs(average(logits, y) - 1 / n - flat_logits_bound(delta)) < FLOOR
        if n > 2:
            assert average(logits, y) - 1 / n > math.tanh(delta / 5)  # mutant
    weights = torch.tensor([4.0, 1.0, 1.0, 1.0, 1.0]).double()  # share 1 / (1 + rho) of weights rho = 4 = e^delta
    assert abs(effective_supports(weights / 8) - 5 / math.cosh(math.log(4) / 2) ** 2) < FLOOR
    assert effective_supports(weights / 8) < 5 / math.cosh(math.log(4) / 3) ** 2  # mutant
    delta = 2 * math.log(3)
    best = max(searched(lambda logits, y: average(logits, y) - y.mean(), 4, delta, seed) for seed in range(6))
    assert 0.999 < best / flat_logits_bound(delta) <= 1 + FLOOR


@certifies("prop-first-order", mutant="delta^2 / (12 sqrt 3.1)")
@given(seed=seeds, n=st.integers(1, 9), delta=st.floats(0, 6))
def test_a_flat_smoother_is_one_step_of_gradient_descent(seed, n, delta):
    rng = np.random.default_rng(seed)
    logits, y = rng.uniform(0, delta, n) + rng.normal(), 3 * rng.uniform(size=n) - 1
    assert abs(average(logits, y) - first_order(logits, y)) <= first_order_bound(delta) * np.ptp(y) + FLOOR


def test_the_first_order_constant_is_sharp():
    delta, n = 1e-3, 1000
    used = []
    for share in (211, 212):  # near (1 - 1 / sqrt 3) / 2
        logits, y = np.zeros(n), np.zeros(n)
        logits[:share], y[:share] = delta, 1
        used.append(abs(average(logits, y) - first_order(logits, y)) / delta**2)
    assert 0.999 < max(used) * 12 * math.sqrt(3) <= 1.001
    assert max(used) > 1 / (12 * math.sqrt(3.1))  # mutant
    best = max(searched(lambda logits, y: average(logits, y) - first_order(logits, y), 5, 1.0, seed) for seed in range(6))
    assert 0.8 < best / first_order_bound(1.0) <= 1 + FLOOR


@certifies("prop-first-order", mutant="without centring the features")
@given(seed=seeds)
def test_the_first_order_is_the_gradient_step_at_the_query(seed):
    prompt, tau = random_prompt(6, 3, 2, ridge=0.5, seed=seed), 1e4
    centred = prompt.phi - prompt.phi.mean(0)
    g = centred.T @ (prompt.y - prompt.y.mean()) / (6 * tau)
    smoothed = nadaraya_watson(prompt, ExponentialKernel(tau))
    logits = ExponentialKernel(tau).logits(prompt.phi_query, prompt.phi)
    delta = (logits.max(-1).values - logits.min(-1).values).max().item()
    size = first_order_bound(delta) * (prompt.y.max() - prompt.y.min()) + FLOOR
    assert ((smoothed - prompt.y.mean() - prompt.phi_query @ g).abs() <= size).all()
    uncentred = prompt.phi.T @ prompt.y / (6 * tau)  # mutant
    assert ((smoothed - prompt.y.mean() - prompt.phi_query @ uncentred).abs() > size).any()


@certifies("prop-leading-logit", mutant="(n - 2) others instead of n - 1")
@given(seed=seeds, n=st.integers(2, 9), gap=st.floats(0, 20))
def test_a_leading_logit_copies_its_target(seed, n, gap):
    rng = np.random.default_rng(seed)
    logits, y = -gap - rng.exponential(size=n), 3 * rng.uniform(size=n) - 1
    logits[0] = 0
    assert abs(average(logits, y) - y[0]) <= leading_logit_bound(gap, n) * np.ptp(y) + FLOOR
    assert effective_supports(torch.from_numpy(logits).softmax(-1)) <= (1 + (n - 1) * math.exp(-gap)) ** 2 + FLOOR
    logits[1:], y[:] = -gap, 1  # attained
    y[0] = 0
    assert abs(average(logits, y) - leading_logit_bound(gap, n)) < FLOOR
    if gap < 15:
        assert average(logits, y) > leading_logit_bound(gap, n - 1) * (1 + 1e-9)  # mutant


def test_a_gap_of_any_size_is_bounded_without_overflow():
    assert leading_logit_bound(1e4, 10) == 0.0
    assert leading_logit_bound(0.0, 1) == 0.0


# ---------------------------------------------------------------- effective supports


@certifies("prop-effective-supports", mutant="n / n_eff - 2, noise divided by n, and 1 - 2 / n_eff")
@given(seed=seeds, n=st.integers(2, 9), sharpness=st.floats(0, 10))
def test_effective_supports_say_how_far_from_the_mean_and_from_one_target(seed, n, sharpness):
    rng = np.random.default_rng(seed)
    weights = torch.from_numpy(scipy.special.softmax(sharpness * rng.normal(size=n)))
    y = torch.from_numpy(rng.normal(size=n))
    n_eff = effective_supports(weights)
    excess = (n / n_eff - 1).clamp(min=0).sqrt()
    f, spread = weights @ y, y.std(correction=0)
    assert (f - y.mean()).abs() <= spread * excess + FLOOR
    assert (f - y[weights.argmax()]).abs() <= (1 - 1 / n_eff) * (y.max() - y.min()) + FLOOR
    aligned = weights - 1 / n  # attained by targets along the weights
    assert abs(weights @ aligned - aligned.std(correction=0) * excess) < FLOOR


def test_label_noise_passes_as_one_over_the_effective_supports_exactly():
    weights = [Fraction(1, 2), Fraction(1, 3), Fraction(1, 6)]
    n_eff = 1 / sum(s * s for s in weights)
    signs = [(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]  # independent noise of variance one, all of it
    mean_square = sum(sum(s * e for s, e in zip(weights, sign)) ** 2 for sign in signs) / Fraction(len(signs))
    assert mean_square == 1 / n_eff
    assert mean_square != Fraction(1, 3)  # mutant: noise divided by n
    one_hot, y = torch.tensor([0.8, 0.2]).double(), torch.tensor([0.0, 1.0]).double()
    n_eff = effective_supports(one_hot)
    assert one_hot @ y > (1 - 2 / n_eff) * 1  # mutant
    assert (one_hot @ torch.tensor([1.0, -1.0]).double()) > ((2 / n_eff - 2).clamp(min=0)).sqrt()  # mutant: n / n_eff - 2


@pytest.mark.parametrize(("p", "tau"), [(2, 0.3), (3, 0.5), (8, 0.4), (30, 0.2)])
def test_many_supports_on_the_sphere_have_the_share_of_the_law_of_large_numbers(p, tau):
    x = np.random.default_rng(p).standard_normal((400_000, p))
    u = x[:, 0] / np.linalg.norm(x, axis=1)
    n_eff = effective_supports(torch.from_numpy(u / tau).softmax(-1)).item()
    assert n_eff / len(u) == pytest.approx(share_on_sphere(p, tau), rel=0.03)


# ---------------------------------------------------------------- what an error hides


@certifies("prop-hidden-order", mutant="one factor 1 + eps instead of two, and spread predictions that may hide as much as flat ones")
@given(seed=seeds, q=st.integers(3, 12), scale=st.floats(0, 3))
def test_an_error_implies_a_correlation(seed, q, scale):
    rng = np.random.default_rng(seed)
    t = rng.normal(size=q)
    f = scale * t + rng.normal(size=q) * rng.exponential() + rng.normal()
    variance, error2 = t.var(), ((f - t) ** 2).mean()
    r = np.corrcoef(f, t)[0, 1]
    assert error2 >= variance * (1 - max(r, 0) ** 2) - FLOOR
    for r_squared in (0.0, 0.5, 0.9):  # a reference of any quality
        ratio = math.sqrt(error2 / (variance * (1 - r_squared)))
        assert r >= hidden_order_bound(r_squared, ratio - 1) - 1e-6 or error2 >= variance * (1 - 1e-12)
        assert r >= (f.var() + variance - error2) / (2 * f.std() * math.sqrt(variance)) - FLOOR


def test_the_bound_on_the_correlation_is_attained_by_search_and_flat_predictions_hide_all():
    t = np.random.default_rng(0).normal(size=6)
    r_squared, tolerance = 0.6, 0.2
    allowed = (1 + tolerance) ** 2 * (1 - r_squared) * t.var()

    def lowest(flat: np.ndarray) -> float:
        return float(np.corrcoef(flat, t)[0, 1])

    constraint = {"type": "ineq", "fun": lambda flat: allowed - ((flat - t) ** 2).mean()}
    starts = (np.random.default_rng(seed).normal(size=6) * 0.1 + t for seed in range(3))
    found = min(minimize(lowest, start, method="SLSQP", constraints=constraint, options={"maxiter": 500}).fun for start in starts)
    bound = hidden_order_bound(r_squared, tolerance)
    assert bound - 1e-6 <= found <= bound * 1.001
    assert found < math.sqrt(1 - (1 + tolerance) * (1 - r_squared))  # mutant: one factor
    assert hidden_order_bound(hiding_threshold(0.1), 0.1) == pytest.approx(0, abs=1e-7)
    # as spread as the targets: at eps = 0.1 no correlation below 0.39, though a flat prediction may have any
    assert 1 - (1 + TOLERANCE) ** 2 / 2 > 0.39 > hidden_order_bound(0.0, TOLERANCE)  # mutant


@certifies("prop-one-step-order", mutant="sqrt(kappa) / (kappa + 1), half of it; and the bound of another kappa")
@given(seed=seeds, p=st.integers(1, 6), log_kappa=st.floats(0, 4))
def test_one_step_keeps_part_of_the_order(seed, p, log_kappa):
    rng = np.random.default_rng(seed)
    eigenvalues = 10 ** (log_kappa * np.r_[0.0, rng.uniform(size=p - 1)])
    kappa = eigenvalues.max() / eigenvalues.min()
    w = rng.normal(size=p)
    assert correlation(eigenvalues, w) >= one_step_order_bound(kappa) - FLOOR


def correlation(eigenvalues: np.ndarray, w: np.ndarray) -> float:
    return float((w**2 @ eigenvalues**2) / math.sqrt((w**2 @ eigenvalues) * (w**2 @ eigenvalues**3)))


def test_one_step_order_is_attained_and_found_by_search():
    kappa = 50.0
    eigenvalues = np.geomspace(1, kappa, 5)
    best = np.zeros(5)
    best[[0, -1]] = (kappa**0.5 / 1, 1 / kappa**0.5)  # w = Sigma^-1/2 u, u = sqrt(b) e_a + sqrt(a) e_b
    assert abs(correlation(eigenvalues, best) / one_step_order_bound(kappa) - 1) < FLOOR
    found = [minimize(lambda w: correlation(eigenvalues, np.exp(w)), np.random.default_rng(seed).normal(size=5), method="L-BFGS-B").fun for seed in range(4)]
    assert 1 - FLOOR <= min(found) / one_step_order_bound(kappa) < 1.001
    assert one_step_order_bound(2 * kappa) < min(found) * 0.8  # mutant: of another kappa it is no equality
    assert min(found) > 1.9 * kappa**0.5 / (kappa + 1)  # mutant: half of it is not attained


# ---------------------------------------------------------------- leave one out


@given(seed=seeds, k=st.integers(2, 6))
def test_left_out_predictions_are_those_of_scikit_learn_without_the_support(seed, k):
    prompt = random_prompt(k, 2, 1, ridge=0.3, seed=seed)
    system = ridge_system(prompt)
    brute = cross_val_predict(KernelRidge(alpha=0.3), prompt.phi.numpy(), prompt.y.numpy(), cv=LeaveOneOut())
    np.testing.assert_allclose(left_out(system), brute, rtol=1e-8, atol=1e-8)
    smoothed = [nadaraya_watson(without(prompt, i), ExponentialKernel(0.5)).item() for i in range(k)]
    np.testing.assert_allclose(smoother_left_out(prompt, ExponentialKernel(0.5)), smoothed, rtol=1e-10, atol=1e-12)


def without(prompt: Prompt, i: int) -> Prompt:
    keep = [j for j in range(prompt.n_support) if j != i]
    return Prompt(prompt.phi[keep], prompt.y[keep], prompt.phi[i : i + 1], prompt.ridge)


def test_the_tuned_solver_is_the_best_of_all_pairs():
    prompt = random_prompt(9, 2, 4, ridge=1.0, seed=3)
    kernels, parts = [ExponentialKernel(0.5), ExponentialKernel(4.0)], [0.01, 0.1, 1.0]
    tuned = tuned_ridge_regression(prompt, kernels, parts)
    centred = prompt.y - prompt.y.mean()
    errors = {}
    for kernel in kernels:
        K = kernel(prompt.phi, prompt.phi)
        for part in parts:
            system = ridge_system(Prompt(prompt.phi, centred, prompt.phi_query, part * K.diagonal().mean().item()), kernel)
            errors[kernel.tau, part] = (left_out(system) - centred).square().mean().item(), system, torch.linalg.solve(system.A, centred)
    (tau, _), (error, system, alpha) = min(errors.items(), key=lambda item: item[1][0])
    assert tuned.kernel.tau == tau
    assert (tuned.left_out - prompt.y).square().mean().item() == pytest.approx(error, rel=1e-8)
    torch.testing.assert_close(tuned.prediction, prompt.y.mean() + system.predict(alpha), rtol=1e-8, atol=1e-10)


def test_duplicate_supports_and_ridges_of_any_size_are_solved():
    prompt = random_prompt(4, 2, 3, ridge=1.0, seed=4)
    twice = Prompt(torch.cat([prompt.phi, prompt.phi]), torch.cat([prompt.y, prompt.y]), prompt.phi_query, 1.0)
    for part in (1e-12, 1e12):
        tuned = tuned_ridge_regression(twice, [ExponentialKernel(1.0)], [part])
        assert torch.isfinite(tuned.prediction).all() and torch.isfinite(tuned.left_out).all()
    assert tuned.prediction.std() < 1e-6  # a huge ridge leaves the mean


def test_misuse_is_refused_with_what_would_work():
    prompt = random_prompt(5, 2, 4, ridge=1.0, seed=0)
    batch = random_prompt(5, 2, 4, ridge=1.0, seed=0, batch=(2,))
    with pytest.raises(ValueError, match=r"this would work: tuned_ridge_regression"):
        tuned_ridge_regression(batch, [ExponentialKernel(1.0)], [1.0])
    with pytest.raises(ValueError, match=r"overflows on this prompt; scale the features"):
        tuned_ridge_regression(Prompt(100 * prompt.phi, prompt.y, prompt.phi_query, 1.0), [ExponentialKernel(1.0)], [1.0])
    with pytest.raises(ValueError, match=r"for a batch call it for every prompt"):
        diagnose(batch, ExponentialKernel(1.0))
    with pytest.raises(ValueError, match=r"expected at least 2 and 1"):
        smoother_left_out(random_prompt(1, 2, 4, ridge=1.0, seed=0), ExponentialKernel(1.0))
    with pytest.raises(ValueError, match=r"four vectors of one length"):
        score(prompt.y, prompt.y[:3], prompt.y, prompt.y)
    with pytest.raises(ValueError, match=r"sphere_task\(noise=0\)"):
        sphere_task(5, 3, 2, noise=0, seed=0)


# ---------------------------------------------------------------- tasks, scores, diagnoses


@pytest.mark.parametrize("law_tau", [None, 0.3])
def test_the_oracle_of_a_sphere_task_is_a_gaussian_process_of_scikit_learn(law_tau):
    task = sphere_task(30, 20, 3, noise=0.4, seed=5, law_tau=law_tau)
    prompt = task.prompt
    x, x_query = prompt.phi.numpy(), prompt.phi_query.numpy()
    np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1, rtol=1e-12)
    both = np.r_[x, x_query]
    C = both @ both.T if law_tau is None else RBF(law_tau**0.5)(both)
    variance = np.diag(C).mean() - C.mean()
    if law_tau is None:
        expected = KernelRidge(alpha=0.16 * variance).fit(x, prompt.y.numpy()).predict(x_query)
    else:
        process = GaussianProcessRegressor(RBF(law_tau**0.5, "fixed"), alpha=0.16 * variance, optimizer=None)
        expected = process.fit(x, prompt.y.numpy()).predict(x_query)
    np.testing.assert_allclose(task.oracle, expected, rtol=1e-6, atol=1e-8)


def test_a_column_of_a_table_is_told_from_the_others_on_the_sphere():
    table = load_table("wine")
    prompt = column_prompt("wine", 3, 40, 60, seed=7)
    rows = table[np.random.default_rng(7).permutation(178)[:100]]
    scaled = (rows - rows[:40].mean(0)) / rows[:40].std(0)
    np.testing.assert_allclose(np.r_[prompt.y, prompt.y_query], scaled[:, 3], rtol=1e-10, atol=1e-12)
    others = np.delete(scaled, 3, axis=1)
    np.testing.assert_allclose(np.r_[prompt.phi, prompt.phi_query], others / np.linalg.norm(others, axis=1, keepdims=True), rtol=1e-10)
    with pytest.raises(ValueError, match=r"at most 178 rows together, e.g. n_support=80"):
        column_prompt("wine", 0, 100, 79, seed=0)
    with pytest.raises(ValueError, match=r"there are 'wine' and 'diabetes'"):
        load_table("iris")


def test_inputs_function_and_noise_of_a_task_are_drawn_apart():
    quiet, loud = (sphere_task(20, 10, 4, noise=noise, seed=1) for noise in (0.1, 2.0))
    assert torch.equal(quiet.prompt.phi, loud.prompt.phi) and torch.equal(quiet.f_query, loud.f_query)
    errors = [(task.prompt.y_query - task.f_query) / noise for task, noise in ((quiet, 0.1), (loud, 2.0))]
    torch.testing.assert_close(*errors, rtol=1e-10, atol=1e-12)
    flat, leaning = (sphere_task(20, 10, 4, noise=0.1, seed=1, condition=100.0, lean=lean) for lean in (0.0, 2.0))
    assert torch.equal(flat.prompt.phi, leaning.prompt.phi) and not torch.equal(flat.f_query, leaning.f_query)
    one, other = (random_sphere_task(seed) for seed in (3, 4))
    assert one[1] != other[1] and one[0].prompt.phi.shape != other[0].prompt.phi.shape


def test_a_score_is_what_scipy_and_numpy_say():
    rng = np.random.default_rng(0)
    f, g, t, truth = (torch.from_numpy(rng.normal(size=50)) for _ in range(4))
    scored = score(f, g, t, truth)
    assert scored.order == pytest.approx(spearmanr(f, truth).statistic)
    assert scored.correlation == pytest.approx(np.corrcoef(f, t)[0, 1])
    assert scored.slope == pytest.approx(np.polyfit(truth, f, 1)[0])
    assert scored.error_ratio == pytest.approx(float((f - t).norm() / (g - t).norm()))
    assert scored.r_squared == pytest.approx(1 - float((g - t).square().mean()) / t.numpy().var())
    assert rank_correlation(torch.ones(5), t[:5].float()) == 0.0
    assert score(torch.zeros(50).double(), g, t, truth).order == 0.0


def judged(task, kernel):
    return score(nadaraya_watson(task.prompt, kernel), task.oracle, task.prompt.y_query, task.f_query)


def test_flat_logits_are_silent_where_the_function_lives_in_weak_directions_and_harmless_where_in_strong_ones():
    weak, strong = (sphere_task(400, 200, 6, noise=2.5, seed=2, condition=100.0, lean=lean) for lean in (2.0, 0.0))
    kernel = ExponentialKernel(1.0)
    assert judged(weak, kernel).silent and not judged(strong, kernel).lost
    assert diagnose(weak.prompt, kernel).effective_supports == diagnose(strong.prompt, kernel).effective_supports
    scored = judged(weak, kernel)
    assert scored.error_ratio <= 1 + TOLERANCE and scored.order <= scored.reference_order - LOSS
    assert scored.r_squared <= hiding_threshold(TOLERANCE)


def test_a_silent_failure_is_told_from_the_prompt_alone():
    task, tau = random_sphere_task(450)
    kernel = ExponentialKernel(tau)
    assert judged(task, kernel).silent
    told = diagnose(task.prompt, kernel)
    assert told.silent and told.agreement < AGREEMENT == 1 - LOSS
    unseen = Prompt(task.prompt.phi, task.prompt.y, task.prompt.phi_query, task.prompt.ridge)
    assert diagnose(unseen, kernel) == told  # no target of a query is read
    assert diagnose(task.prompt, kernel, reference_solver(task.prompt)) == told


def test_the_diagnosis_does_not_see_the_order_of_the_prompt():
    prompt, kernel = sphere_task(80, 50, 6, noise=0.5, seed=2).prompt, ExponentialKernel(0.3)
    supports, queries = (torch.from_numpy(np.random.default_rng(0).permutation(n)) for n in (prompt.n_support, prompt.n_query))
    shuffled = diagnose(Prompt(prompt.phi[supports], prompt.y[supports], prompt.phi_query[queries], prompt.ridge), kernel)
    for name, value in vars(diagnose(prompt, kernel)).items():
        assert getattr(shuffled, name) == pytest.approx(value, rel=1e-3)  # the eigenvectors of tiny eigenvalues are rounding


def test_effective_supports_lie_between_one_and_all():
    prompt = random_prompt(7, 3, 5, ridge=1.0, seed=0)
    for tau in (1e-3, 1.0, 1e3):
        n_eff = effective_supports(smoother_weights(prompt, ExponentialKernel(tau)))
        assert ((n_eff >= 1 - FLOOR) & (n_eff <= 7 + FLOOR)).all()


# ---------------------------------------------------------------- the stored sweep


def test_the_stored_sweep_is_what_the_code_gives_and_keeps_its_bound():
    swept = load_sweep("silent-failure")
    for batch, i in ((0, 0), (20, 7), (47, 49)):
        task, tau = random_sphere_task(50 * batch + i)
        scored = score(nadaraya_watson(task.prompt, ExponentialKernel(tau)), task.oracle, task.prompt.y_query, task.f_query)
        for name in ("error_ratio", "order", "r_squared", "correlation"):
            assert swept.values(name, batch=batch)[0, i] == pytest.approx(getattr(scored, name), abs=2e-3)
    ratio, r_squared, r = (swept.values(name).ravel() for name in ("error_ratio", "r_squared", "correlation"))
    hidden = np.array([hidden_order_bound(*pair) for pair in zip(r_squared, ratio - 1)])
    assert (r >= hidden - 5e-3)[hidden > 0.1].all()  # results are stored with four digits


# ---------------------------------------------------------------- what the sketch took for rounding


def test_the_exploding_oracle_of_the_sketch_has_right_digits():
    """Exponential-kernel ridge regression off the sphere, in two thousand bits: huge, ill-conditioned, and right in float64."""
    rng = np.random.default_rng(42)
    x = np.linalg.qr(rng.standard_normal((64, 8)))[0] * np.sqrt(np.geomspace(1, 500, 8))
    supports, queries = x[:32], x[32:]
    y = supports @ rng.standard_normal(8)
    logits, asked = supports @ supports.T / 0.5, queries @ supports.T / 0.5
    said = np.exp(asked) @ np.linalg.solve(np.exp(logits) + 0.01 * np.eye(32), y)
    precision, flint.ctx.prec = flint.ctx.prec, 2000
    try:
        A = flint.arb_mat([[flint.arb(logits[i, j]).exp() + (0.01 if i == j else 0) for j in range(32)] for i in range(32)])
        exact = flint.arb_mat([[flint.arb(value).exp() for value in row] for row in asked]) * A.solve(flint.arb_mat([[value] for value in y]))
        exact = np.array([float(exact[i, 0].mid()) for i in range(32)])
    finally:
        flint.ctx.prec = precision
    assert np.abs(exact).max() > 1e9 and np.linalg.cond(np.exp(logits) + 0.01 * np.eye(32)) > 1e16
    np.testing.assert_allclose(said, exact, rtol=1e-4, atol=1e-6 * np.abs(exact).max())
