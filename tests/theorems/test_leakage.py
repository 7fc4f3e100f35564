"""Who depends on whom: the mask's promise is kept by every network of the class, and what breaks it is found."""

import itertools
from dataclasses import dataclass

import pytest
import torch
from torch import nn

from certificates import certifies
from factories import prompt_of
from metarep_lib import Transformer, assemble
from metarep_lib.certify import leakage_by_change, leakage_by_gradient
from metarep_lib.certify.leakage import reach
from metarep_lib.construct.algorithms import (
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    copied_gradient_descent,
    gradient_descent,
    jacobi_conjugate_gradient,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    newton_schulz,
    repeat_context,
    two_block_conjugate_gradient,
)
from metarep_lib.network import (
    AttentionConfig,
    BlockConfig,
    CausalMask,
    PairCausalMask,
    PrefixMask,
    TransformerConfig,
)
from metarep_lib.network.tokens import tokenise

TESTS = (leakage_by_change, leakage_by_gradient)
KINDS, NORMS = ("linear", "normalised", "softmax"), ("none", "rms", "layer")
both = pytest.mark.parametrize("leakage", TESTS, ids=lambda test: test.__name__)


@dataclass(frozen=True)
class BandMask:
    """Token i reads token i - 1 alone: what reaches further has made as many hops."""

    def dense(self, n_tokens):
        return torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril(-1).triu(-1)

    def contract(self, q, k, v):
        return ((q @ k.mT) * self.dense(q.shape[-2])) @ v


MASKS = (PrefixMask(4), PrefixMask(4, sees_itself=True), CausalMask(), CausalMask(strict=True, n_registers=2), PairCausalMask(3), BandMask())


def network_of(kind="softmax", norm="rms", seed=0, depth=3, dtype=torch.float64):
    groups = (AttentionConfig(kind, 2, 3, 3), AttentionConfig("softmax", 1, 2, 2, hidden_keys=(1,)))
    blocks = (BlockConfig(groups, 8, "gelu", norm),) * depth
    return Transformer(TransformerConfig(4, 6, 1, blocks, tuple(range(depth)), norm), torch.Generator().manual_seed(seed)).to(dtype)


def tokens_of(seed=0, n=6, dtype=torch.float64):
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(100 + seed), dtype=torch.float64).to(dtype)


def defined(kind, mask):
    """0 / 0 is not a number: a normalised head needs somebody to read."""
    return kind != "normalised" or bool(mask.dense(6).any(-1).all())


# ---------------------------------------------------------------- the theorem


def reached(mask, n_blocks, n_tokens, itself=True):
    """V_0, ..., V_b as the theorem has them, set by set; [block][token] -> tokens."""
    visible = [set(row.nonzero().flatten().tolist()) for row in mask.dense(n_tokens)]
    sets = [[{i} for i in range(n_tokens)]]
    for _ in range(n_blocks):
        before = sets[-1]
        sets.append([(before[i] if itself else set()).union(*(before[j] for j in visible[i])) for i in range(n_tokens)])
    return sets


def as_sets(influence):
    return [[set(row.nonzero().flatten().tolist()) for row in block] for block in influence]


def one_hop_fewer(mask, n_blocks, n_tokens):
    return [reached(mask, 0, n_tokens)[0], *reached(mask, n_blocks, n_tokens)[:-1]]


def forgetting_itself(mask, n_blocks, n_tokens):
    return reached(mask, n_blocks, n_tokens, itself=False)


def one_hop(mask, n_blocks, n_tokens):
    return reached(mask, 1, n_tokens)[:1] + reached(mask, 1, n_tokens)[1:] * n_blocks


def all_hops(mask, n_blocks, n_tokens):
    return reached(mask, 0, n_tokens) + reached(mask, n_tokens, n_tokens)[-1:] * n_blocks


