"""s steps of conjugate gradient at once: the solver against conjugate gradient, its bases, and how many blocks its order takes."""

from functools import partial

import numpy as np
import pytest
import torch

import tolerances
from certificates import certifies
from factories import prompt_of
from metarep_lib import ridge_system, solvers
from metarep_lib.numerics.solvers import s_step_conjugate_gradient
from metarep_lib.numerics.solvers.s_step import (
    basis_recurrence,
    change_of_basis,
    chebyshev_points,
    krylov,
    leja,
)
from metarep_lib.tasks import synthetic_prompt

BASES = ("monomial", "newton", "chebyshev")


def ends(system):
    return [float(system.eigenvalues[..., i].flatten()[0]) for i in (0, -1)]


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("s", [1, 2, 3])
def test_every_step_is_conjugate_gradients(basis, s):
    system = ridge_system(prompt_of(10.0, 20, 8, 3, seed=1, n_prompts=2))
    ours = s_step_conjugate_gradient(system, -(-6 // s), s, basis, 0.05, 1.2)
    textbook = solvers.conjugate_gradient(system, 6)
    assert ours.history["alpha"].shape == (-(-6 // s) * s + 1, 2, 20)
    for t in range(7):
        difference = tolerances.relative(ours.history["alpha"][t], textbook.history["alpha"][t])
        tolerances.assert_within(difference, 10.0 ** (2 * s - 2) * tolerances.early_steps(torch.float64, 10.0, t), f"step {t}")
    assert torch.equal(ours.history["alpha"][-1], ours.alpha)


@pytest.mark.parametrize("basis", BASES)
@pytest.mark.parametrize("s", [1, 4])
def test_a_basis_is_the_polynomials_it_says(basis, s):
    system = ridge_system(prompt_of(10.0, 12, 6, 3, seed=1))
    a, b = ends(system)
    up, here, down = basis_recurrence(basis, s, a, b)
    x, Q = torch.linalg.eigh(system.A)
    columns = torch.stack(krylov(system, system.y, s + 1, up, here, down), dim=-1)
    points = leja([(a + b) / 2 + (b - a) / 2 * float(t) for t in chebyshev_points(s)])
    expected = {
        "monomial": [(x / b) ** degree for degree in range(s + 1)],
        "newton": [torch.stack([(x - z) / ((b - a) / 4) for z in points[:degree]] or [torch.ones_like(x)]).prod(0) for degree in range(s + 1)],
        "chebyshev": [torch.from_numpy(np.polynomial.chebyshev.Chebyshev.basis(degree, domain=[a, b])(x.numpy())) for degree in range(s + 1)],
    }[basis]
    for degree, values in enumerate(expected):
        torch.testing.assert_close(columns[:, degree], Q @ (values * (Q.T @ system.y)), rtol=1e-10, atol=1e-10)
    both = torch.cat([columns, torch.stack(krylov(system, system.y, s, up, here, down), dim=-1)], dim=1)
    B, highest = change_of_basis(up, here, down), [s, 2 * s]
    kept = [i for i in range(2 * s + 1) if i not in highest]
    torch.testing.assert_close((system.A @ both)[:, kept], (both @ B)[:, kept], rtol=1e-10, atol=1e-10)


def test_leja_points_are_far_from_those_before():
    points = [float(x) for x in chebyshev_points(9)]
    ordered = leja(points)
    assert sorted(ordered) == sorted(points)
    for i in range(1, 9):
        products = [np.prod([abs(x - y) for y in ordered[:i]]) for x in ordered[i:]]
        assert products[0] >= max(products) * (1 - 1e-12)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_monomials_lose_their_digits_and_chebyshev_polynomials_keep_them_on_a_filled_interval(dtype):
    prompts = synthetic_prompt(np.linspace(0.01, 1, 48), 48, 3, 0.01, seed=1, n_prompts=200)  # medians: on one prompt a rounding decides
    exact = ridge_system(prompts)
    alpha, system = solvers.cholesky(exact).alpha, ridge_system(prompts.to(dtype))

    def floor(basis, s):
        history = s_step_conjugate_gradient(system, -(-80 // s), s, basis, *ends(exact)).history["alpha"]
        return tolerances.relative(history, alpha).nan_to_num(nan=1.0).min(0).values.median().item()

    for basis in ("newton", "chebyshev"):
        tolerances.assert_within(floor(basis, 8), 8 * tolerances.solution(dtype, 51.0), basis)
    assert floor("monomial", 8) > 100 * floor("chebyshev", 8)
    tolerances.assert_within(floor("monomial", 1), tolerances.solution(dtype, 51.0), "one step")


@pytest.mark.parametrize(
    "call, message",
    [
        (dict(cycles=-1, s=2, basis="monomial", smallest=1.0, largest=2.0), "cycles >= 0 and s >= 1"),
        (dict(cycles=1, s=0, basis="monomial", smallest=1.0, largest=2.0), "cycles >= 0 and s >= 1"),
        (dict(cycles=1, s=2, basis="newton", smallest=2.0, largest=1.0), "0 < smallest < largest"),
    ],
)
def test_what_cannot_be_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        s_step_conjugate_gradient(ridge_system(prompt_of(10.0, 5, 3, 1)), **call)


def test_zero_targets_and_termination_are_survived():
    system = ridge_system(prompt_of(10.0, 6, 2, 1, target_scale=0.0))
    assert (s_step_conjugate_gradient(system, 4, 3, "chebyshev", 0.1, 1.2).alpha == 0).all()
    system = ridge_system(prompt_of(10.0, 6, 2, 1))
    assert torch.isfinite(s_step_conjugate_gradient(system, 8, 1, "chebyshev", 0.1, 1.2).alpha).all()


# ---------------------------------------------------------------- how many blocks its order takes

Operation = tuple[str, set[str]]  # "head" or "unit", and what it reads


def earliest_blocks(operations: dict[str, Operation], given: set[str]) -> dict[str, int]:
    """The first block that can hold each result. Heads read the stream before their block, units of the MLP the stream with
    what the heads of their block have written, but not what other units of it write; `given` stands in the stream at block 0."""
    blocks = dict.fromkeys(given, 0)
    kinds = dict.fromkeys(given, "unit") | {name: kind for name, (kind, _) in operations.items()}

    def block(name: str) -> int:
        if name not in blocks:
            kind, reads = operations[name]
            blocks[name] = max(block(read) + (kind == "head" or kinds[read] == "unit") for read in reads)
        return blocks[name]

    return {name: block(name) for name in operations}


def s_step_order(s: int, merged: bool = False) -> dict[str, Operation]:
    """One cycle as the paper orders it: all powers, all sums, then the quotients one after another."""
    operations: dict[str, Operation] = {}
    for degree in range(1, s):
        operations[f"spread {degree}"] = ("head", {f"power {degree - 1}"})  # Phi^T A^(degree - 1) r, read by every token
        operations[f"power {degree}"] = ("unit", {f"spread {degree}", f"power {degree - 1}"})
    operations["sums"] = ("head", {f"power {degree}" for degree in range(s)})
    for j in range(s):
        before = set() if merged or not j else {f"gamma {j - 1}"}
        operations[f"gamma {j}"] = ("head", {"sums"} | before)
    operations["r"] = ("unit", {f"gamma {s - 1}"})
    return operations


def two_block_order(steps: int) -> dict[str, Operation]:
    operations: dict[str, Operation] = {}
    for t in range(steps):
        operations[f"sums {t}"] = ("head", {f"r {t}"})
        operations[f"gamma {t}"] = ("head", {f"sums {t}"})
        operations[f"r {t + 1}"] = ("unit", {f"gamma {t}", f"r {t}"})
    return operations


@certifies(
    "prop-s-step-blocks",
    statement=(s_step_order, lambda s: 2 * s),
    mutants={
        "a block fewer": (s_step_order, lambda s: 2 * s - 1),
        "all quotients of a cycle at once": (partial(s_step_order, merged=True), lambda s: 2 * s),
        "s + 1 blocks": (s_step_order, lambda s: s + 1),
    },
    exact=True,
)
def test_a_cycle_of_s_steps_takes_two_s_blocks_like_s_steps_of_two_blocks(statement):
    order, blocks = statement
    for s in (1, 2, 3, 8, 20):
        cycle = earliest_blocks(order(s), {"power 0"})
        assert cycle["r"] == blocks(s) == earliest_blocks(two_block_order(s), {"r 0"})[f"r {s}"]
        assert cycle["sums"] == s and all(cycle[f"gamma {j}"] == s + 1 + j for j in range(s))
