"""Predictors and networks whose products are a stencil's."""

import copy
from dataclasses import replace
from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

import tolerances
from certificates import certifies
from factories import DTYPES, prompt_of, random_prompt
from metarep_lib import (
    Program,
    Prompt,
    RidgeSystem,
    assemble,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    newton_schulz,
    ridge_system,
    solvers,
)
from metarep_lib.certify import certify_end_to_end
from metarep_lib.certify.recurrences.dual import (
    all_to_all_recurrence,
    conjugate_gradient_recurrence,
)
from metarep_lib.construct import ConstructedTransformer
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.construct.transforms import (
    all_to_all,
    central_difference,
    on_polynomial_features,
    with_softmax_products,
)
from metarep_lib.network import TransformerConfig
from metarep_lib.numerics.kernels.stencil import (
    StencilKernel,
    rounding_gain,
    stencil_coefficients,
    stencil_error,
)
from sizes import size
from sums_of_softmax import gram, psi

seeds = st.integers(0, 10**6)


@pytest.fixture(autouse=True)
def fifty_digits():
    with mpmath.workdps(50):
        yield


# ---------------------------------------------------------------- the predictor


def problem(seed: int, pairs: int, spacing: float, log_ridge: float, n: int = 6, p: int = 3):
    rng = np.random.default_rng(seed)
    phi, query = gram(seed, n, p), gram(seed + 1, 2, p)
    prompt = Prompt(phi, torch.from_numpy(rng.standard_normal(n)), query, 10.0**log_ridge)
    linear, made = ridge_system(prompt), ridge_system(prompt, StencilKernel(pairs, spacing))
    e = stencil_error(pairs, spacing) * torch.linalg.matrix_norm(linear.A - prompt.ridge * torch.eye(n, dtype=torch.float64), 2).item()
    return prompt, linear, made, e


@certifies("thm-stencil-predictor")
@given(seeds, st.sampled_from((1, 2, 3)), st.floats(0.1, 1.0), st.floats(-2, 1))
@settings(max_examples=40)
def test_the_predictor_is_as_close_as_stated_after_every_step(seed, pairs, spacing, log_ridge):
    prompt, linear, made, e = problem(seed, pairs, spacing, log_ridge)
    if pairs % 2 == 0 and e >= prompt.ridge:
        return
    kappa = float(made.condition_number)
    star, solved = solvers.cholesky(linear).alpha, solvers.cholesky(made).alpha
    length, floor = solved.norm(), 100 * 2.0**-52 * kappa * solved.norm()
    moved = (solved - star).norm()
    assert moved <= e / prompt.ridge * length + floor
    if pairs % 2:
        assert moved <= e / (prompt.ridge * (prompt.ridge + e)) * prompt.y.norm() + floor
    step_size = 1 / max(float(linear.eigenvalues[-1]), float(made.eigenvalues[-1]))
    t = torch.arange(101)
    paths = [solvers.gradient_descent(system, 100, step_size).history["alpha"] for system in (made, linear)]
    norm = e / stencil_error(pairs, spacing)
    assert ((paths[0] - paths[1]).norm(dim=-1) <= e / norm * t.clamp(max=norm / prompt.ridge) * length + floor).all()
    said = (made.predict(paths[0]) - linear.predict(paths[1])).abs()
    k = linear.K_query.norm(dim=-1)
    assert (said <= e / norm * (1 + t.clamp(max=norm / prompt.ridge)[:, None]) * k * length + floor * (1 + k)).all()
    root = kappa**0.5
    cg = solvers.conjugate_gradient(made, 30).history["alpha"]
    rate = 2 * root * ((root - 1) / (root + 1)) ** torch.arange(31)
    assert ((cg - star).norm(dim=-1) <= (rate + e / prompt.ridge) * length + floor).all()
    gap = (made.predict(solved) - linear.predict(star)).abs()
    assert (gap <= e / norm * (1 + norm / prompt.ridge) * k * length + floor * (1 + k)).all()


