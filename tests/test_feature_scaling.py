"""Feature scaling as weights: exactly its recurrence, the scaled primal system in floats, blind to nothing but a rotation."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import survivors as known
import torch
from certificates import certifies
from factories import prompt_of, random_prompt
from scipy.linalg import hadamard
from test_preconditioning import rational_pcg
from test_theorems import rational_cg

from metarep_lib import Prompt, RidgeSystem, assemble, ridge_system, solvers
from metarep_lib.construct import feature_scaled_conjugate_gradient
from metarep_lib.evidence import certify_end_to_end, certify_step, feature_scaled_recurrence, is_looped, survivors
from metarep_lib.numerics import jacobi, scaled

NETWORK = assemble(feature_scaled_conjugate_gradient(2, 3))
WEIGHTS, CONFIG = NETWORK.transformer.state_dict(), NETWORK.transformer.config


def primal(prompt: Prompt) -> RidgeSystem:
    S = prompt.phi.mT @ prompt.phi + prompt.ridge * torch.eye(prompt.n_features, dtype=torch.float64)
    return RidgeSystem(S, prompt.phi.mT @ prompt.y, prompt.phi_query)


@certifies("prop-feature-scaling-network")
def test_depth_width_and_stored_blocks_are_as_stated():
    for p, t in ((2, 3), (5, 1)):
        program = feature_scaled_conjugate_gradient(p, t)
        assert (program.n_blocks, program.width, len(program.distinct_layers)) == (3 * t + 3, 15 * p + 19, 6)
        assert program.n_parameters == sum(weight.numel() for weight in assemble(program).transformer.parameters())


@certifies("prop-feature-scaling-network", mutant="the diagonal of K in the place of that of S", exact=True)
@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_weights_run_the_recurrence_exactly(k):
    recurrence, settings = feature_scaled_recurrence(), {"seed": k, "n_support": k, "n_query": 2}
    assert is_looped(CONFIG, recurrence)
    step = certify_step(WEIGHTS, CONFIG, NETWORK.basis, recurrence, **settings)
    whole = certify_end_to_end(WEIGHTS, CONFIG, recurrence, n_features=2, terminates=True, **settings)
    for certificate in (step, whole):
        assert certificate.holds, certificate
        assert certificate.log2_error < -400

    def of_K(problem):
        state = recurrence.start(problem)
        d = problem.divide(np.repeat(problem.number(1.0), k), np.diag(problem.A))[np.arange(state["d"].shape[1]) % k] + problem.zeros(*state["d"].shape)
        return state | {"d": d, "z": d * state["r"]}

    wrong = certify_end_to_end(WEIGHTS, CONFIG, replace(recurrence, start=of_K), n_features=2, bound_error=False, **settings)
    assert k == 1 or not wrong.holds


@certifies("prop-feature-scaling-network", mutant="every weight tripled, every gated unit dropped, every two blocks swapped", exact=True)
def test_every_mutant_dies_or_is_known_to_be_harmless():
    left, n_mutants = survivors(assemble(feature_scaled_conjugate_gradient(2, 2)), feature_scaled_recurrence(), seed=5)
    assert set(left) == set(known.FEATURE_SCALED)
    assert n_mutants > 100


@certifies("prop-feature-scaling-network", mutant="the iterates without a preconditioner")
@pytest.mark.parametrize("kappa", [1e2, 1e4])
def test_in_floats_the_network_is_the_solver_of_the_scaled_system(kappa):
    prompt = prompt_of(kappa, 24, 6, 5)
    prompt = Prompt(prompt.phi * torch.logspace(0, -2, 6), prompt.y, prompt.phi_query, prompt.ridge)
    system, steps = primal(prompt), 14
    said = assemble(feature_scaled_conjugate_gradient(6, steps)).run(prompt).prediction
    expected = scaled(system, jacobi(system))
    history = expected.predict(solvers.conjugate_gradient(expected, steps).history["alpha"])
    torch.testing.assert_close(said[:5], history[:5], rtol=1e-6, atol=1e-9)
    assert (said[3] - system.predict(solvers.conjugate_gradient(system, 3).alpha)).norm() > 1e-3 * said[3].norm()  # mutant
    dual = ridge_system(prompt)
    answer = dual.predict(solvers.cholesky(dual).alpha)
    assert (said[-1] - answer).norm() < 1e-9 * answer.norm()


def test_shuffled_weights_solve_nothing():
    network, prompt = assemble(feature_scaled_conjugate_gradient(3, 6)), random_prompt(8, 3, 4, ridge=0.5)
    system = ridge_system(prompt)
    answer = system.predict(solvers.cholesky(system).alpha)
    assert (network.predict(prompt) - answer).norm() < 1e-9 * answer.norm()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.transformer.parameters():
            weight.copy_(weight.flatten()[torch.randperm(weight.numel(), generator=generator)].view_as(weight))
    said = network.predict(prompt)
    assert not torch.isfinite(said).all() or (said - answer).norm() > 0.1 * answer.norm()


@certifies("prop-feature-scaling-basis", mutant="a rotation that leaves the diagonal unequal", exact=True)
def test_a_diagonal_is_done_in_one_step_and_a_flat_one_is_not_touched():
    spectrum, ridge, b = np.array([1, 10, 100, 1000]) + Fraction(0), Fraction(1, 3), np.array([1, -2, 3, 5]) + Fraction(0)
    S = np.diag(spectrum) + ridge * np.eye(4, dtype=int)
    d = 1 / S.diagonal()
    assert (rational_pcg(S, b, d, 1)[1]["alpha"] == b / S.diagonal()).all()
    assert (rational_cg(S, b, 3)[3]["r"] != 0).any()  # and plainly it takes four
    turn = hadamard(4) * Fraction(1, 2)
    turned = turn @ S @ turn.T
    assert len(set(turned.diagonal())) == 1
    for one, other in zip(rational_cg(turned, turn @ b, 4), rational_pcg(turned, turn @ b, 1 / turned.diagonal(), 4)):
        assert (one["alpha"] == other["alpha"]).all()
    c, s = Fraction(3, 5), Fraction(4, 5)
    half = np.array([[c, s, 0, 0], [-s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) + Fraction(0)
    turned = half @ S @ half.T  # mutant
    assert (rational_cg(turned, half @ b, 1)[1]["alpha"] != rational_pcg(turned, half @ b, 1 / turned.diagonal(), 1)[1]["alpha"]).any()


def test_sizes_below_one_are_refused():
    for p, t in ((0, 1), (2, 0)):
        with pytest.raises(ValueError, match="feature_scaled_conjugate_gradient"):
            feature_scaled_conjugate_gradient(p, t)
