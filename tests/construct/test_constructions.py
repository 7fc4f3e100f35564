"""One table of constructions, every level: sizes as stated, exact certificates, mutants, floats in every precision."""

from functools import cache

import pytest
import torch

import tolerances
from certificates import certifies
from factories import prompt_of, random_prompt
from metarep_lib import Prompt, assemble, ridge_system, solvers
from metarep_lib.certify import certify_end_to_end, certify_step
from metarep_lib.certify.certificate import steps_to_certify
from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    jacobi_conjugate_gradient,
    newton_schulz,
    two_block_conjugate_gradient,
)
from networks import NETWORKS, as_built, feature_doubled, target_added

# blocks per step and width, as the chapters state them
SIZES = {
    "gradient descent": (1, 2 + 5),
    "gradient descent, two outputs": (1, 2 + 8),
    "chebyshev": (1, 2 + 6),
    "conjugate gradient": (5, 2 + 16),
    "conjugate gradient, two outputs": (5, 2 + 28),
    "two blocks": (2, 2 * 2 + 27),
    "jacobi": (2, 3 * 2 + 37),
    "causal": (3, 8 * 2 + 17),
    "newton-schulz": (1, 2 * 2 + 4),
    "polynomial features": (5, 4 + 16 + 2),
}
names = pytest.mark.parametrize("name", SIZES)


@names
def test_a_program_states_its_own_size(name):
    program, recurrence = NETWORKS[name].program, NETWORKS[name].expects
    blocks_per_step, width = SIZES[name]
    network = assemble(program)
    assert program.width == width == network.transformer.config.d_model
    assert program.n_blocks == recurrence.n_prelude + 2 * blocks_per_step + recurrence.n_epilogue == len(network.transformer.config.schedule)
    assert program.n_parameters == sum(weight.numel() for weight in network.transformer.parameters())
    assert len(program.distinct_layers) == len(network.transformer.blocks)


@certifies(
    "prop-chebyshev-network",
    "thm-two-block-network",
    "prop-jacobi-network",
    "thm-causal-network",
    "prop-newton-network",
    "prop-features",
    statement=as_built,
    mutants={"a feature doubled": feature_doubled, "the target also written into the last direction": target_added},
    exact=True,
)
@names
@pytest.mark.parametrize(("dtype", "k"), [(torch.float64, 1), (torch.float64, 2), (torch.float64, 4), (torch.float32, 2)])  # what single precision rounds it rounds for every k
def test_the_weights_run_the_recurrence_exactly(statement, name, dtype, k):
    case = NETWORKS[name]
    network = assemble(case.program, dtype=dtype)
    weights, config = statement(network), network.transformer.config
    settings = {"seed": k, "n_support": k, "n_query": 2, "n_inputs": case.program.inputs.width("phi")}
    certificates = [certify_step(weights, config, network.basis, case.expects, t=t, **settings) for t in steps_to_certify(config, case.expects)]
    certificates.append(certify_end_to_end(weights, config, network.basis, case.expects, **settings))
    if statement is as_built and dtype == torch.float32 and "chebyshev" in case.program.name:
        assert not all(certificate.holds for certificate in certificates)  # its coefficients are rounded to the dtype: another Chebyshev
        return
    for certificate in certificates:
        assert certificate.holds, certificate
        assert certificate.log2_error < -400


@pytest.mark.parametrize("n_support", [3, 2])
@pytest.mark.parametrize("name", ["two blocks", "jacobi", "causal", "conjugate gradient, two outputs"])
def test_the_solution_is_reached_at_termination(name, n_support):
    made = {
        "two blocks": two_block_conjugate_gradient,
        "jacobi": jacobi_conjugate_gradient,
        "causal": causal_conjugate_gradient,
        "conjugate gradient, two outputs": lambda p, t: conjugate_gradient(p, t, n_outputs=2),
    }[name](2, 3)
    network, weights = assemble(made), assemble(made).transformer.state_dict()
    whole = certify_end_to_end(weights, network.transformer.config, network.basis, NETWORKS[name].expects, seed=4, n_support=n_support, terminates=True)
    assert whole.holds, whole


# ---------------------------------------------------------------- floats

DEEP = {"conjugate gradient": conjugate_gradient, "two blocks": two_block_conjugate_gradient, "jacobi": jacobi_conjugate_gradient}
deep = pytest.mark.parametrize("make", DEEP.values(), ids=DEEP.keys())


@cache
def assembled(make, n_features: int, steps: int, dtype: torch.dtype):
    return assemble(make(n_features, steps), dtype=dtype)


def errors(make, prompt: Prompt, steps: int, dtype: torch.dtype) -> tuple[float, float]:
    """Final relative error of alpha and of f; the dtype of the stream is asserted in every block, finiteness everywhere."""
    system = ridge_system(prompt)
    alpha = solvers.cholesky(system).alpha
    trace = assembled(make, prompt.n_features, steps, dtype).run(prompt.to(dtype))
    assert trace.resid.dtype == dtype and trace.all_finite
    return (
        tolerances.relative(trace["alpha", "support"][-1].double(), alpha).max().item(),
        tolerances.relative(trace.prediction[-1].double(), system.predict(alpha)).max().item(),
    )


