"""Folded networks: the answers of the dense ones, wrong ones included, at the cost of a solver.

`make full` tries every mutant of every network (scripts/folded_mutants.py); here a sample.
"""

import random
from dataclasses import replace
from functools import cache

import pytest
import torch

from factories import random_prompt, unchecked
from folding import dense_and_moved, folded, largest_share, off, some_prompt
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    softmax_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.certify import mutants
from metarep_lib.construct.algorithms import (
    gram_conjugate_gradient,
    narrow_gradient_descent,
    newton_schulz,
)
from metarep_lib.fast import fold
from metarep_lib.fast.fold import Pass
from metarep_lib.train import load_trained
from networks import NETWORKS

N_SAMPLED = 6  # mutants of every network
names = pytest.mark.parametrize("name", NETWORKS)


@cache
def built(name):
    return assemble(NETWORKS[name].program)


def relative(ours, theirs) -> float:
    return float((ours - theirs).norm() / theirs.norm())


def kinds(network) -> list[str]:
    """The operations of its plan, by name."""
    return [type(operation).__name__ for operation, _ in network.answering.operations]


@names
@pytest.mark.filterwarnings("ignore")  # a mutant may divide by nothing
def test_a_network_and_a_sample_of_its_mutants_fold_to_what_they_are(name):
    network = built(name)
    prompt, weights, config = some_prompt(network), network.transformer.state_dict(), network.transformer.config
    everybody = list(mutants(network))
    wrong = [mutant.of(weights, config) for mutant in random.Random(name).sample(everybody, N_SAMPLED)]
    with unchecked():
        assert max(largest_share(network, *tried, prompt) for tried in ((weights, config), *wrong)) < 1


@pytest.mark.filterwarnings("ignore")
def test_a_quotient_of_nothing_by_what_every_token_holds():
    network = built("pipelined, U, jacobi")
    weights, config = network.transformer.state_dict(), network.transformer.config
    (wrong,) = (mutant for mutant in mutants(network) if str(mutant) == "added block 1 W_out unit is_support * share into support_share -> is_aggregator")
    assert largest_share(network, *wrong.of(weights, config), some_prompt(network)) < 1


def test_a_wrong_term_would_be_seen():
    """Folded from other weights than the dense network runs on: what the harness is there to refuse."""
    network = built("two blocks")
    prompt, config, weights = some_prompt(network), network.transformer.config, network.transformer.state_dict()
    question = network.question(prompt)
    right = question.at(dense_and_moved(weights, config, question), "support")
    assert off(folded(network, weights, config).trace(prompt).stream("support"), right) < 1
    wrong = folded(network, weights | {"W_E": 1.001 * weights["W_E"]}, config)
    assert off(wrong.trace(prompt).stream("support"), right) > 1e3


@pytest.mark.parametrize("program", [gradient_descent(2, 3, 0.25), narrow_gradient_descent(2, 3, 0.25), newton_schulz(2, 2, 0.25)], ids=str)
def test_small_integers_are_exactly_equal(program):
    """Without divisions a pass on integers is exact in float64, whatever the order of its sums: every number of the stream is the same."""
    network, draw = assemble(program), torch.Generator().manual_seed(0)
    phi, y, x = (torch.randint(-2, 3, shape, generator=draw).double() for shape in ((5, 2), (5,), (3, 2)))
    prompt = Prompt(phi, y, x, ridge=1.0)
    ours, theirs = fold(network).trace(prompt), network.trace(prompt)
    assert all(torch.equal(ours.stream(group), theirs.stream(group)) for group in ("support", "query"))


@pytest.mark.floats
@pytest.mark.parametrize(("dtype", "off"), [(torch.float64, 1e-10), (torch.float32, 1e-3), (torch.bfloat16, 0.3)])
@pytest.mark.parametrize("program", [conjugate_gradient(4, 4), two_block_conjugate_gradient(4, 4), softmax_conjugate_gradient(4, 4, 2.0)], ids=["five blocks", "two blocks", "softmax"])
def test_every_dtype(program, dtype, off):
    network = assemble(program, dtype=dtype)
    prompt = random_prompt(12, 4, 5, 1.0, seed=3).to(dtype)
    said = fold(network).predict(prompt)
    assert said.dtype == dtype
    exact = assemble(program).predict(prompt.to(torch.float64))
    assert relative(said.double(), exact) < max(off, 3 * relative(network.predict(prompt).double(), exact))


@pytest.mark.floats
@pytest.mark.parametrize("name", ["two blocks", "conjugate gradient", "causal", "softmax cg", "jacobi", "gram conjugate gradient", "two blocks, two outputs"])
def test_gradients_are_those_of_the_dense_network(name):
    network = built(name)
    p, m = network.traits.n_features, network.traits.n_outputs
    prompt = random_prompt(5, p, 3, 0.7, seed=4, batch=(2,))
    y = prompt.y if m == 1 else torch.stack([prompt.y, prompt.y.flip(-1)], -1)
    found = []
    for asked in (fold(network), network):
        leaves = [x.clone().requires_grad_() for x in (prompt.phi, y, prompt.phi_query)]
        said = asked.predict(Prompt(*leaves, prompt.ridge))
        found.append(torch.autograd.grad(said.square().sum(), leaves))
    for ours, theirs in zip(*found):
        assert relative(ours, theirs) < 1e-7


