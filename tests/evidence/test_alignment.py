"""Derivatives by targets, smoothers fitted to them, kernel heads, shifted laws: each against something independent."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from sklearn.gaussian_process.kernels import RBF
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import Ridge

from certificates import certifies
from factories import random_prompt
from metarep_lib import Prompt, assemble, softmax_conjugate_gradient
from metarep_lib.asked import AskedWrongly
from metarep_lib.construct.algorithms import richardson, softmax_smoother
from metarep_lib.evidence import paired_interval
from metarep_lib.evidence.align import (
    FAMILIES,
    Fitted,
    central_differences,
    fit,
    head_logits,
    kernel_heads,
    prediction_and_weights,
    prediction_error,
    weight_cosine,
    weight_error,
)
from metarep_lib.network import Answerer
from metarep_lib.network.tokens import prefix_mask, tokenise
from metarep_lib.numerics.kernels import GaussianKernel
from metarep_lib.studies import drawn
from metarep_lib.studies.transfer import network_left_out
from metarep_lib.tasks import (
    ExponentialPrior,
    LinearPrior,
    Rescaled,
    SpherePrior,
    bayes,
    bayes_risk,
    shifted,
)
from metarep_lib.train import load_trained

SPHERE = SpherePrior(3)


def on_sphere(n_support: int = 12, n_query: int = 3, n_prompts: int = 4, seed: int = 0, radius: float = 1.0) -> Prompt:
    _, prompt = drawn(Rescaled(SPHERE, x=radius), n_prompts, n_support, n_query, seed)
    prompt = prompt.to(torch.float64)
    phi, phi_query = (radius * x / x.norm(dim=-1, keepdim=True) for x in (prompt.phi, prompt.phi_query))  # to double precision
    return Prompt(phi, prompt.y, phi_query, ridge=1.0)


def test_the_gaussian_kernel_is_that_of_scikit_learn():
    prompt = random_prompt(7, 3, 4, 1.0)
    ours = GaussianKernel(0.5)(prompt.phi, prompt.phi_query)
    np.testing.assert_allclose(ours, RBF(length_scale=math.sqrt(0.5))(prompt.phi, prompt.phi_query), rtol=1e-12)
    with pytest.raises(ValueError, match="positive squared width"):
        GaussianKernel(0.0)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_of_a_family_are_the_derivatives_of_its_predictions(family):
    prompt, one = on_sphere(), Fitted(family, 0.4, 0.3)
    f, s = prediction_and_weights(one.predict, prompt)
    torch.testing.assert_close(s, one.weights(prompt), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close((s @ prompt.y.unsqueeze(-1)).squeeze(-1), f)


def test_predictions_of_the_families_are_those_of_scikit_learn():
    prompt = random_prompt(12, 3, 5, 1.0)
    X, y, X_query = (part.numpy() for part in (prompt.phi, prompt.y, prompt.phi_query))
    unit = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in (X, X_query)]
    theirs = {
        "exponential": KernelRidge(alpha=0.3, kernel=lambda a, b: np.exp(a @ b / 2)).fit(X, y).predict(X_query),
        "gaussian": KernelRidge(alpha=0.3, kernel="rbf", gamma=1 / 4).fit(X, y).predict(X_query),
        "directions": KernelRidge(alpha=0.3, kernel=lambda a, b: np.exp(a @ b / 2)).fit(unit[0], y).predict(unit[1]),
        "linear": Ridge(alpha=0.3, fit_intercept=False).fit(X, y).predict(X_query),
    }
    for family, expected in theirs.items():
        np.testing.assert_allclose(Fitted(family, 2.0, 0.3).predict(prompt), expected, rtol=1e-9)


def test_derivatives_of_a_function_that_is_not_linear():
    prompt = on_sphere()
    f, s = prediction_and_weights(lambda prompt: prompt.y.square()[:, :3] * prompt.phi_query[..., 0], prompt)
    expected = torch.diag_embed(2 * prompt.y[:, :3] * prompt.phi_query[..., 0])
    torch.testing.assert_close(s[..., :3], expected)
    assert s[..., 3:].abs().max() == 0


@pytest.mark.parametrize(
    ("family", "program"),
    [("exponential", softmax_conjugate_gradient(3, 30, tau=0.4)), ("exponential", richardson(3, 800, tau=1.5)), ("smoother", softmax_smoother(3, tau=0.4))],
    ids=["conjugate gradient", "richardson", "smoother"],
)
def test_a_constructed_network_is_recognised(family, program):
    _, prompt = drawn(SPHERE, 3, 8, 2, seed=1)
    prompt = Prompt(prompt.phi, prompt.y, prompt.phi_query, ridge=1.3).to(torch.float64)
    _, s = prediction_and_weights(assemble(program).predict, prompt)
    found = {name: fit(name, prompt, s) for name in ("exponential", "smoother", "linear")}
    error = {name: weight_error(s, one.weights(prompt)).max() for name, one in found.items()}
    assert error.pop(family) < 1e-5
    assert min(error.values()) > 0.1
    assert found[family].tau == pytest.approx(1.5 if program.name == "richardson" else 0.4, rel=1e-4)
    if family == "exponential":
        assert found[family].ridge == pytest.approx(1.3, rel=1e-4)


@settings(max_examples=8, deadline=None)
@given(log_tau=st.floats(-1.5, 1.0), log_ridge=st.floats(-4, 1), family=st.sampled_from(sorted(FAMILIES.keys() - {"smoother", "linear"})))
def test_fit_finds_what_made_the_weights(log_tau, log_ridge, family):
    prompt = random_prompt(10, 2, 3, 1.0, seed=4, batch=(3,))
    made = Fitted(family, 2 * math.exp(log_tau), math.exp(log_ridge))
    s = made.weights(prompt)
    assert weight_error(s, fit(family, prompt, s).weights(prompt)).max() < 1e-3


def test_fit_at_a_given_temperature_and_of_an_unknown_family():
    prompt = on_sphere()
    s = Fitted("exponential", 0.3, 1.0).weights(prompt)
    assert fit("exponential", prompt, s, tau=0.9).tau == 0.9
    with pytest.raises(ValueError, match="no such family; there are: exponential, directions, gaussian, smoother, linear"):
        fit("cubic", prompt, s)


def test_metrics_at_their_ends():
    s = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert weight_error(s, s).max() == 0 and weight_error(s, 0 * s).tolist() == [1, 1]
    torch.testing.assert_close(weight_cosine(s, 7 * s), torch.ones(2).double())
    torch.testing.assert_close(weight_cosine(s, -s), -torch.ones(2).double())
    assert prediction_error(s, 0 * s) == 1


def paired(r: float, tau: float, ridge: float, *, exponent: float = 1.0, power: int = 2, of_directions: float = 0.0) -> list[Fitted]:
    """The three kernels that are one regression where all inputs have length r."""
    gaussian = Fitted("gaussian", tau, ridge * math.exp(-exponent * r**2 / tau))
    return [Fitted("exponential", tau, ridge), gaussian, Fitted("directions", tau / r**power, ridge * math.exp(-of_directions * r**2 / tau))]


@certifies(
    "prop-sphere-kernels",
    statement=paired,
    mutants={
        "the gaussian kernel's ridge with half the exponent": lambda r, tau, ridge: paired(r, tau, ridge, exponent=0.5),
        "the directions' temperature tau / r": lambda r, tau, ridge: paired(r, tau, ridge, power=1),
        "the directions' ridge scaled as the gaussian kernel's": lambda r, tau, ridge: paired(r, tau, ridge, of_directions=1.0),
    },
)
def test_three_kernels_are_one_on_a_sphere(statement):
    draws = np.random.default_rng(0).uniform((0.5, 0.3, -2), (2, 3, 2), (20, 3))
    for radius, tau, log_ridge in [(0.5, 3.0, -2.0), (2.0, 0.3, 2.0), *draws.tolist()]:
        prompt = on_sphere(radius=radius)
        first, *others = (one.weights(prompt) for one in statement(radius, tau, math.exp(log_ridge)))
        assert max((first - other).norm() / first.norm() for other in others) < 1e-8


def lengthened(support: float, query: float) -> Prompt:
    """The first support, and all queries, longer than the rest."""
    prompt = on_sphere()
    phi = prompt.phi * torch.tensor([support] + [1.0] * 11).double()[:, None]
    return Prompt(phi, prompt.y, query * prompt.phi_query, ridge=1.0)


@certifies(
    "prop-sphere-kernels",
    statement=lengthened(1.0, 1.0),
    mutants={"supports of different length": lengthened(2.0, 1.0), "a query of another length than the supports": lengthened(1.0, 2.0)},
)
@pytest.mark.parametrize("other", [1, 2], ids=["gaussian", "directions"])
def test_all_lengths_must_be_the_same(statement, other):
    three = paired(1.0, 0.7, 0.5)
    assert weight_error(three[0].weights(statement), three[other].weights(statement)).max() < 1e-12


def rescaled(
    c: float, r: float, tau: float, ridge: float, *, power: int = 2, held: float = 1.0, noticed: float = 0.0
) -> list[Fitted]:
    """What gaussian, exponential and directions kernel, all at this ridge, act as on the old inputs once all have been multiplied by c."""
    of_exponential = ridge * math.exp(-(r**2) / tau) / math.exp((c**2 - held) * r**2 / tau)
    return [Fitted("gaussian", tau / c**power, ridge), Fitted("gaussian", tau / c**2, of_exponential), Fitted("directions", tau / r**2 / c**noticed, ridge)]


@certifies(
    "prop-sphere-kernels",
    statement=rescaled,
    mutants={
        "the temperature divided by c": lambda c, r, tau, ridge: rescaled(c, r, tau, ridge, power=1),
        "the exponential kernel's ridge left as it is": lambda c, r, tau, ridge: rescaled(c, r, tau, ridge, held=c**2),
        "the exponential kernel's ridge divided by e^(c^2 r^2 / tau)": lambda c, r, tau, ridge: rescaled(c, r, tau, ridge, held=0.0),
        "the kernel of directions notices": lambda c, r, tau, ridge: rescaled(c, r, tau, ridge, noticed=2.0),
    },
)
@pytest.mark.parametrize("c", [0.6, 1.3])
def test_scaled_inputs_are_another_temperature_and_for_the_exponential_kernel_another_ridge(statement, c):
    r, tau, ridge = 1.5, 2.0, 0.8
    before = on_sphere(radius=r)
    after = Prompt(c * before.phi, before.y, c * before.phi_query, ridge=1.0)
    held = Fitted("gaussian", tau, ridge), Fitted("exponential", tau, ridge), Fitted("directions", tau / r**2, ridge)
    for moved, same in zip(held, statement(c, r, tau, ridge), strict=True):
        torch.testing.assert_close(moved.weights(after), same.weights(before), rtol=1e-7, atol=1e-9)


def regression(prompt: Prompt, mu: float, penalised: bool = False, intercept: bool = True) -> torch.Tensor:
    """What scikit-learn's ridge regression says at the queries; its intercept free, penalised as the weights are, or none."""
    X, X_query = prompt.phi, prompt.phi_query
    if penalised:
        X, X_query = (torch.cat([part, torch.ones_like(part[:, :1])], 1) for part in (X, X_query))
    return torch.from_numpy(Ridge(alpha=mu, fit_intercept=intercept and not penalised).fit(X, prompt.y).predict(X_query))