def stated_bounds(E, norm, ridge, k, kappa, t, one=1, rate=2) -> dict[str, float]:
    """Of every part, over ||alpha^||; `one` and `rate` are the numbers that stand in it."""
    steps = min(t, norm / ridge)
    cg = rate * kappa**0.5 * ((kappa**0.5 - 1) / (kappa**0.5 + 1)) ** t + E * norm / ridge
    return {"solution": E * norm / ridge, "descent": E * steps, "said": E * (one + steps) * k, "cg": cg, "f": E * (one + norm / ridge) * k}


@certifies(
    "thm-stencil-predictor",
    statement=stated_bounds,
    mutants={
        "one hundredth smaller": lambda *given: {name: 0.99 * bound for name, bound in stated_bounds(*given).items()},
        "predictions without the one": partial(stated_bounds, one=0),
        "conjugate gradient without its rate": partial(stated_bounds, rate=0),
    },
)
@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_equal_supports_and_a_large_ridge_attain_the_bounds_on_the_predictor(statement, pairs):
    n, spacing = 4, 0.5
    prompt = Prompt(torch.ones(n, 1).double(), torch.ones(n).double(), torch.ones(1, 1).double(), 1e4)
    linear, made = ridge_system(prompt), ridge_system(prompt, StencilKernel(pairs, spacing))
    star, solved = solvers.cholesky(linear).alpha, solvers.cholesky(made).alpha
    step_size = 1 / max(float(linear.eigenvalues[-1]), float(made.eigenvalues[-1]))
    ours, theirs = (solvers.gradient_descent(system, 5, step_size).history["alpha"] for system in (made, linear))
    cg = solvers.conjugate_gradient(made, 5).history["alpha"]
    for t in range(6):
        bounds = statement(stencil_error(pairs, spacing), float(n), prompt.ridge, n**0.5, float(made.condition_number), t)
        off = {
            "solution": (solved - star).norm(),
            "descent": (ours[t] - theirs[t]).norm(),
            "said": (made.predict(ours[t]) - linear.predict(theirs[t])).abs().max(),
            "cg": (cg[t] - star).norm(),
            "f": (made.predict(solved) - linear.predict(star)).abs().max(),
        }
        assert all(off[name] <= bounds[name] * solved.norm() for name in bounds)
        assert t < 2 or all(off[name] > 0.998 * bounds[name] * solved.norm() for name in bounds if name != "cg")


@certifies("thm-stencil-predictor", statement=(1, 3, 5), mutants={"an even J": (2, 4)})
def test_the_sharper_bound_on_the_solution_is_attained_by_odd_j_and_passed_by_even_j(statement):
    """Equal supports and equal targets, a spacing so wide that an even stencil's kernel is negative, a ridge that is still larger."""
    for pairs in statement:
        e = 4 * stencil_error(pairs, 3.5)
        prompt = Prompt(torch.ones(4, 1).double(), torch.ones(4).double(), torch.ones(1, 1).double(), 100 * e)
        systems = ridge_system(prompt), ridge_system(prompt, StencilKernel(pairs, 3.5))
        star, solved = (solvers.cholesky(system).alpha for system in systems)
        share = (solved - star).norm() * prompt.ridge * (prompt.ridge + e) / (e * prompt.y.norm())
        assert share <= 1
        assert share > 0.97


@certifies(
    "thm-stencil-predictor",
    statement=lambda system, steps, step_size: solvers.gradient_descent(system, steps, step_size),
    mutants={"the same for conjugate gradient": lambda system, steps, step_size: solvers.conjugate_gradient(system, steps)},
)
def test_an_error_that_grows_with_the_number_of_steps_alone_is_gradient_descents(statement):
    """One feature, many supports: K has rank one and y is the part of phi^3 off phi."""
    phi = torch.cat([torch.ones(1), torch.full((400,), 0.05)]).double()[:, None]
    y = (phi**3)[:, 0]
    y = y - phi[:, 0] * (phi[:, 0] @ y) / (phi[:, 0] @ phi[:, 0])
    prompt, spacing = Prompt(phi, y, phi[:1], 1e-6), 1e-2
    linear, made = ridge_system(prompt), ridge_system(prompt, StencilKernel(1, spacing))
    ours, theirs = (statement(system, 50, 1 / float(made.eigenvalues[-1])).history["alpha"] for system in (made, linear))
    E, solved = stencil_error(1, spacing), solvers.cholesky(made).alpha.norm()
    assert ((ours - theirs).norm(dim=-1) <= E * torch.arange(51) * solved).all()


