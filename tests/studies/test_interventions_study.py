"""The studies of the chapter on interventions, against what is known of them from elsewhere."""

import numpy as np
import pytest
import torch
from scipy.sparse.linalg import cg
from sklearn.linear_model import Ridge

from factories import random_prompt
from metarep_lib import assemble, conjugate_gradient, ridge_system, two_block_conjugate_gradient
from metarep_lib.evidence.intervene import intervene
from metarep_lib.studies import edited_recurrences as recurrences
from metarep_lib.studies import injections as study
from metarep_lib.studies import steered_ridge as steering

BATCH, T = 3, 2
PROMPT = random_prompt(10, 3, 2, 0.3, seed=0, batch=(BATCH,))
SYSTEM = ridge_system(PROMPT)
STAR = torch.linalg.solve(SYSTEM.A, PROMPT.y)


@pytest.fixture(scope="module")
def halfway():
    return study.Halfway(assemble(conjugate_gradient(3, 6)), PROMPT, T)


def test_without_any_edit_both_recurrences_are_another_library_s_conjugate_gradient():
    textbook, two_block = (recurrences.without_names(kind, "clean", PROMPT, 3) for kind in recurrences.RECURRENCES)
    torch.testing.assert_close(textbook, two_block, rtol=1e-8, atol=1e-10)
    for b in range(BATCH):
        iterates = []
        keep = lambda x: iterates.append(x.copy())  # noqa: E731
        cg(SYSTEM.A[b].numpy(), PROMPT.y[b].numpy(), maxiter=3, rtol=0, atol=0, callback=keep)
        said = np.array(iterates) @ SYSTEM.K_query[b].numpy().T
        np.testing.assert_allclose(textbook[1:, b], said, rtol=1e-8, atol=1e-10)


def test_without_the_second_reduction_it_is_steepest_descent():
    alpha = recurrences.textbook(PROMPT, 2, without=("rho_next",))["alpha"]
    r = PROMPT.y - SYSTEM.matvec(alpha[1])
    length = (r * r).sum(-1, keepdim=True) / (r * SYSTEM.matvec(r)).sum(-1, keepdim=True)
    torch.testing.assert_close(alpha[2] - alpha[1], length * r)


def test_a_name_that_a_recurrence_does_not_have_is_refused():
    with pytest.raises(ValueError, match="without=\\['s'\\].*rho_next"):
        recurrences.textbook(PROMPT, 1, without=("s",))


def test_patching_the_own_state_changes_nothing(halfway):
    own = recurrences.patched(PROMPT, halfway.clean, ("r", "p", "alpha"), T, list(range(BATCH)))
    torch.testing.assert_close(own, halfway.clean.prediction, rtol=1e-8, atol=1e-10)


def test_lengths_and_angles_are_what_they_are_called(halfway):
    d = torch.randn(BATCH, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    inner = lambda a, b: (a * b).sum(-1)  # noqa: E731
    torch.testing.assert_close(inner(halfway.right(d), halfway.r), inner(halfway.r, halfway.r))
    torch.testing.assert_close(halfway.long_as_p(d).norm(dim=-1), halfway.p.norm(dim=-1))
    for cosine in (0.1, 0.6, 1.0):
        blend = halfway.blended(cosine, d)
        lengths = inner(blend, SYSTEM.matvec(blend)) * inner(halfway.e, SYSTEM.matvec(halfway.e))
        found = inner(blend, SYSTEM.matvec(halfway.e)) / lengths.sqrt()
        torch.testing.assert_close(found, torch.full_like(found, cosine))
    torch.testing.assert_close(halfway.e, STAR - halfway.clean["alpha", "support"][T])


def test_one_step_after_the_exact_direction_both_networks_are_done(halfway):
    two = study.Halfway(assemble(two_block_conjugate_gradient(3, 6)), PROMPT, T)
    parts = two.in_two_blocks(two.right(two.e))
    for at, edits in ((halfway, [halfway.put("p", halfway.right(halfway.e))]), (two, sum(parts.values(), []))):
        run = intervene(at.network, PROMPT, {"exact": edits})["exact"]
        torch.testing.assert_close(run["alpha", "support"][T + 1], STAR, rtol=1e-7, atol=1e-9)
        assert study.energy_errors(run, SYSTEM)[T + 1].max() < 1e-8


def test_a_deflated_direction_is_the_solution_where_it_is_exact():
    """All eigenvalues but that of the ridge are taken: what is left is a multiple of I."""
    d = PROMPT.phi @ torch.ones(3, dtype=torch.float64)  # in the span of the features
    found = study.deflated(SYSTEM, d, n_features=3, n=2)
    values, vectors = torch.linalg.eigh(SYSTEM.A)
    components = (vectors.mT @ d.unsqueeze(-1)).squeeze(-1) / values
    expected = (vectors @ components.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(found, expected)  # the third is divided by its own eigenvalue


def test_answers_and_their_slope_are_those_of_ridge_regression():
    ridges = [0.1, 0.3, 0.7]
    theirs = [[Ridge(alpha=ridge, fit_intercept=False).fit(PROMPT.phi[b], PROMPT.y[b]).predict(PROMPT.phi_query[b]) for b in range(BATCH)] for ridge in ridges]
    np.testing.assert_allclose(steering.answers(PROMPT, ridges), theirs, rtol=1e-8, atol=1e-10)
    above, below = (steering.answers(PROMPT, [0.3 + step])[0] for step in (1e-5, -1e-5))
    torch.testing.assert_close(steering.answer_slope(PROMPT), (above - below) / 2e-5, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(steering.first_order(PROMPT, [0.3, 0.3 + 1e-5])[1], above, rtol=1e-8, atol=1e-9)


def test_a_ridge_turned_at_the_start_is_obeyed_and_one_turned_at_the_end_is_not():
    network = assemble(conjugate_gradient(3, 40))  # turned halfway, it has lost its directions
    torch.testing.assert_close(steering.steered(network, PROMPT, [0.7])[0], steering.answers(PROMPT, [0.7])[0], rtol=1e-7, atol=1e-9)
    away = steering.turned_late(network, PROMPT, 0.7, [0, 2, 6])
    old, new, foretold, renewed = away.values()
    assert new[0] < 1e-8 and old[2] < 1e-8 < 1e-3 < min(old[0], new[2])
    assert max(renewed[:2]) < 1e-6 and max(foretold[:2]) < 1e-6 < 1e-3 < min(old[1], new[1])
    slope = steering.answer_slope(PROMPT)
    assert study.distance(steering.measured_slope(network, PROMPT), slope, slope).max() < 0.01


def test_the_interval_of_a_ratio_holds_its_mean_and_its_prompts_are_paired():
    clean = torch.logspace(-6, 0, 12, dtype=torch.float64)
    np.testing.assert_allclose(study.ratio(3 * clean, clean), [3, 3, 3])  # however much they differ
    mean, low, high = study.ratio(clean * torch.tensor([1.0, 4.0]).repeat(6), clean)
    assert low < mean < high and mean == pytest.approx(2)


def test_a_median_is_over_prompts_and_an_error_is_relative():
    f = torch.tensor([[3.0, 4.0], [0.0, 1.0], [2.0, 0.0]])
    said = torch.stack([0 * f, 1.5 * f])
    found = study.median_errors({"a": said}, f)["a"]
    assert found.tolist() == [1.0, 0.5]
