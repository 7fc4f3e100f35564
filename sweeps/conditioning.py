"""Error of constructed networks against the condition number: spectra, bases, gradient descent, conjugate gradient, Jacobi.

The eigenvalues of A = K + lambda I are chosen: they run from 1 down to 1 / kappa, and lambda is half the smallest. Phi =
U diag(sqrt(eigenvalues - lambda)) V^T with k = p = 32 and V a random rotation, which K does not see. U is a random rotation; or the
identity ("aligned"): supports orthogonal to one another, K diagonal; or a Hadamard matrix ("flat"): K with a constant diagonal. "scaled" is not a spectrum but a cause: random supports of
condition number below 10 whose lengths are spread until kappa is reached.
"""

import numpy as np
import torch
from scipy.linalg import hadamard

from metarep_lib import (
    Prompt,
    assemble,
    gradient_descent,
    ridge_system,
    solvers,
    two_block_conjugate_gradient,
)
from metarep_lib.construct.algorithms import jacobi_conjugate_gradient
from metarep_lib.studies import Sweep

N, STEPS = 32, 60
KEPT = [*range(0, 31, 2), *range(35, STEPS + 1, 5)]


def eigenvalues(kind: str, kappa: float) -> np.ndarray:
    """Of A, from 1 down to 1 / kappa."""
    i = np.arange(N)
    if kind == "geometric":
        return kappa ** -(i / (N - 1))
    if kind == "clustered":  # four values, eight of each
        return kappa ** -(i // (N // 4) / 3)
    if kind == "power law":
        return (1.0 + i) ** -(np.log(kappa) / np.log(N))
    return np.where(i == 0, 1.0, (2 - (i - 1) / (N - 2)) / kappa if kappa > 2 else 1 / kappa)  # one outlier


def problem(kind: str, basis: str, kappa: float, seed: int) -> Prompt:
    features, targets = (np.random.default_rng(stream) for stream in np.random.SeedSequence([seed, 2024]).spawn(2))
    U, V, W = np.linalg.qr(features.standard_normal((3, N, N)))[0]
    U = {"rotated": U, "aligned": np.eye(N), "flat": hadamard(N) / np.sqrt(N)}[basis]
    if kind == "scaled":
        phi, ridge = (W * np.sqrt(eigenvalues("geometric", min(10.0, kappa)))) @ V, 1e-8
        phi = phi * np.sqrt(kappa ** -np.linspace(0, 1, N))[:, None]
    else:
        s = eigenvalues(kind, kappa)
        ridge = float(s.min()) / 2
        phi = U * np.sqrt(s - ridge) @ V
    y, phi_query = targets.standard_normal(N), targets.standard_normal((16, N)) * np.sqrt((phi**2).mean())
    return Prompt(*map(torch.from_numpy, (phi, y, phi_query)), ridge=ridge)


def run(kind: str, basis: str, kappa: float, seed: int) -> dict:
    prompt = problem(kind, basis, kappa, seed)
    system = ridge_system(prompt)
    star = solvers.cholesky(system).alpha
    f = system.predict(star)
    ends = system.eigenvalues[[0, -1]]
    makers = {
        "cg": two_block_conjugate_gradient(N, STEPS),
        "jacobi": jacobi_conjugate_gradient(N, STEPS),
        "gd": gradient_descent(N, STEPS, float(2 / ends.sum())),
    }
    scaled = system.A / system.A.diagonal().sqrt().outer(system.A.diagonal().sqrt())
    result = {"kappa_measured": float(ends[1] / ends[0]), "kappa_jacobi": float(torch.linalg.cond(scaled))}
    for name, program in makers.items():
        trace = assemble(program).run(prompt)
        error = system.norm(trace["alpha", "support"] - star) / system.norm(star)
        gap = (trace.prediction - f).norm(dim=-1) / f.norm()
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