@certifies(
    "prop-hot-limit",
    statement=regression,
    mutants={
        "an intercept that is penalised as the weights are": lambda prompt, mu: regression(prompt, mu, penalised=True),
        "no intercept": lambda prompt, mu: regression(prompt, mu, intercept=False),
        "twice the penalty": lambda prompt, mu: regression(prompt, 2 * mu),
    },
)
@pytest.mark.parametrize("seed", range(5))
def test_a_hot_exponential_kernel_is_ridge_regression_with_a_free_intercept(statement, seed):
    made = random_prompt(9, 3, 4, 1.0, seed=seed)
    prompt = Prompt(made.phi, made.y + 3, made.phi_query, ridge=1.0)  # a mean that a penalty would pull to zero
    said = [Fitted("exponential", tau, 0.7 / tau).predict(prompt) for tau in (1e3, 1e4, 1e5)]
    errors = [(f - statement(prompt, 0.7)).norm() / f.norm() for f in said]
    assert errors[0] < 0.05 and errors[1] < 0.2 * errors[0] and errors[2] < 0.2 * errors[1]  # of order 1 / tau


def test_kernel_heads_name_the_head_of_a_constructed_smoother():
    network = assemble(softmax_smoother(3, tau=0.4))
    prompt = on_sphere()
    logits = head_logits(network.transformer, tokenise(prompt, network.program.inputs), prefix_mask(prompt))
    assert logits.shape == (1, 4, 1, 17, 17)
    head = kernel_heads(logits[..., 2:14, 2:14], prompt.phi, prompt.phi)
    assert head.share.item() == pytest.approx(1) and head.inverse_tau.item() == pytest.approx(2.5) and head.distance.item() < 1e-12