def test_a_target_of_zero_has_its_gradient():
    """What stands on tokens is known by their layout, not by what happens to be zero or equal in a prompt."""
    network, y = built("two blocks"), torch.zeros(4, dtype=torch.float64, requires_grad=True)
    prompt = Prompt(torch.ones(4, 2, dtype=torch.float64), y, torch.ones(1, 2, dtype=torch.float64), 1.0)
    (slope,) = torch.autograd.grad(fold(network).predict(prompt).sum(), y)
    # the first step at y = 0 divides 0 by 0, guarded: no answer, no slope, in the dense network as well
    (theirs,) = torch.autograd.grad(network.predict(prompt).sum(), y)
    assert torch.equal(slope, theirs)
    descent = assemble(gradient_descent(2, 1, 0.25))
    (slope,) = torch.autograd.grad(fold(descent).predict(prompt).sum(), y)
    assert slope.tolist() == [0.5] * 4  # k(x, x_i) times the step size


def test_two_blocks_multiply_as_often_as_their_formula_says():
    """A step: p k for Phi^T r, k for r . r, (p + 1) k for w = Phi g + lambda r; then r and p from (r, p, w): nothing of the order k p^2."""
    p = 8

    def slope(steps):  # multiplications for one more support
        network = fold(assemble(two_block_conjugate_gradient(p, steps)))
        few, many = (network.multiplications(random_prompt(k, p, 2, 0.5)) for k in (100, 200))
        return (many - few) / 100

    a_step = slope(6) - slope(5)
    assert a_step == slope(5) - slope(4)
    assert 2 * p + 2 <= a_step <= 2 * p + 2 + 9


def test_what_a_pass_keeps_grows_as_k_times_p():
    """The features once, as a view, and a few numbers a token for every block."""
    p, steps = 32, 4
    network = fold(assemble(two_block_conjugate_gradient(p, steps)))
    kept = []
    for k in (500, 1000):
        prompt = random_prompt(k, p, 2, 0.5)
        kept.append(Pass(prompt, network.d_model, network.keeping, *network.keeping.run(prompt, network._block)).n_bytes)
    assert (kept[1] - kept[0]) / 500 <= 8 * (p + 1 + 12 * steps)


def test_softmax_scores_are_formed_once():
    network = fold(assemble(softmax_conjugate_gradient(2, 5, 1.0)))
    done = kinds(network)
    assert done.count("Averages") > 5 and done.count("Shares") <= 2  # for supports and for queries


def test_the_gram_matrix_is_one_product():
    network = fold(assemble(gram_conjugate_gradient(6, 3)))
    moments = [operation for operation, _ in network.answering.operations if type(operation).__name__ == "Moments"]
    assert sorted(moment.left.size * moment.right.size for moment in moments) == [6, 36]


def test_prompts_in_a_batch_and_none_at_all():
    network = built("jacobi")
    prompt = random_prompt(4, 2, 3, 0.5, seed=1, batch=(2, 3))
    assert relative(fold(network).predict(prompt), network.predict(prompt)) < 1e-12
    assert fold(network).predict(replace(prompt, phi_query=prompt.phi_query[..., :0, :])).shape == (2, 3, 0)


@pytest.mark.floats
def test_a_trained_network_stays_as_it_is_and_features_made_below_are_folded():
    """With norms and activations nothing can be multiplied out: every block is run as it stands. Bilinear blocks in front of an algorithm are folded as well."""
    trained = load_trained("softmax-gp", 0)
    prompt = random_prompt(6, trained.traits.n_features, 3, 0.7, seed=2, batch=(2,)).to(trained.traits.dtype)
    assert relative(fold(trained).predict(prompt), trained.predict(prompt)) < 1e-5
    assert kinds(fold(trained)).count("WholeBlock") == trained.n_layers
    assert "WholeBlock" not in kinds(fold(built("polynomial features")))


@pytest.mark.floats
@pytest.mark.parametrize("spectrum", [[1.0] * 6, [1.0] * 3 + [3.0] * 3], ids=["orthonormal", "two eigenvalues"])
@pytest.mark.parametrize("algorithm", [conjugate_gradient, two_block_conjugate_gradient], ids=["five blocks", "two blocks"])
def test_it_stays_at_the_solution_long_after_it_has_arrived(algorithm, spectrum):
    """0 / 0 in every division from the second or third step on: guards and cleared registers do in the folded network what they do in the dense one."""
    rotation = torch.linalg.qr(random_prompt(6, 6, 1, 1.0).phi)[0]
    drawn = random_prompt(6, 6, 3, 0.5, seed=5)
    prompt = replace(drawn, phi=rotation * torch.tensor(spectrum, dtype=torch.float64))
    gram = prompt.phi.T @ prompt.phi + 0.5 * torch.eye(6, dtype=torch.float64)
    exact = prompt.phi_query @ torch.linalg.solve(gram, prompt.phi.T @ prompt.y)
    assert relative(fold(assemble(algorithm(6, 18))).predict(prompt), exact) < 1e-13
