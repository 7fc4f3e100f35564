"""Exact arithmetic against the floats on small integers, against rationals, and degree bounds against true polynomials."""

from fractions import Fraction

import flint
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tolerances
from factories import integer_network, integers, random_prompt
from metarep_lib import Prompt, assemble, conjugate_gradient, gradient_descent
from metarep_lib.certify.degree import TWO, Degree
from metarep_lib.certify.exact import ExactTransformer
from metarep_lib.network import (
    AttentionConfig,
    BlockConfig,
    CausalMask,
    PairCausalMask,
    PrefixMask,
    TransformerConfig,
)
from metarep_lib.network.tokens import prefix_mask, tokenise

PRIME = 2**61 - 1


def divide(numerator, denominator):
    return denominator if numerator == 0 and denominator == 0 else numerator / denominator


def rational(network):
    return ExactTransformer(network.state_dict(), network.config, lambda value: value, divide)


def fractions(x):
    """A tensor's values as the dyadic rationals they are."""
    out = np.empty(x.shape, dtype=object)
    out[...] = [[Fraction(value) for value in row] for row in x.tolist()]
    return out


def floats(x):
    return torch.from_numpy(x.astype(np.float64))


def config_of(*groups, schedule=(0,)):
    return TransformerConfig(2, 4, 2, tuple(BlockConfig(groups, 3) for _ in range(max(schedule) + 1)), schedule)


LINEAR = AttentionConfig("linear", 1, 2, 3)
MASKS = [PrefixMask(3), PrefixMask(2, sees_itself=True), CausalMask(), CausalMask(strict=True), PairCausalMask(2)]


@pytest.mark.parametrize("mask", MASKS, ids=str)
@pytest.mark.parametrize(
    "groups",
    [
        (LINEAR,),
        (AttentionConfig("linear", 1, 2, 3, hidden_keys=(0, 2)),),
        (AttentionConfig("linear", 2, 2, 3),),
        (LINEAR, AttentionConfig("linear", 1, 1, 1)),
    ],
    ids=["one head", "hidden keys", "two heads", "two groups"],
)
def test_integers_give_the_floats_bit_for_bit(groups, mask):
    network = integer_network(config_of(*groups), seed=4)
    tokens = integers(4, 2, seed=5)
    exact, ours = rational(network), list(network.stream(tokens, mask))
    theirs = list(exact.stream(fractions(tokens), mask))
    assert ours[-1].abs().max() < 2**53  # no float was rounded
    assert (ours[-1] != ours[0]).any()
    for mine, other in zip(ours, theirs, strict=True):
        assert torch.equal(mine, floats(other))
    assert torch.equal(network.read(ours[-1]), floats(exact.read(theirs[-1])))


def test_every_block_of_a_schedule_runs_in_its_order():
    network = integer_network(config_of(LINEAR, schedule=(1, 0)), seed=0)
    tokens = integers(4, 2, seed=1, size=1)
    ours, theirs = list(network.stream(tokens, PrefixMask(3))), list(rational(network).stream(fractions(tokens), PrefixMask(3)))
    assert ours[-1].abs().max() < 2**53
    assert len(theirs) == 3
    assert all(torch.equal(mine, floats(other)) for mine, other in zip(ours, theirs))


@given(st.integers(0, 99))
@settings(max_examples=10)
def test_gradient_descent_on_dyadic_numbers_is_exact_in_floats_too(seed):
    prompt = Prompt(integers(3, 2, seed=seed), integers(3, seed=seed + 100), integers(2, 2, seed=seed + 200), ridge=0.5)
    network = assemble(gradient_descent(2, steps=4, step_size=0.125))
    theirs = list(rational(network.transformer).stream(fractions(tokenise(prompt)), prefix_mask(prompt)))
    assert torch.equal(network.run(prompt).resid, torch.stack([floats(x) for x in theirs]))


def rational_cg(A, y, steps):
    """Textbook CG over the rationals, written for this test."""
    x, r = np.array([Fraction(0)] * len(y), dtype=object), y
    p, xs = r, [x]
    for _ in range(steps):
        w = A @ p
        gamma = divide(r @ r, p @ w)
        x, r_next = x + gamma * p, r - gamma * w
        p, r = r_next + divide(r_next @ r_next, r @ r) * p, r_next
        xs.append(x)
    return xs


