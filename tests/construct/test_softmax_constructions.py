"""The networks with softmax heads, every level: sizes as stated, exact certificates, mutants, floats against scikit-learn."""

import math
import warnings
from dataclasses import replace
from fractions import Fraction
from functools import cache, partial

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from torch import Tensor

import tolerances
from certificates import certifies
from factories import integer_network, integers, random_prompt, unchecked
from metarep_lib import (
    ExponentialKernel,
    Program,
    Prompt,
    Transformer,
    assemble,
    conjugate_gradient,
    ridge_system,
    softmax_conjugate_gradient,
    solvers,
)
from metarep_lib.certify import certify_end_to_end, certify_step
from metarep_lib.certify.degree import Degree
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.certify.recurrences.softmax import (
    pipelined_recurrence,
    richardson_recurrence,
    softmax_conjugate_gradient_recurrence,
)
from metarep_lib.certify.rings import Degrees, Field
from metarep_lib.construct.algorithms import (
    kernel_product,
    pipelined_conjugate_gradient,
    richardson,
    softmax_smoother,
)
from metarep_lib.construct.transforms import on_frozen_stack, on_polynomial_features
from metarep_lib.network import (
    AttentionConfig,
    BlockConfig,
    CausalMask,
    PrefixMask,
    Trace,
    TransformerConfig,
)
from metarep_lib.network.tokens import input_basis, prefix_mask, tokenise
from metarep_lib.numerics.kernels import log_sink_mass, nadaraya_watson
from metarep_lib.warned import SinkUnderflow
from networks import NETWORKS, U, as_built, feature_doubled, target_added
from sizes import size


@pytest.fixture(scope="module", autouse=True)
def without_checks_of_annotations():
    """They would take most of the time; test_route_a runs the same networks with them."""
    with unchecked():
        yield


DTYPES = (torch.float64, torch.float32)

# blocks per step and width, as the chapter states them
CASES = {
    "richardson": (1, 2 + 13),
    "richardson, U": (1, 2 + 13),
    "softmax cg": (3, 2 + 37),
    "softmax cg, U, plain": (3, 2 + 37),
    "softmax cg, jacobi": (3, 2 + 41),
    "pipelined": (2, 2 + 45),
    "pipelined, U, jacobi": (2, 2 + 49),
}
names = pytest.mark.parametrize("name", CASES)


# ---------------------------------------------------------------- sizes and exact certificates


@names
def test_a_program_states_its_own_size(name):
    program, recurrence = NETWORKS[name].program, NETWORKS[name].expects
    blocks_per_step, width = CASES[name]
    network = assemble(program)
    assert program.width == width == network.transformer.config.d_model
    assert program.n_blocks == recurrence.n_prelude + 2 * blocks_per_step
    assert program.n_parameters == sum(weight.numel() for weight in network.transformer.parameters())
    assert len(program.distinct_layers) == recurrence.n_prelude + blocks_per_step  # all steps share tensors


def size_and_entries(program: Program) -> tuple[int, ...]:
    """Channels, blocks, blocks that store tensors, and entries of all matrices, of the transformer itself."""
    return *size(program), sum(weight.numel() for weight in assemble(program).transformer.parameters())


SIZES = [(p, t) for p in (1, 4, 10) for t in (2, 5)]


def richardson_size(p: int, t: int, channels: int = 13, prepared: int = 2, per_channel: int = 42) -> tuple[int, ...]:
    return p + channels, t + prepared, 3, (p + 13) * (5 * p + per_channel)


@certifies(
    "prop-richardson-network",
    statement=richardson_size,
    mutants={
        "one channel fewer": partial(richardson_size, channels=12),
        "one block fewer to prepare": partial(richardson_size, prepared=1),
        "one entry fewer per channel": partial(richardson_size, per_channel=41),
    },
)
def test_richardsons_network_is_as_large_as_stated(statement):
    for p, t in SIZES:
        assert size_and_entries(richardson(p, t, tau=1.0)) == statement(p, t)