@certifies(
    "thm-information-flow",
    statement=reached,
    mutants={
        "one hop fewer than blocks": one_hop_fewer,
        "a token that does not read itself forgets itself": forgetting_itself,
        "what the mask shows, however many blocks there are": one_hop,
        "all hops in the first block": all_hops,
    },
)
@pytest.mark.parametrize("norm", NORMS)
def test_a_stream_depends_on_what_it_can_reach_and_random_weights_use_all_of_it(statement, norm):
    tokens = tokens_of()
    for kind, mask in itertools.product(KINDS, MASKS):
        if defined(kind, mask):
            for leakage in TESTS:
                found = leakage(network_of(kind, norm), tokens, mask)
                assert as_sets(found.influence) == statement(mask, len(found.influence) - 1, len(tokens))
                assert found.holds and torch.equal(found.influence, found.allowed), found


@certifies(
    "thm-information-flow",
    statement=reached,
    mutants={
        "one hop fewer than blocks": one_hop_fewer,
        "a token that does not read itself forgets itself": forgetting_itself,
        "what the mask shows, however many blocks there are": one_hop,
    },
)
def test_everything_out_of_reach_may_change_at_once(statement):
    for seed, mask in enumerate(MASKS[::-1]):
        for i, (kind, dtype) in enumerate([("linear", torch.float64), ("softmax", torch.float32)]):
            norm = NORMS[(seed + i) % 3]
            network = network_of(kind, norm, seed, dtype=dtype)
            tokens, others = (tokens_of(draw, dtype=dtype) / 4 for draw in (seed, seed + 1))  # short: three cubes stay in float32
            before = list(network.stream(tokens, mask))
            assert before[-1].isfinite().all()
            for block, allowed in enumerate(statement(mask, len(before) - 1, len(tokens))):
                for reader in range(len(tokens)):
                    kept = torch.tensor([token in allowed[reader] for token in range(len(tokens))])
                    changed = torch.where(kept.unsqueeze(-1), tokens, others)
                    assert torch.equal(list(network.stream(changed, mask))[block][reader], before[block][reader])


def under_prefix(n, itself=True):
    """Of six tokens: what each depends on under the prefix mask over n."""
    return [set(range(n)) | ({i} if itself else set()) for i in range(6)]


def under_causal(n_registers):
    return [set(range(n_registers)) | set(range(i + 1)) for i in range(6)]


@certifies(
    "thm-information-flow",
    statement=(under_prefix, under_causal),
    mutants={
        "queries do not depend on themselves": (lambda n: under_prefix(n, itself=False), under_causal),
        "queries read each other": (lambda n: [set(range(n)) if i < n else set(range(6)) for i in range(6)], under_causal),
        "a prefix one token shorter": (lambda n: under_prefix(n - 1), under_causal),
        "registers that are read by later tokens only": (under_prefix, lambda n_registers: [set(range(i + 1)) for i in range(6)]),
    },
)
def test_prefix_and_causal_masks_promise_what_the_theorem_says(statement):
    of_prefix, of_causal = statement
    promised = [(PrefixMask(4, sees_itself=sees), of_prefix(4)) for sees in (False, True)]
    promised += [(CausalMask(strict=strict, n_registers=n), of_causal(n)) for strict, n in ((False, 0), (False, 2), (True, 2))]
    for mask, allowed in promised:
        for leakage in TESTS:
            assert as_sets(leakage(network_of(), tokens_of(), mask).influence[1:]) == [allowed] * 3


def test_reach_is_that_of_the_theorem():
    for mask in MASKS:
        assert as_sets(reach(mask, 5, 6)) == reached(mask, 4, 6)


CONSTRUCTED = [
    gradient_descent(3, 3, 0.1),
    narrow_gradient_descent(3, 3, 0.1),
    narrow_ridge_gradient_descent(3, 3, 0.1),
    chebyshev(3, 3, 0.1, 2.0),
    newton_schulz(3, 2, 0.2),
    conjugate_gradient(3, 2),
    two_block_conjugate_gradient(3, 2),
    jacobi_conjugate_gradient(3, 2),
    causal_conjugate_gradient(3, 2),
    copied_gradient_descent(3, 2, 0.1),
]


