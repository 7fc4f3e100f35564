"""What chapter one-decoder states: the rounding of the division circuit, and programs shown as tables; and the notation page."""

import re
from dataclasses import fields
from fractions import Fraction
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

import metarep_lib
from certificates import certifies
from factories import DTYPES
from metarep_lib import Program, Prompt, RidgeSystem, Transformer, assemble
from metarep_lib.certify.statements.one_decoder import general_bound, scaled_bound
from metarep_lib.construct import GUARD, Form, Layer, Product, ProgramError, Write, describe
from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    causal_conjugate_gradient,
    chebyshev,
    conjugate_gradient,
    copied_gradient_descent,
    feature_scaled_conjugate_gradient,
    gradient_descent,
    gram_chebyshev,
    gram_conjugate_gradient,
    gram_squaring,
    jacobi_conjugate_gradient,
    kernel_product,
    narrow_gradient_descent,
    narrow_ridge_gradient_descent,
    newton_schulz,
    one_block_conjugate_gradient,
    pipelined_conjugate_gradient,
    richardson,
    softmax_conjugate_gradient,
    softmax_smoother,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.circuits import division as division_circuits
from metarep_lib.construct.circuits import linear as linear_circuits
from metarep_lib.construct.describe import show_number
from metarep_lib.construct.program import guard_of
from metarep_lib.construct.transforms import (
    central_difference,
    on_polynomial_features,
    with_softmax_products,
)
from metarep_lib.evidence.identify import Verdict
from metarep_lib.evidence.probe.probes import Probe, Recovery
from metarep_lib.network import AttentionConfig, Basis, BlockConfig, PrefixMask, TransformerConfig
from metarep_lib.network.tokens import input_basis
from metarep_lib.numerics.bounds.perturbation import RidgeFit

NOTATION = Path(__file__).resolve().parents[2] / "book" / "notation.md"
PRECISION = {torch.float64: 53, torch.float32: 24}
dtypes = pytest.mark.parametrize("dtype", DTYPES, ids=str)

PROGRAMS = [
    gradient_descent(3, 5, step_size=0.25),
    chebyshev(3, 4, 0.1, 2.0),
    conjugate_gradient(3, 4),
    conjugate_gradient(3, 4, n_outputs=2),
    two_block_conjugate_gradient(3, 4),
    two_block_conjugate_gradient(3, 4, n_outputs=2),
    block_conjugate_gradient(3, 4, 2, damping=2**-48),
    jacobi_conjugate_gradient(3, 4),
    causal_conjugate_gradient(3, 4),
    newton_schulz(3, 4, 0.5),
    narrow_gradient_descent(3, 4, 0.5),
    narrow_ridge_gradient_descent(3, 4, 0.5),
    copied_gradient_descent(3, 4, 0.5),
    feature_scaled_conjugate_gradient(3, 4),
    gram_chebyshev(3, 4, 0.1, 2.0),
    gram_conjugate_gradient(3, 4),
    gram_squaring(3, 4, 0.5),
    one_block_conjugate_gradient(3, 4, 0.5),
    on_polynomial_features(gradient_descent(9, 2, 0.5), 2),
    with_softmax_products(conjugate_gradient(3, 4), central_difference(1, 0.25)),
    softmax_smoother(3, tau=1.0),
    kernel_product(3, tau=1.0),
    richardson(3, 4, tau=1.0),
    softmax_conjugate_gradient(3, 4, tau=1.0, preconditioner="jacobi"),
    pipelined_conjugate_gradient(3, 4, tau=1.0),
]
programs = pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)


# ---------------------------------------------------------------- division


def unit_roundoff(dtype: torch.dtype) -> Fraction:
    return Fraction(1, 2 ** PRECISION[dtype])


