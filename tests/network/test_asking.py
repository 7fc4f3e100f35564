"""What every network that can be asked promises, whatever is inside: one class of tests that every kind inherits."""

import pickle
from dataclasses import replace

import pytest
import torch

from factories import random_prompt
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms import causal_conjugate_gradient
from metarep_lib.network import (
    AskedWrongly,
    AttentionConfig,
    BlockConfig,
    Decoder,
    NotAvailable,
    PrefixMask,
    Transformer,
    TransformerConfig,
)
from metarep_lib.network.bare import BareTransformer
from metarep_lib.network.layouts import Causal, Interleaved, PairCausal, Prefix, passes
from metarep_lib.network.tokens import input_basis
from metarep_lib.train import load_trained

P = 2


def random_decoder(layout, dtype=torch.float64, seed=0) -> BareTransformer:
    """Two blocks of softmax and linear heads, untrained, small enough that its answers stay near one."""
    inputs = input_basis(P)
    heads = AttentionConfig("softmax", 2, 4, 4), AttentionConfig("linear", 1, 4, 4)
    config = TransformerConfig(inputs.size, 8, 1, (BlockConfig(heads, 6, norm="rms"),), (0, 0))
    transformer = Transformer(config, torch.Generator().manual_seed(seed)).to(dtype)
    return BareTransformer(transformer.requires_grad_(False), layout, inputs)


