"""Interventions: an edit does what it says and nothing else, constructed networks answer as the edited recurrence does, in numpy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from certificates import certifies
from factories import prompt_of, random_prompt, unchecked
from metarep_lib import (
    Prompt,
    assemble,
    conjugate_gradient,
    gradient_descent,
    two_block_conjugate_gradient,
)
from metarep_lib.construct import heads_into
from metarep_lib.evidence.intervene import (
    Add,
    Edit,
    Heads,
    InterventionError,
    Mean,
    Put,
    Scale,
    Stream,
    Take,
    Units,
    intervene,
)
from metarep_lib.train import load_trained

BATCH = 4


def batch(n_support=10, n_features=3, seed=0, ridge=0.3) -> Prompt:
    return random_prompt(n_support, n_features, 2, ridge, seed=seed, batch=(BATCH,))


def textbook(prompt, steps, *, without=(), change=lambda t, state: state, ridge=None):
    """Hestenes and Stiefel in numpy, one prompt, with names held at zero and the state changed between steps; f is carried along."""
    Phi, y, X = (value.numpy() for value in (prompt.phi, prompt.y, prompt.phi_query))
    state = {"alpha": 0 * y, "r": y, "p": y, "f": np.zeros(len(X)), "ridge": prompt.ridge}
    states = [state]
    keep = {name: 0.0 if name in without else 1.0 for name in ("w", "rho", "sigma", "rho_next", "gamma", "beta")}
    for t in range(steps):
        s = change(t, dict(states[-1]))
        w = keep["w"] * Phi @ (Phi.T @ s["p"]) + s["ridge"] * s["p"]
        rho, sigma = keep["rho"] * s["r"] @ s["r"], keep["sigma"] * s["p"] @ w
        gamma = keep["gamma"] * (rho / sigma if rho else 0.0)
        r = s["r"] - gamma * w
        rho_next = keep["rho_next"] * r @ r
        beta = keep["beta"] * (rho_next / rho if rho_next else 0.0)
        f = s["f"] + gamma * keep["w"] * X @ (Phi.T @ s["p"])
        states.append({"alpha": s["alpha"] + gamma * s["p"], "r": r, "p": r + beta * s["p"], "f": f, "ridge": s["ridge"]})
    return states


def close(trace, prompts, steps, **settings):
    """The trace holds alpha and says f as the recurrence does, on every prompt of the batch."""
    for b in range(BATCH):
        one = Prompt(prompts.phi[b], prompts.y[b], prompts.phi_query[b], prompts.ridge)
        states = textbook(one, steps, **{name: value(b) if name == "change" else value for name, value in settings.items()})
        for name, held in (("alpha", trace["alpha", "support"]), ("f", trace.prediction)):
            np.testing.assert_allclose(held[:, b].numpy(), np.array([s[name] for s in states]), rtol=1e-6, atol=1e-8 * prompts.y[b].abs().max())


def numbers(trace, name, t):
    return trace[name, "support"][t]


@pytest.mark.parametrize("make", [conjugate_gradient, two_block_conjugate_gradient])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_clean_row_is_bit_for_bit_a_pass_of_its_own_and_nothing_is_left_behind(make, dtype):
    prompt, network = batch().to(dtype), assemble(make(3, 4), dtype=dtype)
    before = network.run(prompt)
    weights = {name: value.clone() for name, value in network.transformer.state_dict().items()}
    edits = {"all": [Edit(Stream(b), Put(7.0)) for b in range(3)], "heads": [Edit(Heads(1), Scale(-3.0))], "units": [Edit(Units(2), Put(0.0))]}
    runs = intervene(network, prompt, edits)
    assert list(runs) == ["clean", "all", "heads", "units"]
    assert torch.equal(runs["clean"].resid, before.resid) and torch.equal(runs["clean"].prediction, before.prediction)
    assert all(not torch.equal(runs[name].resid, before.resid) for name in edits)
    assert torch.equal(network.run(prompt).resid, before.resid)
    assert all(torch.equal(value, weights[name]) for name, value in network.transformer.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.transformer.modules())


@pytest.mark.parametrize("name", ["softmax-gp", "softmax-linear"])
def test_the_clean_row_of_a_trained_network_is_an_unedited_pass_of_the_same_batch(name):
    network = load_trained(name, 0)
    draw = network.recipe.prior.sample(BATCH, 9, torch.Generator().manual_seed(0))
    prompt = Prompt(draw.x[:, :6], draw.y[:, :6], draw.x[:, 6:], ridge=1.0)
    edits = {"heads": [Edit(Heads(2, 1), Put(0.0))], "mlp": [Edit(Units(3), Mean())], "nothing": []}
    runs = intervene(network, prompt, edits)
    assert torch.equal(runs["clean"].resid, runs["nothing"].resid)
    said = runs["clean"].prediction[-1].reshape(BATCH, 3)  # under the pair-causal layout every query has a pass and a token of its own
    torch.testing.assert_close(said, network.predict(prompt), rtol=1e-4, atol=1e-5)
    for edited in ("heads", "mlp"):
        first = torch.tensor([not torch.equal(a, b) for a, b in zip(runs[edited].resid, runs["clean"].resid)]).nonzero()[0].item()
        assert first == {"heads": 2, "mlp": 3}[edited]  # the block the edit names is the first that differs


def test_every_sort_of_edit_does_what_it_says_and_touches_nothing_else():
    prompt, network = batch(), assemble(gradient_descent(3, 3, 0.01))
    clean = network.run(prompt)
    at = Stream(2, "r", "support")
    value, order = torch.randn(BATCH, 10, dtype=torch.float64), [2, 0, 3, 1]
    runs = intervene(network, prompt, {"put": [Edit(at, Put(value))], "add": [Edit(at, Add(value))], "scale": [Edit(at, Scale(0.5))]}
                     | {"take": [Edit(at, Take(order))], "mean": [Edit(at, Mean())], "both": [Edit(at, Put(value)), Edit(at, Scale(2.0))]})  # fmt: skip
    r = clean.after_blocks("r", "support")[2]
    expected = {"put": value, "add": r + value, "scale": r / 2, "take": r[order], "mean": r.mean(0, keepdim=True).expand_as(r), "both": 2 * value}
    for name, wanted in expected.items():
        assert torch.equal(runs[name].after_blocks("r", "support")[2], wanted), name
        others = runs[name].resid[2].clone()
        others[:, clean.tokens["support"], clean.channels["r"]] = clean.resid[2][:, clean.tokens["support"], clean.channels["r"]]
        assert torch.equal(others, clean.resid[2]) and torch.equal(runs[name].resid[:2], clean.resid[:2])


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), width=st.integers(1, 4))
def test_a_subspace_is_edited_and_what_is_orthogonal_to_it_stays(seed, width):
    prompt, network = batch(seed=seed), assemble(gradient_descent(3, 2, 0.01))
    d = network.program.width
    U = torch.linalg.qr(torch.from_numpy(np.random.default_rng(seed).standard_normal((d, d))))[0]
    inside, outside = U[:, :width], U[:, width:]
    runs = intervene(network, prompt, {"add": [Edit(Stream(1, inside), Add(1.5))], "take": [Edit(Stream(1, inside, "support"), Take([1, 0, 3, 2]))]})
    x = runs["clean"].resid[1]
    torch.testing.assert_close(runs["add"].resid[1] @ inside, x @ inside + 1.5)
    torch.testing.assert_close(runs["add"].resid[1] @ outside, x @ outside)
    support = runs["clean"].tokens["support"]
    torch.testing.assert_close((runs["take"].resid[1] @ inside)[:, support], (x @ inside)[[1, 0, 3, 2]][:, support])
    assert torch.equal(runs["take"].resid[1][:, :2], x[:, :2])


def test_the_stream_in_the_middle_of_a_block_is_between_its_halves():
    prompt, network = batch(), assemble(conjugate_gradient(3, 1))
    # block 1: attention writes K p into w, the MLP adds ridge p; a w emptied in between keeps the ridge alone
    runs = intervene(network, prompt, {"between": [Edit(Stream(1, "w", "support", half="attention"), Put(0.0))], "after": [Edit(Stream(1, "w", "support"), Put(0.0))]})
    assert torch.equal(runs["between"].after_blocks("w", "support")[1], prompt.ridge * prompt.y)
    assert not runs["after"].after_blocks("w", "support")[1].any()


def test_one_unit_is_one_row_of_the_mlp():
    network = load_trained("softmax-gp", 0)
    draw = network.recipe.prior.sample(BATCH, 9, torch.Generator().manual_seed(1))
    prompt = Prompt(draw.x[:, :6], draw.y[:, :6], draw.x[:, 6:], ridge=1.0)
    ours = intervene(network, prompt, {"unit": [Edit(Units(2, 17), Put(0.0))], "head": [Edit(Heads(3, 2), Put(0.0))]})
    for name, weight in (("unit", network.transformer.blocks[1].mlp.W_out[17]), ("head", network.transformer.blocks[2].attention[0].W_O[2])):
        kept = weight.clone()
        weight.zero_()
        theirs = network.predict(prompt)
        weight.copy_(kept)
        torch.testing.assert_close(ours[name].prediction[-1], theirs, rtol=1e-4, atol=1e-5)


def test_what_cannot_be_done_is_said_all_at_once():
    prompt, network = batch(), assemble(conjugate_gradient(3, 2))
    wrong = {
        "clean": [],
        "names": [Edit(Stream(1, "momentum", "support"), Put(0.0)), Edit(Stream(1, "p", "keys"), Put(0.0))],
        "places": [Edit(Stream(11, "p"), Put(0.0)), Edit(Heads(0), Put(0.0)), Edit(Heads(1, 5), Put(0.0)), Edit(Heads(1, group=3), Put(0.0))],
        "values": [Edit(Stream(1, "p", "support"), Put(torch.zeros(7))), Edit(Stream(1, "p"), Take([0, 1])), Edit(Units(1, 10**6), Put(0.0))],
        "space": [Edit(Stream(1, torch.ones(network.program.width, 2, dtype=torch.float64)), Put(0.0))],
    }
    with pytest.raises(InterventionError) as caught:
        intervene(network, prompt, wrong)
    message = str(caught.value)
    assert message.count("\n  - ") == 11
    for part in ("'clean' is the name", "no direction 'momentum'", "no tokens 'keys'; there are aggregator, sink, support, query", "expected a block from 0 to 10",
                 "expected a block from 1 to 10", "Heads(which=5)", "no group 3", r"[7] does not broadcast to [4, 10]", "Take has 2 prompts", "Units(which=1000000)",
                 "orthonormal columns", "this would work: intervene("):  # fmt: skip
        assert part in message, part
    with pytest.raises(InterventionError, match="Mean needs a batch"):
        intervene(network, prompt_of(10.0, n_features=3), {"mean": [Edit(Stream(1), Mean())]})
    with pytest.raises(KeyError, match="no head of conjugate_gradient writes to 'alpha'; heads write to w, rho, sigma, gamma, rho_next, beta"):
        heads_into(network.program, "alpha")


def dropped(program, *targets):
    return [Edit(head, Put(0.0)) for target in targets for head in heads_into(program, target)]


def test_a_network_without_a_head_runs_the_recurrence_without_its_term():
    prompt, program = batch(), conjugate_gradient(3, 6)
    names = ("w", "rho_next", "beta", "gamma")
    runs = intervene(assemble(program), prompt, {name: dropped(program, name) for name in names})
    for name in names:
        close(runs[name], prompt, 6, without=(name,))


def descended(A: np.ndarray, y: np.ndarray, ridge: float, t: int, part: float = 1.0) -> np.ndarray:
    """Steepest descent, or that part of its step."""
    alpha = 0 * y
    for _ in range(t):
        r = y - A @ alpha
        alpha = alpha + part * (r @ r) / (r @ A @ r) * r
    return alpha


DROPPED = {
    ("w",): lambda A, y, ridge, t: y / ridge if t else 0 * y,
    ("rho_next",): descended,
    ("rho", "sigma", "rho_next"): lambda A, y, ridge, t: 0 * y,
}


@certifies(
    "prop-dropped-heads",
    statement=DROPPED,
    mutants={
        "steepest descent with half its step": DROPPED | {("rho_next",): lambda A, y, ridge, t: descended(A, y, ridge, t, part=0.5)},
        "without the second reduction, a step of constant length": DROPPED | {("rho_next",): lambda A, y, ridge, t: t * descended(A, y, ridge, 1)},
        "without the mat-vec, a step of length one": DROPPED | {("w",): lambda A, y, ridge, t: y if t else 0 * y},
        "without any reduction, the ridge alone": DROPPED | {("rho", "sigma", "rho_next"): DROPPED["w",]},
        "the first reduction dropped like the second": {("rho",): descended},
    },
)
def test_what_dropped_heads_leave(statement):
    prompt, program = batch(), conjugate_gradient(3, 6)
    runs = intervene(assemble(program), prompt, {"+".join(names): dropped(program, *names) for names in statement})
    for names, alpha in statement.items():
        run = runs["+".join(names)]
        for b, (phi, y, phi_query) in enumerate(zip(prompt.phi.numpy(), prompt.y.numpy(), prompt.phi_query.numpy())):
            expected = np.stack([alpha(phi @ phi.T + prompt.ridge * np.eye(10), y, prompt.ridge, t) for t in range(7)])
            np.testing.assert_allclose(run["alpha", "support"][:, b], expected, rtol=1e-8, atol=1e-9)
            f = expected @ phi @ phi_query.T if names == ("rho_next",) else np.zeros((7, 2))
            np.testing.assert_allclose(run.prediction[:, b], f, rtol=1e-8, atol=1e-9)


def test_without_its_mat_vec_or_its_norm_the_two_block_network_solves_for_the_ridge_alone_or_stands_still():
    prompt, program = batch(), two_block_conjugate_gradient(3, 5)
    runs = intervene(assemble(program), prompt, {name: dropped(program, name) for name in ("g", "rho")})
    torch.testing.assert_close(runs["g"]["alpha", "support"][-1], prompt.y / prompt.ridge)
    assert not runs["g"].prediction.any()
    assert not runs["rho"].prediction.any() and not runs["rho"]["alpha", "support"].any()


def kept(cosine: torch.Tensor, theta: float) -> torch.Tensor:
    """||e'||^2 / ||e||^2, in the A-norm, of the cosine of d and e."""
    return 1 - cosine**2 * (1 - (1 - 1 / theta) ** 2)


