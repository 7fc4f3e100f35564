"""Prompts made by hand are what they are called."""

import numpy as np
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression
from sklearn.preprocessing import PolynomialFeatures

from metarep_lib import assemble, two_block_conjugate_gradient
from metarep_lib.construct.transforms import on_polynomial_features
from metarep_lib.studies import hand_made


def test_scaling_is_the_only_trouble_of_badly_scaled_supports():
    phi = hand_made.badly_scaled(seed=3).phi.numpy()
    scales = np.geomspace(10**-1.5, 10**1.5, 20)[:, None]
    assert np.linalg.cond(phi) > 100 > 10 > np.linalg.cond(phi / scales)


def test_quadratic_targets_are_quadratic_up_to_their_noise():
    prompt = hand_made.quadratic(seed=3)
    x, y = prompt.phi.numpy(), prompt.y.numpy()
    fitted = LinearRegression().fit(PolynomialFeatures(2).fit_transform(x), y)
    np.testing.assert_allclose(fitted.coef_, [0, 0, 0, 0, 0, 1, 0, 0, 0, -1], atol=0.1)
    assert LinearRegression().fit(x, y).score(x, y) < 0.5


def test_a_network_with_features_inside_says_what_another_library_s_kernel_ridge_says():
    prompt = hand_made.quadratic(seed=6)
    inside = assemble(on_polynomial_features(two_block_conjugate_gradient(16, 40), n_inputs=3))
    theirs = KernelRidge(alpha=prompt.ridge, kernel="poly", degree=2, gamma=1.0, coef0=1.0)
    theirs.fit(prompt.phi.numpy(), prompt.y.numpy())
    np.testing.assert_allclose(inside.predict(prompt), theirs.predict(prompt.phi_query.numpy()), rtol=0, atol=1e-9)