def division(c: float, guard: bool = True) -> Program:
    """The library's two circuits and nothing else."""
    scores = division_circuits.quotient_scores("N", "D", into="scores", scale=c)
    quotient = division_circuits.quotient("scores", into="Q", scale=c)
    if not guard:
        (head,) = quotient.terms
        ((query, key),) = head.score
        bare = Form({name: weight for name, weight in key.terms if weight is not GUARD})
        quotient = Write("Q", (type(head)(head.kind, ((query, bare),), head.value, head.gain),))
    token = Basis.of(N=1, D=1, is_aggregator=1, is_sink=1, one=1)
    return Program(
        name="division",
        inputs=token,
        stream=Basis((*token.widths, ("scores", 1), ("Q", 1))),
        embedding=tuple((name, Form(name)) for name in token),
        layers=(Layer(1, "scores", mlp=(scores,)), Layer(1, "divide", attention=(quotient,))),
        readout=Form("Q"),
    )


def divide(N: Tensor, D: Tensor, c: float, guard: bool = True) -> Tensor:
    """[n] what a token that holds neither N nor D reads when both registers do."""
    tokens = torch.zeros(len(N), 3, 5, dtype=N.dtype)
    tokens[:, :2, 0], tokens[:, :2, 1] = N[:, None], D[:, None]
    tokens[:, 0, 2] = tokens[:, 1, 3] = 1
    tokens[:, :, 4] = 1
    return assemble(division(c, guard), dtype=N.dtype).transformer(tokens, PrefixMask(2))[:, 2, 0]


def relative_errors(Q: Tensor, N: Tensor, D: Tensor) -> list[Fraction]:
    """|Q / (N / D) - 1| exactly."""
    return [abs(Fraction(q) * Fraction(d) / Fraction(n) - 1) for q, n, d in zip(Q.tolist(), N.tolist(), D.tolist())]


def sizes(N: Tensor, D: Tensor, c: float) -> list[Fraction]:
    """tau = c |N / D| exactly."""
    return [Fraction(c) * abs(Fraction(n) / Fraction(d)) for n, d in zip(N.tolist(), D.tolist())]


@st.composite
def divisions(draw: st.DrawFn, largest: int) -> tuple[Tensor, Tensor, float, torch.dtype]:
    """Sixteen pairs with |N / D| spread over a binade, a scale with tau < 2^largest, and a dtype; within the proposition's range."""
    dtype = draw(st.sampled_from(DTYPES))
    exponent, scale = draw(st.integers(-30, 60)), draw(st.integers(0, 80))
    c = 2.0 ** -max(scale, exponent + 1 - largest)
    # |c N| >= g in float32: the size of N is at least 2^(exponent + of_D)
    of_D = draw(st.integers(-20, 20)) if dtype == torch.float64 else max(draw(st.integers(-20, 20)), -20 - exponent)
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    D = torch.from_numpy(rng.uniform(1, 2, 16) * rng.choice([-1, 1], 16) * 2.0**of_D).to(dtype)
    ratio = rng.uniform(1, 2, 16) * rng.choice([-1, 1], 16) * 2.0**exponent
    return (D.double() * torch.from_numpy(ratio)).to(dtype), D, c, dtype


@certifies("prop-division-rounding")
@given(case=divisions(largest=6))
def test_division_errs_by_three_roundings_when_scaled_and_in_proportion_to_the_quotient_when_not(case):
    N, D, c, dtype = case
    u = unit_roundoff(dtype)
    for error, tau in zip(relative_errors(divide(N, D, c), N, D), sizes(N, D, c)):
        assert error <= general_bound(tau, u)
        assert error <= scaled_bound(u) or tau > 1