def softmax_cg_size(p: int, t: int, jacobi: bool, more: int = 4, per_step: int = 3, per_channel: int = 231) -> tuple[int, ...]:
    if jacobi:
        return p + 37 + more, per_step * t + 3, 6, (p + 41) * (8 * p + 253)
    return p + 37, per_step * t + 2, 5, (p + 37) * (5 * p + per_channel)


@certifies(
    "thm-softmax-cg-network",
    statement=softmax_cg_size,
    mutants={
        "Jacobi in three more channels": partial(softmax_cg_size, more=3),
        "two blocks per step": partial(softmax_cg_size, per_step=2),
        "one entry fewer per channel": partial(softmax_cg_size, per_channel=230),
    },
)
def test_conjugate_gradients_network_is_as_large_as_stated(statement):
    for p, t in SIZES:
        for preconditioner in ("none", "normaliser", "jacobi"):
            made = size_and_entries(softmax_conjugate_gradient(p, t, tau=1.0, preconditioner=preconditioner))
            assert made == statement(p, t, preconditioner == "jacobi")


def pipelined_size(p: int, t: int, jacobi: bool, channels: int = 45, prepared: int = 3, per_channel: int = 316) -> tuple[int, ...]:
    return (p + channels + 4, 2 * t + prepared + 1) if jacobi else (p + channels, 2 * t + prepared, 5, (p + 45) * (7 * p + per_channel))


@certifies(
    "prop-pipelined-network",
    statement=pipelined_size,
    mutants={
        "one channel fewer": partial(pipelined_size, channels=44),
        "one block fewer to prepare": partial(pipelined_size, prepared=2),
        "one entry fewer per channel": partial(pipelined_size, per_channel=315),
    },
)
def test_the_pipelined_network_is_as_large_as_stated(statement):
    for p, t in SIZES:
        for preconditioner in ("none", "normaliser", "jacobi"):
            stated = statement(p, t, preconditioner == "jacobi")
            assert size_and_entries(pipelined_conjugate_gradient(p, t, tau=1.0, preconditioner=preconditioner))[: len(stated)] == stated


@certifies(
    "prop-richardson-network",
    "thm-softmax-cg-network",
    "prop-pipelined-network",
    statement=as_built,
    mutants={"a feature doubled": feature_doubled, "the target also written into the last direction": target_added},
    exact=True,
)
@names
@pytest.mark.parametrize("dtype, k", [(torch.float64, 1), (torch.float32, 3)])
def test_the_weights_run_the_recurrence_for_every_function_of_the_score(statement, name, dtype, k):
    network, recurrence = assemble(NETWORKS[name].program, dtype=dtype), NETWORKS[name].expects
    weights, config = statement(network), network.transformer.config
    for certify in (certify_step, certify_end_to_end):
        certificate = certify(weights, config, network.basis, recurrence, seed=k, n_support=k, n_query=2)
        assert certificate.holds, certificate
        assert certificate.log2_error < -400


@pytest.mark.parametrize(
    "make, recurrence", [(softmax_conjugate_gradient, softmax_conjugate_gradient_recurrence), (pipelined_conjugate_gradient, pipelined_recurrence)]
)
@pytest.mark.parametrize("preconditioner", ["none", "normaliser", "jacobi"])
def test_the_solution_is_reached_after_as_many_steps_as_supports(make, recurrence, preconditioner):
    for steps in (3, 2):
        network = assemble(make(1, steps, tau=1.0, preconditioner=preconditioner))
        weights, config = network.transformer.state_dict(), network.transformer.config
        expected = recurrence(preconditioner=preconditioner)
        whole = certify_end_to_end(weights, config, network.basis, expected, seed=4, terminates=True, bound_error=False)
        assert [entry[:2] for entry in whole.mismatches] == ([] if steps == 3 else ["f*"])  # mutant: one step fewer


