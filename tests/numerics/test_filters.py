"""Tuned baselines: filters against the iterations they stand for, tuning against closed forms, grids and other optimisers."""

import numpy as np
import pytest
import scipy.optimize
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from certificates import certifies
from metarep_lib import RidgeSystem, Transformer, solvers
from metarep_lib.network import AttentionConfig, BlockConfig, PrefixMask, TransformerConfig
from metarep_lib.numerics.spectrum import (
    Filter,
    PolynomialFilter,
    Spectrum,
    best_polynomial,
    krylov_degree,
    tune,
)
from metarep_lib.numerics.spectrum.filters import METHODS, chebyshev_basis
from metarep_lib.tasks import LinearPrior


def draw(n_prompts, seed, d=3, n=6, q=4):
    """Primal systems without ridge (X^T X, X^T y, x), the targets, and the tokens themselves."""
    drawn = LinearPrior(d, condition=10.0, noise=(0.3,)).sample(n_prompts, n + q, torch.Generator().manual_seed(seed))
    x, y, f = drawn.x.double(), drawn.y.double(), drawn.f.double()
    X = x[:, :n]
    system = RidgeSystem(X.mT @ X, (X.mT @ y[:, :n, None]).squeeze(-1), x[:, n:])
    return system, f[:, n:], (X, y[:, :n], x[:, n:])


def scalars(names, steps, seed):
    rng = np.random.default_rng(seed)
    return {name: torch.from_numpy(rng.uniform(0, 0.08, steps)) for name in names}


def by_tokens(X, y, x, eta, gamma):
    """GD++ as it was published: every layer moves targets and inputs of all tokens at once; minus the query's target is the prediction."""
    out = []
    for b in range(len(X)):
        tokens, r = np.concatenate([X[b], x[b]]), np.concatenate([y[b], np.zeros(len(x[b]))])
        k = len(X[b])
        for e, g in zip(eta, gamma):
            scores = tokens @ tokens[:k].T
            r, tokens = r - e * scores @ r[:k], tokens - g * scores @ tokens[:k]
        out.append(-r[k:])
    return np.array(out)


@given(steps=st.integers(1, 4), seed=st.integers(0, 10**6))
def test_gd_plus_plus_is_the_published_layer_on_tokens(steps, seed):
    system, _, (X, y, x) = draw(2, seed)
    held = scalars(("eta", "gamma"), steps, seed)
    theirs = by_tokens(X.numpy(), y.numpy(), x.numpy(), held["eta"].numpy(), held["gamma"].numpy())
    np.testing.assert_allclose(Spectrum.of(system).predict(Filter("GD++", held)), theirs, rtol=1e-8, atol=1e-10)


