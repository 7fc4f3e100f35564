"""One table of constructions, every level: sizes as stated, exact certificates, mutants, floats in every precision."""

from dataclasses import dataclass

import pytest
import survivors as known
import tolerances
import torch
from certificates import certifies
from factories import prompt_of, random_prompt

from metarep_lib import Program, Prompt, assemble, ridge_system, solvers
from metarep_lib.construct import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    gradient_descent,
    jacobi_conjugate_gradient,
    newton_schulz,
    on_polynomial_features,
    two_block_conjugate_gradient,
)
from metarep_lib.evidence import (
    Recurrence,
    causal_recurrence,
    certify_end_to_end,
    certify_step,
    chebyshev_recurrence,
    conjugate_gradient_recurrence,
    features_first,
    gradient_descent_recurrence,
    is_looped,
    jacobi_recurrence,
    newton_schulz_recurrence,
    survivors,
    two_block_recurrence,
)


@dataclass(frozen=True)
class Case:
    """A program of two steps on two features (or one input), its recurrence, and what it should say of itself."""

    program: Program
    recurrence: Recurrence
    blocks_per_step: int
    width: int
    harmless: dict[str, str]


CASES = {
    "gradient descent": Case(gradient_descent(2, 2, 0.25), gradient_descent_recurrence(0.25), 1, 2 + 5, known.GRADIENT_DESCENT),
    "gradient descent, two outputs": Case(
        gradient_descent(2, 2, 0.25, n_outputs=2), gradient_descent_recurrence(0.25), 1, 2 + 8, known.GRADIENT_DESCENT_TWO_OUTPUTS
    ),
    "chebyshev": Case(chebyshev(2, 2, 0.25, 3.0), chebyshev_recurrence(0.25, 3.0, 2), 1, 2 + 6, known.GRADIENT_DESCENT),
    "conjugate gradient": Case(conjugate_gradient(2, 2), conjugate_gradient_recurrence(), 5, 2 + 16, known.CONJUGATE_GRADIENT),
    "conjugate gradient, two outputs": Case(
        conjugate_gradient(2, 2, n_outputs=2), conjugate_gradient_recurrence(), 5, 2 + 28, known.CONJUGATE_GRADIENT_TWO_OUTPUTS
    ),
    "two blocks": Case(two_block_conjugate_gradient(2, 2), two_block_recurrence(), 2, 2 * 2 + 27, known.TWO_BLOCK),
    "jacobi": Case(jacobi_conjugate_gradient(2, 2), jacobi_recurrence(), 2, 3 * 2 + 37, known.JACOBI),
    "causal": Case(causal_conjugate_gradient(2, 2), causal_recurrence(), 3, 8 * 2 + 17, known.CAUSAL),
    "newton-schulz": Case(newton_schulz(2, 2, 0.25), newton_schulz_recurrence(0.25), 1, 2 * 2 + 4, known.NEWTON_SCHULZ),
    "polynomial features": Case(
        on_polynomial_features(conjugate_gradient(4, 2), 1), features_first(conjugate_gradient_recurrence()), 5, 4 + 16 + 2, known.POLYNOMIAL
    ),
}
cases = pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())


@cases
def test_a_program_states_its_own_size(case):
    program, recurrence = case.program, case.recurrence
    network = assemble(program)
    assert program.width == case.width == network.transformer.config.d_model
    assert program.n_blocks == recurrence.n_prelude + 2 * case.blocks_per_step + recurrence.n_epilogue == len(network.transformer.config.schedule)
    assert program.n_parameters == sum(weight.numel() for weight in network.transformer.parameters())
    assert len(program.distinct_layers) == len(network.transformer.blocks)


