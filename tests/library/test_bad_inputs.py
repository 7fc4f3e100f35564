"""A sample of the bad inputs of `bad_inputs`: each is answered, or refused by the library with words. `make bad-inputs` tries all."""

import random

import pytest

from bad_inputs import Bad, all_bad, outcome, refused, wrong
from factories import unchecked
from good_calls import UNTRIED, announced, calls, tried

SAMPLE = 5000


def test_everything_announced_is_tried_or_said_why_not():
    untried = {name for names in UNTRIED.values() for name in names.split()}
    assert announced() - tried() - untried == set()


@pytest.mark.parametrize("name", calls())
def test_good_calls_work(name):
    calls()[name]()


def test_a_sample_of_bad_inputs():
    bads = random.Random(0).sample(all_bad(), SAMPLE)
    assert wrong(bads) == []


def test_there_are_many():
    assert len(all_bad()) > 10_000 and len({bad.rule for bad in all_bad()}) > 80


@pytest.mark.parametrize(
    ("call", "argument", "rule", "became"),
    [
        ("construct.algorithms.gradient_descent", "steps", "not whole, of its kind", "refused"),
        ("construct.algorithms.gradient_descent", "steps", "None", "refused"),
        ("ConstructedTransformer.predict", "prompt", "its features, of its kind", "refused"),
        ("certify.certify", "network", "another kind, of its kind", "refused"),
        ("certify.certify", "network", "its weights, of its kind", "refused"),
        ("ConstructedTransformer.trace", "groups", "a word", "refused"),
        ("Trace.__getitem__", "address", "one inside alone, of its kind", "refused"),
        ("evidence.probe.Split.of", "n_tasks", "zero, of its kind", "refused"),
        ("numerics.kernels.linear_kernel", "phi", "sparse, of its kind", "refused"),
        ("numerics.kernels.linear_kernel", "phi", "float8, of its kind", "refused"),
        ("numerics.kernels.linear_kernel", "phi", "meta, of its kind", "refused"),
        ("evidence.probe.recovery", "truth", "constant, of its kind", "refused"),
        ("evidence.probe.recovery", "truth", "one NaN, of its kind", "refused"),
        ("evidence.probe.fit_probes", "x", "constant, of its kind", "answered"),
        ("evidence.probe.recover", "x", "all NaN, of its kind", "refused"),
        ("ConstructedTransformer.predict", "prompt", "no queries, of its kind", "answered"),
    ],
)
def test_instances_that_users_met(call, argument, rule, became):
    assert outcome(Bad(call, argument, rule)).what == became


def test_a_raw_error_would_be_noticed():
    for raw in (lambda: {}["x"], lambda: [][1], lambda: int("x"), lambda: None.x):
        with pytest.raises(Exception) as caught:
            raw()
        assert not refused(caught.value)
    with unchecked(), pytest.raises(ValueError) as caught:
        calls()["construct.algorithms.gradient_descent"].function(2, 2.5, 0.1)
    assert refused(caught.value) and str(caught.value).startswith("gradient_descent(n_features=2, steps=2.5, step_size=0.1)")

