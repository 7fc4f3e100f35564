"""What is shown of the library's objects is short, and two of them are equal where their contents are."""

import inspect
import pickle
from dataclasses import fields, is_dataclass, replace
from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import metarep_lib
from factories import random_prompt
from good_calls import Good, calls
from metarep_lib import Prompt, RidgeSystem, assemble, chebyshev, gradient_descent, load_trained
from metarep_lib.contents import Contents, same, shown
from metarep_lib.evidence.identify import LINEAR, Posed, fit_candidate, judge
from metarep_lib.evidence.probe import Split
from metarep_lib.network import Answerer
from metarep_lib.numerics.kernels import ExponentialKernel

LINES, LETTERS = 10, 1500


def assert_short(shown: str):
    assert len(shown.splitlines()) <= LINES and len(shown) <= LETTERS, (len(shown.splitlines()), len(shown), shown[:300])


@pytest.mark.parametrize("name", calls())
def test_what_a_call_gives_and_takes_is_shown_in_few_lines(name):
    good: Good = calls()[name]
    for value in (good(), *good.given.values()):
        if type(value).__module__.startswith("metarep_lib"):
            assert_short(repr(value))
            assert type(value).__name__ in repr(value) or len(repr(value)) < 120


def long_ones():
    """Objects whose contents are many."""
    prompt = random_prompt(200, 10, 50, 0.5, batch=(30,))
    network = assemble(chebyshev(10, 300, 0.25, 3.0))
    posed = Posed.of(random_prompt(6, 2, 3, 0.7, batch=(20,)))
    observed = torch.stack([0.1 * t * posed.prompt.phi_query.sum(-1) for t in range(1, 20)])
    fits = [fit_candidate(LINEAR[i], posed, observed, seed=0, draws=1, starts=1) for i in (4, 5, 8)]
    yield from (prompt, network, network.program, network.transformer, network.transformer.config, network.trace(random_prompt(5, 10, 2, 0.5)))
    yield from (network.question(random_prompt(5, 10, 2, 0.5)), network.traits, posed, fits[0], judge(fits, posed, observed))
    yield from (network.program.layers[0], network.program.layers[0].attention[0], network.program.call)
    trained = load_trained("softmax-gp", 0)
    yield from (trained, trained.transformer, trained.recipe, trained.transformer.config, trained.transformer.blocks[0].mlp)


@pytest.mark.parametrize("value", list(long_ones()), ids=lambda value: type(value).__name__)
def test_long_things_are_shown_in_few_lines(value):
    assert_short(repr(value))
    assert_short(str(value))


def test_a_repr_says_shapes_dtypes_and_names():
    prompt = Prompt(torch.ones(4, 2), torch.ones(4), torch.zeros(3, 2), ridge=0.5)
    assert repr(prompt) == "Prompt(phi=float32[4, 2], y=float32[4], phi_query=float32[3, 2], ridge=0.5, y_query=None)"
    network = assemble(gradient_descent(2, 3, 0.1))
    shown_trace = repr(network.trace(prompt.to(torch.float64)))
    for part in ("support: float64[4, 4, 7]", "alpha: slice(4, 5, None)", "step_ends=[0, 1, 2, 3]"):
        assert part in shown_trace
    assert repr(network) == "ConstructedTransformer('gradient_descent': 2 features, 3 layers, width 7, torch.float64)"
    assert repr(load_trained("softmax-gp", 0)).endswith("does not read the ridge of a prompt)")
    assert "does not read the ridge" not in repr(network) and network.traits.reads_ridge


PARTS = {"phi": torch.ones(4, 2), "y": torch.ones(4), "phi_query": torch.zeros(3, 2), "ridge": 0.5, "y_query": None}


def test_prompts_are_equal_where_their_contents_are():
    one, other = Prompt(**PARTS), Prompt(**{name: x.clone() if isinstance(x, torch.Tensor) else x for name, x in PARTS.items()})
    assert one == other and hash(one) == hash(other) and not one != other and {one: 1}[other] == 1
    assert one == replace(one, ridge=0.5) and pickle.loads(pickle.dumps(one)) == one
    for changed in ({"phi": torch.ones(4, 2) * 2}, {"y": torch.zeros(4)}, {"ridge": 0.25}, {"y_query": torch.ones(3)}, {"phi_query": torch.ones(3, 2)}):
        assert one != replace(one, **changed)
    assert one != one.to(torch.float64) and one != one.expand(1) and one != 3 and one != None  # noqa: E711


@given(st.integers(0, 5), st.integers(0, 5), st.sampled_from([torch.float32, torch.float64]))
def test_equality_is_one_and_agrees_with_the_hash(seed, other_seed, dtype):
    a, b = (random_prompt(3, 2, 1, 0.5, seed=s).to(dtype) for s in (seed, other_seed))
    assert (a == b) == (b == a) == (seed == other_seed)
    assert a == a and (a != b or hash(a) == hash(b))


def tensor_classes():
    """Every dataclass of the library that is annotated with a tensor; networks say what they are in words of their own."""
    modules = {import_module(name) for name in list(__import__("sys").modules) if name.startswith("metarep_lib.")}
    found = {value for module in modules for value in vars(module).values() if inspect.isclass(value) and is_dataclass(value) and not issubclass(value, Answerer)}
    return sorted(
        (kind for kind in found if kind.__module__.startswith(metarep_lib.__name__) and any("Tensor" in str(each.type) for each in fields(kind))),
        key=lambda kind: kind.__qualname__,
    )


@pytest.mark.parametrize("kind", tensor_classes(), ids=lambda kind: kind.__qualname__)
def test_every_class_with_tensors_compares_contents(kind):
    assert issubclass(kind, Contents) and kind.__eq__ is Contents.__eq__ and kind.__repr__ is Contents.__repr__


@pytest.mark.parametrize("name", [name for name, good in calls().items() if not name.startswith(("certify.survivors", "numerics.spectrum.tune"))])
def test_a_result_equals_itself(name):
    result = calls()[name]()
    if isinstance(result, Contents):
        assert result == result and isinstance(hash(result), int) and result != object()


def test_nan_is_equal_to_nothing_but_its_own_tensor():
    x = torch.tensor([torch.nan])
    assert same(x, x) and not same(x, x.clone())
    assert ExponentialKernel(1.0, torch.eye(2)) == ExponentialKernel(1.0, torch.eye(2)) != ExponentialKernel(2.0, torch.eye(2))
    assert RidgeSystem(x[None], x, x[None]) != RidgeSystem(x[None].clone(), x, x[None])
    assert Split.of(10) == Split.of(10) != Split.of(20)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (torch.zeros(2, 3), "float32[2, 3]"),
        (torch.tensor(2.0), "tensor(2.)"),
        (np.zeros((2, 3)), "float64[2, 3]"),
        ({"a": torch.zeros(1)}, "{a: float32[1]}"),
        ((1,), "(1,)"),
        (list(range(100)), "[0, 1, 2, 3, 4, 5, 6, 7, ... 92 more]"),
        ({i: i for i in range(9)}, "{0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, ... 1 more}"),
    ],
)
def test_values_in_a_few_words(value, text):
    assert shown(value) == text
