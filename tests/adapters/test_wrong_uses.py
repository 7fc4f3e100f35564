"""What users get wrong with a model of their own: each is refused with the call, what came, what was expected, and what would work."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.neural_network import MLPRegressor
from torch import nn

from bad_inputs import refused
from factories import random_prompt, unchecked
from foreign import EXAMPLE, GPT, PARTS, as_gpt, gpt, interleaved
from metarep_lib.adapters import (
    INTERLEAVED,
    PREFIX,
    Where,
    as_answerer,
    as_network,
    fitted_in_context,
)
from metarep_lib.evidence.intervene import Edit, Put, Stream, intervene


def function(predict, **given):
    predict.__name__ = "mine"
    return lambda: as_answerer(predict, EXAMPLE, **given)


def graph_in_part(phi, y, x):
    return x[:, 0] * (y.sum() + 5 * y.detach().sum())


class Keeps:
    """An estimator that adds up what it is fitted to, and whose copies do, too."""

    seen = []

    def fit(self, X, y):
        self.seen.append(y.sum())

    def predict(self, X):
        return np.full(len(X), sum(self.seen))


class Silent(Keeps):
    fit = None


def model(change=None, **sizes):
    """A GPT that is changed."""
    made = gpt(**sizes)
    if change is not None:
        change(made)
    return made


def forward_of(kind):
    """A GPT with another forward pass."""

    class Other(GPT):
        forward = kind

    Other.__name__ = "GPT"
    torch.manual_seed(0)
    return Other().double().eval()


def by_forward(self, tokens):
    x = self.embed(tokens)
    for block in self.blocks:
        x = block.forward(x)[0]
    return self.head(self.norm(x)).squeeze(-1)


def twice(self, tokens):
    x = self.embed(tokens)
    for block in (*self.blocks, self.blocks[0]):
        x = block(x)[0]
    return self.head(self.norm(x)).squeeze(-1)


def in_place(self, tokens):
    x = self.embed(tokens)
    for block in self.blocks:
        x = block(x)[0]
        x *= 2
    return self.head(self.norm(x)).squeeze(-1)


def boom(self, tokens):
    self.blocks[0](self.embed(tokens))
    raise RuntimeError("boom")


def at_inputs(self, tokens):
    return GPT.forward(self, tokens)[:, ::2]


def time_first(self, tokens):
    x = self.embed(tokens).transpose(0, 1)
    for block in self.blocks:
        x = block(x)[0]
    return self.head(self.norm(x)).squeeze(-1).transpose(0, 1)


class Narrows(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.out = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)), nn.Linear(2, 1)

    def forward(self, x):
        return self.out(self.blocks(x))


class NoTensor(nn.Module):
    def forward(self, x):
        return "nothing", None


def without_tensor(made):
    made.blocks[0] = NoTensor().eval()


def later(made, change, ask=lambda network: network.predict(EXAMPLE)):
    """A network that is fine, and then is changed."""
    network = as_gpt(made)
    change(made)
    return lambda: ask(network)


def whose(made, prompt=EXAMPLE, **given):
    return lambda: as_gpt(made, prompt, **given)


def at(query, support=slice(1, 10, 2)):
    return Where(lambda k, q: {"support": support, "query": query}, has_passes=True)


def told(prompt):
    """[N, k + q, p + 1] supports with their targets, queries without."""
    supports = torch.cat([prompt.phi, prompt.y.unsqueeze(-1)], -1)
    return torch.cat([supports, nn.functional.pad(prompt.phi_query, (0, 1))], 1)


fine = gpt()
HALF = EXAMPLE.to(torch.bfloat16)
SHORT = as_gpt(gpt(longest=11))
ONE_SUPPORT = replace(EXAMPLE, phi=EXAMPLE.phi[:1], y=EXAMPLE.y[:1])
NETWORK = as_gpt(fine)

# what is done wrong -> (the call, whose name the message says, what else it says)
WRONG = {
    "wrong shape back": (function(lambda phi, y, x: x[:, :1]), "mine", r"shape \[3, 1\], expected \[3\].*answers.squeeze\(-1\)"),
    "NaN back": (function(lambda phi, y, x: x[:, 0] / 0), "mine", "3 NaN or infinite values of 3"),
    "numpy back for a tensor": (function(lambda phi, y, x: np.zeros(3)), "mine", "no tensor: arrays='numpy'"),
    "a tensor back for numpy": (function(lambda phi, y, x: torch.zeros(3), arrays="numpy"), "mine", "arrays='torch'"),
    "whole numbers of numpy back": (function(lambda phi, y, x: np.zeros(3, dtype=int), arrays="numpy"), "mine", r"int64\[3\].*expected an array of floats"),
    "another dtype back": (function(lambda phi, y, x: x[:, 0].float()), "mine", r"torch.float32.*expected torch.float64.*answers.to\(phi\)"),
    "nothing back": (function(lambda phi, y, x: None), "mine", "None came back"),
    "a function that raises": (function(lambda phi, y, x: x @ torch.ones(9)), "mine", r"raised RuntimeError.*one prompt a call"),
    "a function of a batch, prompt by prompt": (function(lambda phi, y, x: torch.einsum("nkp,nk->n", phi, y)), "mine", "raised RuntimeError.*one prompt a call"),
    "a graph that is promised and not there": (function(lambda phi, y, x: x[:, 0] * y.detach().sum(), differentiable=True), "mine", "no graph to y.*differentiable=False"),
    "a graph of numpy": (function(lambda phi, y, x: x[:, 0], arrays="numpy", differentiable=True), "mine", "numpy has no graph"),
    "a graph that is detached in part": (function(graph_in_part, differentiable=True), "mine", "a part of it is detached"),
    "a function asked in another dtype": (lambda: function(lambda phi, y, x: x[:, 0])().predict(EXAMPLE.to(torch.float32)), "mine", r"use prompt.to\(torch.float64\)"),
    "a class for an estimator": (lambda: fitted_in_context(Ridge, EXAMPLE), "Ridge", r"a class.*try Ridge\(\)"),
    "an estimator without fit": (lambda: fitted_in_context(Silent(), EXAMPLE), "Silent", "has no fit.*as_answerer"),
    "an estimator that keeps state": (lambda: fitted_in_context(Keeps(), EXAMPLE), "Keeps", "keeps what it was fitted to"),
    "an estimator that draws": (lambda: fitted_in_context(MLPRegressor(max_iter=2), EXAMPLE), "MLPRegressor", "random_state=0"),
    "no module": (lambda: as_network(3, EXAMPLE, blocks=fine.blocks, tokens=interleaved, head=fine.head), "as_network", "expected a Module"),
    "one support": (whose(fine, ONE_SUPPORT), "as_network", "at least 2 supports"),
    "half precision": (whose(gpt(torch.bfloat16), HALF), "as_network", "of float64 or float32"),
    "half precision of the module": (whose(gpt(torch.bfloat16)), "GPT", r"embed.weight is torch.bfloat16, the prompt torch.float64: use model.double\(\)$"),
    "another dtype": (whose(gpt(torch.float32)), "GPT", r"use model.double\(\) or prompt.to\(torch.float32\)"),
    "another device": (whose(gpt().to("meta")), "GPT", r"embed.weight is on meta: use model.to\('cpu'\)"),
    "another dtype later": (later(gpt(), lambda made: made.float()), "GPT", r"embed.weight is torch.float32"),
    "dropout left on": (whose(gpt().train()), "GPT", r"training mode.*model.eval\(\)"),
    "dropout left on in a part, later": (later(gpt(), lambda made: made.blocks[1].train()), "GPT", r"blocks.1 is in training mode"),
    "a block that is not there": (whose(fine, blocks=["block.0"]), "GPT", "'block.0', no module of this model; there are blocks.0"),
    "a block of another model": (whose(fine, blocks=gpt().blocks), "GPT", "no module inside this model"),
    "no blocks": (whose(fine, blocks=[]), "GPT", "one block or more"),
    "blocks not in order": (whose(fine, blocks=fine.blocks[::-1]), "GPT", r"ran in the order blocks.0, blocks.1.*this would work: blocks=\['blocks.0', 'blocks.1'\]"),
    "a block that is never called": (whose(forward_of(by_forward)), "GPT", r"blocks.0, blocks.1 never ran.*block\(x\) and not block.forward\(x\)"),
    "a block that is called twice": (whose(forward_of(twice)), "GPT", "blocks.0 ran more than once"),
    "a tuple without a tensor": (whose(model(without_tensor)), "blocks.0", "no tensor of floats in it"),
    "a stream that is changed in place": (whose(forward_of(in_place)), "GPT", r"changed in place.*x = x \+ f\(x\)"),
    "tokens before the batch": (whose(forward_of(time_first)), "GPT", r"float64\[11, 3, 8\].*\[3, T, D\].*batch_first=True"),
    "blocks of several widths": (lambda: as_network(Narrows().double().eval(), EXAMPLE, blocks="blocks", tokens=told, head="out"), "Narrows", "3, 4, 2 wide"),
    "a head of another width": (whose(fine, head=[fine.norm]), "GPT", r"the head makes float64\[1, 3, 8\].*expected float64\[1, 3, 1\]"),
    "a head without the last norm": (whose(fine, head=fine.head), "GPT", "where the module says.*the last norm included"),
    "a head without the last norm, of a module that answers at every x": (whose(forward_of(at_inputs), head="head"), "GPT", "the last norm included"),
    "a head of the stream alone": (whose(fine, head=lambda x: fine.head(fine.norm(x))), "GPT", r"a function of \(model, stream\)"),
    "a head that raises": (whose(fine, head=fine.embed), "GPT", r"the head raised RuntimeError.*\[model.norm, model.out\]"),
    "places out of range": (whose(fine, where=at(slice(60, 61))), "GPT", "a pass has 11 tokens"),
    "supports that do not hold y": (whose(fine, where=at(slice(10, 11), slice(0, 9, 2))), "GPT", "'support' are the tokens.*tokens that hold y_i"),
    "queries that do not answer": (whose(fine, where=at(slice(9, 10))), "GPT", "'query' are the tokens.*tokens that answer"),
    "places of another layout": (whose(fine, where=PREFIX), "GPT", "raised RuntimeError.*use where=INTERLEAVED"),
    "too few places": (whose(fine, where=at(slice(10, 11), slice(1, 5, 2))), "Where.groups", "'support' has 2 tokens, expected 5"),
    "places as numbers": (whose(fine, where=at(10)), "Where.groups", "'query' is at 10, expected a slice"),
    "a word for places": (whose(fine, where="prefix"), "as_network", "expected a Where"),
    "a tokeniser that ignores y": (whose(fine, tokens=lambda prompt: interleaved(replace(prompt, y=0 * prompt.y))), "GPT", "the same for another y"),
    "a tokeniser that ignores the prompt": (whose(fine, tokens=lambda prompt: torch.ones(3, 11, 3).double()), "GPT", "the same for another y"),
    "a tokeniser that raises": (whose(fine, tokens=lambda prompt: prompt.X), "GPT", "raised AttributeError"),
    "a tokeniser without tensors": (whose(fine, tokens=lambda prompt: "tokens"), "GPT", "expected a tensor, a tuple"),
    "a model that raises in the middle": (whose(forward_of(boom)), "GPT", "raised RuntimeError after blocks.0: boom"),
    "a sequence that is too long": (lambda: SHORT.predict(random_prompt(6, 2, 1, 0.5)), "GPT", r"raised IndexError.*float64\[1, 13, 3\].*no longer than its positions"),
    "a part that is not there": (whose(fine, parts={"attention": "atn"}), "GPT", "parts has 'blocks.0.atn', no module of this model; there are .*blocks.0.attn"),
    "a part that never runs": (whose(model(lambda made: [setattr(block, "unused", nn.Identity().eval()) for block in made.blocks]), parts={"units": "unused"}), "GPT", "blocks.0.unused never ran"),
    "a part of another name": (whose(fine, parts={"mlp": "out"}), "GPT", "attention, units, heads"),
    "heads that do not divide": (whose(fine, parts=PARTS, n_heads=3), "heads", "n_heads=3 does not divide the 8 channels"),
    "a twin of other shapes": (lambda: as_gpt(fine, twin=lambda seed: GPT(width=16)).twin(0), "GPT", "other names or shapes"),
    "a twin that is no module": (lambda: as_gpt(fine, twin=lambda seed: None).twin(0), "GPT", "expected a module"),
    "more features": (lambda: NETWORK.predict(random_prompt(5, 3, 2, 0.5)), "GPT", "it reads n_features=2, the prompt has 3"),
    "a word for groups": (lambda: NETWORK.trace(EXAMPLE, groups="support"), "GPT", r"groups=\('support', 'query'\)"),
    "a trace without queries": (lambda: NETWORK.trace(replace(EXAMPLE, phi_query=EXAMPLE.phi_query[:0])), "GPT", "a prompt with one query or more"),
    "a stream of another width": (lambda: NETWORK.head(torch.ones(3, 7)), "GPT", r"\[..., 8\]"),
    "a direction by name": (lambda: intervene(NETWORK, EXAMPLE, {"x": [Edit(Stream(1, "alpha"), Put(0.0))]}), "intervene", "no names in this stream"),
}


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_use_is_refused_with_what_would_work(what):
    call, name, says = WRONG[what]
    with unchecked(), pytest.raises((ValueError, TypeError, LookupError), match=f"(?s){says}") as caught:
        call()
    message = str(caught.value)
    assert refused(caught.value) and name in message and len(message) < 1200
    assert any(way in message for way in ("this would work", "use ", "e.g.", "expected", "there are ", "try "))


def hooks(model):
    return [hook for part in model.modules() for held in (part._forward_hooks, part._forward_pre_hooks) for hook in held]


@pytest.mark.parametrize("forward", [boom, twice, in_place, by_forward, time_first])
def test_a_refused_module_is_left_as_it_was(forward):
    made = forward_of(forward)
    before = {name: weight.clone() for name, weight in made.state_dict().items()}
    with pytest.raises(ValueError):
        as_gpt(made)
    assert not hooks(made) and all(torch.equal(weight, before[name]) for name, weight in made.state_dict().items())


def test_there_are_many_and_the_right_use_works():
    assert len(WRONG) >= 50
    assert as_gpt(gpt(), where=INTERLEAVED).predict(EXAMPLE).shape == (3,)