@pytest.mark.parametrize("seed", range(3))
def test_the_weights_of_cg_run_cg_over_the_rationals_and_end_exactly(seed):
    prompt = Prompt(integers(3, 2, seed=seed, size=3), integers(3, seed=seed + 1, size=3), integers(2, 2, seed=seed + 2), ridge=0.5)
    network = assemble(conjugate_gradient(2, steps=4))
    phi, y, phi_query = fractions(prompt.phi), fractions(prompt.y.unsqueeze(0))[0], fractions(prompt.phi_query)
    A = phi @ phi.T + np.diag([Fraction(1, 2)] * 3)
    iterates = rational_cg(A, y, 4)
    assert (A @ iterates[3] == y).all()  # rank 2 and the ridge: three steps end it
    exact = rational(network.transformer)
    streams = list(exact.stream(fractions(tokenise(prompt)), prefix_mask(prompt)))[::5]
    for x, alpha in zip(streams, iterates, strict=True):
        assert (x[2:5, network.basis["alpha"]][:, 0] == alpha).all()
        assert (exact.read(x)[5:, 0] == phi_query @ phi.T @ alpha).all()
    tolerances.assert_within(tolerances.relative(network.predict(prompt), floats(phi_query @ phi.T @ iterates[3])), tolerances.prediction(torch.float64, 100.0))


def test_a_prime_field_sees_the_rationals_reduced():
    field = flint.fmpz_mod_ctx(PRIME)
    prompt = random_prompt(3, 2, 2, 0.5)
    prompt = Prompt(integers(3, 2, seed=0, size=3), integers(3, seed=1, size=3), prompt.phi_query.round(), ridge=0.5)
    network = assemble(conjugate_gradient(2, steps=2)).transformer

    def reduced(value):
        return field(value.numerator) / field(value.denominator)

    tokens = fractions(tokenise(prompt))
    over_field = ExactTransformer(network.state_dict(), network.config, reduced, divide)
    theirs = list(over_field.stream(np.vectorize(reduced, otypes=[object])(tokens), prefix_mask(prompt)))
    ours = list(rational(network).stream(tokens, prefix_mask(prompt)))
    assert any(value.denominator > 1000 for value in ours[-1].flat)
    for mine, other in zip(ours, theirs, strict=True):
        assert all(reduced(value) == residue for value, residue in zip(mine.flat, other.flat, strict=True))


def test_a_guard_is_read_as_zero_where_it_may_stand_and_nowhere_else():
    """A key weight of a normalised head; the same number anywhere else is a number."""
    groups = AttentionConfig("normalised", 1, 2, 3), LINEAR
    network = integer_network(config_of(*groups), seed=4)
    values = torch.tensor([2.0**-982, 2.0**-981, 2.0**-1022, -(2.0**-982)], dtype=torch.float64)
    normalised, linear = network.blocks[0].attention
    with torch.no_grad():
        for weight in (normalised.W_K, linear.W_K, normalised.W_Q):
            weight.zero_()[0, :, 0] = values
    tried = rational(network)
    read = {name: tried.weight(name) for name in tried.state_dict}
    exact = [Fraction(2) ** -982, Fraction(2) ** -981, Fraction(2) ** -1022, -(Fraction(2) ** -982)]
    assert [value for _, _, value in read["blocks.0.attention.0.W_K"][0]] == exact[1:]
    for name in ("blocks.0.attention.1.W_K", "blocks.0.attention.0.W_Q"):
        assert [value for _, _, value in read[name][0]] == exact


@pytest.mark.parametrize(
    ("block", "final_norm", "reason"),
    [
        (BlockConfig((AttentionConfig("softmax", 1, 1, 1),), 1), "none", "block 0 has softmax heads"),
        (BlockConfig((LINEAR,), 1, activation="gelu"), "none", "block 0 has activation 'gelu'"),
        (BlockConfig((LINEAR,), 1, norm="rms"), "none", "block 0 has norm 'rms'"),
        (BlockConfig((LINEAR,), 1), "layer", "the final norm is 'layer'"),
    ],
)
def test_what_is_not_rational_is_refused(block, final_norm, reason):
    config = TransformerConfig(2, 4, 1, (block,), (0,), final_norm)
    with pytest.raises(ValueError, match=f"not a rational function: {reason}; linear and normalised heads and bilinear MLPs are"):
        ExactTransformer({}, config, Fraction, divide)