@certifies("prop-chebyshev-network", "thm-two-block-network", "prop-jacobi-network", "thm-causal-network", "prop-newton-network", "prop-features")
@cases
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_weights_run_the_recurrence_exactly(case, dtype, k):
    network = assemble(case.program, dtype=dtype)
    weights, config = network.transformer.state_dict(), network.transformer.config
    inputs, outputs = case.program.inputs.width("phi"), case.program.inputs.width("y")
    certificates = [
        certify_step(weights, config, network.basis, case.recurrence, seed=k, t=t, n_support=k, n_query=2, n_inputs=inputs)
        for t in range(1 if is_looped(config, case.recurrence) else 2)
    ]
    certificates.append(
        certify_end_to_end(weights, config, case.recurrence, seed=k, n_features=inputs, n_support=k, n_query=2, n_outputs=outputs)
    )
    if dtype == torch.float32 and "chebyshev" in case.program.name:  # its coefficients are rounded to the dtype: another Chebyshev
        assert not all(certificate.holds for certificate in certificates)
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
    network, case = assemble(made), CASES[name]
    settings = {"seed": 4, "n_features": 2, "n_support": n_support, "n_outputs": made.inputs.width("y"), "terminates": True}
    whole = certify_end_to_end(network.transformer.state_dict(), network.transformer.config, case.recurrence, **settings)
    assert whole.holds, whole


@certifies(
    "prop-chebyshev-network",
    "thm-two-block-network",
    "prop-jacobi-network",
    "thm-causal-network",
    "prop-newton-network",
    "prop-features",
    mutant="every weight tripled, every gated unit dropped, every two blocks swapped",
    exact=True,
)
@cases
def test_every_mutant_dies_or_is_known_to_be_harmless(case):
    left, n_mutants = survivors(assemble(case.program), case.recurrence, seed=5)
    assert set(left) == set(case.harmless)
    assert n_mutants > 30


# ---------------------------------------------------------------- floats

DEEP = {"conjugate gradient": conjugate_gradient, "two blocks": two_block_conjugate_gradient, "jacobi": jacobi_conjugate_gradient}
deep = pytest.mark.parametrize("make", DEEP.values(), ids=DEEP.keys())


def errors(make, prompt: Prompt, steps: int, dtype: torch.dtype) -> tuple[float, float]:
    """Final relative error of alpha and of f; the dtype of the stream is asserted in every block, finiteness everywhere."""
    system = ridge_system(prompt)
    alpha = solvers.cholesky(system).alpha
    trace = assemble(make(prompt.n_features, steps), dtype=dtype).run(prompt.to(dtype))
    assert trace.resid.dtype == dtype and trace.all_finite
    return (
        tolerances.relative(trace["alpha", "support"][-1].double(), alpha).max().item(),
        tolerances.relative(trace.prediction[-1].double(), system.predict(alpha)).max().item(),
    )


@deep
@pytest.mark.parametrize("feature_scale, target_scale", [(1.0, 1.0), (1e-3, 1e-3), (1e-3, 1e3), (1e3, 1e-3), (1e3, 1e3)])
@pytest.mark.parametrize("kappa, converged", [(1e2, 24), (1e4, 80), (1e6, 100)])
def test_final_error_at_every_scale_three_times_past_convergence(make, feature_scale, target_scale, kappa, converged):
    prompt = prompt_of(kappa, 24, 8, 5, seed=3, feature_scale=feature_scale, target_scale=target_scale)
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


@deep
@pytest.mark.parametrize("kappa", [10.0, 1e3])
def test_the_error_curve_is_the_textbooks(make, kappa):
    """In the A-norm, until the floor: never more than a step behind, after as many steps."""
    prompt = prompt_of(kappa, 24, 8, 5, seed=2)
    system = ridge_system(prompt)
    alpha = solvers.cholesky(system).alpha
    m = 1 / system.A.diagonal() if make is jacobi_conjugate_gradient else None
    textbook = system.norm(solvers.conjugate_gradient(system, 40, preconditioner=m).history["alpha"] - alpha) / system.norm(alpha)
    ours = system.norm(assemble(make(8, 40)).run(prompt)["alpha", "support"] - alpha) / system.norm(alpha)
    floor = tolerances.prediction(torch.float64, kappa)
    behind = 3 if make is jacobi_conjugate_gradient else 1
    assert (ours[behind:] <= 1.01 * textbook[: len(textbook) - behind] + floor).all()
    assert (textbook[behind:] <= 1.01 * ours[: len(ours) - behind] + floor).all()


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
    with pytest.raises(ValueError, match="append them to the supports"):
        assemble(causal_conjugate_gradient(3, 4)).run(prompt_of(10.0, 10, 3, 1))


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