@certifies(
    "prop-injected-direction",
    statement=kept,
    mutants={
        "the sine of the angle, whatever the length": lambda cosine, theta: 1 - cosine**2,
        "the cosine not squared": lambda cosine, theta: 1 - cosine.abs() * (1 - (1 - 1 / theta) ** 2),
        "theta for its inverse": lambda cosine, theta: kept(cosine, 1 / theta),
        "half the cosine's square": lambda cosine, theta: kept(cosine / 2**0.5, theta),
    },
)
def test_an_injected_direction_takes_what_its_angle_and_length_say_off_the_error(statement):
    program, t, thetas = conjugate_gradient(3, 3), 1, (1.0, 2.0, 0.6, 0.4, -1.0)
    network, at = assemble(program), Stream(program.step_ends[t], "p", "support")
    for seed in range(15):
        rng, prompt = np.random.default_rng(seed), batch(seed=seed)
        A = prompt.phi @ prompt.phi.mT + prompt.ridge * torch.eye(10, dtype=torch.float64)
        r = numbers(network.run(prompt), "r", t)
        e, noise = torch.linalg.solve(A, r), torch.from_numpy(rng.standard_normal(r.shape))
        mix = 1.0 if seed == 0 else rng.uniform(0.05, 1)  # one: the error itself
        d = mix * e + (1 - mix) * e.norm(dim=-1, keepdim=True) * noise / noise.norm(dim=-1, keepdim=True)
        energy = lambda a, b, A=A: (a * (A @ b.unsqueeze(-1)).squeeze(-1)).sum(-1, keepdim=True)  # noqa: E731
        right = d * (r * r).sum(-1, keepdim=True) / (d * r).sum(-1, keepdim=True)
        runs = intervene(network, prompt, {str(theta): [Edit(at, Put(theta * right))] for theta in thetas})
        for theta in thetas:
            gap = numbers(runs[str(theta)], "alpha", t + 1) - torch.linalg.solve(A, prompt.y)
            part = energy(gap, gap) / energy(e, e)
            torch.testing.assert_close(part, statement(energy(d, e) / (energy(d, d) * energy(e, e)).sqrt(), theta), rtol=1e-6, atol=1e-9)
            assert ((part > 1) == (theta < 0.5)).all()