class Contract:
    """Inherited by the tests of every kind: give `network`."""

    sees_order = True  # where the order of the supports may change an answer, it does

    @pytest.fixture
    def network(self) -> Decoder:
        raise NotImplementedError

    @pytest.fixture
    def prompt(self, network, as_drawn) -> Prompt:
        return random_prompt(5, P, 3, 0.7, seed=4, batch=(2, 2)).to(network.traits.dtype)

    def close(self, network, x, y):
        torch.testing.assert_close(x, y, rtol=0, atol=network.traits.rounding * float(y.abs().max().clamp(min=1)))

    @pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
    @pytest.mark.parametrize("q", [0, 1, 3])
    def test_shapes(self, network, batch, q):
        prompt = random_prompt(4, network.traits.n_features, q, 0.5, batch=batch).to(network.traits.dtype)
        assert network.predict(prompt).shape == (*batch, q)
        if q:
            trace = network.trace(prompt)
            L, D = network.n_layers + 1, network.d_model
            assert trace.stream("support").shape == (L, *batch, 4, D)
            assert trace.stream("query").shape == (L, *batch, q, D)
            assert trace.prediction.shape == (len(network.step_ends), *batch, q)

    def test_a_batch_is_its_prompts_one_by_one(self, network, prompt):
        together, trace = network.predict(prompt), network.trace(prompt)
        for b in range(2):
            one = Prompt(prompt.phi[b], prompt.y[b], prompt.phi_query[b], prompt.ridge)
            self.close(network, together[b], network.predict(one))
            self.close(network, trace.stream("support")[:, b], network.trace(one).stream("support"))

    def test_the_head_on_the_last_stream_is_the_prediction(self, network, prompt):
        trace = network.trace(prompt)
        read = network.head(trace.stream("query")[-1])[..., network.outputs["prediction"]].squeeze(-1)
        assert torch.equal(read, network.predict(prompt)) and torch.equal(trace.prediction[-1], read)
        assert torch.equal(trace.output("prediction"), trace.prediction)

    def test_the_prediction_is_the_transformers_own_output_at_the_queries(self, network, prompt):
        question = network.question(prompt)
        said = network.transformer(question.tokens, question.mask)  # its forward pass, norm and unembedding included
        self.close(network, network.predict(prompt), question.at(said, "query")[..., network.outputs["prediction"]].squeeze(-1))

    def test_the_same_question_twice_gives_the_same_bits(self, network, prompt):
        assert network.traits.is_deterministic
        assert torch.equal(network.predict(prompt), network.predict(prompt))

    def test_a_tap_that_changes_nothing_changes_no_bit(self, network, prompt):
        seen = []

        def tap(layer, part, group, value):
            seen.append((layer, part, group))
            *expected, last = value.shape[len(prompt.phi.shape) - 1 :]
            assert (*expected, last) == network.parts[layer][part]
            return value

        assert torch.equal(network.trace(prompt, tap=tap).resid, network.trace(prompt).resid)
        cloned = network.trace(prompt, tap=lambda *place: place[-1].clone()).resid  # in other memory, hence perhaps in other bits
        self.close(network, cloned, network.trace(prompt).resid)
        places = [(layer, part) for layer, parts in enumerate(network.parts) for part in parts]
        assert sorted(set(seen)) == sorted(seen)  # once for every layer, part and group
        assert {(layer, part) for layer, part, _ in seen} == set(places)
        assert {group for *_, group in seen} == set(network.groups(prompt))

    def test_a_delta_leaves_what_comes_before_it_alone_and_moves_its_query(self, network, prompt):
        at = network.n_layers // 2

        def tap(layer, part, group, value):
            if (layer, part, group) != (at, "stream", "query"):
                return value
            moved = value.clone()
            moved[..., 1, :] += 0.1
            return moved

        clean, edited = network.trace(prompt), network.trace(prompt, tap=tap)
        for group in ("support", "query"):
            assert torch.equal(edited.stream(group)[:at], clean.stream(group)[:at])
        assert torch.equal(edited.stream("support"), clean.stream("support"))  # nobody reads a query
        changed = (edited.stream("query")[-1] != clean.stream("query")[-1]).any(-1)
        assert changed[..., 1].all()
        if network.traits.is_isolated:
            assert not changed[..., [0, 2]].any()

    def test_an_edit_of_the_supports_reaches_every_query(self, network, prompt):
        def tap(layer, part, group, value):
            return value + 0.1 if (layer, part, group) == (0, "stream", "support") else value

        moved = network.trace(prompt, tap=tap).stream("query")[-1] != network.trace(prompt).stream("query")[-1]
        assert moved.any(-1).all()

    def test_order_of_supports_and_queries(self, network, prompt):
        order = torch.tensor([3, 1, 4, 0, 2])
        shuffled = replace(prompt, phi=prompt.phi[..., order, :], y=prompt.y[..., order])
        said = network.predict(prompt)
        if network.traits.is_exchangeable:
            self.close(network, network.predict(shuffled), said)
        elif self.sees_order:
            assert (network.predict(shuffled) - said).abs().max() > network.traits.rounding
        turned = replace(prompt, phi_query=prompt.phi_query.flip(-2), y_query=None)
        self.close(network, network.predict(turned).flip(-1), said)

    def test_an_answer_is_the_answer_to_that_query_alone(self, network, prompt):
        alone = replace(prompt, phi_query=prompt.phi_query[..., 1:2, :])
        self.close(network, network.predict(alone)[..., 0], network.predict(prompt)[..., 1])

    def test_the_graph_to_y_is_right(self, network, prompt):
        y = prompt.y.clone().requires_grad_()
        said = network.predict(replace(prompt, y=y)).sum()
        assert network.traits.is_differentiable
        (slope,) = torch.autograd.grad(said, y)
        v = torch.randn(y.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(y)
        h = torch.finfo(y.dtype).eps ** (1 / 3)
        ahead, behind = (network.predict(replace(prompt, y=prompt.y + s * v)).sum() for s in (h, -h))
        torch.testing.assert_close((ahead - behind) / (2 * h), (slope * v).sum(), rtol=h**0.5, atol=h**0.5)

    def test_the_ridge_is_read_or_not_as_said(self, network, prompt):
        other = network.predict(replace(prompt, ridge=2 * prompt.ridge))
        assert torch.equal(other, network.predict(prompt)) != network.traits.reads_ridge

    def test_nothing_is_left_behind_after_an_exception(self, network, prompt):
        before = {name: w.clone() for name, w in network.transformer.state_dict().items()}
        grads = [w.requires_grad for w in network.transformer.parameters()]
        kept, training = prompt.phi.clone(), network.transformer.training

        def tap(layer, part, group, value):
            if layer == 1:
                raise RuntimeError("in the middle")
            return value + 1

        clean = network.predict(prompt)
        with pytest.raises(RuntimeError, match="in the middle"):
            network.trace(prompt, tap=tap)
        assert all(torch.equal(w, before[name]) for name, w in network.transformer.state_dict().items())
        assert [w.requires_grad for w in network.transformer.parameters()] == grads
        assert network.transformer.training == training and torch.equal(prompt.phi, kept)
        assert torch.equal(network.predict(prompt), clean)

    def test_what_it_cannot_read_is_said_all_at_once(self, network):
        p, other = network.traits.n_features, torch.float32 if network.traits.dtype == torch.float64 else torch.float64
        with pytest.raises(AskedWrongly) as caught:
            network.predict(random_prompt(4, p + 1, 2, 0.5).to(other))
        message = str(caught.value)
        assert message.count("\n  - ") == 2 and network.name in message
        for part in (f"it reads n_features={p}, the prompt has {p + 1}", f"use prompt.to({network.traits.dtype})"):
            assert part in message
        with pytest.raises(KeyError, match="no tokens 'keys'; there are"):
            network.trace(random_prompt(4, p, 2, 0.5).to(network.traits.dtype), groups=("keys",))

    def test_a_curve_is_predict_at_every_prefix(self, network, prompt):
        x, y = prompt.phi[0, 0], prompt.y[0, 0]
        if isinstance(network.layout, Prefix):
            with pytest.raises(ValueError, match="this would work: predict"):
                network.curve(x, y, prompt.ridge)
            return
        curve = network.curve(x, y, prompt.ridge)
        assert curve.shape == (len(x),)
        if type(self) is TestBareCausal:
            return  # a support's own target is in its stream
        for n in range(1, len(x)):
            said = network.predict(Prompt(x[:n], y[:n], x[n : n + 1], prompt.ridge))[0]
            self.close(network, curve[n], said)

    def test_a_twin_has_the_same_shapes_or_says_why_not(self, network):
        if type(network).twin is not Decoder.twin:
            ours, theirs = network.transformer.state_dict(), network.twin(1).transformer.state_dict()
            assert all(ours[name].shape == theirs[name].shape for name in ours)
            assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
            assert network.twin(1).traits == network.traits
        else:
            with pytest.raises(NotAvailable, match="this would work"):
                network.twin(1)


class TestConstructed(Contract):
    @pytest.fixture(params=["gradient descent", "textbook", "two blocks"])
    def network(self, request):
        program = {
            "gradient descent": gradient_descent(P, 4, 0.02),
            "textbook": conjugate_gradient(P, 2),
            "two blocks": two_block_conjugate_gradient(P, 2),
        }[request.param]
        return assemble(program)

    def test_run_is_the_trace_of_all_tokens(self, network, prompt):
        run, trace = network.run(prompt), network.trace(prompt)
        assert torch.equal(run.prediction, trace.prediction) and torch.equal(run.resid, trace.resid)
        assert set(run.streams) == {"aggregator", "sink", "support", "query"}
        with pytest.raises(KeyError, match="ask for it"):
            trace.stream("sink")


class TestConstructedCausal(Contract):
    sees_order = False  # the last token runs conjugate gradient in the primal on all supports

    @pytest.fixture
    def network(self):
        return assemble(causal_conjugate_gradient(P, 2))


class TestTrained(Contract):
    """Weights as they are stored, of both layouts."""

    @pytest.fixture(params=["linear-attention-2", "softmax-gp", "softmax-linear"])
    def network(self, request):
        return load_trained(request.param, 0)

    @pytest.fixture
    def prompt(self, network, as_drawn):
        p = network.traits.n_features
        return random_prompt(5, p, 3, 0.7, seed=4, batch=(2, 2)).to(network.traits.dtype)


class TestBarePrefix(Contract):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return random_decoder(Prefix(registers=False, sees_itself=True), request.param)


class TestBareCausal(Contract):
    @pytest.fixture
    def network(self):
        return random_decoder(Causal())


class TestBarePairCausal(Contract):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return random_decoder(PairCausal(), request.param)


class TestBareInterleaved(Contract):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return random_decoder(Interleaved(), request.param)

    def test_supports_are_the_tokens_that_hold_y(self, network, prompt):
        question = network.question(prompt)
        at = {group: question.at(question.tokens, group) for group in question.groups}
        assert torch.equal(at["support"][..., network.inputs["y"]].squeeze(-1), prompt.y)
        assert torch.equal(at["support input"][..., network.inputs["phi"]], prompt.phi)
        assert torch.equal(at["query"][..., network.inputs["phi"]], prompt.phi_query)
        assert not at["support input"][..., network.inputs["y"]].any() and not at["support"][..., network.inputs["phi"]].any()


class WithVariance(BareTransformer):
    """A head that says two things."""

    outputs = {"prediction": slice(0, 1), "variance": slice(1, 2)}


class TestNamedOutputs(Contract):
    @pytest.fixture
    def network(self):
        bare = random_decoder(Prefix(registers=False))
        config = replace(bare.transformer.config, d_output=2)
        transformer = Transformer(config, torch.Generator().manual_seed(1)).double().requires_grad_(False)
        return WithVariance(transformer, bare.layout, bare.inputs)

    def test_each_output_has_its_name(self, network, prompt):
        trace = network.trace(prompt)
        both = network.head(trace.stream("query"))
        assert torch.equal(trace.output("prediction"), both[..., 0]) and torch.equal(trace.output("variance"), both[..., 1])
        with pytest.raises(KeyError, match="no output 'skewness'; it has prediction, variance"):
            trace.output("skewness")


def test_a_network_survives_pickling():
    for network in (assemble(conjugate_gradient(P, 2)), random_decoder(Interleaved())):
        prompt = random_prompt(4, P, 2, 0.5)
        assert torch.equal(pickle.loads(pickle.dumps(network)).predict(prompt), network.predict(prompt))


def test_a_trace_without_names_says_so():
    with pytest.raises(KeyError, match="its stream has no names, try trace.stream"):
        random_decoder(PairCausal()).trace(random_prompt(4, P, 2, 0.5))["alpha", "support"]


def test_put_is_the_inverse_of_at():
    prompt = random_prompt(4, P, 3, 0.5, batch=(2,))
    for layout in (Prefix(), Causal(), PairCausal(), Interleaved(), Prefix(registers=False)):
        question = layout.question(prompt, input_basis(P))
        for group in question.groups:
            held = question.at(question.tokens, group)
            assert held.shape == (2, question.size(group), question.tokens.shape[-1])
            changed = question.put(question.tokens, group, held + 1)
            assert torch.equal(question.at(changed, group), held + 1)
            for other in question.groups.keys() - {group}:
                assert torch.equal(question.at(changed, other), question.at(question.tokens, other))


def test_passes_take_several_outputs():
    several = Prompt(torch.randn(2, 4, P), torch.randn(2, 4, 3), torch.randn(2, 5, P), ridge=1.0)
    x, y = passes(several)
    assert x.shape == (2, 5, 5, P) and y.shape == (2, 5, 5, 3)
    assert not y[..., -1, :].any() and torch.equal(y[:, 2, :4], several.y)


def test_a_group_that_differs_by_pass_is_refused():
    """Under a mask that lets supports read the query, the supports of one pass know what those of another do not."""

    class Leaky(Interleaved):
        def question(self, prompt, inputs):
            question = super().question(prompt, inputs)
            return replace(question, mask=PrefixMask(question.tokens.shape[-2]))

    prompt = random_prompt(4, P, 3, 0.5)
    with pytest.raises(ValueError, match="'support' differs from one query's pass to the next"):
        random_decoder(Leaky()).trace(prompt)
