"""Programs: everything that is wrong is said at once, and the weights say what the program says and no more."""

from dataclasses import replace

import pytest
import torch

from factories import DTYPES, integers
from metarep_lib import Program, assemble, conjugate_gradient, gradient_descent
from metarep_lib.construct import GUARD, Form, Head, Layer, Product, ProgramError, Write
from metarep_lib.network import Basis, PrefixMask
from metarep_lib.network.tokens import input_basis

ONE = Form("one")
GUARD_VALUES = {torch.float64: 2.0**-982, torch.float32: 2.0**-86}  # 2^40 times the smallest normal numbers (IEEE 754)


def head(query="phi", key="phi", value="r", **more):
    return Head("linear", ((Form(query), Form(key)),), Form(value), **more)


def program(*layers, embedding=(), readout="r", **widths):
    stream = Basis.of(**({"phi": 3, "one": 1, "r": 1, "w": 1} | widths))
    return Program("made", input_basis(3), stream, tuple(embedding), layers, Form(readout))


def layer(attention=(), mlp=(), step=1):
    return Layer(step, "phase", tuple(attention), tuple(mlp))


def reasons_of(made):
    with pytest.raises(ProgramError) as refused:
        made.validate()
    first, *reasons, example = str(refused.value).splitlines()
    assert first == f"program 'made' over {', '.join(made.stream)} cannot be assembled, {len(reasons)} reasons:"
    assert example.startswith("a write that works: ")
    return [reason.removeprefix("  - ") for reason in reasons]


def test_a_sound_program_has_no_reasons():
    program(layer([Write("w", (head(),))], [Write("r", (Product(ONE, Form("w")),))])).validate()
    for made in (conjugate_gradient(3, steps=2), gradient_descent(1, steps=2, step_size=0.5)):
        made.validate()


STREAM = "not among phi, one, r, w"
SINGLE = {
    "head reads an unknown name": (layer([Write("w", (head(value="q"),))]), f"step 1 'phase' attention, write to 'w': reads 'q', {STREAM}"),
    "score reads an unknown name": (layer([Write("w", (head(key="q"),))]), f"step 1 'phase' attention, write to 'w': reads 'q', {STREAM}"),
    "product reads an unknown name": (layer(mlp=[Write("w", (Product(ONE, Form("q")),))]), f"step 1 'phase' mlp, write to 'w': reads 'q', {STREAM}"),
    "target unknown": (layer([Write("q", (head(),))]), "step 1 'phase' attention, write to 'q': no such direction; the stream has phi, one, r, w"),
    "query and key widths": (
        layer([Write("w", (head(query="phi", key="r"),))]),
        "step 1 'phase' attention, write to 'w': query phi has width 3, key r has 1",
    ),
    "value too wide": (layer([Write("w", (head(value="phi"),))]), "step 1 'phase' attention, write to 'w': 3 channels into a direction of width 1"),
    "value too narrow": (layer([Write("phi", (head(),))]), "step 1 'phase' attention, write to 'phi': 1 channels into a direction of width 3"),
    "product too wide": (
        layer(mlp=[Write("w", (Product(ONE, Form("phi")),))]),
        "step 1 'phase' mlp, write to 'w': 3 channels into a direction of width 1",
    ),
    "form of two widths": (
        layer(mlp=[Write("w", (Product(ONE, Form({"phi": 1, "r": 1})),))]),
        "step 1 'phase' mlp, write to 'w': adds directions of different widths {'phi': 3, 'r': 1}",
    ),
    "two writes in one half": (
        layer(mlp=[Write("w", (Product(ONE, ONE),)), Write("w", (Product(ONE, ONE),))]),
        "step 1 'phase' mlp: 2 writes to 'w' clash; make them one Write with 2 terms, or use two blocks",
    ),
    "product in attention": (layer([Write("w", (Product(ONE, ONE),))]), "step 1 'phase' attention, write to 'w': a Product does not belong in the attention half"),
    "head in mlp": (layer(mlp=[Write("w", (head(),))]), "step 1 'phase' mlp, write to 'w': a Head does not belong in the mlp half"),
    "steps start late": (layer(step=2), "layers belong to steps [2], expected 1, 2, ... in order (after 0 for preparation), each with at least one layer"),
}


