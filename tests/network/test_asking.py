"""What every network that can be asked promises, whatever is inside: one class of tests that every kind inherits."""

import pickle
from dataclasses import replace

import pytest
import torch

from contract import Contract, P
from factories import random_prompt
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    softmax_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms import causal_conjugate_gradient
from metarep_lib.fast import fold
from metarep_lib.network import (
    AskedWrongly,
    AttentionConfig,
    BlockConfig,
    NotAvailable,
    PrefixMask,
    Transformer,
    TransformerConfig,
)
from metarep_lib.network.bare import BareTransformer
from metarep_lib.network.layouts import Causal, Interleaved, PairCausal, Prefix, passes
from metarep_lib.network.tokens import input_basis
from metarep_lib.train import load_trained


def random_decoder(layout, dtype=torch.float64, seed=0) -> BareTransformer:
    """Two blocks of softmax and linear heads, untrained, small enough that its answers stay near one."""
    inputs = input_basis(P)
    heads = AttentionConfig("softmax", 2, 4, 4), AttentionConfig("linear", 1, 4, 4)
    config = TransformerConfig(inputs.size, 8, 1, (BlockConfig(heads, 6, norm="rms"),), (0, 0))
    transformer = Transformer(config, torch.Generator().manual_seed(seed)).to(dtype)
    return BareTransformer(transformer.requires_grad_(False), layout, inputs)


class OfDecoders(Contract):
    """What decoders of ours promise besides."""

    def module(self, network):
        return network.transformer

    def held(self, network, prompt, **given):
        return [network.trace(prompt, **given).resid]

    def test_the_prediction_is_the_transformers_own_output_at_the_queries(self, network, prompt):
        question = network.question(prompt)
        said = network.transformer(question.tokens, question.mask)  # its forward pass, norm and unembedding included
        self.close(network, network.predict(prompt), question.at(said, "query")[..., network.outputs["prediction"]].squeeze(-1))

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


class TestConstructed(OfDecoders):
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


class TestConstructedCausal(OfDecoders):
    sees_order = False  # the last token runs conjugate gradient in the primal on all supports

    @pytest.fixture
    def network(self):
        return assemble(causal_conjugate_gradient(P, 2))


class TestFolded(Contract):
    """Networks run by what `fold` finds in their weights: the same promises but for taps, and one pass rounds as another only by chance."""

    sees_order = False

    def module(self, network):
        return network.dense.transformer

    @pytest.fixture(params=["gradient descent", "textbook", "two blocks", "causal", "softmax", "bare, registers", "bare, pairs"])
    def network(self, request):
        return fold(
            {
                "gradient descent": lambda: assemble(gradient_descent(P, 4, 0.02)),
                "textbook": lambda: assemble(conjugate_gradient(P, 2)),
                "two blocks": lambda: assemble(two_block_conjugate_gradient(P, 2)),
                "causal": lambda: assemble(causal_conjugate_gradient(P, 2)),
                "softmax": lambda: assemble(softmax_conjugate_gradient(P, 2, 1.0)),
                "bare, registers": lambda: random_decoder(Prefix()),
                "bare, pairs": lambda: random_decoder(PairCausal()),
            }[request.param]()
        )

    def test_the_head_on_the_last_stream_is_the_prediction(self, network, prompt):
        trace = network.trace(prompt)
        read = network.head(trace.stream("query")[-1])[..., network.outputs["prediction"]].squeeze(-1)
        assert torch.equal(trace.prediction[-1], read) and torch.equal(trace.output("prediction"), trace.prediction)
        self.close(network, read, network.predict(prompt))

    def test_the_prediction_is_the_transformers_own_output_at_the_queries(self, network, prompt):
        for group in ("support", "query"):
            self.close(network, network.trace(prompt).stream(group), network.dense.trace(prompt).stream(group))
        self.close(network, network.predict(prompt), network.dense.predict(prompt))

    def test_a_tap_that_changes_nothing_changes_no_bit(self, network, prompt):
        assert not any(network.parts) and len(network.parts) == network.n_layers + 1
        with pytest.raises(NotAvailable, match="this would work: the dense one"):
            network.trace(prompt, tap=lambda *place: place[-1])

    def test_nothing_is_left_behind_after_an_exception(self, network, prompt):
        before = {name: w.clone() for name, w in network.weights.items()}
        clean, kept = network.predict(prompt), prompt.phi.clone()
        with pytest.raises(AskedWrongly):
            network.predict(replace(prompt, phi=prompt.phi[..., :1], phi_query=prompt.phi_query[..., :1]))
        assert torch.equal(network.predict(prompt), clean) and torch.equal(prompt.phi, kept)
        assert all(torch.equal(w, before[name]) for name, w in network.weights.items())

    test_a_delta_leaves_what_comes_before_it_alone_and_moves_its_query = None  # there is nothing to tap
    test_an_edit_of_the_supports_reaches_every_query = None


class TestTrained(OfDecoders):
    """Weights as they are stored, of both layouts."""

    @pytest.fixture(params=["linear-attention-2", "softmax-gp", "softmax-linear"])
    def network(self, request):
        return load_trained(request.param, 0)

    @pytest.fixture
    def prompt(self, network, as_drawn):
        p = network.traits.n_features
        return random_prompt(5, p, 3, 0.7, seed=4, batch=(2, 2)).to(network.traits.dtype)


class TestBarePrefix(OfDecoders):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return random_decoder(Prefix(registers=False, sees_itself=True), request.param)


class TestBareCausal(OfDecoders):
    @pytest.fixture
    def network(self):
        return random_decoder(Causal())


class TestBarePairCausal(OfDecoders):
    @pytest.fixture(params=[torch.float64, torch.float32])
    def network(self, request):
        return random_decoder(PairCausal(), request.param)


class TestBareInterleaved(OfDecoders):
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


class TestNamedOutputs(OfDecoders):
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
