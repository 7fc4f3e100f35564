"""The constructed network on m features after t steps against ridge regression on all features, for every m and t; and what theory promises.

Features by the best map. `error` and `bound` are lists over widths, then over steps: norms over the held-out queries, relative to the answer's.
The bound is `capacity_bound`, of theorems alone. It speaks of exact arithmetic; `delay` is by how many steps rounding makes the network late: the
least s for which the error after t + s steps is within the bound after t, for all t (STEPS[-1] where there is none), per width.
"""

from functools import cache

import numpy as np
import torch

from metarep_lib.construct import ConstructedTransformer, assemble
from metarep_lib.construct.algorithms import two_block_conjugate_gradient
from metarep_lib.numerics import best_projection, projected
from metarep_lib.numerics.bounds import capacity_bound
from metarep_lib.prompt import Prompt
from metarep_lib.studies.answers import answers
from metarep_lib.studies.capacity import LAWS
from metarep_lib.studies.sweep import Sweep, Swept

__all__ = [
    "STEPS",
    "SWEEP",
    "corner",
    "correlation",
    "grid",
    "needed",
    "posed",
    "rows_of",
    "run",
    "tail_counts",
]

STEPS = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 28, 33, 38]
SHARES = [
    0.04,
    0.1,
    0.17,
    0.25,
    0.35,
    0.47,
    0.6,
    0.75,
    0.9,
    1.0,
]  # widths, as shares of all there is


@cache
def network(m: int) -> ConstructedTransformer:
    return assemble(two_block_conjugate_gradient(m, STEPS[-1]))


def posed(law: str, factor: float, seed: int) -> Prompt:
    """One prompt, with so many times the ridge of its law."""
    drawn = LAWS[law].coordinates(LAWS[law].prompt(seed))
    return Prompt(drawn.phi, drawn.y, drawn.phi_query, factor * drawn.ridge)


def run(law: str, factor: float, seed: int) -> dict:
    """One point."""
    prompt = posed(law, factor, seed)
    full, mu = answers(prompt), torch.linalg.svdvals(prompt.phi).square()
    widths = sorted({max(1, round(share * prompt.n_features)) for share in SHARES})
    d_eff = float((mu / (mu + prompt.ridge)).sum())
    result = {"ridge": prompt.ridge, "d_eff": d_eff, "widths": widths, "mu": mu.tolist()}
    result |= {"error": [], "bound": [], "delay": []}
    for m in widths:
        W = best_projection(prompt, m)
        gap = (network(m).run(projected(prompt, W)).prediction - full).abs()
        bound = capacity_bound(prompt, W, STEPS[-1]) + 1e-9 * full.abs().max()
        result["error"] += (gap.norm(dim=-1) / full.norm())[STEPS].tolist()
        result["bound"] += (bound.norm(dim=-1) / full.norm())[STEPS].tolist()
        late = (s for s in range(STEPS[-1] + 1) if (gap[s:] <= bound[: len(bound) - s]).all())
        result["delay"].append(next(late))
    return result


def rows_of(swept: Swept, law: str, factor: float) -> list[dict]:
    """The rows of all seeds; they have as many widths as their law, so that no array holds all."""
    return [row for row in swept.rows if (row["law"], row["factor"]) == (law, factor)]


def by_width(row: dict, name: str) -> np.ndarray:
    """[widths, steps] of one row."""
    return np.reshape(row[name], (-1, len(STEPS)))


def grid(swept: Swept, law: str, name: str, factor: float = 1.0) -> np.ndarray:
    """[widths, steps] median over seeds."""
    return np.median([by_width(row, name) for row in rows_of(swept, law, factor)], axis=0)


def tail_count(mu: np.ndarray, ridge: float, tolerance: float) -> int:
    """The least n for which the root of the weighted tail beyond n is at most the tolerance.

    >>> tail_count(np.array([1.0, 1.0, 0.0]), ridge=1.0, tolerance=0.8), tail_count(np.ones(2), 1.0, 0.5)
    (1, 2)
    """
    weighted = mu**2 / (mu + ridge)
    beyond = np.sqrt(np.append(weighted[::-1].cumsum()[::-1], 0) / weighted.sum())
    return int((beyond <= tolerance).argmax())


def tail_counts(rows: list[dict], tolerance: float) -> np.ndarray:
    """[rows] the same for rows of the sweep."""
    return np.array(
        [tail_count(np.array(row["mu"]), row["ridge"], tolerance) for row in rows], float
    )


def corner(swept: Swept, law: str, tolerance: float) -> tuple[float, float]:
    """The tail count and the effective dimension of a law, medians over seeds."""
    rows = rows_of(swept, law, 1.0)
    d_eff = [row["d_eff"] for row in rows]
    return float(np.median(tail_counts(rows, tolerance))), float(np.median(d_eff))


def needed(rows: list[dict], name: str, tolerance: float) -> tuple[np.ndarray, np.ndarray]:
    """[rows] least width at full depth, and least depth at full width, with an error (or a bound) within the tolerance; NaN where none is."""

    def first(values: list[int], held: np.ndarray) -> float:
        return next((value for value, e in zip(values, held) if e <= tolerance), np.nan)

    width = [first(row["widths"], by_width(row, name)[:, -1]) for row in rows]
    depth = [first(STEPS, by_width(row, name)[-1]) for row in rows]
    return np.array(width, float), np.array(depth, float)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Of those pairs in which both are numbers.

    >>> correlation(np.array([1.0, 2.0, np.nan]), np.array([2.0, 4.0, 0.0])).__round__(9)
    1.0
    """
    known = np.isfinite(x) & np.isfinite(y)
    return float(np.corrcoef(x[known], y[known])[0, 1])


PLANES = ["power law, linear", "sphere, exponential", "diabetes, linear", "diabetes, exponential"]
SWEEP = Sweep("plane", {"law": PLANES, "factor": [0.1, 1.0, 10.0]}, [0, 1, 2, 3, 4], run)