@deep
@pytest.mark.parametrize("feature_scale, target_scales", [(1.0, [1.0]), (1e-3, [1e-3, 1e3]), (1e3, [1e-3, 1e3])])
@pytest.mark.parametrize("kappa, converged", [(1e2, 24), (1e4, 80), (1e6, 100)])
def test_final_error_at_every_scale_three_times_past_convergence(make, feature_scale, target_scales, kappa, converged):
    prompts = [prompt_of(kappa, 24, 8, 5, seed=3, feature_scale=feature_scale, target_scale=scale) for scale in target_scales]
    stacked = (torch.stack([getattr(prompt, name) for prompt in prompts]) for name in ("phi", "y", "phi_query"))
    prompt = Prompt(*stacked, prompts[0].ridge)
    bound = 1e-10 if kappa <= 1e4 else 1e-9
    for what, error in zip(("alpha", "f"), errors(make, prompt, 3 * converged, torch.float64)):
        tolerances.assert_within(error, bound, what)
        tolerances.assert_within(error, tolerances.prediction(torch.float64, kappa), what)


FAST = {
    "orthonormal": torch.eye(6),
    "one support": torch.tensor([[1.0, -2.0, 0.5]]),
    "all the same": torch.ones(7, 2),
    "two eigenvalues": torch.cat([torch.eye(4), 3 * torch.eye(4)]),
}


@deep
@pytest.mark.parametrize("phi", FAST.values(), ids=FAST.keys())
@pytest.mark.parametrize("ridge", [1e-3, 1.0, 1e6])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_fast_termination_is_survived(make, phi, ridge, dtype):
    phi = phi.double()
    generator = torch.Generator().manual_seed(1)
    for target in (torch.randn(len(phi), generator=generator).double(), torch.zeros(len(phi)).double()):
        prompt = Prompt(phi, target, phi[:1], ridge)
        kappa = float(ridge_system(prompt).condition_number)
        error, _ = errors(make, prompt, 24, dtype)
        tolerances.assert_within(error, tolerances.solution(dtype, kappa), f"targets {target.norm():.1f}")


BEHIND = {"conjugate gradient": 1, "two blocks": 2, "jacobi": 4}  # steps, that 97 prompts of 100 keep under every rounding tried


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("kappa", [10.0, 1e3])
def test_the_error_curve_is_the_textbooks(name, kappa):
    """In the A-norm, until the floor: for nine prompts of ten neither curve is ever more than a few steps behind the other.

    Rounding delays each form by steps of its own, so that no number of steps holds for all prompts on every machine.
    """
    prompt = prompt_of(kappa, 24, 8, 5, seed=2, n_prompts=200)
    system = ridge_system(prompt)
    alpha = solvers.cholesky(system).alpha
    m = 1 / system.A.diagonal(dim1=-2, dim2=-1) if name == "jacobi" else None
    textbook = system.norm(solvers.conjugate_gradient(system, 40, preconditioner=m).history["alpha"] - alpha) / system.norm(alpha)
    ours = system.norm(assemble(DEEP[name](8, 40)).run(prompt)["alpha", "support"] - alpha) / system.norm(alpha)
    floor, behind = tolerances.prediction(torch.float64, kappa), BEHIND[name]
    for late, early in ((ours, textbook), (textbook, ours)):
        within = (late[behind:] <= 1.01 * early[: len(early) - behind] + floor).all(0)
        assert within.double().mean() >= 0.9


def test_chebyshev_is_the_solvers_and_within_its_bound():
    kappa = 50.0
    prompt = prompt_of(kappa, 24, 8, 5, seed=1)
    system = ridge_system(prompt)
    alpha = solvers.cholesky(system).alpha
    ends = [float(system.eigenvalues[i]) for i in (0, -1)]
    trace = assemble(chebyshev(8, 60, *ends)).run(prompt)
    history = solvers.chebyshev(system, 60, *ends).history
    for name in ("alpha", "r", "d"):
        torch.testing.assert_close(trace[name, "support"], history[name], rtol=1e-10, atol=1e-12)
    ratio = system.norm(trace["alpha", "support"] - alpha) / system.norm(alpha)
    x = (ends[1] + ends[0]) / (ends[1] - ends[0])
    t = torch.arange(61)
    cosh = torch.cosh(t * torch.acosh(torch.tensor(x, dtype=torch.float64)))  # T_t(x) for x > 1
    assert (ratio <= 1 / cosh + 1e-13).all()
    wrong = [1.5 * ends[0], 0.5 * ends[1]]  # mutant: a spectrum the weights do not expect
    assert solvers.chebyshev(system, 60, *wrong).outcome > 0
    with pytest.raises(ValueError, match="0 < smallest < largest"):
        chebyshev(8, 5, 2.0, 1.0)


