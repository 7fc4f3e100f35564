"""From arrays to an answer: each thing that a new user stumbled over is right or told (C1 to C11 of their list)."""

import itertools
import warnings

import numpy as np
import pytest
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics.pairwise import linear_kernel as their_linear_kernel
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from factories import random_prompt
from metarep_lib import Prompt, assemble, ridge_system, solve, solvers
from metarep_lib.asked import AskedWrongly
from metarep_lib.construct import algorithms
from metarep_lib.construct.digits import half_the_digits
from metarep_lib.estimators import (
    ask,
    overview,
    program_for,
    ridge_by_leave_one_out,
    temperature_of,
)
from metarep_lib.estimators.defaults import FAMILIES
from metarep_lib.estimators.ridge import left_out_errors
from metarep_lib.estimators.temperature import temperature_trouble
from metarep_lib.numerics.kernels import ExponentialKernel, linear_kernel
from metarep_lib.numerics.system import primal_system
from metarep_lib.warned import NotConverged, TemperatureOutOfRange

RNG = np.random.default_rng(1)
SCALES = 10.0 ** np.linspace(-1, 4, 8)
X = RNG.normal(size=(60, 8)) * SCALES + 2 * SCALES
Y = 5e4 + 3e3 * (X / SCALES) @ RNG.normal(size=8) + 500 * RNG.normal(size=60)
SEEN, ASKED = slice(0, 50), slice(50, 60)