def stale(prompt: Prompt, new: float, alpha_t: torch.Tensor, of: float = 1.0) -> torch.Tensor:
    """y + (lambda' - lambda) alpha_t: what A' alpha_T + r_T stays at."""
    return prompt.y + of * (new - prompt.ridge) * alpha_t


@certifies(
    "prop-stale-residual",
    statement=stale,
    mutants={
        "as if the residual were computed anew": lambda prompt, new, alpha_t: stale(prompt, new, alpha_t, of=0.0),
        "the other sign": lambda prompt, new, alpha_t: stale(prompt, new, alpha_t, of=-1.0),
        "the old ridge not subtracted": lambda prompt, new, alpha_t: prompt.y + new * alpha_t,
    },
)
def test_a_ridge_changed_on_the_way_is_answered_with_the_stale_residual(statement):
    program = conjugate_gradient(3, 8)
    network = assemble(program)
    for seed in range(20):
        rng, prompt, t = np.random.default_rng(seed), batch(seed=seed), seed % 4
        new = rng.uniform(0.05, 0.28) if seed % 2 else rng.uniform(0.32, 3.0)
        run = intervene(network, prompt, {"new ridge": [Edit(Stream(program.step_ends[t], "ridge", "support"), Put(new))]})["new ridge"]
        K, identity = prompt.phi @ prompt.phi.mT, torch.eye(10, dtype=torch.float64)
        A_new, alpha_t = K + new * identity, numbers(run, "alpha", t)
        star = torch.linalg.solve(K + prompt.ridge * identity, prompt.y)
        limit = star + (new - prompt.ridge) * torch.linalg.solve(A_new, alpha_t - star)
        for step in range(t, 9):
            alpha, r = numbers(run, "alpha", step), numbers(run, "r", step)
            size = 1e-9 * (1 + alpha.abs().max() * 50).item()
            torch.testing.assert_close(r, statement(prompt, new, alpha_t) - (A_new @ alpha.unsqueeze(-1)).squeeze(-1), rtol=0, atol=size)
            torch.testing.assert_close(alpha + torch.linalg.solve(A_new, r), limit, rtol=0, atol=20 * size)  # so r to zero is alpha to the limit
        said = (prompt.phi_query @ prompt.phi.mT @ run["alpha", "support"].unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(run.prediction, said, rtol=1e-9, atol=1e-9)


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6), t=st.integers(1, 3))
def test_patching_the_whole_state_moves_the_answer_and_single_names_do_what_the_recurrence_says(seed, t):
    """Two tasks on the same features: r, p and alpha of the partner."""
    half, rng = batch(seed=seed), np.random.default_rng(seed + 1)
    prompt = Prompt(half.phi[[0, 0, 1, 1]], torch.from_numpy(rng.standard_normal((BATCH, 10))), half.phi_query[[0, 0, 1, 1]], half.ridge)
    program, partner = conjugate_gradient(3, 5), [1, 0, 3, 2]
    at = program.step_ends[t]
    sets = {"all": ("alpha", "r", "p"), "r": ("r",), "p": ("p",), "alpha": ("alpha",), "r p": ("r", "p")}
    runs = intervene(assemble(program), prompt, {name: [Edit(Stream(at, n, "support"), Take(partner)) for n in names] for name, names in sets.items()})
    clean = runs["clean"]
    for name, names in sets.items():

        def change(b, names=names):
            return lambda step, state: state | ({n: numbers(clean, n, t)[partner[b]].numpy() for n in names} if step == t else {})

        after = textbook_batch(prompt, 5, change)
        torch.testing.assert_close(runs[name].prediction, after["f"], rtol=1e-5, atol=1e-7)
    both = clean.prediction[t] + clean.prediction[-1][partner] - clean.prediction[t][partner]
    torch.testing.assert_close(runs["all"].prediction[-1], both, rtol=1e-6, atol=1e-8)
    assert torch.equal(runs["alpha"].prediction, clean.prediction)  # nobody reads alpha