@certifies(
    "prop-not-additive",
    statement=lambda ridge: mpmath.mpf(3) / 8 * (12 - ridge) / (ridge * (5 + ridge)),
    mutants={
        "plus lambda in the place of minus lambda": lambda ridge: mpmath.mpf(3) / 8 * (12 + ridge) / (ridge * (5 + ridge)),
        "without lambda beside the five": lambda ridge: mpmath.mpf(3) / 8 * (12 - ridge) / (ridge * 5),
    },
)
@pytest.mark.parametrize("ridge", ["1", "1e-2", "1e-5"])
def test_two_supports_refute_an_additive_error(statement, ridge):
    ridge, eps = mpmath.mpf(ridge), mpmath.mpf("1e-12")
    k = [[psi(1, eps * a * b) / eps for b in (1, 2)] for a in (1, 2)]
    A = mpmath.matrix([[k[0][0] + ridge, k[0][1]], [k[1][0], k[1][1] + ridge]])
    alpha = mpmath.lu_solve(A, mpmath.matrix([2, -1]))
    f = k[0][0] * alpha[0] + k[0][1] * alpha[1]
    E, limit = psi(1, 4 * eps) / (4 * eps) - 1, statement(ridge)
    assert abs(f / E / limit - 1) < 1e-15
    prompt = Prompt(torch.tensor([[1.0], [2.0]]).double(), torch.tensor([2.0, -1.0]).double(), torch.ones(1, 1).double(), float(ridge))
    program = conjugate_gradient(1, 2)
    assert abs(assemble(program).predict(prompt).item()) < 1e-9  # the linear network says 0
    spacing = 2.0**-5 * float(ridge) ** 0.5  # E kappa is about one hundredth
    after_two = assemble(with_softmax_products(program, central_difference(1, spacing))).predict(prompt).item() / stencil_error(1, 4 * spacing)
    assert abs(after_two / float(limit) - 1) < 0.05


# ---------------------------------------------------------------- the networks


def library_answer(prompt: Prompt, pairs: int, spacing: float) -> np.ndarray:
    """scikit-learn, with the kernel matrix formed by numpy."""

    def kernel(a, b):
        return sum(2 * float(c) * np.sinh(j * spacing * (a @ b.T)) for j, c in enumerate(stencil_coefficients(pairs), start=1)) / spacing

    phi, query = prompt.phi.double().numpy(), prompt.phi_query.double().numpy()
    model = KernelRidge(alpha=prompt.ridge, kernel="precomputed").fit(kernel(phi, phi), prompt.y.double().numpy())
    return model.predict(kernel(query, phi))


CASES = {
    "plain": prompt_of(30.0, 12, 4, 3, seed=1),
    "one support": random_prompt(1, 3, 2, 0.5),
    "one feature": random_prompt(5, 1, 2, 0.5),
    "more features than supports": random_prompt(4, 7, 2, 0.5),
    "every support twice": Prompt(
        random_prompt(4, 3, 2, 1.0).phi.repeat(2, 1), random_prompt(8, 3, 2, 1.0).y, random_prompt(4, 3, 2, 1.0).phi_query, 1.0
    ),
    "zero targets": replace(random_prompt(5, 3, 2, 0.5), y=torch.zeros(5, dtype=torch.float64)),
    "huge ridge": random_prompt(6, 3, 2, 1e6),
    "tiny ridge": random_prompt(3, 4, 2, 1e-4),
}