def test_newton_schulz_squares_the_error():
    prompt = prompt_of(30.0, 24, 4, 5, seed=1)
    f = ridge_system(prompt).predict(solvers.cholesky(ridge_system(prompt)).alpha)
    largest = float(torch.linalg.eigvalsh(prompt.phi.T @ prompt.phi)[-1] + prompt.ridge)
    error = [tolerances.relative(assemble(newton_schulz(4, t, 1 / largest)).predict(prompt.with_ridge_as_supports()), f).max().item() for t in range(5, 12)]
    assert error[-1] < 1e-12
    falling = [(a, b) for a, b in zip(error, error[1:]) if a < 0.1 and b > 1e-12]
    assert falling and all(b < 30 * a**2 for a, b in falling)


@pytest.mark.parametrize("kappa", [1e2, 1e4, 1e6])
def test_causal_network_solves_every_prefix(kappa):
    prompt = prompt_of(kappa, 24, 6, 0, seed=1)
    trace = assemble(causal_conjugate_gradient(6, 36)).run(prompt)
    assert trace.all_finite
    for i in range(24):
        past = prompt.phi[:i]
        w = torch.linalg.solve(past.T @ past + prompt.ridge * torch.eye(6, dtype=torch.float64), past.T @ prompt.y[:i])
        if i:
            tolerances.assert_within(tolerances.relative(trace["w", "support"][-1][i], w).item(), tolerances.solution(torch.float64, kappa), f"prefix {i}")
        assert abs(trace.prediction[-1][i] - prompt.phi[i] @ w) <= tolerances.prediction(torch.float64, kappa) * w.norm() * prompt.phi[i].norm() + 1e-15


def test_causal_network_does_not_read_the_future():
    prompt = prompt_of(10.0, 10, 3, 0, seed=1)
    trace = assemble(causal_conjugate_gradient(3, 4)).run(prompt)
    y, phi = prompt.y.clone(), prompt.phi.clone()
    y[6] += 1.0
    phi[7] *= 2.0
    changed = assemble(causal_conjugate_gradient(3, 4)).run(Prompt(phi, y, prompt.phi_query, prompt.ridge))
    assert torch.equal(trace.prediction[:, :7], changed.prediction[:, :7])  # token 6 does not read its own target
    assert (trace.prediction[-1, 7:] != changed.prediction[-1, 7:]).all()
    asked = prompt_of(10.0, 10, 3, 2)  # a query is the last support of a pass of its own
    whole = assemble(causal_conjugate_gradient(3, 4))
    for j in range(2):
        x = torch.cat([asked.phi, asked.phi_query[j : j + 1]])
        y = torch.cat([asked.y, torch.ones(1, dtype=torch.float64)])
        torch.testing.assert_close(whole.predict(asked)[j], whole.curve(x, y, asked.ridge)[-1])


@pytest.mark.parametrize("make", [lambda p, t, m: conjugate_gradient(p, t, n_outputs=m), lambda p, t, m: gradient_descent(p, t, 0.02, n_outputs=m)])
def test_several_outputs_are_as_many_single_ones(make):
    single = random_prompt(9, 4, 3, 0.5, seed=1)
    targets = torch.randn(9, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    prompt = Prompt(single.phi, targets, single.phi_query, 0.5)
    together = assemble(make(4, 6, 3)).run(prompt)
    for a in range(3):
        alone = assemble(make(4, 6, 1)).run(prompt.output(a))
        torch.testing.assert_close(together.prediction[..., a], alone.prediction, rtol=1e-11, atol=1e-12)
        torch.testing.assert_close(together["alpha", "support"][..., a], alone["alpha", "support"], rtol=1e-11, atol=1e-12)
    with pytest.raises(ValueError, match="n_outputs=1, the prompt has 3"):
        assemble(make(4, 6, 1)).run(prompt)


@deep
def test_nothing_flows_from_a_query_to_anybody_else(make):
    prompt = prompt_of(30.0, 12, 4, 3, seed=1)
    moved = prompt.phi_query.clone()
    moved[1] += 1.0
    network = assemble(make(4, 6))
    before = network.run(prompt).resid
    after = network.run(Prompt(prompt.phi, prompt.y, moved, prompt.ridge)).resid
    query = 2 + 12 + 1
    others = [token for token in range(before.shape[-2]) if token != query]
    assert torch.equal(before[:, others], after[:, others])
    assert not torch.equal(before[1:, query], after[1:, query])


@deep
def test_the_order_of_supports_does_not_matter_and_scales_pass_through(make):
    prompt = prompt_of(30.0, 12, 4, 3, seed=2)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(0))
    network = assemble(make(4, 40))  # converged: on the way, rounding tells the orders apart
    f, alpha = (network.run(prompt)[name, group][-1] for name, group in (("r", "query"), ("alpha", "support")))
    permuted = network.run(Prompt(prompt.phi[order], prompt.y[order], prompt.phi_query, prompt.ridge))
    torch.testing.assert_close(permuted["alpha", "support"][-1], alpha[order], rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(permuted["r", "query"][-1], f, rtol=1e-10, atol=1e-12)
    scaled = network.run(Prompt(8 * prompt.phi, 4 * prompt.y, 8 * prompt.phi_query, 64 * prompt.ridge))
    torch.testing.assert_close(scaled["r", "query"][-1], 4 * f, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(scaled["alpha", "support"][-1], alpha / 16, rtol=1e-10, atol=1e-12)