@given(steps=st.integers(1, 8), seed=st.integers(0, 10**6))
def test_gradient_descent_and_chebyshev_are_filters(steps, seed):
    system, *_ = draw(2, seed)
    spectrum = Spectrum.of(system)
    smallest, largest = 0.5, float(spectrum.eigenvalues.max()) + 1
    held = {"eta": torch.full((steps,), 1 / largest, dtype=torch.float64)}
    theirs = system.predict(solvers.gradient_descent(system, steps, 1 / largest).alpha)
    torch.testing.assert_close(spectrum.predict(Filter("gradient descent", held)), theirs, rtol=1e-9, atol=1e-11)
    theta, delta = (largest + smallest) / 2, (largest - smallest) / 2
    rho, eta, beta = delta / theta, [1 / theta], [0.0]
    for _ in range(steps - 1):
        rho_old, rho = rho, 1 / (2 * theta / delta - rho)
        eta, beta = [*eta, 2 * rho / delta], [*beta, rho * rho_old]
    momentum = Filter("momentum", {"eta": torch.tensor(eta, dtype=torch.float64), "beta": torch.tensor(beta, dtype=torch.float64)})
    theirs = system.predict(solvers.chebyshev(system, steps, smallest, largest).alpha)
    torch.testing.assert_close(spectrum.predict(momentum), theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_krylov_degree_is_that_of_the_polynomial(method, steps):
    """1 - s c(s) grows like s^degree, and is 1 at s = 0."""
    held = {name: 5 * values + 0.1 for name, values in scalars(METHODS[method][1], steps, seed=0).items()}
    s = torch.tensor([2.0**30, 2.0**31, 0.0], dtype=torch.float64)
    residual = 1 - s * Filter(method, held)(s)
    assert round(float((residual[1] / residual[0]).abs().log2()), 4) == krylov_degree(method, steps)
    assert residual[2] == 1


def test_one_step_is_a_regression():
    system, f, _ = draw(300, 0)
    one = tune("gradient descent", Spectrum.of(system), f, 1).scalars["eta"]
    g = system.predict(system.y)  # of a step of size one
    theirs = LinearRegression(fit_intercept=False).fit(g.reshape(-1, 1), f.reshape(-1)).coef_
    np.testing.assert_allclose(one, theirs, rtol=1e-6)


@pytest.mark.parametrize(("method", "steps", "tied"), [("gradient descent", 3, False), ("momentum", 2, False), ("GD++", 2, False), ("GD++", 3, True)])
def test_another_optimiser_finds_nothing_better(method, steps, tied):
    system, f, _ = draw(60, 1)
    spectrum = Spectrum.of(system)
    ours = spectrum.risk(tune(method, spectrum, f, steps, tied=tied), f).item()
    names, width = METHODS[method][1], 1 if tied else steps
    unit = spectrum.eigenvalues.amax(-1).mean().item()

    def risk(z):
        held = {name: torch.from_numpy(row).expand(steps) / (1 if name == "beta" else unit) for name, row in zip(names, z.reshape(len(names), width))}
        return min(spectrum.risk(Filter(method, held), f).item(), 1e3)

    box = [(-1, 8)] * (len(names) * width)
    theirs = scipy.optimize.differential_evolution(risk, box, seed=0, maxiter=40, popsize=8, polish=True).fun
    assert ours <= theirs * (1 + 1e-3)


def test_no_method_beats_the_best_polynomial_of_its_degree_where_it_was_fitted():
    system, f, _ = draw(100, 2)
    spectrum = Spectrum.of(system)
    for method in METHODS:
        for steps in (1, 2):
            bound = spectrum.risk(best_polynomial(spectrum, f, krylov_degree(method, steps)), f)
            assert bound <= spectrum.risk(tune(method, spectrum, f, steps), f) * (1 + 1e-9)
    one, gd = best_polynomial(spectrum, f, 1), tune("gradient descent", spectrum, f, 1)
    torch.testing.assert_close(spectrum.risk(one, f), spectrum.risk(gd, f))
    # mutant: a bound of too small a degree is beaten
    assert spectrum.risk(best_polynomial(spectrum, f, 2), f) > spectrum.risk(tune("GD++", spectrum, f, 2), f)


def test_the_best_polynomial_is_least_squares_on_powers():
    system, f, _ = draw(50, 3)
    spectrum = Spectrum.of(system)
    powers, v = [], system.y
    for _ in range(3):
        powers.append(system.predict(v).reshape(-1))
        v = system.matvec(v)
    theirs = LinearRegression(fit_intercept=False).fit(torch.stack(powers, -1), f.reshape(-1))
    expected = theirs.predict(torch.stack(powers, -1)).reshape(f.shape)
    np.testing.assert_allclose(spectrum.predict(best_polynomial(spectrum, f, 3)), expected, rtol=1e-6, atol=1e-9)


def test_chebyshev_polynomials_are_cosines():
    angle = torch.linspace(0, 3, 7, dtype=torch.float64)
    basis = chebyshev_basis(5 * (1 + angle.cos()) / 2, 5, 5.0)
    torch.testing.assert_close(basis, torch.cos(angle[:, None] * torch.arange(5)), rtol=1e-10, atol=1e-12)
    assert PolynomialFilter(torch.ones(1).double(), 2.0)(angle).tolist() == [1.0] * 7


def test_a_call_that_means_nothing_is_refused():
    spectrum = Spectrum.of(draw(2, 0)[0])
    f = torch.zeros(2, 4).double()
    for wrong in (lambda: tune("newton", spectrum, f, 1), lambda: tune("GD++", spectrum, f, 0), lambda: krylov_degree("newton", 2)):
        with pytest.raises(ValueError, match="'gradient descent', 'momentum', 'GD\\+\\+'"):
            wrong()
    with pytest.raises(ValueError, match="degree >= 1"):
        best_polynomial(spectrum, f, 0)
    with pytest.raises(ValueError, match="no start of 2 reached a finite risk"):
        tune("GD++", spectrum, f + 1e200, 1, restarts=2)
    with pytest.raises(ValueError, match="f is float64.* with NaN or infinite values"):
        tune("GD++", spectrum, f + torch.nan, 1, restarts=2)


def growth(value, z):
    """The degree of a polynomial in z, from its growth between z and 2 z, far out."""
    return float((value(2 * z) / value(z)).abs().log2())


@certifies(
    "prop-attention-degree",
    statement=lambda layers: (3**layers - 1) // 2,
    mutants={
        "(3^L + 1) / 2": lambda layers: (3**layers + 1) // 2,
        "one degree less": lambda layers: (3**layers - 3) // 2,
        "degrees that double": lambda layers: 2**layers - 1,
    },
)
def test_linear_attention_has_the_degree_that_gd_plus_plus_uses_up(statement):
    """x^T c(S) X^T y grows as z^(2 j + 1) under inputs and targets z times as large, with j the degree of 1 - s c(s)."""
    for layers in (1, 2, 3):
        held = {name: 5 * values + 0.1 for name, values in scalars(("eta", "gamma"), layers, seed=1).items()}
        system, _, _ = draw(1, 5)

        def prediction(z, system=system, held=held):
            scaled = RidgeSystem(z**2 * system.A, z**2 * system.y, z * system.K_query)
            return Spectrum.of(scaled).predict(Filter("GD++", held))[0, 0]

        of_filter, of_network = growth(prediction, 2.0**24), growth(random_linear_attention(layers), 2.0**24)
        assert round(of_filter, 3) == 2 * statement(layers) + 1
        assert round(of_network, 3) == 2 * statement(layers) + 1  # the bound is attained by ordinary weights, and not passed
        assert krylov_degree("GD++", layers) == statement(layers)


def random_linear_attention(layers):
    """Of z: what a network of ordinary weights says when all channels but a flag are z times as large."""
    block = BlockConfig((AttentionConfig("linear", 2, 3, 3),), 0)
    config = TransformerConfig(4, 5, 1, (block,) * layers, tuple(range(layers)))
    network = Transformer(config, torch.Generator().manual_seed(layers)).double()
    tokens = torch.randn(5, 4, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    flags = torch.tensor([1.0, 1.0, 1.0, 0.0]).double()

    def output(z):
        with torch.no_grad():
            return network(tokens * (flags * z + (1 - flags)), PrefixMask(4, sees_itself=True))[-1, 0]

    return output


def expectation(n, d, noise):
    """Of eta: the risk, by quadrature. Products are of degree at most four in each normal number, so three Gauss-Hermite nodes are exact."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    grid = np.stack(np.meshgrid(*[range(3)] * (n * d + 2 * d + n), indexing="ij"), -1).reshape(3 ** (n * d + 2 * d + n), -1)
    z, weight = nodes[grid], (weights / weights.sum())[grid].prod(-1)
    X, x, w, eps = z[:, : n * d].reshape(-1, n, d), z[:, n * d : n * d + d], z[:, n * d + d : n * d + 2 * d] / d**0.5, z[:, n * d + 2 * d :]
    f = (w * x).sum(-1)
    g = np.einsum("za,zia,zi->z", x, X, np.einsum("zia,za->zi", X, w) + noise * eps)
    return lambda eta: weight @ (f - eta * g) ** 2


@certifies(
    "thm-best-step",
    statement=(lambda n, d, noise: 1 / (n + d + 1 + d * noise**2), lambda n, d, eta: 1 - n * eta),
    mutants={
        "n + d in the place of n + d + 1": (lambda n, d, noise: 1 / (n + d + d * noise**2), lambda n, d, eta: 1 - n * eta),
        "2 n in the place of n + d": (lambda n, d, noise: 1 / (2 * n + 1 + d * noise**2), lambda n, d, eta: 1 - n * eta),
        "noise without its factor d": (lambda n, d, noise: 1 / (n + d + 1 + noise**2), lambda n, d, eta: 1 - n * eta),
        "a risk of 1 - d eta": (lambda n, d, noise: 1 / (n + d + 1 + d * noise**2), lambda n, d, eta: 1 - d * eta),
    },
)
def test_the_best_step_by_quadrature(statement):
    for n, d, noise in ((1, 2, 0.7), (3, 1, 0.7), (2, 2, 0.0), (2, 2, 0.7)):
        risk, eta = expectation(n, d, noise), statement[0](n, d, noise)
        assert abs(risk(eta) - statement[1](n, d, eta)) < 1e-12
        assert min(risk(eta * 1.01), risk(eta * 0.99)) > risk(eta)
        assert scipy.optimize.minimize_scalar(risk).x == pytest.approx(eta, rel=1e-6)