def searched(c: float, dtype: torch.dtype, seed: int, score, start: float, generations: int = 40) -> tuple[Tensor, Tensor, list[Fraction]]:
    """The operands that an evolution over (tau, D) finds with the largest score of (error, tau); |tau| stays within `start`."""
    rng = np.random.default_rng(seed)
    tau, D = rng.uniform(-start, start, 256), rng.uniform(1, 2, 256)
    for _ in range(generations):
        d = torch.from_numpy(D).to(dtype)
        n = (torch.from_numpy(tau) * d.double() / c).to(dtype)
        errors, taus = relative_errors(divide(n, d, c), n, d), sizes(n, d, c)
        best = sorted(range(256), key=lambda i: -score(errors[i], taus[i]) if taus[i] <= start else 0)[:32]
        parents = rng.choice(best, 224)
        steps = 2.0 ** rng.uniform(-PRECISION[dtype], 0, 224)
        tau = np.concatenate([tau[best], np.clip(tau[parents] + start * steps * rng.standard_normal(224), -start, start)])
        D = np.concatenate([D[best], np.clip(D[parents] + steps * rng.standard_normal(224), 1, np.nextafter(2, 1))])
    kept = torch.tensor([i for i in best if taus[i] <= start])
    return n[kept], d[kept], [errors[i] for i in kept]


@cache
def worst_when_scaled(c: float, dtype: torch.dtype) -> Fraction:
    """The largest error that three searches find at tau <= 1."""
    return max(searched(c, dtype, seed, lambda error, tau: error, start=1.0)[2][0] for seed in range(3))


@certifies(
    "prop-division-rounding",
    statement=scaled_bound,
    mutants={"two roundings": lambda u: 2 * u / (1 - 2 * u), "two roundings and a half": lambda u: Fraction(5, 2) * u / (1 - 2 * u)},
)
@dtypes
@pytest.mark.parametrize("c", [1.0, 2.0**-40])
def test_a_search_comes_close_to_three_roundings_and_not_beyond(statement, dtype, c):
    u = unit_roundoff(dtype)
    assert Fraction(27, 10) * u <= worst_when_scaled(c, dtype) <= statement(u)


@cache
def largest_quotients(dtype: torch.dtype) -> list[tuple[Fraction, Fraction]]:
    """(error, tau) of the operands with tau <= 2^8 that a search finds to use most of the bound."""
    u, c = unit_roundoff(dtype), 2.0**-10
    N, D, errors = searched(c, dtype, 0, lambda error, tau: error / general_bound(tau, u), start=2.0**8)
    return list(zip(errors, sizes(N, D, c), strict=True))


@certifies(
    "prop-division-rounding",
    statement=general_bound,
    mutants={
        "the bound of tau <= 1 for every tau": lambda tau, u: scaled_bound(u),
        "4 / 5 of tau": lambda tau, u: general_bound(Fraction(4, 5) * tau, u),
    },
)
@dtypes
def test_a_search_comes_close_to_the_bound_of_large_quotients_and_not_beyond(statement, dtype):
    u = unit_roundoff(dtype)
    used = [error / statement(tau, u) for error, tau in largest_quotients(dtype)]
    assert Fraction(9, 10) <= max(used) <= 1


@certifies("prop-division-rounding", statement=lambda u: u / 4, mutants={"tau <= u": lambda u: u})
@given(case=divisions(largest=0), shrink=st.integers(0, 10))
@example(case=(torch.tensor([-1.5, -0.75]).double(), torch.ones(2).double(), 1.0, torch.float64), shrink=0)
def test_quotients_far_below_the_scale_are_correctly_rounded(statement, case, shrink):
    N, D, _, dtype = case
    limit = float(statement(unit_roundoff(dtype)))
    c = min(2.0 ** np.floor(np.log2(limit / (N / D).abs().double().max().item()) - shrink), 1.0)
    if (c * N.abs().double()).min() < torch.finfo(dtype).tiny:
        return  # outside the range of the dtype
    assert max(sizes(N, D, c)) <= limit
    assert torch.equal(divide(N, D, c), N / D)


