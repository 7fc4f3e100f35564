"""The decoder against its formulas: double loops, torch's own attention, and autograd."""

import itertools
import math

import pytest
import torch
from torch import nn

import tolerances
from factories import DTYPES, integer_network, integers
from metarep_lib import Transformer
from metarep_lib.network import (
    AttentionConfig,
    BlockConfig,
    CausalMask,
    PrefixMask,
    TransformerConfig,
)
from metarep_lib.network.transformer import Block, GatedMLP, make_norm


def group(kind="linear", n_heads=2, d_head=3, d_value=2, **more):
    return AttentionConfig(kind, n_heads, d_head, d_value, **more)


def config_of(*groups, d_mlp=4, schedule=(0,), d_input=3, d_model=5, **of_block):
    blocks = tuple(BlockConfig(groups, d_mlp, **of_block) for _ in range(max(schedule) + 1))
    return TransformerConfig(d_input, d_model, 2, blocks, schedule)


def network_of(*groups, seed=0, dtype=torch.float64, **of_config):
    return Transformer(config_of(*groups, **of_config), torch.Generator().manual_seed(seed)).to(dtype)


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


@pytest.mark.parametrize("mask", [PrefixMask(3), PrefixMask(3, sees_itself=True), CausalMask(), CausalMask(strict=True)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_linear_attention_is_its_double_loop_exactly(mask, dtype):
    network = integer_network(config_of(group(hidden_keys=(1,))), seed=1, dtype=dtype)
    attention, x = network.blocks[0].attention[0], integers(2, 5, 5, seed=2, dtype=dtype)
    visible, expected = mask.dense(5), torch.zeros_like(x)
    for b, h, i, j in itertools.product(range(2), range(2), range(5), range(5)):
        if visible[i, j] and j != 1:
            score = (x[b, i] @ attention.W_Q[h]) @ (x[b, j] @ attention.W_K[h])
            expected[b, i] += score * (x[b, j] @ attention.W_V[h] @ attention.W_O[h])
    assert expected.any()
    assert torch.equal(attention(x, mask), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_normalised_attention_divides_by_the_sum_of_its_scores(dtype):
    attention = network_of(group("normalised", hidden_keys=(0,)), dtype=dtype).blocks[0].attention[0]
    with torch.no_grad():
        attention.W_Q.abs_(), attention.W_K.abs_()  # positive scores keep the total away from zero
    x = random(2, 5, 5, seed=1, dtype=dtype).abs()
    expected = torch.zeros_like(x)
    for b, h, i in itertools.product(range(2), range(2), range(5)):
        q = x[b, i] @ attention.W_Q[h]
        scores = {j: q @ (x[b, j] @ attention.W_K[h]) for j in range(1, 4)}
        mean = sum(scores[j] * (x[b, j] @ attention.W_V[h]) for j in scores) / sum(scores.values())
        expected[b, i] += mean @ attention.W_O[h]
    magnitude = x.amax() * 5 * attention.W_V.abs().amax() * attention.W_O.abs().amax() * 4
    tolerances.assert_within((attention(x, PrefixMask(4)) - expected) / magnitude, tolerances.rounding(dtype, 30))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("score_scale", [1.0, 0.5, 4.0])
@pytest.mark.parametrize("hidden", [(), (0, 2)])
def test_softmax_attention_is_torchs_own(dtype, score_scale, hidden):
    config = group("softmax", d_head=3, d_value=4, score_scale=score_scale, hidden_keys=hidden)
    attention = network_of(config, dtype=dtype).blocks[0].attention[0]
    x, mask = random(3, 6, 5, seed=1, dtype=dtype), PrefixMask(4, sees_itself=True)
    visible = mask.dense(6)
    visible[:, list(hidden)] = False
    assert visible.any(-1).all()
    q, k, v = (torch.einsum("btm,hme->bhte", x, weight) for weight in (attention.W_Q, attention.W_K, attention.W_V))
    heads = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=visible, scale=score_scale)
    expected = torch.einsum("bhte,hem->btm", heads, attention.W_O)
    # a rounding of the scores is amplified by their size (at most 100 here) in the exponential
    tolerances.assert_within((attention(x, mask) - expected) / expected.abs().max(), 100 * tolerances.rounding(dtype, 10))


def test_a_token_that_may_read_nobody_receives_nothing_and_passes_no_nan_back():
    attention = network_of(group("softmax", hidden_keys=(0,))).blocks[0].attention[0]
    x = random(4, 5).requires_grad_()
    out = attention(x, CausalMask(strict=True))  # token 0 reads nobody, token 1 only the hidden token 0
    assert torch.equal(out[:2], torch.zeros(2, 5, dtype=torch.float64))
    assert out[2:].abs().min() > 0
    out.sum().backward()
    assert torch.isfinite(x.grad).all()
    assert torch.isfinite(attention.W_Q.grad).all()


@pytest.mark.parametrize("kind", ["linear", "normalised", "softmax"])
def test_hidden_keys_are_never_read(kind):
    attention = network_of(group(kind, hidden_keys=(1,))).blocks[0].attention[0]
    x = random(5, 5)
    changed = x.clone()
    changed[1] += 1.0
    others = [0, 2, 3, 4]
    assert torch.equal(attention(x, PrefixMask(4))[others], attention(changed, PrefixMask(4))[others])


SCALAR = {
    "identity": lambda x: x,
    "gelu": lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))),
    "silu": lambda x: x / (1 + math.exp(-x)),
}


