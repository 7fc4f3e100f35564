"""Exercises of the chapter "What a network cannot do: masks and width"."""

import torch

from metarep_lib.exercises.grading import Exercise, need, normal, numbers, same


def check_blind(unseen) -> None:
    for p in (2, 5):
        W = normal(p + 1, p, seed=p)
        move = numbers(unseen(W.clone()), (p + 1,))
        need(move.norm() > 1e-6, "a move of zero changes nothing")
        need(
            (move @ W).norm() <= 1e-8 * move.norm() * W.norm(),
            f"the stream of {p} channels sees the move; p + 1 numbers through p channels: which combination is lost?",
        )


def check_reach(reaches) -> None:
    generator = torch.Generator().manual_seed(0)
    for n_blocks in (1, 2, 3):
        mask = torch.rand(6, 6, generator=generator) < 0.25
        wanted = torch.eye(6, dtype=torch.bool)
        for _ in range(
            n_blocks
        ):  # what token i holds after a block: its own, and that of those it reads
            wanted = wanted | ((mask.long() @ wanted.long()) > 0)
        found = reaches(mask.clone(), n_blocks)
        need(
            isinstance(found, torch.Tensor) and found.shape == (6, 6),
            "expected a matrix [T, T] of booleans",
        )
        need(
            (found.bool() == wanted).all(),
            f"wrong for {n_blocks} blocks; a token keeps what it holds, and passes on what it has read in earlier blocks",
        )


def check_fixed_point(fixed_point) -> None:
    phi, y = normal(7, 4, seed=1), normal(7, seed=2)
    K = phi @ phi.T
    alpha = torch.zeros_like(y)
    for _ in range(2000):  # gradient descent in which token i reads itself and earlier tokens only
        alpha = alpha + 0.02 * (y - torch.tril(K) @ alpha - 2.0 * alpha)
    same(
        fixed_point(phi.clone(), y.clone(), 2.0),
        alpha,
        "this is not where the causal iteration comes to rest; which matrix multiplies alpha there?",
    )


REACH = """
def reaches(mask, n_blocks):
    one_block = mask | torch.eye(len(mask), dtype=torch.bool)
    return torch.linalg.matrix_power(one_block.double(), n_blocks) > 0
"""
FIXED = """
def fixed_point(phi, y, ridge):
    K = torch.tril(phi @ phi.T)
    return torch.linalg.solve(K + ridge * torch.eye(len(y), dtype=phi.dtype), y)
"""

EXERCISES = (
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_blind,
        solution="""
def unseen(W):
    return torch.linalg.svd(W.T).Vh[-1]  # p equations in p + 1 unknowns
""",
        wrong={
            "nothing": "def unseen(W):\n    return torch.zeros(len(W))",
            "the target alone": "def unseen(W):\n    return torch.eye(len(W))[-1]",
            "the weakest direction that is seen": "def unseen(W):\n    return torch.linalg.svd(W, full_matrices=False).U[:, -1]",
        },
    ),
    Exercise(
        difficulty=2,
        minutes=10,
        check=check_reach,
        solution=REACH,
        wrong={
            "one block": "def reaches(mask, n_blocks):\n    return mask | torch.eye(len(mask), dtype=torch.bool)",
            "no residual connection": REACH.replace(
                "mask | torch.eye(len(mask), dtype=torch.bool)", "mask"
            ),
            "readers and sources exchanged": REACH.replace(
                "one_block.double()", "one_block.T.double()"
            ),
        },
    ),
    Exercise(
        difficulty=1,
        minutes=10,
        check=check_fixed_point,
        solution=FIXED,
        wrong={
            "the whole kernel": FIXED.replace("torch.tril(phi @ phi.T)", "phi @ phi.T"),
            "later tokens instead": FIXED.replace("torch.tril", "torch.triu"),
            "strictly before": FIXED.replace(
                "torch.tril(phi @ phi.T)", "torch.tril(phi @ phi.T, -1)"
            ),
        },
    ),
)
