"""Foreign models keep the contract of every network, and the instruments say of them what they say of the same network unwrapped."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import nn

from contract import Contract, P
from factories import random_prompt
from foreign import EXAMPLE, PARTS, as_gpt, boxed, gpt, interleaved
from metarep_lib import Prompt, assemble, conjugate_gradient, gradient_descent, load_trained
from metarep_lib.adapters import INTERLEAVED, PREFIX, Where, as_network
from metarep_lib.construct.algorithms import causal_conjugate_gradient
from metarep_lib.evidence.align import prediction_and_weights
from metarep_lib.evidence.identify import (
    LINEAR,
    Posed,
    additivity_gap,
    fit_candidate,
    own_head,
    query_streams,
)
from metarep_lib.evidence.intervene import (
    Add,
    Edit,
    Heads,
    Mean,
    Put,
    Scale,
    Stream,
    Take,
    Units,
    intervene,
)
from metarep_lib.evidence.probe import Split, activations, recover, states, with_shuffled_weights
from metarep_lib.network import Network, NotAvailable
from metarep_lib.numerics import ridge_system


class OfModules(Contract):
    """What modules promise besides."""

    def module(self, network):
        return network.module

    def test_there_is_no_graph_to_the_weights_and_they_learn_on(self, network, prompt):
        learning = [weight.requires_grad for weight in self.module(network).parameters()]
        trace = network.trace(prompt)
        assert not trace.stream("query").requires_grad and not trace.answers.requires_grad and not network.predict(prompt).requires_grad
        assert [weight.requires_grad for weight in self.module(network).parameters()] == learning

    def test_no_hook_is_left(self, network, prompt):
        def tap(layer, part, group, value):
            raise RuntimeError("in the middle")

        network.trace(prompt)
        with pytest.raises(RuntimeError, match="in the middle"):
            network.trace(prompt, tap=tap)
        assert not any(part._forward_hooks or part._forward_pre_hooks for part in network.module.modules())


UNBOXED = {
    "gradient descent": lambda: assemble(gradient_descent(P, 4, 0.02)),
    "causal": lambda: assemble(causal_conjugate_gradient(P, 2)),
    "conjugate gradient": lambda: assemble(conjugate_gradient(P, 2)),
}


@cache
def in_a_box(name):
    return boxed(UNBOXED[name](), EXAMPLE)


@pytest.mark.parametrize("name", UNBOXED, scope="class")
class TestBoxed(OfModules):
    sees_order = False

    @pytest.fixture
    def network(self, name):
        return in_a_box(name)

    def test_its_streams_are_those_inside_to_the_bit(self, network, name, prompt):
        inside = UNBOXED[name]()
        ours, theirs = (activations(asked, prompt) for asked in (network, inside))
        assert ours.keys() == theirs.keys() and all(torch.equal(ours[group], theirs[group]) for group in theirs)
        assert torch.equal(network.predict(prompt), inside.predict(prompt))
        assert network.traits.reads_ridge and network.traits.is_isolated and network.traits.is_differentiable

    def test_an_edited_pass_is_the_one_inside(self, network, name, prompt):
        def tap(layer, part, group, value):
            return 1.5 * value if (layer, part, group) == (1, "stream", "support") else value

        ours, theirs = (asked.trace(prompt, tap=tap).stream("query") for asked in (network, UNBOXED[name]()))
        assert torch.equal(ours, theirs) and not torch.equal(ours, network.trace(prompt).stream("query"))


@cache
def trained_in_a_box():
    return boxed(load_trained("softmax-gp", 0), random_prompt(5, 3, 2, 1.0).to(torch.float32))


class TestBoxedTrained(OfModules):
    @pytest.fixture
    def network(self):
        return trained_in_a_box()

    @pytest.fixture
    def prompt(self, network, as_drawn):
        return random_prompt(5, 3, 3, 0.7, seed=4, batch=(2, 2)).to(torch.float32)


@cache
def gpt_in_parts(dtype):
    return as_gpt(gpt(dtype), EXAMPLE.to(dtype), parts=PARTS, n_heads=2)


class TestGPT(OfModules):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return gpt_in_parts(request.param)

    def test_it_says_what_the_module_says(self, network, prompt):
        one = Prompt(prompt.phi[0], prompt.y[0], prompt.phi_query[0][:, :1], prompt.ridge)
        torch.testing.assert_close(network.predict(one)[..., 0], network.module(interleaved(one))[:, -1])
        assert all(weight.requires_grad for weight in network.module.parameters())  # as when it came
        assert network.parts[1] == {"attention": (8,), "units": (16,), "heads 0": (2, 4), "stream": (8,)} and network.parts[0] == {"stream": (8,)}


class Encoder(nn.Module):
    """`nn.TransformerEncoder` on supports before queries, nobody reading a query but itself; two outputs."""

    def __init__(self, n_outputs=1):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.embed, self.stack = nn.Linear(P + n_outputs + 1, 8), nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(8, n_outputs)

    def forward(self, tokens, n_support):
        T = tokens.shape[1]
        hidden = (torch.arange(T) >= n_support).repeat(T, 1) & ~torch.eye(T, dtype=torch.bool)
        return self.out(self.stack(self.embed(tokens), mask=hidden))


def before_queries(prompt):
    y = prompt.y if prompt.y.ndim == 3 else prompt.y.unsqueeze(-1)
    told = torch.cat([prompt.phi, y, torch.ones_like(y[..., :1])], -1)
    asked = nn.functional.pad(prompt.phi_query, (0, y.shape[-1] + 1))
    return {"tokens": torch.cat([told, asked], 1), "n_support": prompt.n_support}


@cache
def encoder(prompt):
    torch.manual_seed(0)
    model = Encoder(prompt.n_outputs).double().eval()
    return as_network(model, prompt, blocks="stack.layers", tokens=before_queries, head="out")


class TestEncoder(OfModules):
    @pytest.fixture
    def network(self):
        return encoder(EXAMPLE)

    def test_it_is_seen_that_order_says_nothing(self, network):
        assert network.traits.is_exchangeable and network.traits.is_isolated and not network.traits.reads_ridge


def test_two_outputs():
    prompt = replace(EXAMPLE, y=torch.stack([EXAMPLE.y, -EXAMPLE.y], -1))
    network = encoder(prompt)
    assert network.predict(prompt).shape == (3, 2) and network.trace(prompt).prediction.shape == (3, 3, 2)
    torch.testing.assert_close(network.predict(prompt.expand(2))[1], network.predict(prompt))


GPT_PROMPT = random_prompt(6, P, 3, 0.7, seed=1, batch=(20,))


def both():
    """A network and the same in a box."""
    inside = assemble(gradient_descent(P, 4, 0.02))
    return inside, boxed(inside, EXAMPLE)


def test_instruments_say_the_same_of_a_network_in_a_box():
    inside, box = both()
    observed = [own_head(network, query_streams(network, GPT_PROMPT)) for network in (inside, box)]
    assert torch.equal(*observed)
    assert all(map(torch.equal, prediction_and_weights(inside, GPT_PROMPT), prediction_and_weights(box, GPT_PROMPT)))
    gaps = [additivity_gap(lambda p, n=network: n.trace(p).prediction[1:], GPT_PROMPT, GPT_PROMPT.y.flip(0)) for network in (inside, box)]
    torch.testing.assert_close(*gaps, rtol=0, atol=1e-25)
    fits = [fit_candidate(LINEAR[0], Posed.of(GPT_PROMPT), said[1:], seed=0, draws=2, starts=1) for said in observed]
    assert fits[0] == fits[1]
    held = states(ridge_system(GPT_PROMPT), 0.7, steps=2)
    held = {name: held[name] for name in ("r 1", "alpha 2")}
    found = [recover(activations(network, GPT_PROMPT)["support"][2], held, Split.of(20)) for network in (inside, box)]
    assert all(found[0][name].r2 == pytest.approx(found[1][name].r2, abs=1e-6) for name in held)


@pytest.mark.parametrize("what", [Put(0.0), Add(0.5), Scale(2.0), Take(list(range(20))[::-1]), Mean()], ids=lambda what: type(what).__name__)
def test_interventions_change_the_same_in_a_box(what):
    U = torch.eye(7).double()[:, 4:5]
    edits = {"all": [Edit(Stream(2, tokens="support"), what)], "a direction": [Edit(Stream(1, U, tokens="support"), what)]}
    runs = [intervene(network, GPT_PROMPT, edits) for network in both()]
    for name in runs[0]:
        torch.testing.assert_close(runs[1][name].prediction, runs[0][name].prediction, rtol=1e-12, atol=1e-12)
    assert not torch.equal(runs[1]["all"].prediction[-1], runs[1]["clean"].prediction[-1])


def test_a_gpt_is_examined_from_outside():
    network = as_gpt(gpt(), parts=PARTS, n_heads=2)
    f, s = prediction_and_weights(network, GPT_PROMPT)
    assert s.shape == (20, 3, 6) and torch.equal(f, network.predict(GPT_PROMPT))
    assert additivity_gap(network, GPT_PROMPT, GPT_PROMPT.y.flip(0))[0] > 1e-6  # softmax attention, LayerNorm, GELU
    found = recover(activations(network, GPT_PROMPT)["support"][0], {"y": GPT_PROMPT.y}, Split.of(20))
    assert found["y"].r2 > 0.99  # a token that holds y


def by_hand(model, prompt, change, layer=1):
    """The GPT with one block's inner value changed at the y tokens, written out once more."""
    x = model.embed(interleaved(prompt)) + model.places(torch.arange(2 * prompt.n_support + 1))
    for index, block in enumerate(model.blocks, start=1):
        mine = change if index == layer else {}
        heads = block.qkv(block.ln1(x)).unflatten(-1, (3, block.n_heads, -1)).permute(2, 0, 3, 1, 4)
        found = nn.functional.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2)
        if "heads" in mine:
            found = found.clone()
            found[:, 1::2, mine["heads"]] = 0
        x = x + block.proj(found.flatten(2))
        if "attention" in mine:
            x = x.clone()
            x[:, 1::2] *= mine["attention"]
        units = block.act(block.fc(block.ln2(x)))
        if "units" in mine:
            units = units.clone()
            units[:, 1::2, mine["units"]] = 0
        x = x + block.out(units)
    return model.head(model.norm(x))[:, -1, 0]