@pytest.mark.parametrize("case", SINGLE)
def test_each_mistake_has_its_reason(case):
    wrong, reason = SINGLE[case]
    assert reasons_of(program(wrong)) == [reason]


def test_factors_of_different_widths_are_named():
    wrong = layer(mlp=[Write("w", (Product(Form("phi"), Form("two")),))])
    assert reasons_of(program(wrong, two=2)) == ["step 1 'phase' mlp, write to 'w': factors phi and two have different widths, neither is one"]


@pytest.mark.parametrize("steps", [(1, 3), (2, 1), (1, 0), (0, 2), (-1, 1), (1, 2, 1)])
def test_steps_out_of_order_are_refused(steps):
    (reason,) = reasons_of(program(*(layer(step=step) for step in steps)))
    assert reason.startswith(f"layers belong to steps {list(steps)}, expected 1, 2, ... in order")


def test_the_embedding_is_checked_against_token_and_stream():
    assert reasons_of(program(embedding=[("q", Form("y")), ("r", Form("phi")), ("w", Form("z")), ("one", Form("y")), ("one", Form("y"))])) == [
        "embedding of 'q': no such direction; the stream has phi, one, r, w",
        "embedding of 'r': 3 channels into a direction of width 1",
        f"embedding of 'w': reads 'z', not among {', '.join(input_basis(3))}",
        "embedding: 2 writes to 'one' clash; make them one Write with 2 terms, or use two blocks",
    ]


def test_all_reasons_come_at_once():
    wrong = program(*(SINGLE[case][0] for case in ("head in mlp", "value too wide", "two writes in one half")), embedding=[("q", Form("y"))], readout="z")
    assert len(reasons_of(wrong)) == 5
    with pytest.raises(ProgramError, match="5 reasons"):
        assemble(wrong)


def test_a_repeated_block_is_reported_once():
    wrong = SINGLE["value too wide"][0]
    assert len(reasons_of(program(wrong, replace(wrong, step=2), replace(wrong, step=3)))) == 1


def test_step_zero_is_preparation():
    made = program(layer(step=0), layer(step=0, mlp=[Write("w", (Product(ONE, ONE),))]), layer(step=1))
    made.validate()
    assert made.step_ends == [2, 3]


def test_a_readout_of_several_channels_is_an_output_of_as_many():
    made = program(layer(), readout="phi")
    network, x = assemble(made).transformer, integers(2, made.stream.size, seed=0)
    assert torch.equal(network.read(x), x[:, made.stream["phi"]])


def test_forms_read_like_the_sums_they_are():
    assert repr(Form({"a": 1, "b": -2, "c": 0.5, "d": GUARD})) == "a - 2 b + 0.5 c + GUARD d"
    assert Form(Form("a")) == Form("a") == Form({"a": 1.0})
    assert len({Form("a"), Form({"a": 1}), Form("b")}) == 2


def test_a_basis_keeps_the_order_given_and_tiles_the_space():
    basis = Basis.of(z=2, a=1, m=3)
    assert list(basis) == ["z", "a", "m"]
    assert [channel for name in basis for channel in range(basis.size)[basis[name]]] == list(range(6))
    assert "a" in basis and "q" not in basis
    assert len(basis) == 3


def test_a_channel_of_a_direction_has_a_name_too():
    basis = Basis.of(z=2, a=1)
    assert [basis[name] for name in ("z[0]", "z[1]", "a[0]")] == [slice(0, 1), slice(1, 2), slice(2, 3)]
    assert not any(name in basis for name in ("z[2]", "z[-1]", "z[x]", "q[0]"))


@pytest.mark.parametrize("name", ["z[]", "z]", "z[", "z[1", "z[0]]"])
def test_a_name_with_other_brackets_is_no_direction(name):
    assert name not in Basis.of(z=2, a=1)


def test_basis_mistakes_are_named():
    with pytest.raises(ValueError, match=r"named twice: \['a'\]; narrower than one channel: \['b'\]"):
        Basis((("a", 1), ("a", 2), ("b", 0)))
    with pytest.raises(KeyError, match="no direction 'q'; there are a, b"):
        Basis.of(a=1, b=1)["q"]


