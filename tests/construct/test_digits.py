"""A network warns before its digits are lost, and keeps its guards when it moves to another dtype."""

import math
import warnings
from dataclasses import replace

import mpmath
import numpy as np
import pytest
import torch

from factories import DTYPES, prompt_of, random_prompt, unchecked
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    load_trained,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms import (
    block_conjugate_gradient,
    causal_conjugate_gradient,
    gradient_descent,
    gram_conjugate_gradient,
    pipelined_conjugate_gradient,
    softmax_conjugate_gradient,
)
from metarep_lib.construct.degrees import divisor_degrees
from metarep_lib.construct.digits import digits_range
from metarep_lib.network import TransformerConfig
from metarep_lib.network.bare import BareTransformer
from metarep_lib.network.layouts import Prefix
from metarep_lib.network.tokens import input_basis
from metarep_lib.network.transformer import AttentionConfig, BlockConfig, Transformer
from metarep_lib.warned import (
    DigitsLost,
    NotConverged,
    NumericalWarning,
    SinkUnderflow,
    TemperatureOutOfRange,
    WeightsFlushed,
)
from networks import NETWORKS
from tolerances import unit_roundoff


@pytest.fixture(scope="module", autouse=True)
def without_checks_of_annotations():
    """They would take most of the time; test_route_a and test_asking run such networks with them."""
    with unchecked():
        yield


