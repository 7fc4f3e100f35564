"""The studies and statements of the chapter on several outputs, against what is known of them from elsewhere."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from sklearn.linear_model import Ridge

from metarep_lib import ridge_system
from metarep_lib.certify.statements.several_outputs import outlier_rate, shared_search_error
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.studies import classes
from metarep_lib.studies import several_outputs as study
from metarep_lib.tasks import class_prompt, geometric_spectrum, synthetic_prompt


@pytest.mark.parametrize("kind", [*study.ENOUGH, "four outliers"])
def test_a_prompt_has_the_spectrum_that_was_chosen(kind):
    prompt = study.posed(kind, 2, seed=3)
    found = np.linalg.svd(prompt.phi, compute_uv=False) ** 2
    np.testing.assert_allclose(found, np.sort(study.SPECTRA[kind])[::-1], rtol=1e-9)
    assert prompt.y.shape == (prompt.n_support, 2)


def test_shared_products_are_another_library_s_iterates_column_by_column():
    system = ridge_system(study.posed("64 features, geometric", 2, seed=1))
    ours = study.separate(system, 6)
    for column in range(2):
        iterates = []
        keep = lambda x: iterates.append(x.copy())  # noqa: E731
        cg(system.A.numpy(), system.y[:, column].numpy(), maxiter=6, rtol=0, atol=0, callback=keep)
        np.testing.assert_allclose(ours[1:, :, column], iterates, rtol=1e-8, atol=1e-10)


def test_the_shared_search_has_the_least_error_of_the_block_krylov_space():
    """By least squares, over the first steps, which rounding leaves alone."""
    system = ridge_system(study.posed("four outliers", 3, seed=0))
    A, Y, root = system.A.numpy(), system.y.numpy(), np.linalg.cholesky(system.A.numpy()).T
    star = np.linalg.solve(A, Y)
    space = np.hstack([Y, A @ Y, A @ A @ Y])
    off = root @ (space @ np.linalg.lstsq(root @ space, root @ star)[0] - star)
    least = (np.linalg.norm(off, axis=0) / np.linalg.norm(root @ star, axis=0)).max()
    assert study.errors(system, study.search(system, 3))[3].item() == pytest.approx(least, rel=1e-6)


def test_errors_are_those_of_the_worst_output():
    system = ridge_system(study.posed("eight eigenvalues", 2, seed=0))
    alpha = torch.linalg.solve(system.A, system.y)
    guess = alpha * torch.tensor([1.25, 0.5])  # off by a quarter and by a half, in any norm
    assert study.errors(system, guess[None]).item() == pytest.approx(0.5)


def test_depth_is_two_blocks_a_step_or_one_more_than_outputs():
    """With one output both are conjugate gradient; with two the search takes no more steps."""
    found = study.depths("eight eigenvalues", [1, 2], range(2))
    (one, two), (alone, together) = found["shared products"].T, found["shared search"].T
    assert (one == alone).all() and (one % 2 == 0).all()
    assert (together % 3 == 0).all() and (together / 3 <= two / 2).all()


def test_one_step_is_the_steepest_descent_of_the_worst_output():
    """alpha_1 = y (y . y) / (y . A y), in numpy."""
    (found,) = study.final_errors(two_block_conjugate_gradient(12, 1, 3), seeds=[0])
    made = synthetic_prompt(geometric_spectrum(12, 1e4), 40, 1, 1e-4, seed=300)
    Y = np.random.default_rng(400).standard_normal((40, 3))
    A = ridge_system(made).A.numpy()
    star, first = np.linalg.solve(A, Y), Y * (Y * Y).sum(0) / (Y * (A @ Y)).sum(0)
    assert found == pytest.approx((np.linalg.norm(first - star, axis=0) / np.linalg.norm(star, axis=0)).max())


def test_the_share_used_of_the_rate_is_read_off_errors_and_bound():
    found = study.compared("four outliers", 4, 20, range(2))
    share = (found["shared search"][:, 1:] / found["bound"][:, 1:]).max(1)
    assert (found["used"] <= share).all() and (found["used"] > 0.9 * share).all()


def test_networks_of_classes_say_what_another_library_says():
    """Steps are counted against the answer of ridge regression; the last block of each depth is enough."""
    prompt = class_prompt("iris", 60, 40, ridge=1.0, seed=200)
    model = Ridge(alpha=1.0, fit_intercept=False).fit(prompt.phi, prompt.y)
    np.testing.assert_allclose(classes.truth(ridge_system(prompt)), model.predict(prompt.phi_query), atol=1e-12)


def test_a_method_is_as_deep_as_its_blocks():
    found = classes.depths("iris", 60, 1.0, [200])
    (textbook,), (products,) = found["products, textbook"], found["products"]
    assert textbook / 5 == products / 2 <= 4 + 1  # features, and the eigenvalue of the other supports
    assert found["search"][0] % 4 == 0


def test_value_and_bound_of_the_rate_by_hand():
    """Eigenvalues 1 and 4, y = (1, 2): one step of conjugate gradient, in fractions."""
    eigenvalues, y = [Fraction(1), Fraction(4)], [Fraction(1), Fraction(2)]
    step = sum(b * b for b in y) / sum(a * b * b for a, b in zip(eigenvalues, y))
    error = sum(a * (b / a - step * b) ** 2 for a, b in zip(eigenvalues, y))
    A, Y = torch.tensor([1.0, 4.0]).double(), torch.tensor([[1.0], [2.0]]).double()
    assert shared_search_error(A, Y, 1).item() == pytest.approx(float(error) ** 0.5)
    # v = (0, 1/2 - 2): what is left when the smallest eigenvalue is removed; kappa_1 = 1
    assert outlier_rate(A, Y, 1).item() == pytest.approx(2 * (4 * 1.5**2) ** 0.5)
    assert outlier_rate(A, Y, 2).item() == 0
