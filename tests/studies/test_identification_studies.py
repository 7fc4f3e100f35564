"""The studies of the chapter on which algorithm a network runs, against what is known of them from elsewhere."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from metarep_lib import assemble, ridge_system, solvers, two_block_conjugate_gradient
from metarep_lib.certify.statements.which_algorithm import ridge_by_polynomial
from metarep_lib.evidence.identify import LINEAR, SCHEDULED, fitted_readout, own_head, query_streams
from metarep_lib.studies import identification_power as power
from metarep_lib.studies import identified, load_sweep
from metarep_lib.studies.short_readout import short_readout
from metarep_lib.tasks import designed_prompts, spread

TRAINED = load_sweep("identification-trained")
CANDIDATES = [candidate.name for candidate in (*LINEAR, *SCHEDULED)]


def test_the_bound_of_a_polynomial_by_hand():
    """On [1, 3] with a ridge of one: 1 - (s + 1) c with c = 1/3 is 1/3, 0, -1/3 at s = 1, 2, 3."""
    assert ridge_by_polynomial(1, 1.0, 3.0, 1.0) == pytest.approx(1 / 3)
    assert ridge_by_polynomial(2, 1.0, 3.0, 1.0) == pytest.approx(1 / 17)  # T_2(3) = 2 * 9 - 1


def test_the_true_layers_are_those_of_another_implementation():
    posed = power.prompts("clusters", 3, seed=7)
    layers = power.true_layers("conjugate gradient", posed)(posed)
    unit = posed.linear.eigenvalues[:, -1].mean().item()
    system = ridge_system(replace(posed.prompt, ridge=0.02 * unit))
    history = solvers.conjugate_gradient(system, 6).history["alpha"]
    torch.testing.assert_close(layers, system.predict(history)[1:], rtol=1e-6, atol=1e-9)


def test_a_pair_of_candidates_is_the_stored_one():
    stored = load_sweep("identification-power").values("misfits", design="spread", truth="GD++")[0]
    for i, rival in ((5, "conjugate gradient (primal)"), (8, "ridge path")):
        assert power.misfit("spread", "GD++", rival) == pytest.approx(stored[i], rel=1e-3)
    middle, least = power.summary({"spread": np.where(power.between(), 2.0, 1e-9)})
    assert middle == least == {"spread": 2.0}  # a candidate against itself does not count


def test_a_readout_that_was_trained_for_long_is_the_least_squares_one():
    prompts = designed_prompts(spread(0.04, 4.0), 12, 16, 8, 6, seed=1, ridge=0.5)
    network = assemble(two_block_conjugate_gradient(6, 2))
    streams = query_streams(network, prompts)
    said = own_head(network, streams)[-1]
    short, long, exact = short_readout(streams, said, 60), short_readout(streams, said, 4000), fitted_readout(streams, said)
    gaps = [float((read(streams, said) - said).square().mean((1, 2))[1]) for read in (short, long, exact)]
    assert gaps[0] > 3 * gaps[1] and gaps[1] == pytest.approx(gaps[2], rel=0.2)
    assert torch.equal(short(streams, said)[-1], said)


def test_a_line_up_is_counted():
    rows = [
        {"readout": "own head", "label": label, "said": said, "misfits": misfits}
        for label, said, misfits in (
            ("a", "a", {"a": 0.1, "b": 0.2}), ("a", "none", {"a": 0.3, "b": 0.2}),
            ("none", "none", {}), ("none", "b", {"a": 1.0, "b": 0.0}),
        )
    ]  # fmt: skip
    called = identified.called([*rows, {"readout": "fitted", "label": "a", "said": "b", "misfits": {}}], "own head")
    assert (called.count, len(called.right), len(called.silent), called.wrong) == (4, 2, 1, 1)
    assert [called.nearest(row) for row in rows] == ["a", "b", None, "b"]
    labels = called.labels(["b", "c", "a"])
    assert labels == ["b", "a", "none"]
    assert np.nansum(identified.confusion(called.rows, labels)) == 4


def test_tables_of_cases_are_read_off_the_rows():
    cases = identified.named(TRAINED, CANDIDATES, "linear-attention-2")
    rows = [row for row in TRAINED.rows if row["network"].startswith("linear-attention-2")]
    assert len(rows) == cases.count == 9
    where = CANDIDATES.index("Newton")
    assert identified.alike(cases)[where, 1] == sum(row["low_clusters"][where] <= 1e-9 for row in rows)
    few, each = ([row["equal_clusters"][at] for row in rows] for at in (3, 7))  # the best kind
    paths = [sum(low > 0 for _, low, _ in pairs) for pairs in (few, each)]
    gradients = [sum(high < 0 for *_, high in pairs) for pairs in (few, each)]
    assert identified.at_equal_counts(cases)[1].tolist() == [paths[0], gradients[0], paths[1], gradients[1]]
    assert (paths, gradients) != (paths[::-1], gradients[::-1])
    assert identified.marks(cases)[1, 0] == np.median([row["additivity"][-1] for row in rows[3:6]])
    misfits = identified.misfits([cases, cases], "prior", most=0.02)
    assert misfits.shape == (2, 9, len(CANDIDATES)) and misfits.max() == 0.02
    assert misfits[0, 4, where] == min(rows[4]["misfits_prior"][where], 0.02)
    gains = identified.gains(TRAINED, "linear-attention-2-0", 9)
    np.testing.assert_array_equal(gains.ravel(), np.array(rows[0]["gains_prior"], dtype=float))