def heard(call):
    """What a call gives, and the categories it warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return call(), [entry.category for entry in caught]


def block_of_two(n_features, steps):
    return block_conjugate_gradient(n_features, steps, n_outputs=2, damping=0.0)


def half(dtype):
    return unit_roundoff(dtype) ** 0.5


# ---------------------------------------------------------------- the degree of a divisor


def divisors(network, prompt):
    """What every normalised head divides by after the first step, on every token, from the weights alone."""
    question, transformer = network.question(prompt), network.transformer
    streams = list(transformer.stream(question.tokens, question.mask))
    found = []
    for block in range(network.step_ends[1], network.step_ends[-1]):
        for group in transformer.blocks[transformer.config.schedule[block]].attention:
            if group.config.kind == "normalised":
                x = streams[block].unsqueeze(-3)
                q, k = x @ group.W_Q, group.hide(x @ group.W_K)
                found.append(question.mask.contract(q, k, torch.ones_like(k[..., :1])).flatten())
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.float64)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_degree_read_off_a_program_is_that_of_its_divisors(name):
    """Twice the targets make 2^d of a divisor."""
    program = NETWORKS[name].program
    network, m = assemble(program), program.inputs.width("y")
    prompt = random_prompt(5, program.inputs.width("phi"), 2, ridge=0.5, seed=1)
    y = prompt.y if m == 1 else torch.stack([prompt.y, prompt.y.flip(0)], dim=-1)
    prompt = replace(prompt, y=y)
    once, twice = (divisors(network, replace(prompt, y=factor * y)) for factor in (1.0, 2.0))
    counts = once.abs() > 1e-6  # where the last step still divides by something
    if divisor_degrees(program):
        assert int((twice / once)[counts].log2().round().max()) == max(d for d, _ in divisor_degrees(program))
    else:
        torch.testing.assert_close(once, twice)


LINEAR = [name for name, network in NETWORKS.items() if divisor_degrees(network.program) and "ridge" in network.program.stream]


@pytest.mark.parametrize("name", sorted(set(LINEAR) - {"one block", "polynomial features"}))  # whose systems are not (K + lambda I) alone
def test_the_degrees_in_the_features_are_those_of_its_divisors(name):
    """Twice the features and four times the ridge make 2^e of a divisor."""
    program = NETWORKS[name].program
    network, m = assemble(program), program.inputs.width("y")
    prompt = random_prompt(5, program.inputs.width("phi"), 2, ridge=0.5, seed=1)
    prompt = replace(prompt, y=prompt.y if m == 1 else torch.stack([prompt.y, prompt.y.flip(0)], dim=-1))
    once, twice = (divisors(network, Prompt(a * prompt.phi, prompt.y, a * prompt.phi_query, a**2 * prompt.ridge)) for a in (1.0, 2.0))
    counts = once.abs() > 1e-6
    found = {int(e) for e in (twice / once)[counts].log2().round()}
    assert found and found <= {e for _, e in divisor_degrees(program)}, found


# ---------------------------------------------------------------- targets of every size


@pytest.mark.parametrize("make", [two_block_conjugate_gradient, conjugate_gradient])
@pytest.mark.parametrize("dtype", DTYPES)
def test_silence_means_that_half_of_the_digits_are_there(make, dtype):
    """Within the range nothing is said and nothing is lost, and whatever is lost has been said."""
    lost_in_silence = 0.0
    network = assemble(make(4, 9), dtype=dtype)
    for seed in range(3):
        least, most = digits_range(network.program, dtype)
        kappa = float(np.random.default_rng(seed).uniform(1.5, 60.0))
        prompt = prompt_of(kappa, 16, 4, seed=seed)
        prompt = replace(prompt, y=prompt.y / prompt.y.norm())
        f = ridge_system(prompt).predict(solvers.cholesky(ridge_system(prompt)).alpha)
        if make is conjugate_gradient:  # it divides by p^T A p, which is (y^T A y) at first
            a = float((prompt.y @ ridge_system(prompt).A @ prompt.y).sqrt())
            least, most = least / min(1, a), most / max(1, a)
        for size in (*np.geomspace(1.01 * least, 0.99 * most, 5), least / 10, least / 1e3, most * 10, most * 1e3):
            # the result comes back in the units of the prompt, which the dtype holds
            asked = replace(prompt, y=prompt.y * size).to(dtype)
            answer, categories = heard(lambda asked=asked: network.predict(asked))
            error = float((answer.double() / size - f).norm() / f.norm())
            assert set(categories) <= {DigitsLost}
            assert bool(categories) == (not least < size < most), size
            if not categories:
                lost_in_silence = max(lost_in_silence, error / kappa)
    assert lost_in_silence <= half(dtype)


@pytest.mark.parametrize("make", [gram_conjugate_gradient, conjugate_gradient, causal_conjugate_gradient, block_of_two])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_features_of_every_size_move_the_range(make, scale):
    """In float32, with features of a thousandth: in the primal, where r starts at Phi^T y, targets of 1e-6 were 7 % off in silence."""
    network, off = assemble(make(4, 9), dtype=torch.float32), {}
    prompt = prompt_of(20.0, 16, 4, seed=1, feature_scale=scale)
    prompt = replace(prompt, y=prompt.y / prompt.y.norm())
    f = ridge_system(prompt).predict(solvers.cholesky(ridge_system(prompt)).alpha)
    for size in np.geomspace(1e-12, 1e6, 19):
        asked = replace(prompt, y=prompt.y * size, y_query=None).to(torch.float32)
        if make is block_of_two:
            asked = replace(asked, y=torch.stack([asked.y, asked.y.flip(0)], dim=-1))
        answer, categories = heard(lambda asked=asked: network.predict(asked))
        answer = answer[..., 0] if make is block_of_two else answer
        off[size] = categories, float((answer.double() / size - f).norm() / f.norm())
    silent = [error for categories, error in off.values() if not categories and math.isfinite(error)]
    assert max(silent) <= 20 * half(torch.float32) and len(silent) >= 8
    assert scale > 1 or any(categories for categories, _ in off.values())


def test_the_two_block_network_says_what_it_used_to_lose():
    """In float32, targets times 1e-6 were 3 % off, times 1e-7 170 %, times 1e10 NaN; five blocks have room."""
    prompt = prompt_of(40.0, 24, 6)
    for factor, warned in ((1e-7, True), (1e-6, True), (1.0, False), (1e6, False), (1e10, True)):
        asked = replace(prompt, y=prompt.y * factor).to(torch.float32)
        for make, expected in ((two_block_conjugate_gradient, warned), (conjugate_gradient, False)):
            _, categories = heard(lambda make=make, asked=asked: assemble(make(6, 12), dtype=torch.float32).predict(asked))
            assert bool(categories) == expected, (make.__name__, factor)


def test_every_way_to_ask_warns_and_the_way_out_works():
    prompt = prompt_of(40.0, 24, 6)
    network = assemble(two_block_conjugate_gradient(6, 12), dtype=torch.float32)
    tiny = replace(prompt, y=prompt.y * 1e-6).to(torch.float32)
    for ask in (network.predict, network.run, network.trace):
        with pytest.warns(DigitsLost, match=r"two_block_conjugate_gradient: targets of size .*float32.*from 1.4e-03 to 2.7e\+08.*this would work: .*y=prompt.y / c"):
            ask(tiny)
    c = float(tiny.y.norm())
    with warnings.catch_warnings():
        warnings.simplefilter("error", NumericalWarning)
        said = network.predict(replace(tiny, y=tiny.y / c)) * c
        double = network.to(torch.float64).predict(tiny.to(torch.float64))
        assemble(gradient_descent(6, 3, 0.1), dtype=torch.float32).predict(tiny)  # has no limits
    f = ridge_system(tiny.to(torch.float64)).predict(solvers.cholesky(ridge_system(tiny.to(torch.float64))).alpha)
    assert (said.double() - f).norm() <= half(torch.float32) * f.norm() and (double - f).norm() <= 1e-6 * f.norm()


def test_one_output_out_of_range_is_enough_and_zero_targets_are_not():
    prompt = prompt_of(10.0)
    network = assemble(two_block_conjugate_gradient(6, 6, n_outputs=2), dtype=torch.float32)
    for factor, expected in ((1.0, []), (1e-6, [DigitsLost]), (0.0, [])):
        asked = replace(prompt, y=torch.stack([prompt.y, factor * prompt.y], dim=-1)).to(torch.float32)
        assert heard(lambda asked=asked: network.predict(asked))[1] == expected
    batch = prompt_of(10.0, n_prompts=3)
    scaled = replace(batch, y=batch.y * torch.tensor([1.0, 1.0, 1e-6]).double().unsqueeze(-1)).to(torch.float32)
    assert heard(lambda: assemble(two_block_conjugate_gradient(6, 6), dtype=torch.float32).predict(scaled))[1] == [DigitsLost]


# ---------------------------------------------------------------- softmax heads


def exact_answer(prompt):
    """Ridge regression with the exponential kernel, tau = 1, in 400 digits."""
    with mpmath.workdps(400):
        supports, queries = ([[mpmath.mpf(float(v)) for v in row] for row in x] for x in (prompt.phi, prompt.phi_query))

        def kernel(a, b):
            return mpmath.exp(sum(x * y for x, y in zip(a, b)))

        K = mpmath.matrix([[kernel(a, b) + (prompt.ridge if i == j else 0) for j, b in enumerate(supports)] for i, a in enumerate(supports)])
        alpha = mpmath.lu_solve(K, mpmath.matrix([mpmath.mpf(float(v)) for v in prompt.y]))
        return torch.tensor([float(sum(kernel(x, a) * c for a, c in zip(supports, alpha))) for x in queries], dtype=torch.float64)


@pytest.mark.parametrize("make", [softmax_conjugate_gradient, pipelined_conjugate_gradient])
@pytest.mark.parametrize("dtype, unit", [(torch.float32, True), (torch.float64, False)])
def test_a_softmax_network_warns_long_before_its_sink_goes_under(make, dtype, unit):
    """Features of length up to 8 in float32, where rho^2 meets the guard; and of unequal lengths, where the row sums are no diagonal."""
    network, told, off = assemble(make(3, 25, tau=1.0), dtype=dtype), 0, []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        phi, y, query = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((8, 3), 8, (3, 3)))
        if unit:
            phi, query = (x / x.norm(dim=-1, keepdim=True) for x in (phi, query))
        for scale in (1.0, 2.0, 3.0, 5.0, 8.0):
            prompt = Prompt(scale * phi, y, scale * query, ridge=1.0).to(dtype)
            answer, categories = heard(lambda prompt=prompt: network.predict(prompt))
            f = exact_answer(prompt)
            error = float((answer.double() - f).norm() / f.norm())
            if not categories:
                off.append(error)
            told += DigitsLost in categories and SinkUnderflow not in categories
            assert len(categories) <= 1
    assert told >= 3  # before the sink goes under
    assert max(off) <= 32 * half(dtype) and min(off) <= half(dtype)


@pytest.mark.parametrize("make", [softmax_conjugate_gradient, pipelined_conjugate_gradient])
def test_a_query_near_one_very_long_support_is_answered_or_warned_of(make):
    """With the Jacobi diagonal the solution has its digits; what such a query makes of it was off by up to 1e18 in silence."""
    network, silent, told = assemble(make(3, 40, tau=1.0, preconditioner="jacobi")), [], 0
    for seed, (n, long, ridge, base) in {20: (12, 14.7, 0.0031, 1.0), 85: (12, 14.9, 0.07, 0.3), 164: (8, 12.5, 0.03, 0.3), 16: (8, 14.0, 0.0024, 1.5), 1: (8, 1.0, 0.5, 1.0), 2: (12, 8.0, 0.5, 1.0)}.items():
        rng = np.random.default_rng(seed)
        phi, y, query = (torch.from_numpy(rng.standard_normal(shape)) for shape in ((n, 3), n, (3, 3)))
        phi, query = (base * x / x.norm(dim=-1, keepdim=True) for x in (phi, query))
        phi[0] *= long / base
        for along in (0.5, 0.8, 1.0) if long > 10 else (0.0,):
            prompt = Prompt(phi, y, torch.cat([along * phi[:1], query]) if along else query, ridge=ridge)
            answer, categories = heard(lambda prompt=prompt: network.predict(prompt))
            f = exact_answer(prompt)
            told += categories == [DigitsLost]
            silent += [float((answer - f).norm() / f.norm())] * (not categories)
    assert max(silent) <= 32 * half(torch.float64) and len(silent) >= 2 and told >= 2


# ---------------------------------------------------------------- another dtype


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("before, after", [(torch.float64, torch.float32), (torch.float32, torch.float64), (torch.float64, torch.bfloat16)])
def test_a_network_in_another_dtype_is_the_one_assembled_in_it(name, before, after):
    network, expected = (assemble(NETWORKS[name].program, dtype=dtype) for dtype in (before, after))
    weights = {name: weight.clone() for name, weight in network.transformer.state_dict().items()}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moved = network.to(after)
    assert moved.program is network.program and moved.traits.dtype == after
    for name, weight in moved.transformer.state_dict().items():
        assert weight.dtype == after and torch.equal(weight, expected.transformer.state_dict()[name]), name
    assert all(torch.equal(weights[name], weight) for name, weight in network.transformer.state_dict().items())


def test_weights_that_were_edited_move_as_they_are():
    network = assemble(two_block_conjugate_gradient(3, 2))
    with torch.no_grad():
        network.transformer.W_E[0, 0] = 3.5
    network.transformer.blocks[1].mlp.W_in.requires_grad_()
    moved, expected = network.to(torch.float32), assemble(network.program, dtype=torch.float32)
    differs = [(moved.transformer.state_dict()[name] != weight).sum().item() for name, weight in expected.transformer.state_dict().items()]
    assert moved.transformer.W_E[0, 0] == 3.5 and sum(differs) == 1
    assert moved.transformer.blocks[1].mlp.W_in.requires_grad and not moved.transformer.W_E.requires_grad
    with torch.no_grad():
        network.transformer.W_E[0, 0] = 1e-200
    assert heard(lambda: network.to(torch.float32))[1] == [WeightsFlushed]


def test_guards_survive_where_a_bare_cast_flushes_them():
    prompt = prompt_of(10.0)
    prompt = replace(prompt, y=0 * prompt.y).to(torch.float32)  # 0 / 0 at once
    network = assemble(two_block_conjugate_gradient(6, 2))
    assert not network.to(torch.float32).predict(prompt).any()
    for cast in (lambda t: t.to(torch.float32), lambda t: t.float(), lambda t: t.bfloat16(), lambda t: t.half()):
        transformer = assemble(two_block_conjugate_gradient(6, 2)).transformer
        with pytest.warns(WeightsFlushed, match=r"weights that were neither are zero or infinite now.*this would work: network.to\("):
            cast(transformer)
    bare = replace(network, transformer=heard(lambda: assemble(network.program).transformer.float())[0])
    assert bare.predict(prompt).isnan().all()


def test_what_loses_nothing_says_nothing():
    transformer = assemble(two_block_conjugate_gradient(2, 2), dtype=torch.float32).transformer
    for cast in (lambda: transformer.to("cpu"), lambda: transformer.double(), lambda: load_trained("softmax-gp", 0).transformer.to(torch.bfloat16)):
        assert heard(cast)[1] == []


def test_trained_and_bare_networks_move_too():
    prompt = random_prompt(6, 5, 2, ridge=1.0)
    block = BlockConfig((AttentionConfig("softmax", 1, 2, 2),), 4)
    inputs = input_basis(5)
    bare = BareTransformer(Transformer(TransformerConfig(inputs.size, 4, 1, (block,), (0,))), Prefix(), inputs)
    trained = load_trained("softmax-gp", 0)
    for network in (bare, trained):
        prompt = random_prompt(6, network.traits.n_features, 2, ridge=1.0)
        double = network.to(torch.float64)
        assert type(double) is type(network) and network.traits.dtype == torch.float32
        for name, weight in double.transformer.state_dict().items():
            assert torch.equal(weight, network.transformer.state_dict()[name].double())
        torch.testing.assert_close(double.predict(prompt).float(), network.predict(prompt.to(torch.float32)), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("dtype, message", [(torch.long, r"two_block_conjugate_gradient.to\(torch.int64\): expected a floating-point dtype"), (torch.float16, "range is too small for guarded divisions")])
def test_a_dtype_that_cannot_be_is_refused(dtype, message):
    with pytest.raises(ValueError, match=message):
        assemble(two_block_conjugate_gradient(2, 2)).to(dtype)


# ---------------------------------------------------------------- one vocabulary


def test_every_kind_of_trouble_is_one_kind():
    assert {DigitsLost, NotConverged, SinkUnderflow, TemperatureOutOfRange, WeightsFlushed} == set(NumericalWarning.__subclasses__())
    assert issubclass(NumericalWarning, RuntimeWarning)


def test_the_old_path_of_a_warning_still_leads_there():
    import metarep_lib

    with pytest.warns(DeprecationWarning):
        assert metarep_lib.SinkUnderflow is SinkUnderflow


def test_the_range_follows_from_guard_and_roundoff_alone():
    program = two_block_conjugate_gradient(2, 2)
    assert digits_range(program, torch.float32) == (2.0 ** (-86 / 4 + 12), pytest.approx(2.0 ** ((128 - 16) / 4)))
    assert digits_range(gradient_descent(2, 2, 0.1), torch.float32) == (0.0, math.inf)
    assert digits_range(program, torch.float64)[0] < 1e-60