def textbook_batch(prompt, steps, change):
    runs = [textbook(Prompt(prompt.phi[b], prompt.y[b], prompt.phi_query[b], prompt.ridge), steps, change=change(b)) for b in range(BATCH)]
    return {name: torch.from_numpy(np.array([[state[name] for state in run] for run in runs])).transpose(0, 1) for name in ("alpha", "f")}


def test_of_the_directions_of_the_two_block_network_nobody_reads_alpha_or_p():
    prompt, program = batch(), two_block_conjugate_gradient(3, 5)
    at = program.step_ends[2]
    runs = intervene(assemble(program), prompt, {name: [Edit(Stream(at, name, "support"), Take([1, 2, 3, 0]))] for name in ("alpha", "p", "s", "r")})
    for name, read in (("alpha", False), ("p", False), ("s", True), ("r", True)):
        assert torch.equal(runs[name].prediction, runs["clean"].prediction) != read


@pytest.mark.parametrize("direction", [["p"], ("p", "r"), 3, np.eye(3)])
def test_a_direction_that_is_neither_name_nor_matrix_is_refused(direction):
    prompt, network = batch(), assemble(conjugate_gradient(3, 2))
    with unchecked(), pytest.raises(InterventionError, match="a direction is a name, a matrix or None"):
        intervene(network, prompt, {"wrong": [Edit(Stream(1, direction, "support"), Put(0.0))]})