@both
@pytest.mark.parametrize("program", CONSTRUCTED, ids=lambda program: program.name)
def test_constructions_keep_the_promise(program, leakage):
    prompt = prompt_of(10.0, 5, 3, 0 if program.causal else 2, seed=1)
    if "copied" in program.name:
        prompt = repeat_context(prompt, 2)
    network = assemble(program)
    found = leakage(network.transformer, tokenise(prompt), network.question(prompt).mask)
    assert found.holds, found
    assert found.influence[-1, 2:, 2:].sum() > found.influence.shape[-1]  # supports are read


# ---------------------------------------------------------------- leaks are found


@both
def test_a_mask_one_position_too_long_is_found(leakage):
    found = leakage(network_of(), tokens_of(), PrefixMask(5), promise=PrefixMask(4))
    assert set(found.pairs) == {(reader, 4) for reader in range(6) if reader != 4} and found.first_block == 1
    assert not found.holds and "5 pairs leak from block 1" in str(found)


class CentredOverTokens(nn.Module):
    def forward(self, x):
        return x - x.mean(dim=-2, keepdim=True)


class RoundedFromTheLast(nn.Module):
    """Adds the whole part of a channel of the last token to everybody: no gradient, and yet an influence."""

    def forward(self, x):
        return x + x[..., -1:, :1].floor()


class ScentOfTheLast(nn.Module):
    """Adds a channel of the last token with a weight below every rounding."""

    def forward(self, x):
        return x + 2.0**-90 * x[..., -1:, :1]


def with_norm(norm, block=1):
    network = network_of()
    network.blocks[block].norm_mlp = norm
    return network


@both
def test_a_norm_over_tokens_is_found_in_its_block(leakage):
    found = leakage(with_norm(CentredOverTokens()), tokens_of(), PrefixMask(4))
    assert found.first_block == 2
    assert set(found.pairs) == {(reader, source) for reader in range(6) for source in (4, 5) if reader != source}


def test_each_test_misses_what_the_other_finds():
    tokens, mask = tokens_of(), PrefixMask(4)
    rounded, scent = with_norm(RoundedFromTheLast()), with_norm(ScentOfTheLast())
    assert not leakage_by_change(rounded, tokens, mask).holds and leakage_by_gradient(rounded, tokens, mask).holds
    assert leakage_by_change(scent, tokens, mask).holds and not leakage_by_gradient(scent, tokens, mask).holds


def test_not_a_number_passes_a_softmax_mask_and_no_linear_one():
    mask = PrefixMask(4)
    poisoned = tokens_of()
    poisoned[-1] = torch.nan
    blocks = {kind: (BlockConfig((AttentionConfig(kind, 1, 3, 3),), 8),) for kind in ("linear", "softmax")}
    nets = {kind: Transformer(TransformerConfig(4, 6, 1, block, (0,)), torch.Generator().manual_seed(0)).double() for kind, block in blocks.items()}
    assert nets["linear"](poisoned, mask)[:-1].isfinite().all()
    assert nets["softmax"](poisoned, mask)[:-1].isnan().all()


# ---------------------------------------------------------------- misuse


@both
def test_what_cannot_be_judged_is_refused(leakage):
    with pytest.raises(ValueError, match=f"{leakage.__name__}.*expected one prompt.*tokens\\[0\\]"):
        leakage(network_of(), tokens_of().unsqueeze(0), PrefixMask(4))
    with pytest.raises(ValueError, match="stream of token 0 is not finite after block 1"):
        leakage(network_of("normalised"), tokens_of(), CausalMask(strict=True))


def test_a_network_that_is_not_the_same_twice_is_refused():
    with pytest.raises(RuntimeError, match="two passes over the same tokens differ"):
        leakage_by_change(with_norm(nn.Dropout(0.5)), tokens_of(), PrefixMask(4))


@both
def test_weights_and_tokens_are_left_as_they_were(leakage):
    network, tokens = network_of(), tokens_of()
    before, kept = [w.clone() for w in network.parameters()], tokens.clone()
    leakage(network, tokens, PrefixMask(4))
    assert torch.equal(tokens, kept) and not tokens.requires_grad
    assert all(torch.equal(a, b) and b.grad is None for a, b in zip(before, network.parameters()))