@certifies(
    "prop-division-rounding",
    statement=lambda P: (range(1, P - 1), lambda m, u: 2**m * u),
    mutants={
        "m = P - 1 as well": lambda P: (range(1, P), lambda m, u: 2**m * u),
        "a loss of |N / D| u": lambda P: (range(1, P - 1), lambda m, u: (2**m + 2) * u / (1 + 2**m * u)),
    },
    exact=True,
)
@dtypes
def test_the_loss_of_large_quotients_is_exactly_as_stated(statement, dtype):
    u, (exponents, loss) = unit_roundoff(dtype), statement(PRECISION[dtype])
    m = torch.tensor(list(exponents), dtype=dtype)
    N, D = 2**m + 2, 1 + 2 ** (m - PRECISION[dtype])
    for i, error, q in zip(exponents, relative_errors(divide(N, D, 1.0), N, D), sizes(N, D, 1.0), strict=True):
        assert error == loss(i, u) > (q - 2) * u


@certifies("prop-division-rounding", statement=True, mutants={"no guard": False})
@dtypes
@pytest.mark.parametrize("c", [1.0, 2.0**-40])
def test_the_guard_makes_zero_of_nothing_by_nothing(statement, dtype, c):
    zero = torch.zeros(1, dtype=dtype)
    assert divide(zero, zero, c, guard=statement).item() == 0


@dtypes
@pytest.mark.parametrize("c", [1.0, 2.0**-40])
def test_the_guard_makes_zero_of_nothing_else_and_is_too_small_to_be_seen(dtype, c):
    one, zero = torch.ones(1, dtype=dtype), torch.zeros(1, dtype=dtype)
    assert not divide(one, zero, c).isfinite().any()
    smallest = torch.tensor([8 * guard_of(dtype) * 2.0 ** PRECISION[dtype]], dtype=dtype)  # D = 8 g / u
    assert abs(divide(smallest, smallest, c).item() - 1) <= scaled_bound(unit_roundoff(dtype))


@dtypes
def test_a_direction_that_is_cleared_first_holds_exactly_what_is_written(dtype):
    token = Basis.of(x=1, new=1, one=1)
    embedding = tuple((name, Form(name)) for name in token)
    writes = [linear_circuits.clear("x"), linear_circuits.update("x", linear_circuits.copy("new"))]
    layers = tuple(Layer(1, str(i), mlp=(write,)) for i, write in enumerate(writes))
    at_once = Layer(1, "at once", mlp=(linear_circuits.update("x", Product(Form("one"), Form({"new": 1, "x": -1}))),))
    rng = np.random.default_rng(0)
    old, new = (torch.from_numpy(rng.standard_normal(200) * 10.0 ** rng.uniform(-20, 20, 200)).to(dtype) for _ in range(2))
    tokens = torch.stack([old, new, torch.ones_like(old)], dim=-1)
    for chosen, exact in ((layers, True), ((at_once,), False)):
        made = Program("replace", token, token, embedding, chosen, Form("x"))
        held = assemble(made, dtype=dtype).transformer(tokens, PrefixMask(0))[:, 0]
        assert torch.equal(held, new) == exact


# ---------------------------------------------------------------- programs as tables


@programs
def test_a_description_is_narrow_and_its_head_line_is_what_the_assembled_network_is(program):
    text = describe(program)
    transformer = assemble(program).transformer
    stored = sum(weight.numel() for weight in transformer.parameters())
    per_step = len(program.layers) - program.step_ends[0] if program.n_steps == 1 else program.step_ends[1] - program.step_ends[0]
    head = " ".join(text.split("block  step")[0].split())
    assert head == (
        f"{program.name}: {len(transformer.config.schedule)} blocks, {per_step} per step, {len(transformer.blocks)} distinct;"
        f" width {transformer.config.d_model}; {stored} parameters"
    )
    assert max(map(len, text.splitlines())) < 100
    assert not any(line != line.rstrip() for line in text.splitlines())


@programs
def test_a_description_names_everything_the_first_step_touches(program):
    words = set(re.findall(r"[\w\[\]]+", describe(program)))
    for layer in program.layers:
        if layer.step <= 1:
            assert set(layer.phase.replace("-", " ").split()) <= words
            for write in (*layer.attention, *layer.mlp):
                forms = [form for term in write.terms for form in circuits_forms(term)]
                assert {write.target} | {name for form in forms for name, _ in form.terms} - {"one"} <= words