def warned(call, kind):
    """The message of the one warning of a kind that a call gives, and what it returns."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        made = call()
    of_kind = [str(each.message) for each in said if each.category is kind]
    return (of_kind[0] if of_kind else None), made


def test_c1_numpy_goes_in_and_units_come_out():
    answer = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=2.0)
    theirs = make_pipeline(StandardScaler(), Ridge(alpha=2.0)).fit(X[SEEN], Y[SEEN])
    np.testing.assert_allclose(answer.prediction.numpy(), theirs.predict(X[ASKED]), rtol=1e-6)
    assert answer.has_converged and answer.blocks == 2 * answer.steps


def test_c2_an_answer_on_its_way_says_so_and_what_would_do():
    def unscaled(steps):
        return solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0, standardise=False, steps=steps)

    message, answer = warned(lambda: unscaled(15), NotConverged)
    assert not answer.has_converged and "standardise=True" in message and "by the bound" in message
    for steps in (5, 7):  # on scaled features the number of steps that it names is right
        message, answer = warned(lambda: solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1e-3, steps=steps), NotConverged)
        assert f"after {steps} steps" in message and "standardise" not in message
        by_bound = int(message.split("steps=")[-1].split(" by the bound")[0])
        assert warned(lambda: solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1e-3, steps=by_bound), NotConverged)[0] is None


def test_c2_worse_than_no_answer_is_called_that():
    network = assemble(algorithms.conjugate_gradient(3, 1))
    residuals = set()
    for seed in range(8):
        message, answer = warned(lambda: ask(network, random_prompt(8, 3, 2, 0.1, seed=seed)), NotConverged)
        residuals.add(answer.residual > 1)
        assert (answer.residual > 1) == ("farther from solving than no answer at all" in message)
    assert residuals == {True, False}


def test_c3_a_temperature_that_is_too_low_is_told_and_the_one_it_names_is_not():
    prompt, _ = Prompt.from_arrays(X[SEEN], Y[SEEN], X[ASKED], 1.0)
    for tau, word in ((0.5, "too low"), (1e6, "too high")):
        message, _ = warned(lambda: solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0, kernel="exponential", tau=tau, steps=3), TemperatureOutOfRange)
        assert word in message
        named = float(message.split("this would work: tau=")[1].split(",")[0])
        assert temperature_trouble(prompt, named * 1.01) is None
    assert warned(lambda: solve(X[SEEN], Y[SEEN], X[ASKED], kernel="exponential"), TemperatureOutOfRange)[0] is None


def test_c3_at_the_temperature_of_the_supports_the_kernel_is_between_1_over_e_and_e():
    phi = random_prompt(40, 5, 1, 1.0).phi
    K = ExponentialKernel(temperature_of(phi))(phi, phi)
    assert float(K.max()) == pytest.approx(np.e) and K.min() >= 1 / np.e
    assert temperature_of(3 * phi) == pytest.approx(9 * temperature_of(phi))


def test_c3_no_softmax_program_has_a_temperature_of_its_own():
    for name in ("richardson", "softmax_conjugate_gradient", "pipelined_conjugate_gradient", "softmax_smoother", "kernel_product"):
        with pytest.raises(TypeError, match="tau"):
            getattr(algorithms, name)(2, *([] if name in ("softmax_smoother", "kernel_product") else [3]))


@pytest.mark.parametrize("kernel", ["linear", "exponential"])
def test_the_answer_is_that_of_kernel_ridge_regression(kernel):
    answer = solve(X[SEEN], Y[SEEN], X[ASKED], kernel=kernel)
    with np.errstate(all="raise"):
        of_kernel = their_linear_kernel if kernel == "linear" else lambda a, b: np.exp(a @ b.T / answer.tau)
        phi, phi_query = answer.prompt.phi.numpy(), answer.prompt.phi_query.numpy()
        theirs = KernelRidge(alpha=answer.ridge, kernel="precomputed").fit(of_kernel(phi, phi), answer.prompt.y.numpy())
        f = theirs.predict(of_kernel(phi_query, phi)) * Y[SEEN].std() + Y[SEEN].mean()
    np.testing.assert_allclose(answer.prediction.numpy(), f, rtol=1e-6)


def test_c5_in_float32_the_answer_has_half_of_its_digits():
    exact = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0).prediction
    single = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0, dtype=torch.float32)
    assert single.prediction.dtype == torch.float32 and single.tolerance == pytest.approx(2**-12)
    assert (single.prediction - exact).norm() / (exact - Y[SEEN].mean()).norm() <= 1e-3


def test_c6_the_intercept_is_not_penalised():
    answers = [solve(X[SEEN], Y[SEEN] + shift, X[ASKED], ridge=1e6).prediction - shift for shift in (0.0, 1e6)]
    torch.testing.assert_close(*answers, rtol=1e-9, atol=1e-3)
    assert abs(float(answers[0].mean()) - Y[SEEN].mean()) < 10  # a huge ridge leaves the mean


def test_c7_the_ridge_is_the_one_that_cross_validation_takes():
    answer = solve(X[SEEN], Y[SEEN], X[ASKED])
    phi, y = answer.prompt.phi, answer.prompt.y
    grid = 10.0 ** (np.arange(-24, 17) / 4) * float(phi.square().sum(-1).mean())
    assert answer.ridge == pytest.approx(RidgeCV(alphas=grid).fit(phi.numpy(), y.numpy()).alpha_)


@pytest.mark.parametrize("kernel", [linear_kernel, ExponentialKernel(6.0)], ids=["linear", "exponential"])
def test_c7_leaving_one_out_is_what_it_says(kernel):
    prompt, ridges = random_prompt(9, 3, 1, 1.0, seed=3), torch.tensor([0.1, 2.0], dtype=torch.float64)
    byhand = torch.zeros(2, dtype=torch.float64)
    for (j, ridge), i in itertools.product(enumerate(ridges), range(9)):
        keep = [n for n in range(9) if n != i]
        one = Prompt(prompt.phi[keep], prompt.y[keep], prompt.phi[[i]], float(ridge))
        system = ridge_system(one, kernel)
        byhand[j] += (prompt.y[i] - system.predict(solvers.cholesky(system).alpha)[0]) ** 2
    torch.testing.assert_close(left_out_errors(prompt, kernel, ridges, False), byhand, rtol=1e-8, atol=0.0)
    assert ridge_by_leave_one_out(prompt, kernel, ridges.tolist()) == float(ridges[byhand.argmin()])


def test_c8_the_table_is_made_of_the_programs():
    rows = {row.program: row for row in overview()}
    assert set(rows) == {name for name in algorithms.__all__ if name != "repeat_context"}
    cg, block, narrow = (rows[name] for name in ("two_block_conjugate_gradient", "block_conjugate_gradient", "narrow_gradient_descent"))
    assert (cg.blocks, cg.width, cg.outputs, cg.mask, cg.told) == ("2 t", "2 p + 27", "any", "prefix", "")
    assert (block.blocks, narrow.ridge, narrow.width) == ("(m + 1) t", "supports", "p + 1")
    assert (rows["chebyshev"].told, rows["gram_squaring"].mask, rows["richardson"].kernel) == ("smallest, largest", "either", "exponential")


SOLVING = sorted(name for names in FAMILIES.values() for name in names)


@pytest.mark.parametrize("name", SOLVING)
def test_c8_every_algorithm_is_told_enough_to_solve(name):
    """With nothing but the prompt: the predictions are the oracle's."""
    prompt = random_prompt(12, 3, 4, 2.0, seed=5)
    program = program_for(getattr(algorithms, name), prompt)
    brought = name in ("narrow_gradient_descent", "newton_schulz")
    said = assemble(program).predict(prompt.with_ridge_as_supports() if brought else prompt)
    tau = program.call.arguments.get("tau")
    system = ridge_system(prompt, linear_kernel if tau is None else ExponentialKernel(tau))
    exact = system.predict(solvers.cholesky(system).alpha)
    assert (said - exact).norm() / exact.norm() <= 1e-6
    assert program.call.arguments["steps"] <= 512