@pytest.mark.parametrize("activation", SCALAR)
def test_gated_mlp_is_its_formula(activation):
    mlp = GatedMLP(3, 4, activation).double()
    with torch.no_grad():
        for i, weight in enumerate(mlp.parameters()):
            weight.copy_(random(*weight.shape, seed=i))
    x = random(3, seed=9)
    expected = torch.zeros(3, dtype=torch.float64)
    for unit in range(4):
        gate, linear = (sum(float(x[c] * weight[c, unit]) for c in range(3)) for weight in (mlp.W_gate.detach(), mlp.W_in.detach()))
        expected += SCALAR[activation](gate) * linear * mlp.W_out[unit].detach()
    magnitude = (x.abs() @ mlp.W_gate.abs() * (x.abs() @ mlp.W_in.abs())) @ mlp.W_out.abs()
    tolerances.assert_within((mlp(x.expand(2, 1, 3))[1, 0] - expected) / magnitude, tolerances.rounding(torch.float64, 30))


@pytest.mark.parametrize(("norm", "centred"), [("rms", False), ("layer", True)])
def test_norms_are_their_formulas(norm, centred):
    x = 10 * random(4, 6)
    centre = x - x.mean(-1, keepdim=True) if centred else x
    expected = centre / centre.square().mean(-1, keepdim=True).sqrt()
    tolerances.assert_within(make_norm(norm, 6).double()(x) - expected, 1e-6)  # 1e-6: the norms' own eps of at most 1e-5 under mean squares of about 100
    assert make_norm("none", 6)(x) is x


@pytest.mark.parametrize("norm", ["none", "rms", "layer"])
def test_a_block_adds_attention_then_mlp_and_its_groups_read_the_same_stream(norm):
    block = network_of(group(), group("softmax", d_head=2), norm=norm).blocks[0]
    assert isinstance(block, Block)
    x, mask = random(2, 4, 5), PrefixMask(3)
    normed = make_norm(norm, 5).double()(x)
    after_attention = x + block.attention[0](normed, mask) + block.attention[1](normed, mask)
    expected = after_attention + block.mlp(make_norm(norm, 5).double()(after_attention))
    tolerances.assert_within((block(x, mask) - expected) / expected.abs().max(), tolerances.rounding(torch.float64, 10))


def test_the_stream_has_the_embedding_and_every_block_and_the_output_reads_its_end():
    network = network_of(group(), schedule=(0, 1, 0), norm="rms")
    tokens, mask = random(2, 4, 3), PrefixMask(3)
    stream = list(network.stream(tokens, mask))
    assert torch.equal(stream[0], tokens @ network.W_E)
    for before, after, index in zip(stream[:-1], stream[1:], (0, 1, 0), strict=True):
        assert torch.equal(after, network.blocks[index](before, mask))
    assert torch.equal(network(tokens, mask), stream[-1] @ network.W_U)