@pytest.mark.parametrize("wrong", [richardson_recurrence(0.25), richardson_recurrence(0.5, U)])
def test_another_kernel_is_noticed(wrong):
    network = assemble(NETWORKS["richardson"].program)
    assert not certify_step(network.transformer.state_dict(), network.transformer.config, network.basis, wrong, seed=1, bound_error=False).holds


# ---------------------------------------------------------------- the primitive behind the certificates


def divide(numerator, denominator):
    return denominator if numerator == 0 and denominator == 0 else numerator / denominator


@pytest.mark.parametrize("mask", [PrefixMask(3), PrefixMask(2, sees_itself=True), CausalMask(strict=True)], ids=str)
@pytest.mark.parametrize(
    "group", [AttentionConfig("softmax", 2, 2, 3, 0.5), AttentionConfig("softmax", 1, 2, 3, hidden_keys=(0, 2))], ids=["scaled", "hidden"]
)
def test_with_exp_for_the_function_the_exact_pass_is_the_forward_pass(group, mask):
    """Small integers, so that the only rounding is that of exp and of the quotient; a token that reads nobody included."""
    network = integer_network(TransformerConfig(2, 4, 2, (BlockConfig((group, AttentionConfig("linear", 1, 1, 1)), 3),), (0,)), seed=4)
    tokens = integers(4, 2, seed=5, size=1)
    exact = ExactTransformer(network.state_dict(), network.config, float, divide, math.exp)
    ours = [x.detach() for x in network.stream(tokens, mask)]
    theirs = list(exact.stream(tokens.numpy().astype(object), mask))
    assert (ours[-1] != ours[0]).any()
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, torch.from_numpy(other.astype(np.float64)), rtol=1e-13, atol=1e-13)


def test_a_score_scale_is_a_part_of_the_score():
    group = AttentionConfig("softmax", 1, 2, 3, 0.5)
    network = integer_network(TransformerConfig(2, 4, 2, (BlockConfig((group,), 3),), (0,)), seed=4).requires_grad_(False)
    tokens = integers(4, 2, seed=5, size=1)
    unscaled = ExactTransformer(
        network.state_dict(), replace(network.config, blocks=(BlockConfig((replace(group, score_scale=1.0),), 3),)), float, divide, math.exp
    )
    *_, wrong = unscaled.stream(tokens.numpy().astype(object), PrefixMask(3))
    assert np.abs(wrong.astype(float) - list(network.stream(tokens, PrefixMask(3)))[-1].numpy()).max() > 1e-3


def test_the_random_function_is_one_table_with_two_values_given():
    field = Field(seed=1)
    ridge, score = field.draw(), field.draw()
    log_ridge = field.logarithm(ridge)
    assert field.exponential(log_ridge) == ridge
    assert field.exponential(score * 0) == 1
    assert field.exponential(score + score) == field.exponential(2 * score) != field.exponential(score)
    assert Field(seed=1).draw() == ridge  # the same seed, the same point


def test_different_scores_are_kept_apart_with_a_bounded_chance_of_failure():
    """Degree of the product of all differences: C(3, 2) pairs of scores of degree at most 2 (and the zero score), each difference below 2 * 2."""
    ring = Degrees()
    x = ring.draw()
    assert ring.exponential(x * x).total == (1, 0)
    assert ring.exponential(Degree.constant(Fraction(0))).total[0] == 0
    assert ring.collisions[0] == 3 * 2 * 2


# ---------------------------------------------------------------- floats, against scikit-learn


SOLVERS = {
    "plain": lambda p, t, tau: softmax_conjugate_gradient(p, t, tau, None, "none"),
    "normaliser": softmax_conjugate_gradient,
    "jacobi": lambda p, t, tau: softmax_conjugate_gradient(p, t, tau, None, "jacobi"),
}
every_solver = pytest.mark.parametrize("make", SOLVERS.values(), ids=SOLVERS.keys())