def test_c8_several_outputs_by_either_kernel():
    several = np.column_stack([Y, X[:, 2], -Y])
    for kernel in ("linear", "exponential"):
        answer = solve(X[SEEN], several[SEEN], X[ASKED], ridge=1.0, kernel=kernel)
        one = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0, kernel=kernel)
        np.testing.assert_allclose(answer.prediction[:, 0], one.prediction, rtol=1e-6)
        np.testing.assert_allclose(answer.prediction[:, 2], -one.prediction, rtol=1e-6)


def test_c9_labels_are_answered_with_labels():
    quality = np.where(Y > np.median(Y), "dear", "cheap")
    answer = solve(X[SEEN], quality[SEEN], X[ASKED])
    assert np.mean(np.array(answer.labels) == quality[ASKED]) >= 0.7 and answer.prediction.shape == (10, 2)


def test_c10_answers_are_shown_in_few_words():
    answer = solve(X[SEEN], Y[SEEN], X[ASKED])
    assert len(repr(answer)) < 1000 and len(str(answer)) < 400 and "solved: relative residual" in str(answer)
    with pytest.raises(TypeError, match=r"network.predict\(prompt\)"):
        answer.network(answer.prompt)


def test_c11_one_object_holds_what_is_to_be_known():
    answer = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=1.0)
    exact = answer.units.back(answer.system.predict(solvers.cholesky(answer.system).alpha))
    torch.testing.assert_close(answer.prediction, exact, rtol=1e-7, atol=0.0)
    assert (answer.blocks, answer.channels) == (answer.network.n_layers, answer.network.basis.size)


RESIDUALS = [name for name in SOLVING if name != "newton_schulz"]


