"""What every network that can be asked promises, whatever is inside: one class of tests that every kind inherits."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from factories import random_prompt
from metarep_lib import Prompt
from metarep_lib.network import AskedWrongly, Network, NotAvailable

P = 2


class Contract:
    """Inherited by the tests of every kind: give `network`, and `module`, what is inside."""

    sees_order = True  # where the order of the supports may change an answer, it does

    @pytest.fixture
    def network(self) -> Network:
        raise NotImplementedError

    def module(self, network) -> nn.Module:
        raise NotImplementedError

    def held(self, network, prompt, **given):
        """All that a pass holds, as far as it can be read."""
        return list(network.trace(prompt, groups=tuple(network.groups(prompt)), **given).streams.values())

    @pytest.fixture
    def prompt(self, network, as_drawn) -> Prompt:
        return random_prompt(5, P, 3, 0.7, seed=4, batch=(2, 2)).to(network.traits.dtype)

    def close(self, network, x, y):
        torch.testing.assert_close(x, y, rtol=0, atol=network.traits.rounding * float(y.detach().abs().max().clamp(min=1)))

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

        clean = self.held(network, prompt)
        assert all(map(torch.equal, self.held(network, prompt, tap=tap), clean))
        for cloned, x in zip(self.held(network, prompt, tap=lambda *place: place[-1].clone()), clean):
            self.close(network, cloned, x)  # in other memory, hence perhaps in other bits
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
            # not the same for all channels: a layer norm would take that out again, up to rounding
            delta = torch.linspace(0.1, 0.3, value.shape[-1]).to(value)
            return value + delta if (layer, part, group) == (0, "stream", "support") else value

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
        before = {name: w.clone() for name, w in self.module(network).state_dict().items()}
        grads = [w.requires_grad for w in self.module(network).parameters()]
        kept, training = prompt.phi.clone(), self.module(network).training

        def tap(layer, part, group, value):
            if layer == 1:
                raise RuntimeError("in the middle")
            return value + 1

        clean = network.predict(prompt)
        with pytest.raises(RuntimeError, match="in the middle"):
            network.trace(prompt, tap=tap)
        assert all(torch.equal(w, before[name]) for name, w in self.module(network).state_dict().items())
        assert [w.requires_grad for w in self.module(network).parameters()] == grads
        assert self.module(network).training == training and torch.equal(prompt.phi, kept)
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

    def test_a_twin_has_the_same_shapes_or_says_why_not(self, network):
        if type(network).twin is not Network.twin:
            ours, theirs = self.module(network).state_dict(), self.module(network.twin(1)).state_dict()
            assert all(ours[name].shape == theirs[name].shape for name in ours)
            assert any(not torch.equal(ours[name], theirs[name]) for name in ours)
            assert network.twin(1).traits == network.traits
        else:
            with pytest.raises(NotAvailable, match="this would work"):
                network.twin(1)
