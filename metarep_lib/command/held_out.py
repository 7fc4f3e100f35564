"""Draws of rows: a fifth that is held out, and as many to learn from as the network reads."""

import numpy as np

MOST = 2000
"""Supports that the network reads, and rows that are held out, at most: the cost of a pass grows with their product."""


def hold_out(rows: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows that teach and a seeded fifth that is asked, one at least and `MOST` at most, both in the order of the file.

    >>> teaching, asked = hold_out(np.arange(10), seed=0)
    >>> len(asked), sorted([*teaching.tolist(), *asked.tolist()]) == list(range(10))
    (2, True)
    """
    n_asked = min(max(1, len(rows) // 5), MOST)
    shuffled = np.random.default_rng(seed).permutation(rows)
    return np.sort(shuffled[n_asked:]), np.sort(shuffled[:n_asked])


def at_most(rows: np.ndarray, seed: int) -> np.ndarray:
    """All rows, and of more than `MOST` a seeded draw, in the order of the file.

    >>> len(at_most(np.arange(5), seed=0)), len(at_most(np.arange(5000), seed=0))
    (5, 2000)
    """
    if len(rows) <= MOST:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[:MOST])