@certifies("thm-stencil-network")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("pairs", [1, 2, 3])
def test_conjugate_gradient_is_kernel_ridge_regression_for_the_stencils_kernel(case, pairs):
    prompt, spacing = CASES[case], 2.0**-4
    k, p = prompt.phi.shape
    program = with_softmax_products(conjugate_gradient(p, 3 * k), central_difference(pairs, spacing))
    f = assemble(program).predict(prompt)
    expected = torch.from_numpy(library_answer(prompt, pairs, spacing))
    made = ridge_system(prompt, StencilKernel(pairs, spacing))
    rounding = 64 * 2.0**-53 * rounding_gain(pairs, 1.0) / spacing  # relative, of a product
    size = (made.K_query.norm(dim=-1) * solvers.cholesky(made).alpha.norm()).max()
    assert (f - expected).abs().max() <= rounding * float(made.condition_number) * max(float(size), 1e-300)


def with_totals_of_one(program: Program) -> ConstructedTransformer:
    """What softmax heads give without un-normalising it."""
    network = assemble(program)
    network.transformer.blocks[1].attention[0].W_O.zero_()
    for role in ("is_support", "is_query"):
        network.transformer.W_E[network.program.inputs[role], network.basis["totals"]] = 1.0
    return network


@certifies(
    "thm-stencil-network",
    statement=assemble,
    mutants={
        "one block fewer to prepare": lambda program: assemble(replace(program, layers=program.layers[1:])),
        "totals that are all one": with_totals_of_one,
    },
)
@pytest.mark.parametrize("pairs", [1, 3])
def test_every_step_is_the_solvers(statement, pairs):
    prompt, exponentials = prompt_of(10.0, 12, 4, 3, seed=2, n_prompts=2), central_difference(pairs, 0.125)
    systems = ridge_system(prompt, StencilKernel(pairs, 0.125))
    step_size = 0.9
    low, high = float(systems.eigenvalues.min()) * 0.9, float(systems.eigenvalues.max()) * 1.1
    cases = (
        (gradient_descent(4, 20, step_size), solvers.gradient_descent(systems, 20, step_size)),
        (chebyshev(4, 20, low, high), solvers.chebyshev(systems, 20, low, high)),
        (conjugate_gradient(4, 6), solvers.conjugate_gradient(systems, 6)),
    )
    for program, solution in cases:
        made = with_softmax_products(program, exponentials)
        trace = statement(made).run(prompt)
        alpha = solution.history["alpha"]
        tolerances.assert_within((trace["alpha", "support"] - alpha) / alpha.abs().max(), 1e-11, program.name)
        f = systems.predict(alpha)
        tolerances.assert_within((trace.prediction - f) / f.abs().max(), 1e-11, program.name)
        assert trace["r", "aggregator"].abs().max() == trace["totals", "sink"].abs().max() == 0


def stated_sizes(p: int, J: int, t: int, fewer_blocks: int = 0, fewer_channels: int = 0) -> list[tuple[int, int, int]]:
    """Channels, blocks and blocks that store tensors, of gradient descent and of conjugate gradient."""
    sizes = (p + 7 + 4 * J, t + 2, 3), (p + 17 + 4 * J, 5 * t + 2, 7)
    return [(width - fewer_channels, blocks - fewer_blocks, stored) for width, blocks, stored in sizes]


def heads_of(config: TransformerConfig) -> list[list[tuple[str, int]]]:
    """Kind and number of the heads of every block of the schedule."""
    return [[(heads.kind, heads.n_heads) for heads in config.blocks[at].attention] for at in config.schedule]


