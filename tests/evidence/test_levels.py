"""What an instrument needs, answers, layers or weights, is said before anything else; and what would do instead."""

from dataclasses import replace

import pytest
import torch
from sklearn.linear_model import Ridge

from factories import random_prompt, unchecked
from metarep_lib import assemble, conjugate_gradient
from metarep_lib.asked import AskedWrongly
from metarep_lib.evidence import align, identify, intervene, probe
from metarep_lib.network import Answerer, Network, NotAvailable, PrefixMask

NETWORK = assemble(conjugate_gradient(2, 2))
PROMPT = random_prompt(5, 2, 3, 0.5, batch=(2,))


class OnlyAnswers(Answerer):
    traits = replace(NETWORK.traits, is_differentiable=False)

    def predict(self, prompt):
        return NETWORK.predict(prompt)


class OnlyLayers(OnlyAnswers, Network):
    n_layers, d_model, parts = NETWORK.n_layers, NETWORK.d_model, NETWORK.parts
    groups, trace, head, reweighted = NETWORK.groups, NETWORK.trace, NETWORK.head, NETWORK.reweighted


# what is asked -> (who has too little for it, what it says that it needs)
INSTRUMENTS = {
    "activations": (lambda who: probe.activations(who, PROMPT), "layers"),
    "query_streams": (lambda who: identify.query_streams(who, PROMPT), "layers"),
    "own_head": (lambda who: identify.own_head(who, torch.ones(1, NETWORK.d_model).double()), "layers"),
    "intervene": (lambda who: intervene.intervene(who, PROMPT, {}), "layers"),
    "with_shuffled_weights": (lambda who: probe.with_shuffled_weights(who, 0), "layers"),
    "rotated": (lambda who: probe.rotated(who, torch.Generator()), "weights"),
    "head_logits": (lambda who: align.head_logits(who, torch.ones(1, 5, 3), PrefixMask(3)), "weights"),
    "central_differences": (lambda who: align.central_differences(who, PROMPT), "answers"),
}
ORDER = ("answers", "layers", "weights")
ASKED = {"a function": lambda prompt: prompt.y, "an estimator": Ridge(), "a module": torch.nn.Linear(2, 1), "answers": OnlyAnswers(), "layers": OnlyLayers()}


@pytest.mark.parametrize("who", ASKED)
@pytest.mark.parametrize("name", INSTRUMENTS)
def test_what_is_missing_is_said_with_what_would_work(name, who):
    ask, level = INSTRUMENTS[name]
    if who in ORDER and ORDER.index(who) >= ORDER.index(level):
        with unchecked():
            ask(ASKED[who])
        return
    with unchecked(), pytest.raises(NotAvailable, match=rf"{name}\(.*needs {level}.*: this is .*; this would work: "):
        ask(ASKED[who])


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_what_cannot_be_asked_at_all_is_refused_as_before(name):
    with unchecked(), pytest.raises((AskedWrongly, intervene.InterventionError), match="expected"):
        INSTRUMENTS[name][0](3)


def test_answers_are_enough_for_what_needs_no_more():
    who = OnlyAnswers()
    assert align.prediction_and_weights(who, PROMPT)[1].shape == (2, 3, 5)
    assert identify.additivity_gap(who, PROMPT, PROMPT.y.flip(0)).shape == (1,)
    assert torch.equal(identify.additivity_gap(who, PROMPT, PROMPT.y.flip(0))[0], identify.additivity_gap(lambda p: NETWORK.trace(p).prediction, PROMPT, PROMPT.y.flip(0))[-1])
    with pytest.raises(NotAvailable, match=r"this would work: rotated\(transformer=network.transformer, ...\)"), unchecked():
        probe.rotated(NETWORK, torch.Generator())