@pytest.mark.parametrize("name", RESIDUALS)
def test_the_relative_residual_is_that_of_the_system(name):
    """Recomputed from the state by its definition; by a solver that knows no network where the state is its iterate."""
    prompt = random_prompt(8, 3, 2, 1.5, seed=2, batch=(2,))
    one = random_prompt(8, 3, 2, 1.5, seed=2)
    program = program_for(getattr(algorithms, name), one, steps=4)
    brought = prompt.with_ridge_as_supports() if name == "narrow_gradient_descent" else prompt
    trace = assemble(program).run(brought)
    relative = trace.relative_residual
    assert relative.shape == (5, 2) and torch.isfinite(relative).all()
    if name in ("conjugate_gradient", "two_block_conjugate_gradient", "one_block_conjugate_gradient", "causal_conjugate_gradient", "gram_conjugate_gradient"):
        system = primal_system(prompt) if name.startswith(("causal", "gram")) else ridge_system(prompt)
        alphas = solvers.conjugate_gradient(system, 4).history["alpha"]
        theirs = system.residual(alphas).norm(dim=-1) / system.y.norm(dim=-1)
        seen = theirs > 1e-7  # the primal one has arrived after p = 3 steps
        torch.testing.assert_close(relative[seen], theirs[seen], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize("name", ["softmax_conjugate_gradient", "pipelined_conjugate_gradient", "richardson"])
def test_the_residual_of_softmax_heads_is_that_of_the_exponential_kernel(name):
    """Formed with a kernel that knows no heads, from the solution in the stream; so is the answer that has arrived."""
    prompt = random_prompt(8, 3, 2, 1.5, seed=2)
    for steps in (3, "auto"):
        program = program_for(getattr(algorithms, name), prompt, steps=steps)
        trace = assemble(program).run(prompt)
        system = ridge_system(prompt, ExponentialKernel(program.call.arguments["tau"]))
        theirs = system.residual(trace["lambda_alpha", "support"] / prompt.ridge).norm(dim=-1) / prompt.y.norm()
        torch.testing.assert_close(trace.relative_residual, theirs, rtol=1e-6, atol=1e-13)
    assert trace.relative_residual[-1] <= half_the_digits(torch.float64)


def test_a_spoilt_solution_has_a_residual():
    """The residual is recomputed: a stream whose alpha was changed cannot hide behind its r."""
    prompt = random_prompt(8, 3, 2, 1.5, seed=2)
    network = assemble(algorithms.conjugate_gradient(3, 8))
    trace = network.run(prompt)
    trace.resid[..., network.basis["alpha"]] *= 1.1
    assert trace.relative_residual[-1] > 0.05 and trace["r", "support"][-1].norm() < 1e-8


def test_who_does_not_solve_has_no_residual():
    prompt = random_prompt(8, 3, 2, 1.5)
    with pytest.raises(AttributeError, match="not known to solve a system"):
        assemble(algorithms.softmax_smoother(3, 1.0)).run(prompt).relative_residual


@pytest.mark.parametrize("name", ["two_block_conjugate_gradient", "causal_conjugate_gradient", "softmax_conjugate_gradient"])
def test_some_steps_of_a_pass_are_those_of_the_whole(name):
    prompt = random_prompt(8, 3, 2, 1.5, seed=2)
    network = assemble(program_for(getattr(algorithms, name), prompt, steps=6))
    whole, blocks = network.run(prompt), []
    some = network.at(prompt, [0, 3, 6], lambda: blocks.append(1))
    assert torch.equal(some.prediction, whole.prediction[[0, 3, 6]]) and len(blocks) == network.n_layers
    assert torch.equal(some.relative_residual, whole.relative_residual[[0, 3, 6]])
    with pytest.raises(ValueError, match="expected steps from 0 to 6 in ascending order"):
        network.at(prompt, [3, 7])


def test_no_bound_on_the_supports_is_broken():
    """||f_t - f|| at the supports is at most the relative residual times ||y||, since K A^-1 is no longer than one."""
    for seed in range(20):
        prompt = random_prompt(15, 4, 1, 10.0 ** (seed % 4 - 2), seed=seed)
        at_supports = Prompt(prompt.phi, prompt.y, prompt.phi, prompt.ridge)
        trace = assemble(algorithms.two_block_conjugate_gradient(4, 6)).run(at_supports)
        system = ridge_system(at_supports)
        off = (trace.prediction - system.predict(solvers.cholesky(system).alpha)).norm(dim=-1)
        assert (off <= trace.relative_residual * prompt.y.norm() * (1 + 1e-6) + 1e-9).all()


def test_an_answer_to_a_network_of_ones_own_is_watched():
    prompt = random_prompt(20, 4, 3, 1e-4, seed=7)
    message, answer = warned(lambda: ask(assemble(algorithms.chebyshev(4, 3, 1e-4, 50.0)), prompt), NotConverged)
    assert "chebyshev: relative residual" in message and not answer.has_converged
    message, answer = warned(lambda: ask(assemble(program_for(algorithms.conjugate_gradient, prompt)), prompt), NotConverged)
    assert message is None and answer.residual <= half_the_digits(torch.float64)


def test_a_network_that_needs_more_steps_than_the_textbook_takes_them(monkeypatch):
    monkeypatch.setattr("metarep_lib.estimators.defaults.steps_to", lambda *_: 6)
    answer = solve(X[SEEN], Y[SEEN], X[ASKED], ridge=0.1)
    assert answer.has_converged and answer.steps in (9, 13, 19)
    assert warned(lambda: solve(X[SEEN], Y[SEEN], X[ASKED], ridge=0.1, steps=6), NotConverged)[0]


WRONG = {
    "a ridge in words": (dict(ridge="cv"), "expected a finite number or one of 'loo'"),
    "a kernel in words": (dict(kernel="rbf"), "one of 'linear', 'exponential'"),
    "a temperature of the linear kernel": (dict(tau=1.0), "has no temperature; kernel='exponential' has"),
    "a negative temperature": (dict(kernel="exponential", tau=-1.0), "tau is -1.0"),
    "half precision": (dict(dtype=torch.float16), "float16"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG)
def test_a_wrong_call_is_refused_with_one_that_works(given, message):
    with pytest.raises(ValueError, match=message):
        solve(X[SEEN], Y[SEEN], X[ASKED], **given)


def test_an_algorithm_that_would_take_too_many_steps_says_how_many():
    prompt = random_prompt(20, 4, 3, 1e-4, seed=7)
    with pytest.raises(AskedWrongly, match=r"gradient_descent, prompt, steps='auto'\): \d+ steps would reach"):
        program_for(algorithms.gradient_descent, prompt)
    with pytest.raises(AskedWrongly, match="expected one of block_conjugate_gradient"):
        program_for(algorithms.softmax_smoother, prompt)