@certifies(
    "thm-stencil-network",
    statement=stated_sizes,
    mutants={
        "one channel fewer": partial(stated_sizes, fewer_channels=1),
        "one block fewer to prepare": partial(stated_sizes, fewer_blocks=1),
        "two channels for every pair of heads": lambda p, J, t: stated_sizes(p - 2 * J, J, t),
    },
)
def test_sizes_are_as_stated(statement):
    for p, pairs, t in ((1, 1, 1), (4, 1, 3), (1, 3, 2), (9, 2, 1)):
        plain = gradient_descent(p, t, 0.1), conjugate_gradient(p, t)
        programs = [with_softmax_products(program, central_difference(pairs, 0.5)) for program in plain]
        assert [size(program) for program in programs] == statement(p, pairs, t)
        descent, conjugate = (assemble(program).transformer.config for program in programs)
        softmax, normalised = ([(kind, 2 * pairs)] for kind in ("softmax", "normalised"))
        assert heads_of(descent) == [softmax, normalised, *[softmax] * t]
        assert [softmax[0] in heads for heads in heads_of(conjugate)] == [True, False, *[True, False, False, False, False] * t]
        assert all(kind != "softmax" for heads in heads_of(conjugate) for kind, n in heads if n != 2 * pairs)


@certifies("thm-stencil-network")
def test_every_mutant_of_the_products_is_noticed():
    prompt = random_prompt(4, 2, 2, 0.5, seed=3)
    network = assemble(with_softmax_products(conjugate_gradient(2, 6), central_difference(1, 0.25)))
    expected = torch.from_numpy(library_answer(prompt, 1, 0.25))
    assert (network.predict(prompt) - expected).abs().max() < 1e-9

    def survives(name, at, factor):
        mutant = copy.deepcopy(network.transformer)
        weights = dict(mutant.named_parameters())
        weights[name][at] *= factor
        gap = (ConstructedTransformer(mutant, network.program).predict(prompt) - expected).abs().max()
        return gap < 1e-6

    survivors = set()
    for block in (0, 1, 2):
        for weight in ("W_Q", "W_K", "W_V", "W_O"):
            name = f"blocks.{block}.attention.0.{weight}"
            entries = dict(network.transformer.named_parameters())[name]
            survivors |= {f"tripled {name}{at}" for at in entries.nonzero().tolist() if survives(name, tuple(at), 3)}
            if weight == "W_O":
                survivors |= {f"dropped {name}[{h}]" for h in range(len(entries)) if survives(name, h, 0)}
    one, aggregator = network.basis["one"].start, network.basis["is_aggregator"].start
    inverse = "tripled blocks.1.attention.0"
    known = {f"{inverse}.W_Q[{h}, {one}, 1]" for h in (0, 1)} | {f"{inverse}.W_K[{h}, {aggregator}, 1]" for h in (0, 1)}  # the guard
    known |= {f"{inverse}.W_K[{h}, {aggregator}, 0]" for h in (0, 1)}  # 2^-40 off the total: a relative 2^-39 Z, below what is looked at
    assert survivors == known