def test_all_irrational_parts_are_named():
    config = TransformerConfig(2, 4, 1, (BlockConfig((AttentionConfig("softmax", 1, 1, 1),), 1, "silu", "layer"),), (0,), "rms")
    with pytest.raises(ValueError, match="activation 'silu', block 0 has norm 'layer', block 0 has softmax heads, the final norm is 'rms'"):
        ExactTransformer({}, config, Fraction, divide)


CONTEXT = flint.fmpq_mpoly_ctx.get(("a", "b", "c"), "lex")
VARIABLES = CONTEXT.gens()
ZERO, UNIT = VARIABLES[0] * 0, VARIABLES[0] * 0 + 1


def leaf(choice):
    """A variable or a dyadic constant: (its bounds, its numerator, its denominator)."""
    if isinstance(choice, int):
        return Degree.variable(), VARIABLES[choice], UNIT
    return Degree.constant(choice), UNIT * flint.fmpq(choice.numerator, choice.denominator), UNIT


def combine(operation, one, other):
    (bound, n, d), (other_bound, m, e) = one, other
    match operation:
        case "+":
            return bound + other_bound, n * e + m * d, d * e
        case "-":
            return bound - other_bound, n * e - m * d, d * e
        case "*":
            return bound * other_bound, n * m, d * e
    if m == 0:  # no quotient to speak of, or 0 / 0 = 0
        return Degree.constant(Fraction(0)), ZERO, UNIT
    return bound / other_bound, n * e, d * m


dyadic = st.builds(lambda n, power: Fraction(n, 2**power), st.integers(-9, 9), st.integers(0, 5))
leaves = st.one_of(st.integers(0, 2), dyadic).map(leaf)
polynomials = st.recursive(leaves, lambda inner: st.builds(combine, st.sampled_from("+-*"), inner, inner), max_leaves=8)
quotients = st.recursive(leaves, lambda inner: st.builds(combine, st.sampled_from("+-*/"), inner, inner), max_leaves=8)


def degree_of(polynomial):
    return max((sum(powers) for powers in polynomial.to_dict()), default=0)


@settings(max_examples=200)
@given(polynomials)
def test_degree_and_height_of_a_polynomial_are_never_above_their_bounds(made):
    bound, polynomial, _ = made
    assert degree_of(polynomial) <= bound.degree
    over_integers = polynomial * 2 ** bound.denominator.get(TWO, 0)
    coefficients = [value for value in over_integers.to_dict().values()]
    assert all(value.denominator == 1 for value in map(flint.fmpq, coefficients))
    assert sum(abs(int(flint.fmpq(value).numerator)) for value in coefficients) <= 2**bound.bits
    assert polynomial == 0 or not bound.is_zero


@settings(max_examples=200)
@given(quotients)
def test_degrees_of_a_quotient_in_lowest_terms_are_never_above_their_bound(made):
    bound, numerator, denominator = made
    if numerator == 0:
        return
    common = numerator.gcd(denominator)
    assert degree_of(numerator / common) <= bound.degree
    assert degree_of(denominator / common) <= sum(times * factor.degree for factor, times in bound.denominator.items())


def test_degree_bounds_are_attained():
    x, half = Degree.variable(), Degree.constant(Fraction(1, 2))
    assert (x * x * x).total == (3, 0)
    assert (x + x * x).total == (2, 1)
    assert (x / (x * x + x)).total == (2, 1)
    cubic = x * x * x + x
    assert (x / cubic).total == (3, 1)
    assert (x / (x / cubic)).total == (4, 1)  # x cubic / x, which nobody cancels
    assert (half * half * x).denominator[TWO] == 2
    assert (x + half).total[1] >= 2  # (2 x + 1) / 2 has coefficients that add up to 3
    assert (x * Degree.constant(Fraction(0))).is_zero