def prompt_of_kappa(kappa: float, spread: bool, seed: int = 0, k: int = 16, p: int = 3, q: int = 5) -> Prompt:
    """Features on the sphere or normal; the ridge is such that kappa(K + lambda I) is kappa, up to the smallest eigenvalue of K."""
    phi = torch.randn(k + q, p, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    phi = phi if spread else phi / phi.norm(dim=-1, keepdim=True)
    largest = torch.linalg.eigvalsh(ExponentialKernel()(phi[:k], phi[:k]))[-1]
    y = torch.randn(k, generator=torch.Generator().manual_seed(seed + 1000), dtype=torch.float64)
    return Prompt(phi[:k], y, phi[k:], ridge=float(largest / (kappa - 1)))


def kernel_ridge(prompt: Prompt, kernel: ExponentialKernel) -> tuple[Tensor, Tensor]:
    """alpha and f by scikit-learn from a kernel matrix made by numpy."""
    phi, phi_query = (x.numpy() if kernel.U is None else (x @ kernel.U.T).numpy() for x in (prompt.phi, prompt.phi_query))
    model = KernelRidge(alpha=prompt.ridge, kernel="precomputed").fit(np.exp(phi @ phi.T / kernel.tau), prompt.y.numpy())
    return torch.from_numpy(model.dual_coef_), torch.from_numpy(model.predict(np.exp(phi_query @ phi.T / kernel.tau)))


def run(program: Program, prompt: Prompt, dtype: torch.dtype = torch.float64) -> Trace:
    return assemble(program, dtype=dtype).run(prompt)


@cache
def assembled(make, n_features: int, steps: int, tau: float, dtype: torch.dtype = torch.float64):
    return assemble(make(n_features, steps, tau), dtype=dtype)


def errors(network, prompt: Prompt, kernel: ExponentialKernel) -> tuple[float, float]:
    """Relative errors of alpha and f, in the network's dtype, against scikit-learn in float64."""
    asked = prompt.to(network.traits.dtype)
    alpha, f = kernel_ridge(asked.to(torch.float64), kernel)
    trace = network.run(asked)
    assert trace.all_finite
    held = trace["lambda_alpha", "support"][-1].double() / prompt.ridge
    return tolerances.relative(held, alpha).item(), tolerances.relative(trace.prediction[-1], f).item()


@certifies("thm-softmax-cg-network")
@every_solver
@pytest.mark.parametrize("spread", [False, True], ids=["sphere", "spread"])
@pytest.mark.parametrize("kappa, feature_scale", [(1e2, 1e3), (1e4, 1e-3), (1e6, 1.0)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_scikit_learns_answer_over_condition_numbers_and_scales(make, spread, kappa, feature_scale, dtype):
    prompt = prompt_of_kappa(kappa, spread)
    prompt = replace(prompt, phi=prompt.phi * feature_scale, phi_query=prompt.phi_query * feature_scale)
    kernel = ExponentialKernel(tau=feature_scale**2)
    for what, error, bound in zip(
        ("alpha", "f"), errors(assembled(make, 3, 60, kernel.tau, dtype), prompt, kernel), (tolerances.solution, tolerances.prediction)
    ):
        tolerances.assert_within(error, bound(dtype, kappa), what)


@pytest.mark.parametrize("target_scale", [1e-3, 1e3])
@every_solver
def test_targets_of_any_size_in_double_precision(make, target_scale):
    prompt = prompt_of_kappa(1e4, spread=False)
    error, _ = errors(assembled(make, 3, 60, 1.0), replace(prompt, y=target_scale * prompt.y), ExponentialKernel())
    tolerances.assert_within(error, tolerances.solution(torch.float64, 1e4))


PIPELINED = {name: partial(pipelined_conjugate_gradient, U=None, preconditioner=name) for name in ("none", "normaliser", "jacobi")}


@pytest.mark.parametrize("preconditioner", PIPELINED)
@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
def test_the_pipelined_floor_is_within_its_own_constant(preconditioner, kappa):
    network = assembled(PIPELINED[preconditioner], 3, 60, 1.0)
    error, _ = errors(network, prompt_of_kappa(kappa, spread=False), ExponentialKernel())
    tolerances.assert_within(error, tolerances.pipelined(kappa))


def test_the_pipelined_floor_is_mostly_above_what_three_blocks_a_step_keep_to():
    """The median of nine draws; that of sixty is twenty times the tolerance, their lower quartile four times, the least below it."""
    prompts = [prompt_of_kappa(1e4, spread=False, seed=seed) for seed in range(9)]
    network = assembled(PIPELINED["normaliser"], 3, 60, 1.0)
    floors = [errors(network, prompt, ExponentialKernel())[0] for prompt in prompts]
    assert np.median(floors) > tolerances.solution(torch.float64, 1e4)


@certifies(
    "prop-richardson-network",
    statement=lambda K, ridge: K.sum(-1) + ridge,
    mutants={"the ridge left out of D": lambda K, ridge: K.sum(-1), "the diagonal alone": lambda K, ridge: K.diagonal() + ridge},
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_richardson_is_damped_averaging_step_by_step(statement, dtype):
    prompt, kernel = random_prompt(9, 2, 4, ridge=0.7, seed=1), ExponentialKernel(0.8, U / 4)  # kappa is 16
    system = ridge_system(prompt, kernel)
    D, alphas = statement(kernel(prompt.phi, prompt.phi), prompt.ridge), [torch.zeros(9, dtype=torch.float64)]
    for _ in range(30):
        alphas.append(alphas[-1] + (prompt.y - system.A @ alphas[-1]) / D)
    alphas = torch.stack(alphas)
    trace = run(richardson(2, 30, 0.8, U / 4), prompt.to(dtype), dtype)
    tolerance = 64 * tolerances.unit_roundoff(dtype) * float(system.condition_number)
    tolerances.assert_within(tolerances.relative(trace["lambda_alpha", "support"] / prompt.ridge, alphas), tolerance)
    tolerances.assert_within(tolerances.relative(trace.prediction, system.predict(alphas)), tolerance)


@pytest.mark.parametrize("steps", [1200])
def test_richardson_ends_at_scikit_learns_answer(steps):
    prompt = prompt_of_kappa(30.0, spread=True)
    error, of_f = errors(assemble(richardson(3, steps, tau=1.0)), prompt, ExponentialKernel())
    tolerances.assert_within(error, tolerances.solution(torch.float64, 30.0))
    tolerances.assert_within(of_f, tolerances.prediction(torch.float64, 30.0))


EDGES = {
    "one support": torch.tensor([[1.0, -0.5]]),
    "more features than supports": torch.randn(2, 7, generator=torch.Generator().manual_seed(0)),
    "all the same": torch.ones(5, 2),
    "no features to speak of": torch.zeros(4, 1),
}


@every_solver
@pytest.mark.parametrize("phi", EDGES.values(), ids=EDGES.keys())
@pytest.mark.parametrize("ridge", [1e-3, 1e6])
def test_edges_are_survived_long_past_termination(make, phi, ridge):
    phi, generator = phi.double(), torch.Generator().manual_seed(1)
    for y in (torch.randn(len(phi), generator=generator).double(), torch.zeros(len(phi)).double()):
        prompt = Prompt(phi, y, phi[:1], ridge)
        kappa = float(ridge_system(prompt, ExponentialKernel()).condition_number)
        trace = assembled(make, phi.shape[1], 16, 1.0).run(prompt)
        assert trace.all_finite
        alpha, f = kernel_ridge(prompt, ExponentialKernel())
        tolerances.assert_within(tolerances.relative(trace["lambda_alpha", "support"][-1] / ridge, alpha), tolerances.solution(torch.float64, kappa))


@pytest.mark.parametrize("make", [*SOLVERS.values(), pipelined_conjugate_gradient, richardson])
def test_batches_leaks_and_the_order_of_supports(make):
    prompt = random_prompt(6, 2, 3, ridge=0.8, seed=2, batch=(2,))
    network = assemble(make(2, 12, 1.0))
    together = network.run(prompt)
    for b in range(2):
        alone = Prompt(prompt.phi[b], prompt.y[b], prompt.phi_query[b], prompt.ridge)
        torch.testing.assert_close(together.prediction[:, b], network.run(alone).prediction, rtol=1e-10, atol=1e-10)
    moved = prompt.phi_query.clone()
    moved[:, 1] += 1.0
    after = network.run(replace(prompt, phi_query=moved)).resid
    others = [token for token in range(together.resid.shape[-2]) if token != 2 + 6 + 1]
    assert torch.equal(after[..., others, :], together.resid[..., others, :])
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    permuted = network.predict(replace(prompt, phi=prompt.phi[:, order], y=prompt.y[:, order]))
    torch.testing.assert_close(permuted, together.prediction[-1], rtol=1e-8, atol=1e-10)


# ---------------------------------------------------------------- one shot


def test_one_softmax_head_is_the_smoother():
    prompt, kernel = random_prompt(7, 2, 4, ridge=0.5, seed=3), ExponentialKernel(0.7, U)
    torch.testing.assert_close(assemble(softmax_smoother(2, 0.7, U)).predict(prompt), nadaraya_watson(prompt, kernel), rtol=1e-13, atol=1e-13)
    assert softmax_smoother(2, tau=1.0).n_blocks == 1 and not any(layer.mlp for layer in softmax_smoother(2, tau=1.0).layers)


def test_several_outputs_share_one_product():
    prompt = random_prompt(7, 2, 4, ridge=0.5, seed=3)
    several = replace(prompt, y=torch.stack([prompt.y, -2 * prompt.y], dim=-1))
    system = ridge_system(prompt, ExponentialKernel(0.7))
    expected = system.predict(prompt.y) / 0.5
    made = assemble(kernel_product(2, 0.7, n_outputs=2)).predict(several)
    torch.testing.assert_close(made, torch.stack([expected, -2 * expected], dim=-1), rtol=1e-13, atol=1e-13)


# ---------------------------------------------------------------- hidden features below


def test_features_made_below_by_a_block_or_by_a_frozen_softmax_stack():
    prompt = random_prompt(8, 2, 3, ridge=0.5, seed=5)
    prompt = replace(prompt, phi=prompt.phi / 2, phi_query=prompt.phi_query / 2)
    inside = assemble(on_polynomial_features(softmax_conjugate_gradient(9, 16, tau=1.0), n_inputs=2)).predict(prompt)
    system = ridge_system(prompt, lambda a, b: ((1 + a @ b.mT) ** 2).exp())
    tolerances.assert_within(tolerances.relative(inside, system.predict(solvers.cholesky(system).alpha)), 1e-10)

    tokens = input_basis(2, log_ridge=True)
    config = TransformerConfig(tokens.size, 12, 5, (BlockConfig((AttentionConfig("softmax", 2, 4, 4),), 16, "gelu"),), (0, 0))
    stack = Transformer(config, torch.Generator().manual_seed(7)).double()
    with torch.no_grad():
        stack.W_E[tokens["y"]] = 0.0
        hidden = stack(tokenise(prompt, tokens), prefix_mask(prompt))[2:]
    system = ridge_system(Prompt(hidden[:8], prompt.y, hidden[8:], 0.5), ExponentialKernel(4.0))
    f = system.predict(solvers.cholesky(system).alpha)
    tolerances.assert_within(tolerances.relative(on_frozen_stack(softmax_conjugate_gradient(5, 16, 4.0), stack).predict(prompt), f), 1e-10)


# ---------------------------------------------------------------- what is refused, and what is reported


def test_only_networks_that_ask_for_it_read_the_logarithm_of_the_ridge():
    prompt = random_prompt(3, 2, 1, ridge=0.25)
    inputs = input_basis(2, log_ridge=True)
    tokens = tokenise(prompt, inputs)
    assert torch.equal(tokens[:, :-1], tokenise(prompt))
    assert tokens[:, inputs["log_ridge"]].flatten().tolist() == [0.0, math.log(0.25), 0.0, 0.0, 0.0, 0.0]
    assert "log_ridge" not in conjugate_gradient(2, 1).inputs and "log_ridge" in richardson(2, 1, tau=1.0).inputs


@pytest.mark.parametrize("make", [lambda: richardson(2, 400, tau=1.0), lambda: softmax_conjugate_gradient(2, 9, tau=1.0)])
def test_the_ridge_is_the_logit_of_the_sink_and_nothing_else(make):
    prompt, network = random_prompt(6, 2, 3, ridge=0.5, seed=4), assemble(make())
    inputs = network.program.inputs
    tokens = tokenise(prompt, inputs)
    tokens[:, inputs["ridge"]] = 77.0
    tokens[1, inputs["log_ridge"]] = math.log(2.0)
    steered = network.transformer(tokens, prefix_mask(prompt))[8:, 0]
    system = ridge_system(replace(prompt, ridge=2.0), ExponentialKernel())
    tolerances.assert_within(tolerances.relative(steered, system.predict(solvers.cholesky(system).alpha)), 1e-9)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: richardson(2, 3, tau=0.0), r"(?s)tau=0.0.*positive temperature"),
        (lambda: softmax_smoother(2, tau=math.nan), r"(?s)tau=nan.*positive temperature"),
        (lambda: richardson(2, 3, tau=1.0, U=torch.ones(2, 3)), r"U with shape \[2, 3\].*\[p', 2\] for 2 features, e.g. torch.eye\(2\)"),
        (lambda: richardson(2, 0, tau=1.0), "n_features, steps and n_outputs of at least 1"),
        (lambda: softmax_conjugate_gradient(0, 1, tau=1.0), "n_features is 0, expected a whole number >= 1"),
    ],
)
def test_what_cannot_work_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_preconditioner_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="preconditioner is 'd', expected one of 'none', 'normaliser', 'jacobi'"):
        softmax_conjugate_gradient(2, 3, tau=1.0, preconditioner="d")