def test_softmax_products_run_on_features_made_inside():
    prompt = random_prompt(6, 2, 3, 1.0, seed=4)
    small = replace(prompt, phi=prompt.phi / 2, phi_query=prompt.phi_query / 2)
    inside = with_softmax_products(on_polynomial_features(conjugate_gradient(9, 18), 2), central_difference(1, 0.25))

    def features(x):
        x = torch.cat([torch.ones_like(x[:, :1]), x], dim=-1)
        return (x[:, :, None] * x[:, None, :]).flatten(1)

    outside = replace(small, phi=features(small.phi), phi_query=features(small.phi_query))
    expected = torch.from_numpy(library_answer(outside, 1, 0.25))
    torch.testing.assert_close(assemble(inside).predict(small), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_query_is_read_by_nobody_and_supports_may_be_permuted(dtype):
    prompt = prompt_of(10.0, 9, 3, 3, seed=5, dtype=dtype)
    network = assemble(with_softmax_products(conjugate_gradient(3, 12), central_difference(1, 0.25)), dtype=dtype)
    moved = prompt.phi_query.clone()
    moved[1] += 1.0
    before, after = network.run(prompt).resid, network.run(replace(prompt, phi_query=moved)).resid
    others = [token for token in range(before.shape[-2]) if token != 2 + 9 + 1]
    assert torch.equal(before[:, others], after[:, others]) and not torch.equal(before, after)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    shuffled = replace(prompt, phi=prompt.phi[order], y=prompt.y[order])
    tolerance = 1e3 * torch.finfo(dtype).eps
    torch.testing.assert_close(network.predict(shuffled), network.predict(prompt), rtol=tolerance, atol=tolerance)


def test_programs_that_cannot_be_converted_are_refused():
    pair = central_difference(1, 0.5)
    for program, reason in (
        (two_block_conjugate_gradient(3, 2), "phi in another way"),
        (newton_schulz(3, 2, 0.1), "no product K v"),
        (conjugate_gradient(3, 2, n_outputs=2), "2 outputs"),
    ):
        with pytest.raises(ValueError, match=reason):
            with_softmax_products(program, pair)
    with pytest.raises(ValueError, match="no exponentials"):
        with_softmax_products(conjugate_gradient(3, 2), ())
    for wrong in ((0, 0.5), (1, 0.0), (1, -1.0)):
        with pytest.raises(ValueError, match="spacing"):
            central_difference(*wrong)
        with pytest.raises(ValueError, match="spacing"):
            StencilKernel(*wrong)
    with pytest.raises(ValueError, match="at least one"):
        stencil_coefficients(0)


# ---------------------------------------------------------------- damage, and who talks to whom


@certifies(
    "prop-lost-head",
    statement=lambda ridge: Ridge(alpha=2 * ridge, fit_intercept=True),
    mutants={
        "the ridge once": lambda ridge: Ridge(alpha=ridge, fit_intercept=True),
        "without an intercept": lambda ridge: Ridge(alpha=2 * ridge, fit_intercept=False),
    },
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_lost_head_leaves_an_intercept_and_twice_the_ridge(statement, sign):
    prompt = random_prompt(9, 3, 4, 0.7, seed=6)
    prompt = replace(prompt, y=prompt.y + 2)
    model = statement(prompt.ridge).fit(prompt.phi.numpy(), prompt.y.numpy())
    expected = torch.from_numpy(model.predict(prompt.phi_query.numpy()))
    gaps = []
    for spacing in (2.0**-10, 2.0**-12):
        kernel = RidgeSystem(
            sign * torch.exp(sign * spacing * prompt.phi @ prompt.phi.T) / (2 * spacing) + prompt.ridge * torch.eye(9, dtype=torch.float64),
            prompt.y,
            sign * torch.exp(sign * spacing * prompt.phi_query @ prompt.phi.T) / (2 * spacing),
        )
        f = kernel.predict(torch.linalg.solve(kernel.A, kernel.y))
        gaps.append((f - expected).abs().max().item())
        network = assemble(with_softmax_products(conjugate_gradient(3, 30), ((sign * spacing, sign / (2 * spacing)),)))
        tolerances.assert_within(network.predict(prompt) - f, 1e-6)
    assert gaps[1] < 2e-3 and 3.5 < gaps[0] / gaps[1] < 4.5  # O(eps): a quarter of the spacing, a quarter of the gap


@pytest.mark.parametrize(("k", "n_outputs"), [(1, 1), (4, 1), (3, 2)])
def test_all_to_all_is_conjugate_gradient_exactly(k, n_outputs):
    program = conjugate_gradient(2, 4, n_outputs=n_outputs)
    network = assemble(all_to_all(program))
    weights, config, recurrence = network.transformer.state_dict(), network.transformer.config, all_to_all_recurrence(conjugate_gradient_recurrence())
    certificate = certify_end_to_end(weights, config, network.basis, recurrence, seed=k, n_support=k, n_query=2, terminates=True)
    assert certificate.holds and certificate.log2_error < -400
    assert network.program.width == program.width - 2 * n_outputs and network.program.n_blocks == program.n_blocks
    tokens_that_sum = {query for layer in network.program.layers for write in layer.attention for head in write.terms for query, _ in head.score}
    assert not any(name == "is_sink" for query in tokens_that_sum for name, _ in query.terms)


def test_a_program_without_an_aggregator_is_refused():
    with pytest.raises(ValueError, match="no quotient is read from the registers"):
        all_to_all(gradient_descent(3, 2, 0.1))