def circuits_forms(term) -> list[Form]:
    if isinstance(term, Product):
        return [term.left, term.right]
    return [form for pair in term.score for form in pair] + [term.value]


def test_steps_that_differ_in_numbers_are_shown_once_and_new_phases_are_shown():
    assert describe(chebyshev(2, 9, 0.1, 2.0)).count("attention") == 1
    last = describe(newton_schulz(2, 9, 0.5))
    assert "10     9 predict" in last and last.count("newton ") == 1


def test_numbers_are_shown_as_they_are_meant():
    shown = [show_number(weight) for weight in (2.0**-40, -(2.0**11), 0.25, -1.0, 512.0, 0.1, GUARD)]
    assert shown == ["2^-40", "-2^11", "0.25", "-1", "512", "0.1", "GUARD"]


def test_a_block_without_writes_and_a_program_that_is_wrong():
    token = Basis.of(x=1)
    idle = Program("idle", token, token, (), (Layer(1, "rest"),), Form("x"))
    assert describe(idle).splitlines()[-1].split() == ["1", "1", "rest", "nothing"]
    wrong = Program("wrong", token, token, (), (Layer(1, "write", mlp=(Write("y", (Product(Form("x"), Form("z")),)),)),), Form("x"))
    with pytest.raises(ProgramError, match="2 reasons"):
        describe(wrong)


# ---------------------------------------------------------------- the notation page


def rows() -> list[list[str]]:
    """The cells of every row of every table of the notation page, without heads."""
    lines = [line for line in NOTATION.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))] for line in lines]
    heads = [i - 1 for i, row in enumerate(cells) if all(re.fullmatch(r":?-+:?", cell) for cell in row)]
    return [row for i, row in enumerate(cells) if i not in heads and i - 1 not in heads]


def known_names() -> set[str]:
    """Everything a name in code can stand for: directions, fields, weights, functions, arguments."""
    directions = {name for program in PROGRAMS for name in (*program.stream, *program.inputs)} | set(input_basis(1))
    config = TransformerConfig(3, 4, 1, (BlockConfig((AttentionConfig("linear", 1, 2, 2),), 4),), (0,))
    weights = {name.rpartition(".")[2] for name in Transformer(config).state_dict()}
    of_records = {field.name for record in (TransformerConfig, BlockConfig, AttentionConfig, Prompt, RidgeSystem, RidgeFit, Probe, Verdict) for field in fields(record)}
    properties = {name for record in (Prompt, RidgeSystem, RidgeFit, Program, Recovery) for name in vars(record) if not name.startswith("_")}
    modules = [metarep_lib, *(import_module(module.name) for module in walk_packages(metarep_lib.__path__, "metarep_lib."))]
    public = {name for module in modules for name in getattr(module, "__all__", ())}
    arguments = {"step_size", "steps", "DIVISION_SCALE", "seed", "scale", "smallest", "largest", "pairs", "spacing", "damping", "tau", "U", "RIDGE_PATH"}
    return directions | weights | of_records | properties | public | arguments


def test_every_name_in_code_on_the_notation_page_exists():
    named = [name for row in rows() for name in re.findall(r"`([^`{}]+)`", row[1])]
    assert len(named) > 60
    assert [name for name in named if name not in known_names()] == []


def test_every_direction_of_every_algorithm_is_on_the_notation_page():
    named = {name for row in rows() for name in re.findall(r"`([^`{}]+)`", row[1])}
    assert sorted({name for program in PROGRAMS for name in program.stream} - named) == []


def test_no_name_is_explained_in_two_rows_of_one_table():
    page = NOTATION.read_text(encoding="utf-8")
    for section in page.split("\n## ")[1:]:
        symbols = [line.split("|")[1].strip() for line in section.splitlines() if line.startswith("| $")]
        assert sorted(symbols) == sorted(set(symbols)), section.splitlines()[0]