@certifies(
    "prop-un-normalise-rounding",
    statement=lambda dtype: torch.finfo(dtype).tiny,
    mutants={
        "subnormal masses as well": lambda dtype: torch.finfo(dtype).tiny * torch.finfo(dtype).eps,
        "masses above the root of nu alone": lambda dtype: torch.finfo(dtype).tiny ** 0.5,
    },
)
@pytest.mark.parametrize("make", [lambda p: kernel_product(p, tau=1.0), lambda p: softmax_conjugate_gradient(p, 2, tau=1.0), lambda p: richardson(p, 2, tau=1.0)])
@pytest.mark.parametrize("dtype, largest", [(torch.float32, 87.0), (torch.float64, 707.0)])
def test_a_sink_that_underflows_is_reported_and_one_that_does_not_is_not(statement, make, dtype, largest):
    network = assemble(make(1), dtype=dtype)
    for logit in (largest - 2, largest + 2, largest + 40):
        phi = torch.tensor([[logit**0.5], [0.1]], dtype=dtype)
        prompt = Prompt(phi, torch.ones(2, dtype=dtype), phi[:1], ridge=1.0)
        range_left = log_sink_mass(prompt.to(torch.float64), ExponentialKernel()).min() - math.log(statement(dtype))
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = network.predict(prompt)
            network.run(prompt)
        caught = [entry for entry in caught if entry.category is SinkUnderflow]  # a kernel this large may lose digits as well
        assert [entry.category for entry in caught] == ([] if range_left > 0 else [SinkUnderflow] * 2)
        if caught:
            assert network.program.name in str(caught[0].message) and str(dtype) in str(caught[0].message)
        if logit > largest + 10 and network.program.name != "richardson":
            assert not torch.isfinite(answer).any()