def entries(form: Form, basis: Basis) -> int:
    return sum(basis.width(name) for name, _ in form.terms)


def expected_nonzeros(made: Program) -> int:
    """Counted from the program alone: one weight per term of a form and channel, one per output channel."""
    stream = made.stream
    total = sum(entries(form, made.inputs) for _, form in made.embedding) + entries(made.readout, stream)
    for attention, mlp in {(layer.attention, layer.mlp) for layer in made.layers}:
        for term in (term for write in attention for term in write.terms):
            total += sum(entries(form, stream) for pair in term.score for form in pair)
            total += entries(term.value, stream) + stream.width(term.value.terms[0][0])
        for term in (term for write in mlp for term in write.terms):
            width = max(stream.width(form.terms[0][0]) for form in (term.left, term.right))
            total += entries(term.left, stream) * (width // stream.width(term.left.terms[0][0]))
            total += entries(term.right, stream) * (width // stream.width(term.right.terms[0][0])) + width
    return total


@pytest.mark.parametrize("made", [conjugate_gradient(4, steps=3), gradient_descent(4, steps=3, step_size=0.25)], ids=lambda made: made.name)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_weights_contain_what_the_program_says_and_nothing_else(made, dtype):
    network = assemble(made, dtype=dtype)
    nonzeros = sum(int(weight.count_nonzero()) for weight in network.transformer.parameters())
    assert nonzeros == expected_nonzeros(made)
    assert not any(weight.requires_grad for weight in network.transformer.parameters())
    assert {weight.dtype for weight in network.transformer.parameters()} == {dtype}


def test_equal_layers_share_one_block():
    network = assemble(conjugate_gradient(2, steps=6))
    assert len(network.transformer.blocks) == 5
    assert network.transformer.config.schedule == (0, 1, 2, 3, 4) * 6
    assert network.program.step_ends == [0, 5, 10, 15, 20, 25, 30]


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_guard_follows_the_dtype(dtype):
    made = program(layer(mlp=[Write("w", (Product(ONE, Form({"r": GUARD})),))]))
    assert assemble(made, dtype=dtype).transformer.blocks[0].mlp.W_in[made.stream["r"], 0] == GUARD_VALUES[dtype]


def test_products_of_every_shape_compute_what_they_say():
    terms = {
        "w": Product(Form("r"), Form({"r": 2, "one": -1}), 3.0),  # scalar times scalar
        "r": Product(Form("phi"), Form("phi")),  # two wide factors into one channel: inner product
        "phi": Product(Form("r"), Form("phi"), 0.5),  # a scalar scales a wide factor
        "had": Product(Form("phi"), Form("phi"), -1.0),  # channel by channel
    }
    made = program(layer(mlp=[Write(target, (term,)) for target, term in terms.items()]), had=3)
    network, stream = assemble(made), made.stream
    x = integers(2, 4, stream.size, seed=0)
    changed = network.transformer.blocks[0](x, PrefixMask(4)) - x
    phi, r, one = x[..., stream["phi"]], x[..., stream["r"]], x[..., stream["one"]]
    expected = {"w": 3 * r * (2 * r - one), "r": (phi * phi).sum(-1, keepdim=True), "phi": 0.5 * r * phi, "had": -phi * phi, "one": 0 * one}
    for name, value in expected.items():
        assert torch.equal(changed[..., stream[name]], value), name


def test_a_head_of_several_score_pairs_adds_them():
    score = ((Form("phi"), Form({"phi": 2})), (Form({"one": 1, "r": 1}), Form("w")))
    made = program(layer([Write("had", (Head("linear", score, Form("phi"), gain=-3.0),))]), had=3)
    network, stream = assemble(made), made.stream
    x = integers(5, stream.size, seed=1)
    changed = network.transformer.blocks[0](x, PrefixMask(3)) - x
    phi, one, r, w = (x[:, stream[name]] for name in ("phi", "one", "r", "w"))
    scores = phi @ (2 * phi[:3]).T + (one + r) @ w[:3].T
    assert torch.equal(changed[:, stream["had"]], -3 * scores @ phi[:3])