def test_looped_blocks_share_tensors_and_gradients_add_up():
    looped, unrolled = network_of(group(), schedule=(0, 0, 0)), network_of(group(), schedule=(0, 1, 2))
    per_block = 2 * 5 * (3 + 3 + 2) + 2 * 2 * 5 + 3 * 5 * 4
    assert sum(weight.numel() for weight in looped.parameters()) == 3 * 5 + per_block + 5 * 2
    assert sum(weight.numel() for weight in unrolled.parameters()) == 3 * 5 + 3 * per_block + 5 * 2
    shared = looped.state_dict()
    unrolled.load_state_dict({name: shared[name.replace("blocks.1", "blocks.0").replace("blocks.2", "blocks.0")] for name in unrolled.state_dict()})
    for network in (looped, unrolled):
        network(random(4, 3), PrefixMask(3)).square().mean().backward()
    for name, weight in looped.blocks[0].named_parameters():
        added = sum(block.get_parameter(name).grad for block in unrolled.blocks)
        tolerances.assert_within((weight.grad - added) / added.abs().max(), tolerances.rounding(torch.float64, 30), name)


def test_seeds_decide_the_weights():
    one, same, other = (network_of(group(), seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not any(torch.equal(one[name], other[name]) for name in one)


def test_initial_weights_have_variance_one_over_fan_in():
    weight = network_of(group(n_heads=50, d_head=40), d_model=64).blocks[0].attention[0].W_Q  # 128000 draws
    tolerances.assert_within(weight.std() * 8 - 1, 0.01)  # five standard deviations of a standard deviation


@pytest.mark.parametrize("kind", ["linear", "normalised", "softmax"])
def test_gradients_of_every_weight_are_those_of_finite_differences(kind):
    network = network_of(group(kind, n_heads=1, d_head=2), norm="rms", activation="gelu", schedule=(0, 0))
    if kind == "normalised":  # away from the pole
        network = network_of(group(kind, n_heads=1, d_head=2), schedule=(0, 0))
        with torch.no_grad():
            for weight in network.parameters():
                weight.abs_().mul_(0.5)
    names, weights = zip(*network.named_parameters())
    tokens = random(4, 3).abs()

    def forward(*values):
        return torch.func.functional_call(network, dict(zip(names, values)), (tokens, PrefixMask(3)))

    assert torch.autograd.gradcheck(forward, weights)


def test_a_few_steps_of_adam_halve_the_loss_of_a_softmax_network():
    config = TransformerConfig(3, 16, 1, (BlockConfig((group("softmax"),), 16, "gelu", "rms"),), (0, 0), final_norm="layer")
    network = Transformer(config, torch.Generator().manual_seed(0))
    tokens = random(16, 6, 3, dtype=torch.float32)
    target = tokens[:, :4].mean(-2) @ torch.tensor([1.0, -2.0, 0.5])
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = (network(tokens, PrefixMask(4))[:, -1, 0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2, losses


def test_tokens_that_cannot_be_read_are_refused_with_every_reason():
    network = network_of(group())
    with pytest.raises(ValueError) as refused:
        network(torch.ones(4, 7, dtype=torch.float32, device="meta"), PrefixMask(2))
    message = str(refused.value)
    assert message.startswith("Transformer(tokens=torch.float32[4, 7] on meta)")
    assert "expected shape [..., tokens, 3], got [4, 7]" in message
    assert "use tokens.to(torch.float64) or network.to(torch.float32)" in message
    assert "use tokens.to('cpu')" in message
    with pytest.raises(ValueError, match=r"got \[3\]"):
        network(torch.ones(3, dtype=torch.float64), PrefixMask(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["linear", "softmax"])
def test_a_gpu_computes_what_the_cpu_computes(kind):
    network, tokens = network_of(group(kind), schedule=(0, 0)), random(3, 6, 3)
    on_cpu = network(tokens, PrefixMask(4))
    on_gpu = network.cuda()(tokens.cuda(), PrefixMask(4))
    assert on_gpu.is_cuda
    tolerances.assert_within((on_gpu.cpu() - on_cpu) / on_cpu.abs().max(), 100 * tolerances.rounding(torch.float64, 100))


def test_a_schedule_that_names_no_block_is_refused():
    with pytest.raises(ValueError, match=r"schedule=\(0, 2\)\) with 2 blocks: there is no block 2.*schedule=\(0, 1\)"):
        TransformerConfig(3, 5, 2, (BlockConfig((group(),), 4),) * 2, (0, 2))
