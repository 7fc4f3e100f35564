"""Masks: who reads whom, and the linear-time form against the dense one, exactly on integers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from factories import DTYPES, integers, unchecked
from metarep_lib.network import AttentionConfig, CausalMask, Mask, PairCausalMask, PrefixMask
from metarep_lib.network.transformer import Attention


def may_read(mask: Mask, i: int, j: int) -> bool:
    """The definition of each mask, one pair of tokens at a time."""
    match mask:
        case PrefixMask(n_prefix=n, sees_itself=itself):
            return j < n or (itself and i == j)
        case CausalMask(strict=strict):
            return j < i or (j == i and not strict)
        case PairCausalMask(n_pairs=n) if i < n:
            return j <= i
        case PairCausalMask(n_pairs=n):
            return j < i - n or j == i
    raise AssertionError(mask)


MASKS = st.one_of(
    st.builds(PrefixMask, st.integers(0, 8), st.booleans()),
    st.builds(CausalMask, st.booleans()),
    st.builds(PairCausalMask, st.integers(1, 4)),
)


@st.composite
def mask_and_length(draw):
    mask = draw(MASKS)
    return mask, 2 * mask.n_pairs if isinstance(mask, PairCausalMask) else draw(st.integers(1, 8))


def by_pairs(mask, q, k, v):
    """sum over j that i may read of (q_i . k_j) v_j, by double loop."""
    out = torch.zeros_like(v)
    n_tokens = q.shape[-2]
    for i in range(n_tokens):
        for j in range(n_tokens):
            if may_read(mask, i, j):
                out[..., i, :] += (q[..., i, :] * k[..., j, :]).sum(-1, keepdim=True) * v[..., j, :]
    return out


@given(mask_and_length())
def test_dense_lists_exactly_the_pairs_of_the_definition(case):
    mask, n = case
    dense = mask.dense(n)
    assert dense.dtype == torch.bool
    assert dense.tolist() == [[may_read(mask, i, j) for j in range(n)] for i in range(n)]


@given(mask_and_length(), st.sampled_from([(), (3,), (2, 3)]), st.sampled_from(DTYPES), st.integers(0, 99))
def test_contract_sums_over_exactly_these_pairs(case, batch, dtype, seed):
    mask, n = case
    q, k = integers(*batch, n, 3, seed=seed, dtype=dtype), integers(*batch, n, 3, seed=seed + 1, dtype=dtype)
    v = integers(*batch, n, 2, seed=seed + 2, dtype=dtype)
    out = mask.contract(q, k, v)
    assert out.dtype == dtype
    assert torch.equal(out, by_pairs(mask, q, k, v))


@given(mask_and_length())
def test_contract_reads_non_contiguous_tensors(case):
    mask, n = case
    q, k, v = (integers(3, n, 4, seed=seed).mT.contiguous().mT[..., ::2] for seed in range(3))
    assert not q.is_contiguous() or n == 1
    assert torch.equal(mask.contract(q, k, v), by_pairs(mask, q, k, v))


@pytest.mark.parametrize("kind", ["linear", "normalised"])
@given(mask_and_length(), st.integers(0, 99), st.booleans())
def test_linear_and_normalised_heads_equal_their_dense_form(kind, case, seed, hide_first):
    mask, n = case
    hidden = (0,) if hide_first and n > 1 else ()
    attention = Attention(AttentionConfig(kind, n_heads=2, d_head=3, d_value=2, hidden_keys=hidden), d_model=4).double()
    q, k, v = (integers(5, 2, n, width, seed=seed + i) for i, width in enumerate((3, 3, 2)))
    visible = torch.tensor([[may_read(mask, i, j) and j not in hidden for j in range(n)] for i in range(n)])
    scores = (q @ k.mT) * visible
    expected = scores @ v / (scores.sum(-1, keepdim=True) if kind == "normalised" else 1)
    # one division of exact integers is rounded once on both sides: equal bit for bit, 0/0 and x/0 included
    assert torch.equal(getattr(attention, kind)(q, k, v, mask).nan_to_num(7.0), expected.nan_to_num(7.0))


class LargestTensor(TorchDispatchMode):
    """Remembers the size of the largest tensor any operation made."""

    numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.numel = max(self.numel, out.numel())
        return out


@pytest.mark.parametrize(
    "mask_of", [lambda n: PrefixMask(n // 2), lambda n: PrefixMask(n // 2, sees_itself=True), lambda n: CausalMask(strict=True), lambda n: PairCausalMask(n // 2)]
)
def test_contract_makes_nothing_that_grows_with_the_square_of_the_tokens(mask_of):
    sizes = []
    for n in (64, 256):
        q, k, v = (integers(n, 3, seed=seed) for seed in range(3))
        with LargestTensor() as largest:
            mask_of(n).contract(q, k, v)
        sizes.append(largest.numel)
    assert sizes[0] > 0
    assert sizes[1] <= 4 * sizes[0]


def test_prefix_longer_than_the_sequence_means_everything():
    assert PrefixMask(9).dense(3).all()


def test_every_mask_answers_both_questions():
    assert all(isinstance(mask, Mask) for mask in (PrefixMask(1), CausalMask(), PairCausalMask(1)))


def test_pair_mask_names_the_lengths_that_would_fit():
    with pytest.raises(ValueError, match=r"PairCausalMask\(2\).dense\(6\): 2 pairs need 4 tokens.*PairCausalMask\(n_pairs=3\)"):
        PairCausalMask(2).dense(6)


@pytest.mark.parametrize("n_tokens", [3, 5])
def test_pair_mask_refuses_to_contract_a_sequence_that_is_not_its_own(n_tokens):
    x = torch.ones(n_tokens, 2)
    with unchecked(), pytest.raises(ValueError, match=f"PairCausalMask\\(2\\).*{n_tokens}"):
        PairCausalMask(2).contract(x, x, x)