@pytest.mark.parametrize(
    ("edit", "change"),
    [
        (Edit(Heads(1, which=1, tokens="support"), Put(0.0)), {"heads": 1}),
        (Edit(Units(1, which=3, tokens="support"), Put(0.0)), {"units": 3}),
        (Edit(Stream(1, tokens="support", half="attention"), Scale(0.5)), {"attention": 0.5}),
    ],
    ids=["a head", "a unit", "the stream after attention"],
)
def test_parts_inside_a_block_are_edited_as_written_out_by_hand(edit, change):
    model = gpt()
    network = as_gpt(model, parts=PARTS, n_heads=2)
    prompt = random_prompt(6, P, 1, 0.7, seed=1, batch=(4,))
    runs = intervene(network, prompt, {"edited": [edit]})
    torch.testing.assert_close(runs["edited"].prediction[-1][:, 0], by_hand(model, prompt, change), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(runs["clean"].prediction[-1][:, 0], by_hand(model, prompt, {}), rtol=1e-10, atol=1e-12)
    assert (runs["edited"].prediction[-1] - runs["clean"].prediction[-1]).abs().min() > 1e-6


def test_a_twin_is_drawn_again_or_made_by_a_factory():
    model = gpt()
    network = as_gpt(model)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    one, again, other = network.twin(1), network.twin(1), network.twin(2)
    assert all(map(torch.equal, one.module.state_dict().values(), again.module.state_dict().values()))
    assert not torch.equal(one.predict(EXAMPLE), other.predict(EXAMPLE)) and one.traits == network.traits
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    made = as_gpt(model, twin=lambda seed: type(model)()).twin(3)
    assert made.traits.dtype == torch.float64 and torch.equal(made.predict(EXAMPLE), as_gpt(model, twin=lambda seed: gpt(seed=seed)).twin(3).predict(EXAMPLE))
    model.gain = nn.Parameter(torch.ones(1).double())
    with pytest.raises(NotAvailable, match=r"twin\(1\) of GPT: gain stand.*this would work: as_network\(..., twin="):
        as_gpt(model).twin(1)


def test_a_module_without_gradients_is_examined_by_differences():
    class Frozen(type(gpt())):
        forward = torch.no_grad()(type(gpt()).forward)

    torch.manual_seed(0)
    frozen = as_gpt(Frozen().double().eval())
    assert not frozen.traits.is_differentiable
    _, by_graph = prediction_and_weights(as_gpt(gpt()), GPT_PROMPT)
    _, by_differences = prediction_and_weights(frozen, GPT_PROMPT)
    assert (by_graph - by_differences).abs().max() < 1e-6 * by_graph.abs().max()


def test_shuffled_weights_travel_along():
    inside, box = both()
    ours, theirs = (with_shuffled_weights(network, 3) for network in (box, inside))
    assert torch.equal(ours.predict(GPT_PROMPT), theirs.predict(GPT_PROMPT)) and not torch.equal(ours.predict(GPT_PROMPT), box.predict(GPT_PROMPT))
    with pytest.raises(NotAvailable, match="the weights of Readable are out of reach; this would work: "):
        with_shuffled_weights(Readable(), 0)


class Readable(Network):
    """Layers without weights."""

    traits = n_layers = d_model = parts = groups = trace = head = predict = None


def test_a_looped_block_is_named_as_often_as_it_runs():
    model = gpt(n_layers=1)
    model.blocks.append(model.blocks[0])
    network = as_gpt(model, blocks=[model.blocks[0]] * 2)
    stream = network.trace(EXAMPLE).stream("query")
    assert network.n_layers == 2 and len(stream) == 3 and not torch.equal(stream[1], stream[2])


def test_places_of_ones_own():
    """Queries before supports, in one pass."""
    where = Where(lambda k, q: {"query": slice(0, q), "support": slice(q, q + k)})
    model = gpt()

    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.block, self.out = nn.Linear(3, 3), nn.Linear(3, 1)

        def forward(self, x):
            return self.out(self.block(x + x.mean(1, keepdim=True)))

    def tokens(prompt):
        asked = nn.functional.pad(prompt.phi_query, (0, 1))
        return torch.cat([asked, torch.cat([prompt.phi, prompt.y.unsqueeze(-1)], -1)], 1)

    turned = Turned().double().eval()
    network = as_network(turned, EXAMPLE, blocks=[turned.block], tokens=tokens, head=turned.out, where=where)
    embedded = network.trace(EXAMPLE).stream("query")[0][:, :2] - EXAMPLE.phi_query
    torch.testing.assert_close(embedded, embedded[:1].expand_as(embedded))  # the mean of all tokens
    assert not network.traits.is_isolated and network.traits.is_exchangeable
    assert network.groups(EXAMPLE) == {"query": 3, "support": 5} and as_gpt(model).groups(EXAMPLE) == {"support": 5, "support input": 5, "query": 3}
    assert PREFIX.passes(GPT_PROMPT) == (20,) and INTERLEAVED.passes(GPT_PROMPT) == (20, 3)
