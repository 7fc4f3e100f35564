"""Feature scaling as weights: exactly its recurrence, the scaled primal system in floats, blind to nothing but a rotation."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.linalg import hadamard

from certificates import certifies
from factories import prompt_of, random_prompt
from metarep_lib import Prompt, RidgeSystem, assemble, ridge_system, solvers
from metarep_lib.certify import Recurrence, certify_end_to_end, certify_step
from metarep_lib.certify.certificate import is_looped
from metarep_lib.certify.problem import Problem
from metarep_lib.certify.recurrences.primal import feature_scaled_recurrence
from metarep_lib.construct.algorithms import feature_scaled_conjugate_gradient
from metarep_lib.numerics.solvers import jacobi, scaled
from rationals import rational_cg, rational_pcg

NETWORK = assemble(feature_scaled_conjugate_gradient(2, 3))
WEIGHTS, CONFIG = NETWORK.transformer.state_dict(), NETWORK.transformer.config


def primal(prompt: Prompt) -> RidgeSystem:
    S = prompt.phi.mT @ prompt.phi + prompt.ridge * torch.eye(prompt.n_features, dtype=torch.float64)
    return RidgeSystem(S, prompt.phi.mT @ prompt.y, prompt.phi_query)


@certifies(
    "prop-feature-scaling-network",
    statement=lambda p, t: (3 * t + 3, 15 * p + 19, 6),
    mutants={
        "one block fewer": lambda p, t: (3 * t + 2, 15 * p + 19, 6),
        "one channel a feature fewer": lambda p, t: (3 * t + 3, 14 * p + 19, 6),
        "three stored blocks": lambda p, t: (3 * t + 3, 15 * p + 19, 3),
    },
    exact=True,
)
def test_depth_width_and_stored_blocks_are_as_stated(statement):
    for p, t in ((2, 3), (5, 1)):
        transformer = assemble(feature_scaled_conjugate_gradient(p, t)).transformer
        assert (len(transformer.config.schedule), transformer.W_E.shape[1], len(transformer.blocks)) == statement(p, t)


def preconditioned(diagonal: Callable[[Problem, np.ndarray], np.ndarray]) -> Recurrence:
    """The recurrence from another diagonal than 1 / (S_aa + lambda): a function of the problem and of that one."""
    recurrence = feature_scaled_recurrence()

    def start(problem: Problem) -> dict[str, np.ndarray]:
        state = recurrence.start(problem)
        d = diagonal(problem, state["d"]) + problem.zeros(*state["d"].shape)
        return state | {"d": d, "z": d * state["r"]}

    return replace(recurrence, start=start)


def inverse(problem: Problem, x: np.ndarray) -> np.ndarray:
    return problem.divide(problem.zeros(*x.shape) + problem.number(1.0), x)


@certifies(
    "prop-feature-scaling-network",
    statement=feature_scaled_recurrence(),
    mutants={
        "the diagonal of K in the place of that of S": preconditioned(lambda problem, d: inverse(problem, np.resize(np.diag(problem.A), d.shape[1]))),
        "the diagonal of S without the ridge": preconditioned(lambda problem, d: inverse(problem, inverse(problem, d) - problem.ridge)),
        "no preconditioner": preconditioned(lambda problem, d: problem.number(1.0)),
    },
    exact=True,
)
def test_the_weights_run_the_recurrence_exactly(statement):
    assert is_looped(CONFIG, statement)
    for k in (1, 2, 4):
        settings = {"seed": k, "n_support": k, "n_query": 2}
        step = certify_step(WEIGHTS, CONFIG, NETWORK.basis, statement, **settings)
        whole = certify_end_to_end(WEIGHTS, CONFIG, NETWORK.basis, statement, terminates=True, **settings)
        for certificate in (step, whole):
            assert certificate.holds, certificate
            assert certificate.log2_error < -400


@certifies(
    "prop-feature-scaling-network",
    statement=jacobi,
    mutants={
        "no preconditioner": lambda system: torch.ones_like(system.y),
        "the root of the diagonal": lambda system: jacobi(system).sqrt(),
    },
)
@pytest.mark.parametrize("kappa", [1e2, 1e4])
def test_in_floats_the_network_is_the_solver_of_the_scaled_system(statement, kappa):
    prompt = prompt_of(kappa, 24, 6, 5)
    prompt = Prompt(prompt.phi * torch.logspace(0, -2, 6), prompt.y, prompt.phi_query, prompt.ridge)
    system, steps = primal(prompt), 14
    said = assemble(feature_scaled_conjugate_gradient(6, steps)).run(prompt).prediction
    expected = scaled(system, statement(system))
    history = expected.predict(solvers.conjugate_gradient(expected, steps).history["alpha"])
    torch.testing.assert_close(said[:5], history[:5], rtol=1e-6, atol=1e-9)
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


SPECTRUM, RIDGE, B = np.array([1, 10, 100, 1000]) + Fraction(0), Fraction(1, 3), np.array([1, -2, 3, 5]) + Fraction(0)
DIAGONAL = np.diag(SPECTRUM) + RIDGE * np.eye(4, dtype=int)
QUARTER = np.array([[3, 4, 0, 0], [-4, 3, 0, 0], [0, 0, 5, 0], [0, 0, 0, 5]]) * Fraction(1, 5)  # a rotation in one plane


@certifies(
    "prop-feature-scaling-basis",
    statement=(DIAGONAL, 1 / DIAGONAL.diagonal()),
    mutants={
        "S not diagonal": (QUARTER @ DIAGONAL @ QUARTER.T, 1 / (QUARTER @ DIAGONAL @ QUARTER.T).diagonal()),
        "the diagonal without the ridge": (DIAGONAL, 1 / SPECTRUM),
        "no preconditioner": (DIAGONAL, 0 * SPECTRUM + 1),
    },
    exact=True,
)
def test_a_diagonal_is_done_in_one_step(statement):
    S, d = statement
    assert (S @ rational_pcg(S, B, d, 1)[1]["alpha"] == B).all()


@certifies(
    "prop-feature-scaling-basis",
    statement=hadamard(4) * Fraction(1, 2),
    mutants={
        "a rotation that leaves the diagonal unequal": QUARTER,
        "no rotation": np.eye(4, dtype=int) + Fraction(0),
        "a stretch, which is no rotation": hadamard(4) + Fraction(0),
    },
    exact=True,
)
def test_some_rotation_makes_the_scaling_blind(statement):
    """Features Phi = diag(sqrt(spectrum)) turned by R: S becomes R S R^T, and K = Phi R^T R Phi^T stays."""
    assert (statement.T @ statement == np.eye(4, dtype=int)).all()
    turned, b = statement @ DIAGONAL @ statement.T, statement @ B
    for one, other in zip(rational_cg(turned, b, 4), rational_pcg(turned, b, 1 / turned.diagonal(), 4), strict=True):
        assert (one["alpha"] == other["alpha"]).all()


def test_sizes_below_one_are_refused():
    for p, t in ((0, 1), (2, 0)):
        with pytest.raises(ValueError, match="feature_scaled_conjugate_gradient"):
            feature_scaled_conjugate_gradient(p, t)