def test_logits_of_no_kernel_are_not_taken_for_one():
    prompt = on_sphere(n_support=30, n_prompts=16)
    noise = torch.randn(16, 1, 30, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    head = kernel_heads(noise, prompt.phi, prompt.phi)
    assert head.share < 0.02 and abs(head.distance - 1) < 0.1


def test_logits_of_the_network_make_its_attention():
    network = load_trained("softmax-gp", 0)
    _, prompt = drawn(network.recipe.prior, 2, 6, 2, seed=0)
    question = network.question(prompt)
    tokens, mask = question.tokens, question.mask
    block = network.transformer.blocks[0]
    x = block.norm_attention(tokens @ network.transformer.W_E)
    P = head_logits(network.transformer, tokens, mask)[0].masked_fill(~mask.dense(8), -torch.inf).softmax(-1)
    out = (P @ (x.unsqueeze(-3) @ block.attention[0].W_V) @ block.attention[0].W_O).sum(-3)
    torch.testing.assert_close(out, block.attention[0](x, mask), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="expected one softmax group"):
        head_logits(load_trained("linear-attention-1", 0).transformer, tokens, mask)


def test_the_sphere_prior_is_the_exponential_prior():
    ours, theirs = (prior.sample(5, 9, torch.Generator().manual_seed(3)) for prior in (SPHERE, ExponentialPrior(3, noise=(0.2,))))
    torch.testing.assert_close(ours.x, theirs.x)
    torch.testing.assert_close(ours.f, theirs.f, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("functions", ["exponential", "linear", "step"])
@pytest.mark.parametrize("radii", [0.0, 0.5])
def test_functions_have_the_covariance_they_announce(functions, radii):
    prior = Rescaled(SpherePrior(3, functions, spread=radii, noise=(1e-6,)), x=2.0, y=3.0)
    draw = prior.sample(40_000, 2, torch.Generator().manual_seed(0))
    announced = prior.covariance(draw.x, draw.x)[:, 0, 1]
    for low, high in ((-1, -0.3), (-0.3, 0.3), (0.3, 1)):
        u = torch.cosine_similarity(draw.x[:, 0], draw.x[:, 1], dim=-1)
        inside = (u >= low) & (u < high)
        measured = (draw.f[inside, 0] * draw.f[inside, 1]).mean()
        assert abs(measured - announced[inside].mean()) < 5 * 9 / inside.sum() ** 0.5
    if not radii:
        torch.testing.assert_close(draw.x.norm(dim=-1), 2 * torch.ones(40_000, 2))


def test_directions_are_uniform_unless_the_inputs_are_conditioned():
    for condition, uniform in ((1.0, True), (100.0, False)):
        x = SpherePrior(3, "linear", condition=condition).sample(1, 3000, torch.Generator().manual_seed(1)).x[0]
        spread = torch.linalg.eigvalsh(x.T @ x / 3000)
        assert (spread.max() / spread.min() < 1.2) == uniform
        if uniform:  # one coordinate of a uniform point on the sphere in three dimensions is uniform (Archimedes)
            assert kstest(x[:, 0], "uniform", args=(-1, 2)).pvalue > 1e-3


def test_the_oracle_of_a_rescaled_law_is_that_of_the_law():
    prior = SpherePrior(3)
    moved = Rescaled(prior, x=2.0, y=3.0)
    draws = [one.sample(6, 12, torch.Generator().manual_seed(0)) for one in (prior, moved)]
    torch.testing.assert_close(3 * bayes(prior, draws[0], 8), bayes(moved, draws[1], 8), rtol=1e-4, atol=1e-5)
    assert bayes_risk(moved, draws[1], 8) == pytest.approx(9 * bayes_risk(prior, draws[0], 8), rel=1e-3)


@pytest.mark.parametrize("prior", [ExponentialPrior(3, noise=(0.2,)), LinearPrior(5, 100.0)])
def test_every_knob_moves_the_law_and_no_other_knob_exists(prior):
    sphere = isinstance(prior, ExponentialPrior)
    knobs = {"x-scale": 2.0, "y-scale": 2.0, "noise": 0.5, "condition": 10.0, "step": 1, "linear": 1} | ({"tau": 0.6, "spread": 0.3} if sphere else {"exponential": 1})
    before = prior.sample(2, 4, torch.Generator().manual_seed(0))
    for knob, value in knobs.items():
        after = shifted(prior, knob, value).sample(2, 4, torch.Generator().manual_seed(0))
        assert not torch.allclose(torch.cat([before.x.flatten(), before.y.flatten()]), torch.cat([after.x.flatten(), after.y.flatten()]))
    assert shifted(prior, "supports", 3) is prior
    with pytest.raises(ValueError, match="no such knob"):
        shifted(prior, "colour", 1.0)


def test_left_out_predictions_do_not_see_what_is_left_out():
    network = load_trained("softmax-gp", 0)
    _, prompt = drawn(network.recipe.prior, 2, 5, 1, seed=0)
    said = network_left_out(network, prompt)
    moved = prompt.y.clone()
    moved[:, 2] += 3
    again = network_left_out(network, Prompt(prompt.phi, moved, prompt.phi_query, 1.0))
    assert (said[:, 2] - again[:, 2]).abs().max() < 1e-6 < (said[:, 3] - again[:, 3]).abs().min()


def test_the_interval_covers_the_mean():
    rng = np.random.default_rng(0)
    intervals = [paired_interval(torch.from_numpy(rng.standard_normal(40)), 200) for _ in range(100)]
    assert 85 <= sum(low <= 0 <= high for _, low, high in intervals) <= 100
    assert all(low <= mean <= high for mean, low, high in intervals)


class OnlyAnswers(Answerer):
    """What a network says, without a graph."""

    def __init__(self, network, predict=None):
        self.network, self.traits = network, replace(network.traits, is_differentiable=False)
        self.ask = predict or network.predict

    traits = None

    def predict(self, prompt):
        return self.ask(prompt).detach()


@pytest.mark.parametrize("name", ["softmax-gp", "linear-attention-2"])
def test_differences_are_the_derivatives_of_a_network(name):
    network = load_trained(name, 0).to(torch.float64)
    prompt = random_prompt(6, network.traits.n_features, 3, 1.0, seed=2, batch=(2,))
    f, s = prediction_and_weights(network, prompt)
    said, slopes = prediction_and_weights(OnlyAnswers(network), prompt)
    torch.testing.assert_close(said, f, rtol=1e-10, atol=1e-12)
    assert (slopes - s).abs().max() < 1e-6 * s.abs().max()


def test_differences_of_whole_numbers_are_exact():
    """A power of two for a step rounds nothing where y and the weights are small whole numbers."""
    network, W = assemble(softmax_smoother(2, 1.0)), torch.tensor([[3.0, -2.0, 0.0, 7.0]]).double()
    prompt = Prompt(torch.ones(4, 2).double(), torch.tensor([1.0, -5.0, 2.0, 3.0]).double(), torch.ones(1, 2).double(), ridge=1.0)
    linear = OnlyAnswers(network, lambda prompt: prompt.y @ W.mT)
    assert torch.equal(central_differences(linear, prompt), W)


def test_a_function_without_a_graph_is_told_so():
    with pytest.raises(AskedWrongly, match=r"without a graph to y.*this would work: as_answerer\(predict, prompt\)"):
        prediction_and_weights(lambda prompt: prompt.phi_query[..., 0], on_sphere())
