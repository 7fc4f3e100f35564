"""The oracle's held-out errors, against another library's regression."""

import numpy as np
from sklearn.linear_model import Ridge

from metarep_lib.studies import held_out
from metarep_lib.tasks import diabetes_prompt


def test_held_out_errors_are_those_of_another_library():
    found = held_out.errors(20)
    prompts = diabetes_prompt(20, 100, 1.0, seed=20, n_prompts=10)
    for i, (phi, y, query, truth) in enumerate(zip(prompts.phi, prompts.y, prompts.phi_query, prompts.y_query.numpy())):
        said = Ridge(alpha=1.0, fit_intercept=False).fit(phi, y).predict(query)
        theirs = {"oracle": said, "mean": np.full(100, y.mean())}
        for name, prediction in theirs.items():
            error = np.sqrt(np.mean((prediction - truth) ** 2)) / np.std(truth, ddof=1)
            np.testing.assert_allclose(found[name][i], error, rtol=1e-9)
