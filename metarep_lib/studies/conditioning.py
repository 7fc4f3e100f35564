"""Constructed networks against the condition number: spectra, bases, gradient descent, conjugate gradient, Jacobi.

The eigenvalues of A = K + lambda I are chosen: they run from 1 down to 1 / kappa, and lambda is
half the smallest. Phi = U diag(sqrt(eigenvalues - lambda)) V^T with k = p = 32 and V a random
rotation, which K does not see. U is a random rotation; or the identity ("aligned"): supports
orthogonal to one another, K diagonal; or a Hadamard matrix ("flat"): K with a constant diagonal.
"scaled" is not a spectrum but a cause: random supports of condition number below 10 whose lengths
are spread by sqrt(kappa); the condition number that comes of it is measured, and is of kappa's size.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.linalg import hadamard
from torch import Tensor

from metarep_lib.construct import assemble
from metarep_lib.construct.algorithms import (
    gradient_descent,
    jacobi_conjugate_gradient,
    two_block_conjugate_gradient,
)
from metarep_lib.numerics import RidgeSystem, relative_error, ridge_system, solvers
from metarep_lib.numerics.solvers import jacobi, scaled
from metarep_lib.prompt import Prompt
from metarep_lib.studies.sweep import Sweep, Swept

__all__ = [
    "KEPT",
    "STEPS",
    "SWEEP",
    "N",
    "condition_numbers",
    "of_unequal_lengths",
    "posed",
    "run",
    "steps_to",
]

N, STEPS = 32, 60
KEPT = np.array([*range(0, 31, 2), *range(35, STEPS + 1, 5)])  # steps whose errors are stored


def eigenvalues(kind: str, kappa: float) -> np.ndarray:
    """[32] of A, from 1 down to 1 / kappa.

    >>> eigenvalues("clustered", 1000.0)[::8].round(4).tolist()
    [1.0, 0.1, 0.01, 0.001]
    """
    i = np.arange(N)
    if kind == "geometric":
        return kappa ** -(i / (N - 1))
    if kind == "clustered":  # four values, eight of each
        return kappa ** -(i // (N // 4) / 3)
    if kind == "power law":
        return (1.0 + i) ** -(np.log(kappa) / np.log(N))
    low = (2 - (i - 1) / (N - 2)) / kappa if kappa > 2 else 1 / kappa
    return np.where(i == 0, 1.0, low)  # one outlier


def posed(kind: str, basis: str, kappa: float, seed: int) -> Prompt:
    """One prompt of the sweep: 32 supports, 16 queries, float64."""
    streams = np.random.SeedSequence([seed, 2024]).spawn(2)
    features, targets = map(np.random.default_rng, streams)
    U, V, W = np.linalg.qr(features.standard_normal((3, N, N)))[0]
    U = {"rotated": U, "aligned": np.eye(N), "flat": hadamard(N) / np.sqrt(N)}[basis]
    if kind == "scaled":
        phi, ridge = (W * np.sqrt(eigenvalues("geometric", min(10.0, kappa)))) @ V, 1e-8
        phi = phi * np.sqrt(kappa ** -np.linspace(0, 1, N))[:, None]
    else:
        s = eigenvalues(kind, kappa)
        ridge = float(s.min()) / 2
        phi = U * np.sqrt(s - ridge) @ V
    y = targets.standard_normal(N)
    phi_query = targets.standard_normal((16, N)) * np.sqrt((phi**2).mean())
    return Prompt(*map(torch.from_numpy, (phi, y, phi_query)), ridge=ridge)


def of_unequal_lengths(seed: int) -> Prompt:
    """24 generic supports whose lengths span two orders of magnitude, 10 queries, float64."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.logspace(-1, 1, 24, dtype=torch.float64)[:, None]
    phi, y, phi_query = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((24, 24), (24,), (10, 24))
    )
    return Prompt(phi * lengths, y, phi_query, ridge=0.1)


def relative_errors(
    system: RidgeSystem, alpha: Tensor, prediction: Tensor
) -> tuple[Tensor, Tensor]:
    """||alpha_t - alpha*||_A / ||alpha*||_A and ||f_t - f*|| / ||f*|| over the queries, by step.

    Args:
        system: What is solved.
        alpha: [steps + 1, k] a network's iterates.
        prediction: [steps + 1, q] what it says.

    Returns:
        Two of [steps + 1].
    """
    star = solvers.cholesky(system).alpha
    f = system.predict(star)
    error = system.norm(alpha - star) / system.norm(star)
    return error, relative_error(prediction, f)


def run(kind: str, basis: str, kappa: float, seed: int) -> dict:
    """One point: condition numbers, and the errors of three networks at the steps of `KEPT`."""
    prompt = posed(kind, basis, kappa, seed)
    system = ridge_system(prompt)
    ends = system.eigenvalues[[0, -1]]
    programs = {
        "cg": two_block_conjugate_gradient(N, STEPS),
        "jacobi": jacobi_conjugate_gradient(N, STEPS),
        "gd": gradient_descent(N, STEPS, float(2 / ends.sum())),
    }
    result = {
        "kappa_measured": float(ends[1] / ends[0]),
        "kappa_jacobi": float(torch.linalg.cond(scaled(system, jacobi(system)).A)),
    }
    for name, program in programs.items():
        trace = assemble(program).run(prompt)
        error, gap = relative_errors(system, trace["alpha", "support"], trace.prediction)
        result |= {f"{name}_error": error[KEPT].tolist(), f"{name}_gap": gap[KEPT].tolist()}
    return result


SWEEP = Sweep(
    "conditioning",
    {
        "kind": ["geometric", "clustered", "power law", "one outlier", "scaled"],
        "basis": ["rotated", "aligned", "flat"],
        "kappa": [1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6],
    },
    [0, 1, 2, 3, 4],
    run,
)


def condition_numbers(
    swept: Swept, scaled_supports: bool, bases: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Of A, and with Jacobi's preconditioner, at the points with kappa >= 10 of some bases."""
    rows = [
        row
        for row in swept.rows
        if row["kappa"] >= 10
        and (row["kind"] == "scaled") == scaled_supports
        and row["basis"] in bases
    ]
    before, after = ([row[name] for row in rows] for name in ("kappa_measured", "kappa_jacobi"))
    return before, after


def steps_to(
    swept: Swept, name: str, kind: str, kappa: float, basis: str = "rotated", accuracy: float = 1e-6
) -> float:
    """Median over seeds of the first stored step with an error within the accuracy; inf where 60 are not enough."""
    error = swept.values(f"{name}_error", kind=kind, basis=basis, kappa=kappa)
    reached = [KEPT[one <= accuracy][0] if (one <= accuracy).any() else np.inf for one in error]
    return float(np.median(reached))
