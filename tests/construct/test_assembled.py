"""The assembled networks against scikit-learn, scipy and the theory of conjugate gradient."""

import numpy as np
import pytest
import scipy.sparse.linalg
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge

import tolerances
from factories import DTYPES, prompt_of, random_prompt
from metarep_lib import (
    ConstructedTransformer,
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    ridge_system,
    solvers,
    synthetic_prompt,
)
from metarep_lib.network import Trace
from metarep_lib.network.tokens import prefix_mask, token_groups, tokenise

CG_NAMES = {"support": ("alpha", "r", "p"), "aggregator": ("rho", "sigma", "rho_next", "gamma", "beta")}


def cg(prompt: Prompt, steps: int) -> ConstructedTransformer:
    return assemble(conjugate_gradient(prompt.n_features, steps), dtype=prompt.phi.dtype)


def best_step_size(prompt: Prompt) -> float:
    eigenvalues = ridge_system(prompt.to(torch.float64)).eigenvalues
    return float(2 / (eigenvalues[..., 0] + eigenvalues[..., -1]).max())


def gd(prompt: Prompt, steps: int) -> ConstructedTransformer:
    return assemble(gradient_descent(prompt.n_features, steps, best_step_size(prompt)), dtype=prompt.phi.dtype)


def kernel_ridge(prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    """alpha and f by scikit-learn, in float64, one system of the batch at a time."""
    exact = prompt.to(torch.float64)
    *batch, k, p = exact.phi.shape
    alpha, f = torch.empty(*batch, k, dtype=torch.float64), torch.empty(*batch, prompt.n_query, dtype=torch.float64)
    for at in np.ndindex(*batch):
        model = KernelRidge(alpha=prompt.ridge).fit(exact.phi[at].numpy(), exact.y[at].numpy())
        alpha[at] = torch.from_numpy(model.dual_coef_)
        if prompt.n_query:
            f[at] = torch.from_numpy(model.predict(exact.phi_query[at].numpy()))
    return alpha, f


def steps_to_converge(prompt: Prompt, limit: int = 200) -> int:
    """When the solver, in the prompt's own dtype, reaches the tolerance for alpha in every system of the batch."""
    system = ridge_system(prompt.to(torch.float64))
    tolerance = tolerances.solution(prompt.phi.dtype, float(system.condition_number.max()))
    history = solvers.conjugate_gradient(ridge_system(prompt), limit).history["alpha"]
    errors = tolerances.relative(history, solvers.cholesky(system).alpha.expand_as(history)).reshape(limit + 1, -1).amax(1)
    return int((errors <= tolerance).nonzero()[0])


def with_target_scales(prompt: Prompt, *scales: float) -> Prompt:
    """A new leading axis: the same features (expanded, so not contiguous), targets times each scale."""
    n, factors = len(scales), torch.tensor(scales, dtype=prompt.y.dtype)
    y = prompt.y * factors.view(n, *[1] * prompt.y.ndim)
    return Prompt(prompt.phi.expand(n, *prompt.phi.shape), y, prompt.phi_query.expand(n, *prompt.phi_query.shape), prompt.ridge)


def assert_solves(trace: Trace, prompt: Prompt) -> None:
    assert trace.all_finite
    kappa = float(ridge_system(prompt.to(torch.float64)).condition_number.max())
    if tolerances.solution(prompt.phi.dtype, kappa) > 0.5:
        return  # single precision at 1e6 has no digit left: that it stays finite is all that can be said
    alpha, f = kernel_ridge(prompt)
    dtype = prompt.phi.dtype
    tolerances.assert_within(tolerances.relative(trace["alpha", "support"][-1], alpha), tolerances.solution(dtype, kappa), "alpha")
    tolerances.assert_within(tolerances.relative(trace.prediction[-1], f), tolerances.prediction(dtype, kappa), "f")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
@pytest.mark.parametrize("feature_scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize(("k", "p"), [(8, 8), (40, 10)])
def test_cg_network_is_kernel_ridge_regression_three_times_past_convergence(dtype, kappa, feature_scale, k, p):
    prompt = prompt_of(kappa, k, p, seed=k, feature_scale=feature_scale, dtype=dtype, n_prompts=3)
    prompt = with_target_scales(prompt, 1e-3, 1.0, 1e3)
    assert_solves(cg(prompt, 3 * steps_to_converge(prompt)).run(prompt), prompt)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("feature_scale", [1e-3, 1.0, 1e3])
def test_gradient_descent_network_is_kernel_ridge_regression(dtype, feature_scale):
    prompt = with_target_scales(prompt_of(10.0, feature_scale=feature_scale, dtype=dtype, n_prompts=3), 1e-3, 1.0, 1e3)
    assert_solves(gd(prompt, 550).run(prompt), prompt)  # (9 / 11)^184 = u: three times past convergence


def orthonormal(k, p):
    return torch.linalg.qr(torch.from_numpy(np.random.default_rng(0).standard_normal((k, p))))[0]


def twice(prompt):
    return Prompt(prompt.phi.repeat(2, 1), torch.cat([prompt.y, -prompt.y / 3]), prompt.phi_query, prompt.ridge)


def of_features(phi, ridge=0.1):
    targets = random_prompt(len(phi), 1, 1, 1.0, seed=5).y
    return Prompt(phi, targets, torch.ones(2, phi.shape[-1], dtype=phi.dtype), ridge)


ODD_PROMPTS = {
    "one support": random_prompt(1, 4, 3, 0.1),
    "one feature": random_prompt(6, 1, 3, 0.1),
    "one of each": random_prompt(1, 1, 1, 0.1),
    "more features than supports": random_prompt(6, 15, 3, 0.1),
    "every support twice": twice(random_prompt(5, 8, 3, 0.5)),
    "orthonormal features": of_features(orthonormal(8, 8)),
    "orthonormal features of a subspace": of_features(orthonormal(9, 4)),
    "all supports the same": of_features(torch.ones(6, 3, dtype=torch.float64)),
    "no signal in the features": of_features(torch.zeros(4, 3, dtype=torch.float64)),
    "tiny ridge": random_prompt(3, 5, 3, 1e-6),
    "huge ridge": random_prompt(8, 4, 3, 1e6),
    "many queries": random_prompt(8, 4, 500, 0.5),
    "no queries": random_prompt(8, 4, 0, 0.5),
    "two batch axes": random_prompt(8, 4, 3, 0.5, batch=(2, 3)),
    "a batch of one": random_prompt(8, 4, 3, 0.5, batch=(1,)),
}


@pytest.mark.parametrize("case", ODD_PROMPTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build", [cg, gd])
def test_odd_prompts_are_solved_without_nan(case, dtype, build):
    prompt = ODD_PROMPTS[case].to(dtype)
    system = ridge_system(prompt.to(torch.float64))
    kappa = float(system.condition_number.max())
    converges = build is cg or kappa <= 10
    steps = 3 * steps_to_converge(prompt) if build is cg else int(60 * kappa) if converges else 60
    trace = build(prompt, steps).run(prompt)
    assert trace.all_finite
    if not converges:
        return  # needs more than 600 blocks: that it stays finite is all that is asked
    alpha, f = kernel_ridge(prompt)
    tolerances.assert_within(tolerances.relative(trace["alpha", "support"][-1], alpha), tolerances.solution(dtype, kappa), "alpha")
    largest = system.K_query.norm(dim=-1) * alpha.norm(dim=-1, keepdim=True)  # f may be small by cancellation
    error = (trace.prediction[-1].double() - f)[largest > 0] / largest[largest > 0]
    tolerances.assert_within(torch.cat([error, torch.zeros(1)]), tolerances.prediction(dtype, kappa), "f")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("program", [conjugate_gradient, gradient_descent])
def test_several_outputs_are_solved_side_by_side(dtype, program):
    one = prompt_of(10.0, dtype=dtype, n_prompts=2)
    several = Prompt(one.phi, torch.stack([one.y, 1e-3 * one.y.flip(-1), one.y.square()], dim=-1), one.phi_query, one.ridge)
    how = (21,) if program is conjugate_gradient else (550, best_step_size(one))
    trace = assemble(program(6, *how, n_outputs=3), dtype=dtype).run(several)
    assert trace.prediction.shape[-1] == trace["alpha", "support"].shape[-1] == 3
    for which in range(3):
        alpha, f = kernel_ridge(several.output(which))
        tolerances.assert_within(tolerances.relative(trace["alpha", "support"][-1, ..., which], alpha), tolerances.solution(dtype, 10.0))
        tolerances.assert_within(tolerances.relative(trace.prediction[-1, ..., which], f), tolerances.prediction(dtype, 10.0))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build", [cg, gd])
def test_zero_targets_leave_every_register_exactly_zero(dtype, build):
    prompt = with_target_scales(prompt_of(10.0, dtype=dtype), 0.0)
    trace = build(prompt, 9).run(prompt)
    start = trace.resid[0]
    assert torch.equal(trace.resid, start.expand_as(trace.resid))
    assert not trace["alpha", "support"].any()


def test_targets_zero_for_one_prompt_of_a_batch_do_not_disturb_the_others():
    prompt = with_target_scales(prompt_of(10.0), 1.0, 0.0, 2.0)
    trace = cg(prompt, 21).run(prompt)
    assert trace.all_finite
    assert not trace.prediction[:, 1].any()
    alone = with_target_scales(prompt_of(10.0), 1.0)
    tolerances.assert_within(tolerances.relative(trace.prediction[-1, 0], kernel_ridge(alone)[1][0]), tolerances.prediction(torch.float64, 10.0))


@pytest.mark.parametrize(("kappa", "k", "p"), [(10.0, 24, 6), (100.0, 8, 8)])
def test_float32_stays_solved_however_deep(kappa, k, p):
    prompt = prompt_of(kappa, k, p, dtype=torch.float32, n_prompts=40)
    assert_solves(cg(prompt, 200).run(prompt), prompt)


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_name_of_the_trace_is_the_solvers_at_early_steps(dtype):
    kappa, t = 10.0, 4
    prompt = prompt_of(kappa, dtype=dtype, n_prompts=5)
    trace, history = cg(prompt, t).run(prompt), solvers.conjugate_gradient(ridge_system(prompt), t).history
    assert set(history) == {name for names in CG_NAMES.values() for name in names}
    for name in CG_NAMES["support"]:
        for step in range(t + 1):
            error = tolerances.relative(trace[name, "support"][step], history[name][step])
            tolerances.assert_within(error, tolerances.early_steps(dtype, kappa, step), f"{name} after step {step}")
    for name in CG_NAMES["aggregator"]:
        for step in range(1, t + 1):
            error = tolerances.relative(trace[name, "aggregator"][step], history[name][step - 1].unsqueeze(-1))
            tolerances.assert_within(error, tolerances.early_steps(dtype, kappa, step), f"{name} of step {step}")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_iterate_of_gradient_descent_is_the_solvers(dtype):
    prompt = prompt_of(10.0, dtype=dtype, n_prompts=5)
    network = gd(prompt, 60)
    trace, history = network.run(prompt), solvers.gradient_descent(ridge_system(prompt), 60, best_step_size(prompt)).history
    for name in ("alpha", "r"):
        error = (trace[name, "support"] - history[name]).norm(dim=-1) / history[name].norm(dim=-1).amax(0)
        tolerances.assert_within(error, tolerances.drift(dtype, 60), name)


def test_scalars_stand_where_the_circuits_say_and_are_exactly_zero_elsewhere():
    prompt = prompt_of(10.0)
    trace = cg(prompt, 5).run(prompt)
    for name in ("rho", "sigma", "rho_next"):
        assert torch.equal(trace[name, "aggregator"], trace[name, "sink"])
        assert trace[name, "aggregator"][1:].all()
        assert not trace[name, "support"].any() and not trace[name, "query"].any()
    for name in ("gamma", "beta"):
        assert torch.equal(trace[name, "support"], trace[name, "aggregator"].expand_as(trace[name, "support"]))
    for name in ("alpha", "r", "p"):
        assert not trace[name, "aggregator"].any() and not trace[name, "sink"].any()
    assert not trace["w", "support"].any()


def textbook_cg(A, y, steps):
    """CG as printed in Hestenes and Stiefel (1952), numpy float64, written for this test."""
    x, r = np.zeros_like(y), y.copy()
    p, xs = r.copy(), [x]
    for _ in range(steps):
        a = r @ r / (p @ A @ p)
        x, r_new = x + a * p, r - a * (A @ p)
        p, r = r_new + (r_new @ r_new) / (r @ r) * p, r_new
        xs.append(x)
    return np.stack(xs)


def scipy_cg(A, y, steps):
    xs = [np.zeros_like(y)]
    scipy.sparse.linalg.cg(A, y, rtol=0.0, atol=0.0, maxiter=steps, callback=lambda x: xs.append(x.copy()))
    return np.stack(xs)


@pytest.mark.parametrize("reference", [textbook_cg, scipy_cg])
@pytest.mark.parametrize(("kappa", "steps", "delay"), [(10.0, 40, 1), (1e2, 80, 3)])  # delay: a twentieth of the way to the floor
def test_the_error_curve_is_that_of_cg_elsewhere(reference, kappa, steps, delay):
    prompt = prompt_of(kappa, 40, 40)
    system = ridge_system(prompt)
    kappa, star = float(system.condition_number), solvers.cholesky(system).alpha
    ours = cg(prompt, steps).run(prompt)["alpha", "support"]
    theirs = torch.from_numpy(reference(system.A.numpy(), prompt.y.numpy(), steps))
    for t in range(5):
        tolerances.assert_within(tolerances.relative(ours[t], theirs[t]), tolerances.early_steps(torch.float64, kappa, t), f"alpha_{t}")
    our_curve, their_curve = (system.norm(x - star) / system.norm(star) for x in (ours, theirs))
    floor = tolerances.floor(torch.float64, kappa)
    assert our_curve[-1] < floor < our_curve[10]  # the whole curve is seen
    # iterates drift apart, curves do not: neither is more than `delay` steps behind the other
    for one, other in ((our_curve, their_curve), (their_curve, our_curve)):
        tolerances.assert_within((one[delay:] - other[:-delay]).clamp(min=0), floor, f"curve, {delay} steps behind")
    tolerances.assert_within((our_curve[1:] - our_curve[:-1]).clamp(min=0), floor, "rise of the A-norm")


@pytest.mark.parametrize("dtype", DTYPES)
def test_residuals_are_orthogonal_and_directions_conjugate(dtype):
    prompt = prompt_of(10.0, 40, 10, dtype=dtype)
    trace, system = cg(prompt, 4).run(prompt), ridge_system(prompt)
    r, p = trace["r", "support"], trace["p", "support"]
    for vectors, applied in ((r, r), (p, system.matvec(p))):
        gram = vectors @ applied.T
        cosines = (gram / (gram.diag().outer(gram.diag())).sqrt()).tril(-1)
        for t in range(1, 5):
            tolerances.assert_within(cosines[t, :t], tolerances.orthogonality(dtype, 10.0, t), f"step {t}")


@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_m_distinct_eigenvalues_take_exactly_m_steps(m):
    spectrum = np.repeat(np.linspace(1.0, 4.0, m), 12)[: 12 * m : m][:12]
    assert len(np.unique(spectrum)) == m
    prompt = synthetic_prompt(spectrum, 12, 3, 0.5, seed=0)  # as many features as supports: K has no other eigenvalue
    trace, (alpha, f) = cg(prompt, m).run(prompt), kernel_ridge(prompt)
    errors = tolerances.relative(trace["alpha", "support"], alpha.expand(m + 1, -1))
    assert errors[m - 1] > 1e-3
    tolerances.assert_within(errors[m], tolerances.early_steps(torch.float64, 4.5 / 1.5, m))
    tolerances.assert_within(tolerances.relative(trace.prediction[m], f), tolerances.early_steps(torch.float64, 4.5 / 1.5, m))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("build", [cg, gd])
def test_the_stream_keeps_its_dtype_in_every_block(dtype, build):
    prompt = prompt_of(10.0, dtype=dtype)
    network = build(prompt, 3)
    stream = list(network.transformer.stream(tokenise(prompt), prefix_mask(prompt)))
    assert [x.dtype for x in stream] == [dtype] * (1 + len(network.program.layers))
    assert network.predict(prompt).dtype == network.run(prompt).answers.dtype == dtype


@pytest.mark.parametrize("build", [cg, gd])
def test_the_trace_reads_the_pass_it_was_made_by(build):
    prompt = prompt_of(10.0, n_prompts=2)
    network = build(prompt, 4)
    trace = network.run(prompt)
    assert trace.n_steps == 4
    assert torch.equal(trace.prediction[-1], network.predict(prompt))
    assert torch.equal(trace.prediction, -trace["r", "query"])
    assert trace["phi", "query"].shape == (5, 2, 5, 6)
    assert len(trace.after_blocks("r", "support")) == 1 + len(network.program.layers)
    with pytest.raises(KeyError, match=r"no 'z'; it has phi, ridge.*try trace\['alpha', 'support'\]"):
        trace["z", "support"]
    with pytest.raises(KeyError, match="no 'supports'; it has aggregator, sink, support, query"):
        trace["alpha", "supports"]


@pytest.mark.parametrize("build", [cg, gd])
def test_permuting_supports_permutes_alpha_and_leaves_f(build):
    prompt, steps = prompt_of(10.0), 4
    order = torch.from_numpy(np.random.default_rng(0).permutation(prompt.n_support))
    permuted = Prompt(prompt.phi[order], prompt.y[order], prompt.phi_query, prompt.ridge)
    one, other = build(prompt, steps).run(prompt), build(prompt, steps).run(permuted)
    tolerance = tolerances.early_steps(torch.float64, 10.0, steps)
    tolerances.assert_within(tolerances.relative(other["alpha", "support"], one["alpha", "support"][:, order]), tolerance)
    tolerances.assert_within(tolerances.relative(other.prediction, one.prediction), tolerance)


@settings(max_examples=15)
@given(st.integers(-30, 30), st.sampled_from([cg, gd]), st.integers(0, 5))
def test_targets_times_a_power_of_two_scale_every_iterate_bit_for_bit(exponent, build, seed):
    prompt = prompt_of(10.0, seed=seed)
    one, scaled = (build(prompt, 4).run(made) for made in (prompt, with_target_scales(prompt, 2.0**exponent)))
    for name in ("alpha", "r"):
        assert torch.equal(scaled[name, "support"][:, 0], 2.0**exponent * one[name, "support"])
    assert torch.equal(scaled.prediction[:, 0], 2.0**exponent * one.prediction)


@settings(max_examples=15)
@given(st.floats(1e-3, 1e3), st.integers(0, 5))
def test_features_times_c_and_ridge_times_c_squared_divide_alpha_by_c_squared(c, seed):
    prompt = prompt_of(10.0, seed=seed)
    scaled_prompt = Prompt(c * prompt.phi, prompt.y, c * prompt.phi_query, c**2 * prompt.ridge)
    one, scaled = (cg(prompt, 4).run(made) for made in (prompt, scaled_prompt))
    tolerance = tolerances.early_steps(torch.float64, 10.0, 4)
    tolerances.assert_within(tolerances.relative(c**2 * scaled["alpha", "support"], one["alpha", "support"]), tolerance)
    tolerances.assert_within(tolerances.relative(scaled.prediction, one.prediction), tolerance)


@settings(max_examples=15)
@given(st.integers(0, 4), st.floats(1e-3, 1e6), st.sampled_from([cg, gd]), st.sampled_from(DTYPES))
def test_a_query_touches_nothing_but_itself(which, size, build, dtype):
    prompt = prompt_of(10.0, dtype=dtype, n_prompts=2)
    phi_query = prompt.phi_query.clone()
    phi_query[:, which] += size
    network, changed = build(prompt, 5), Prompt(prompt.phi, prompt.y, phi_query, prompt.ridge)
    before, after = network.run(prompt).resid, network.run(changed).resid
    token = token_groups(prompt)["query"].start + which
    others = [i for i in range(before.shape[-2]) if i != token]
    assert torch.equal(after[..., others, :], before[..., others, :])
    assert (after[..., token, network.basis["r"]][1:] != before[..., token, network.basis["r"]][1:])[-1].all()


@pytest.mark.parametrize("build", [cg, gd])
def test_no_gradient_reaches_a_querys_tokens_from_elsewhere(build):
    prompt = prompt_of(10.0)
    network, tokens, queries = build(prompt, 4), tokenise(prompt).requires_grad_(), token_groups(prompt)["query"]
    resid = torch.stack(list(network.transformer.stream(tokens, prefix_mask(prompt))))
    weights = torch.randn(resid.shape, generator=torch.Generator().manual_seed(0), dtype=resid.dtype)
    (from_others,) = torch.autograd.grad((weights * resid)[:, : queries.start].sum(), tokens, retain_graph=True)
    assert not from_others[queries].any()
    assert from_others[: queries.start].any()
    (from_one,) = torch.autograd.grad((weights * resid)[:, queries.start].sum(), tokens)
    assert not from_one[queries][1:].any()
    assert from_one[queries][0].any()


def test_the_targets_of_queries_are_never_read():
    prompt = prompt_of(10.0)
    told = Prompt(prompt.phi, prompt.y, prompt.phi_query, prompt.ridge, y_query=torch.full((5,), 1e9, dtype=torch.float64))
    assert torch.equal(tokenise(told), tokenise(prompt))
    assert torch.equal(cg(prompt, 4).run(told).resid, cg(prompt, 4).run(prompt).resid)


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_weights_through_the_same_class_give_garbage(seed):
    prompt = prompt_of(10.0)
    network, (_, f) = cg(prompt, 8), kernel_ridge(prompt)
    assert tolerances.relative(network.predict(prompt), f) < 1e-9
    generator = torch.Generator().manual_seed(seed)
    for weight in network.transformer.parameters():
        weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))
    assert not tolerances.relative(network.predict(prompt), f) < 0.5  # NaN is garbage too


def test_features_or_outputs_of_another_number_are_refused_with_what_would_work():
    network, prompt = assemble(conjugate_gradient(4, 2)), prompt_of(10.0)
    two_outputs = Prompt(torch.ones(3, 4).double(), torch.ones(3, 2).double(), torch.ones(1, 4).double(), 0.5)
    for ask in network.predict, network.run:
        with pytest.raises(ValueError, match=r"it reads n_features=4, the prompt has 6; .*assemble\(conjugate_gradient\(n_features=6, .*\)\)"):
            ask(prompt)
        with pytest.raises(ValueError, match=r"it reads n_outputs=1, the prompt has 2; .*assemble\(conjugate_gradient\(.*n_outputs=2\)\)"):
            ask(two_outputs)


def test_a_prompt_of_another_dtype_is_refused():
    with pytest.raises(ValueError, match=r"the weights are torch.float64: use prompt.to\(torch.float64\)"):
        assemble(conjugate_gradient(6, 2)).predict(prompt_of(10.0, dtype=torch.float32))


@pytest.mark.parametrize(("n_features", "steps"), [(0, 3), (3, 0), (-1, 3), (0, 0)])
def test_no_features_or_no_steps_are_refused(n_features, steps):
    shown = rf"(n_features is {n_features}, expected a whole number >= 1, e.g. 3|got n_features={n_features}, .* steps, n_outputs=1; this would work)"
    with pytest.raises(ValueError, match=rf"(?s)conjugate_gradient.*{shown}"):
        conjugate_gradient(n_features, steps)
    with pytest.raises(ValueError, match=rf"(?s)gradient_descent.*{shown}"):
        gradient_descent(n_features, steps, 0.1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_gpu_solves_it_too(dtype):
    prompt = prompt_of(1e2, dtype=dtype, n_prompts=3)
    network = assemble(conjugate_gradient(prompt.n_features, 3 * steps_to_converge(prompt)), dtype=dtype, device="cuda")
    f = network.predict(prompt.to("cuda"))
    assert f.is_cuda
    tolerances.assert_within(tolerances.relative(f.cpu(), kernel_ridge(prompt)[1]), tolerances.prediction(dtype, 1e2))
